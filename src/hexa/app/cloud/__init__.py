"""What Cluster Autoscaler asks and is shown."""
