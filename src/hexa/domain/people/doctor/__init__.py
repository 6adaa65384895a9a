"""What `hexa doctor` makes of what it found, subject by subject."""
