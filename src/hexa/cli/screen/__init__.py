"""The screen of `hexa top`: what it shows, what its keys do, and the terminal. Loaded by that command only."""
