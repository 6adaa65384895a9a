"""What machines and pods cost."""
