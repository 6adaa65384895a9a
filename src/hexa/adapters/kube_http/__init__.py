"""The Kubernetes API over HTTP: implements `ports.kube` with a raw httpx client."""
