"""What is shown of an object that hexa cannot work with: its identity and its phase, and that it is only watched.

Nothing is read here that might raise.
"""

from msgspec import structs

from hexa.app.fence import CONTAINED, Breach, contained_problem
from hexa.domain.group.sizing import Member
from hexa.domain.group_view import GroupView
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.names import WISH_ANNOTATION
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node, NodeSpec, NodeStatus, Shape


def machine_stand_in(
    key: Lookup, node: Node, breach: Breach, *, group: GroupView | None, kube: KubeNode | None
) -> MachineView:
    """A machine that is not valid: no wish, no way to switch it, no shape."""
    return MachineView(
        key=key,
        node=_bare(node),
        group=group,
        policy=group.policy if group is not None else Policy(),
        limits=Limits(),
        rates=Rates(),
        kube=kube,
        problems=(contained_problem(breach),),
        control_plane=False,
        hosts=(),
        shape=None,
    )


def is_stand_in(view: MachineView) -> bool:
    """Whether nothing of the machine's data stands in the view, so that nothing may be written by it."""
    return any(problem.reason == CONTAINED and problem.severity == "error" for problem in view.problems)


def _bare(node: Node) -> Node:
    seen = node.status.template
    annotations = {name: text for name, text in node.metadata.annotations.items() if name != WISH_ANNOTATION}
    return Node(
        metadata=structs.replace(node.metadata, annotations=annotations),
        spec=NodeSpec(kubernetes_node_name=node.spec.kubernetes_node_name),
        status=NodeStatus(
            phase=node.status.phase,
            template=Shape(provider_id=seen.provider_id) if seen is not None else None,
            conditions=node.status.conditions,
        ),
    )


def member_stand_in(view: MachineView) -> Member:
    """The same for sizing: it counts nowhere, and is chosen for nothing."""
    return Member(key=view.key, phase=view.phase, valid=False)


def group_stand_in(key: Lookup, group: Group, breach: Breach) -> GroupView:
    """A group that is not valid: Cluster Autoscaler is not told of it, and its machines are only watched."""
    policy = Policy(namespace=key.namespace, name=key.name)
    return GroupView(key=key, group=group, policy=policy, problems=(contained_problem(breach),))
