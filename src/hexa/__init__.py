"""Powers physical Kubernetes nodes on and off by demand."""
