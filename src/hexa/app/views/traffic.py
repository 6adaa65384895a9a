"""What the machines of each group do, as far as rules count that. What counts is judged in `domain.rules.traffic`."""

from datetime import datetime

from hexa.app.views.slots import Claimed
from hexa.app.working import WorkingPods
from hexa.domain.machine.identity import kube_name
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Lookup, Node
from hexa.domain.rules.traffic import NO_TRAFFIC, Move, Traffic, counted, move_of, traffic_of


def traffic(pods: WorkingPods) -> Claimed[Move, Traffic]:
    """Its claims. `pods`: which Kubernetes nodes run pods, asked for once a group wants to know."""

    def claim(key: Lookup, node: Node, kube: KubeNode | None, policy: Policy, now: datetime) -> Move | None:
        if policy.spares is not None:
            pods.wanted.set()
        return move_of(key, node, kube, policy, works=pods.works(kube_name(node)), now=now)

    return Claimed(
        claim=claim,
        stand=lambda moves, now: traffic_of(moves),
        nothing=NO_TRAFFIC,
        seen=lambda traffic: traffic,
        counts=counted,
    )
