"""The loops: they read snapshots, let the domain decide, and carry it out."""
