"""One machine: its controller, the duties of its phases, and what is read and written around it."""
