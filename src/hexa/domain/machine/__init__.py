"""One machine: its phases, what is known of it, what is wanted of it, and what hexa puts on its Kubernetes node."""
