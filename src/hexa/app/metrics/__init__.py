"""What hexa counts and measures of itself and its machines, as a table. It knows no format: who shows it reads `ports.metrics`."""
