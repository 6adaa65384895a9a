"""Powers physical Kubernetes nodes on and off by demand."""

from typing import Final

DISTRIBUTION: Final = "hexa-autoscaler"
"""What hexa is called on the package index: `hexa` is another project there. Command and package are `hexa`."""
