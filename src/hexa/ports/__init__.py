"""What the core needs of the world, one capability a file. No timeouts, retries or vendor words."""
