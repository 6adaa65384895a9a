"""For tests of hexa and of what embeds it; public, and free of pytest."""
