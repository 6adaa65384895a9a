"""The policy of hexa, pure: it imports the standard library and msgspec, and time is an argument."""
