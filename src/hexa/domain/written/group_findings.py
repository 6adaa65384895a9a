"""What a person should know of a group: what rules say of it, its problems, and its machines that do not fit it."""

from collections.abc import Iterable, Iterator, Sequence

from hexa.domain.group.sizing import Member
from hexa.domain.group_view import GroupView
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.marks import how_to_take_back
from hexa.domain.machine_view import MachineView
from hexa.domain.names import UNINITIALIZED_TAINT
from hexa.domain.policy.conventions import Conventions
from hexa.domain.rules.judge import said_of_group
from hexa.domain.rules.proof import Claim
from hexa.domain.rules.rule import GroupScene
from hexa.domain.rules.safe_hands import SafeHands
from hexa.domain.written.hints import group_hints


def group_findings(
    group: GroupView,
    machines: Sequence[MachineView],
    of_machines: Iterable[Finding],
    *,
    members: Sequence[Member],
    holder: Claim | None,
    conventions: Conventions,
    safe_hands: SafeHands | None = None,
) -> Iterator[Finding]:
    """`of_machines`: what is found of each of the machines; `members`: the same machines as sizing sees them; `holder`: the one
    that may be off without wake proof; `safe_hands`: the site itself is in doubt."""
    problems = (*group.problems, *group_hints(group, machines, conventions))
    nodes = tuple(machine.node for machine in machines)
    yield from said_of_group(
        GroupScene(policy=group.policy, machines=nodes, members=members, holder=holder, safe_hands=safe_hands)
    )
    if group.released:
        text = f"given up, so that minSize and maxSize are not kept; to take it back: {how_to_take_back(group.key, kind='hg')}"
        yield Finding("Released", "Released", text)
    for problem in problems:
        kind = "Invalid" if problem.severity == "error" and problem.reason != "MixedShape" else problem.reason
        yield Finding(kind, problem.reason, str(problem))
    yield from of_machines


def member_findings(group: GroupView, machine: MachineView) -> Iterator[Finding]:
    """What of the machine does not fit its group."""
    kube = machine.kube
    if kube is None:
        return
    name = machine.kube_name
    if machine.control_plane and not group.policy.allow_control_plane:
        text = f"{name} is a control-plane node and is refused as a member; move it out, or set spec.allowControlPlane"
        yield Finding("ControlPlaneMember", "Refused", text)
    wrong = {k: v for k, v in group.policy.labels.items() if kube.metadata.labels.get(k, v) != v}
    if wrong and machine.node.status.welcomed:
        text = f"{name} carries other values of {', '.join(sorted(wrong))} than spec.nodeSelector"
        yield Finding("SelectorMismatch", "LabelsDiffer", text)
    if any(taint.key == UNINITIALIZED_TAINT for taint in kube.spec.taints):
        yield Finding(
            "NodeUninitialized", "CloudTaint", f"{name} waits for a cloud controller manager; providerID is left alone"
        )
