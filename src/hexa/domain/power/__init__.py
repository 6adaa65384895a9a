"""Which drivers switch and read a machine, what their Jobs are, and what is wrong with their settings."""
