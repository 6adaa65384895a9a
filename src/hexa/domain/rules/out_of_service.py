"""Two proofs that a machine is off, before Kubernetes is told to let its pods and volumes go without asking its kubelet.

The taint node.kubernetes.io/out-of-service makes Kubernetes delete the node's pods by force and detach its volumes at once. On a
machine that runs after all, two systems would write to one volume. So one proof is never enough, and the two must fail for
different reasons; what counts as two is the table `PROOFS`. It reads no object but what it is given, and writes nothing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from hexa.domain.machine.dues import leave_due
from hexa.domain.machine.facts import Facts, reads_off, says_off
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import OUT_OF_SERVICE_ANNOTATION, OUT_OF_SERVICE_TAINT
from hexa.domain.pods.drain import stays
from hexa.domain.resources.core import KubeNode, Malformed, Pod, Taint
from hexa.domain.resources.v1alpha1 import Reading
from hexa.domain.rules.rule import Scene
from hexa.domain.rules.subject import Among


class Proof(StrEnum):
    """What can tell that a machine is off."""

    READING = "reading Off"
    """Its sensor reads Off twice, newer than the last sign of life, and a renewal was missed since (`trust`). Wrong where the
    sensor lies or is another machine's."""
    SILENCE = "silence"
    """No sign of life for two lease periods that we watched. Wrong where the network is cut."""
    ORDER = "order"
    """Our shutdown Job of this power-off is done, by another device than the sensor's. Wrong where the way off does nothing."""


PROOFS: Final = (frozenset({Proof.READING, Proof.SILENCE}), frozenset({Proof.READING, Proof.ORDER}))
"""What is enough. No pair without a reading: a machine that was told to go off and is not heard may hang in its shutdown."""

AT_REST: Final = frozenset({Phase.OFF, Phase.START_FAILED})
"""Where a machine is not being woken. In any other phase the taint goes: it must not stand when a kubelet starts, for it drives
away what every pod needs, such as the network's DaemonSet."""

FREED_WITHIN: Final = timedelta(seconds=90)
"""So long a node that is to be deleted waits for its pods and volumes to go by the taint. Without it volumes of a node that is gone
stay attached for six minutes."""


class Evidence(Struct, frozen=True, kw_only=True):
    """What speaks for a machine's being off."""

    facts: Facts
    ordered: bool
    """Our shutdown Job of this power-off is done."""
    apart: bool
    """What switches off is another device than what reads."""

    @property
    def found(self) -> frozenset[Proof]:
        facts = self.facts
        if facts.blind or facts.paused:
            return frozenset()
        holds = {
            Proof.READING: reads_off(facts),
            Proof.SILENCE: facts.now >= leave_due(facts),
            Proof.ORDER: self.ordered and self.apart,
        }
        return frozenset(proof for proof, true in holds.items() if true)

    @property
    def proven(self) -> bool:
        return any(proof <= self.found for proof in PROOFS)


def wants_look(node: KubeNode, phase: Phase, evidence: Evidence, *, allowed: bool) -> bool:
    """Whether it depends on what is stuck on the node."""
    return allowed and phase in AT_REST and evidence.proven and not tainted(node) and not ours(node)


def proof_due(phase: Phase, facts: Facts, *, allowed: bool) -> datetime | None:
    """When silence will be the second proof; None: it is no matter of time."""
    if not allowed or phase not in AT_REST or facts.blind or facts.paused or not says_off(facts):
        return None
    due = leave_due(facts)
    return due if due > facts.now else None


def next_proof(machine: Among, facts: Facts) -> datetime | None:
    """The same of a machine whose node may be tainted."""
    if machine.kube is None:
        return None
    return proof_due(machine.phase, facts, allowed=machine.policy.out_of_service and not machine.control_plane)


def must_clear(node: KubeNode, phase: Phase, facts: Facts, *, allowed: bool) -> bool:
    """Whether our taint must go: the machine is woken, seen to have power or heard, or the group does not want it any more."""
    on = facts.reading is not None and facts.reading.power is Reading.ON
    return ours(node) and (not allowed or phase not in AT_REST or _heard_since(node, facts) or on)


