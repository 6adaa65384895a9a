"""Odd values in every field of our resources."""
