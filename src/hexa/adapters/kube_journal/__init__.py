"""Kubernetes Events and structured logs: implements `ports.journal` on top of `ports.kube`."""