def _heard_since(node: KubeNode, facts: Facts) -> bool:
    """Whether its kubelet lives. What it said before the taint was put is no news: the lease of a machine that was switched off by
    order stands for a while, and the two proofs outrank it."""
    if facts.heard_until is None or facts.now >= facts.heard_until:
        return False
    since = _since(node)
    return since is None or facts.heard is None or facts.heard > since


def freeing_until(node: KubeNode, *, now: datetime) -> datetime | None:
    """Until when the delete of the node waits for what is stuck on it; None: our taint does not stand, or since when
    is not known."""
    since = _since(node)
    return since + FREED_WITHIN if since is not None and since <= now else None


def _since(node: KubeNode) -> datetime | None:
    """Since when our taint stands; None: it does not, or that cannot be read."""
    try:
        since = datetime.fromisoformat(node.metadata.annotations.get(OUT_OF_SERVICE_ANNOTATION, ""))
    except ValueError:
        return None
    return since if since.tzinfo is not None else None


def ours(node: KubeNode) -> bool:
    """Whether hexa has put the taint on, be it that somebody took it off since."""
    return OUT_OF_SERVICE_ANNOTATION in node.metadata.annotations


def tainted(node: KubeNode) -> bool:
    """Whether it carries the taint, by whomever."""
    return any(taint.key == OUT_OF_SERVICE_TAINT for taint in node.spec.taints)


def stuck(pods: Iterable[Pod | Malformed], node: KubeNode) -> list[str]:
    """What a dead kubelet keeps: pods that no DaemonSet and no file of its own brings, and volumes."""
    kept = [f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in pods if not stays(pod)]
    return sorted(kept) + [f"volume {volume.name}" for volume in node.status.volumes_attached]


def taint_patch(node: KubeNode, now: datetime) -> dict[str, Any]:
    """The taint, and the mark that it is ours."""
    taint = Taint(key=OUT_OF_SERVICE_TAINT, value="nodeshutdown", effect="NoExecute")
    mark = {OUT_OF_SERVICE_ANNOTATION: now.isoformat(timespec="seconds")}
    return {
        "metadata": {"annotations": mark},
        "spec": {"taints": msgspec.to_builtins([*node.spec.taints, taint])},
    }


def clear_patch(node: KubeNode) -> dict[str, Any]:
    """Both off again."""
    left = [taint for taint in node.spec.taints if taint.key != OUT_OF_SERVICE_TAINT]
    return {
        "metadata": {"annotations": {OUT_OF_SERVICE_ANNOTATION: None}},
        "spec": {"taints": msgspec.to_builtins(left) or None},
    }


def findings(node: KubeNode | None) -> list[Finding]:
    """What a person should know of it."""
    if node is None or not ours(node):
        return []
    since = node.metadata.annotations[OUT_OF_SERVICE_ANNOTATION]
    text = f"two proofs show that it is off; since {since} Kubernetes lets its pods and volumes go, until it is woken"
    return [Finding("OutOfService", "ProvenOff", text)]


def left_standing(node: KubeNode | None, phase: Phase) -> list[Finding]:
    """Somebody else's taint on a machine that is up: whoever put it on must take it off, and no pod can stay until then."""
    if node is None or ours(node) or not tainted(node) or phase not in (Phase.READY, Phase.DRAINING):
        return []
    name = node.metadata.name
    text = (
        f"its Kubernetes node {name} carries the taint {OUT_OF_SERVICE_TAINT}, which hexa did not put on: its pods are removed "
        f"by force though the machine is up; kubectl taint node {name} {OUT_OF_SERVICE_TAINT}- takes it off"
    )
    return [Finding("OutOfService", "TaintLeft", text)]


def says(scene: Scene) -> list[Finding]:
    """What of either holds."""
    kube = scene.machine.kube
    return [*findings(kube), *left_standing(kube, scene.machine.phase)]
