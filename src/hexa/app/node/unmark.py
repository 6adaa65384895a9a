"""Takes everything of ours off a Kubernetes node. It decides nothing: what is ours, `hexa.domain.machine.marks` knows.

Conditions go first and the marks that tell of it last, so that whoever dies in between leaves a node that still says that
there is work to do.
"""

from hexa.domain.machine.marks import conditions_of_ours, unmarking, without_conditions
from hexa.domain.resources.core import NODES, KubeNode
from hexa.ports.kube import Kube, Patch, PatchStyle


async def unmark(kube: Kube, node: KubeNode) -> KubeNode:
    """The node without what is ours. Raises `Conflict` if somebody wrote it meanwhile: read it again."""
    name = node.metadata.name
    if types := conditions_of_ours(node):
        node = await kube.patch(NODES, name, Patch(without_conditions(types), PatchStyle.STRATEGIC, "status"))
    if body := unmarking(node):
        node = await kube.patch(NODES, name, Patch(body, resource_version=node.metadata.resource_version))
    return node
