"""Takes everything of ours off a Kubernetes node. It decides nothing: what is ours, `hexa.domain.machine.marks` knows.

The condition goes first and the marks that tell of it last, so that whoever dies in between leaves a node that still says that
there is work to do.
"""

from typing import Final

from hexa.domain.machine.marks import UNSUSPENDING, suspended_by_us, unmarking
from hexa.domain.resources.core import NODES, KubeNode
from hexa.ports.kube import Kube, Patch, PatchStyle

UNSUSPEND: Final = Patch(UNSUSPENDING, PatchStyle.STRATEGIC, "status")


async def unmark(kube: Kube, node: KubeNode) -> KubeNode:
    """The node without what is ours. Raises `Conflict` if somebody wrote it meanwhile: read it again."""
    name = node.metadata.name
    if suspended_by_us(node):
        node = await kube.patch(NODES, name, UNSUSPEND)
    if body := unmarking(node):
        node = await kube.patch(NODES, name, Patch(body, resource_version=node.metadata.resource_version))
    return node
