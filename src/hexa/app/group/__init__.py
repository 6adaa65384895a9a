"""One group: its controller, and what is remembered of its machines together."""
