"""The blocker of a machine that is on: the one rule that keeps it so, told where its group asks for it (spec.reportBlockers).

It forbids nothing. Pods count as far as hexa looked at them anyway, in a drain that was given up; `hexa blockers` reads them.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Veto
from hexa.domain.names import OFF_FORBIDDEN_ANNOTATION, SCALE_DOWN_DISABLED
from hexa.domain.news import What
from hexa.domain.resources.core import Condition, KubeNode
from hexa.domain.resources.v1alpha1 import NodeStatus
from hexa.domain.rules.notice import Notice
from hexa.domain.rules.rule import Scene

KEPT_ON: Final = "KeptOn"
"""The condition."""


class Blocker(Struct, frozen=True):
    """The rule, and why it stands."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def blocker(status: NodeStatus, kube: KubeNode | None, off_vetoes: Sequence[Veto]) -> Blocker | None:
    """What keeps a machine on that is up; None: nothing that hexa knows of, or it is not up."""
    if phase_of(status) is not Phase.READY:
        return None
    if off_vetoes:
        return Blocker(off_vetoes[0].reason, off_vetoes[0].message)
    if kube is not None and disabled_by_others(kube):
        return Blocker("ScaleDownDisabled", f"somebody set {SCALE_DOWN_DISABLED}=true on its Kubernetes node")
    return Blocker("DrainBlocked", status.blocker) if status.blocker else None


def disabled_by_others(kube: KubeNode) -> bool:
    """Whether somebody else keeps Cluster Autoscaler from asking for its off."""
    annotations = kube.metadata.annotations
    return annotations.get(SCALE_DOWN_DISABLED) == "true" and OFF_FORBIDDEN_ANNOTATION not in annotations


def says(scene: Scene) -> Iterator[Finding]:
    """A condition, where the group asks for it."""
    machine = scene.machine
    if not machine.policy.report_blockers:
        return
    found = blocker(scene.status, machine.kube, machine.off_vetoes(scene.now))
    if found is not None:
        yield Finding(KEPT_ON, found.rule, found.text)


def tells(before: Sequence[Condition], after: Sequence[Condition]) -> Iterator[Notice]:
    """Another rule keeps it on than before."""
    then, now = _rule(before), _rule(after)
    if now is not None and (then is None or then.reason != now.reason):
        yield Notice(What.KEPT_ON, f"{now.reason}: {now.message}")


def _rule(conditions: Sequence[Condition]) -> Condition | None:
    return next((each for each in conditions if each.type == KEPT_ON), None)
