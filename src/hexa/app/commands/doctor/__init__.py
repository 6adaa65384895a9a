"""`hexa doctor`: each check looks at the cluster by itself, and what it cannot see never stops the others."""
