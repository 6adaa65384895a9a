"""Secrets are planted, everything that can fail fails, and what is told is searched for them."""
