"""Power actions as Kubernetes Jobs: implements `ports.jobs` on top of `ports.kube`."""
