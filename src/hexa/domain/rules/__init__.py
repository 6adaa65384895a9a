"""Rules that keep a machine on or off, or act on it."""
