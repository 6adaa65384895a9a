"""What touches the world, a folder each, behind the ports; strangers to one another."""
