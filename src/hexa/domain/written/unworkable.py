"""What can never work although every field fits: a row each, told in advance by all who tell anything.

`hexa validate` and `hexa doctor` (through `validation`), the conditions of Node and Group, the column BLOCKER of `hexa get`, and
`hexa why` fold over these tables; a new row is all that a new finding needs. Pure; a row looks at one machine, or at a group
with its machines. Nothing here keeps a machine from being switched: a row is a warning.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from hexa.domain.duration import format_duration
from hexa.domain.group.template import above_seen
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.names import CA_TAINTS, CONDITION_TAINTS, HOSTNAME_LABEL, UNINITIALIZED_TAINT
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem
from hexa.domain.policy.values import parse_number
from hexa.domain.power.sensor import sensor
from hexa.domain.power.ways import cuts, governed
from hexa.domain.quantity import size_of
from hexa.domain.resources.core import Taint
from hexa.domain.resources.v1alpha1 import HardOff, Node, Shape

NEEDED: Final = ("cpu", "memory", "pods")
"""Resources without which no pod fits on a node."""
LEAST_MEMORY: Final = 2**20
"""Bytes: below this a unit was forgotten."""
PASSING: Final = CA_TAINTS | CONDITION_TAINTS | {UNINITIALIZED_TAINT}
"""Taints that others put on a node and take off again: in a template they would stay."""

MachineRow = Callable[[Node], Iterator[Problem]]
GroupRow = Callable[[Policy, Sequence[Node], Sequence[Shape | None]], Iterator[Problem]]


def unworkable(machine: Node) -> Iterator[Problem]:
    """What of the machine can never work."""
    for row in MACHINE_ROWS:
        yield from row(machine)


def unworkable_group(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    """What of the group, or of its machines together, can never work. `shapes`: of each member; None: not known."""
    for row in GROUP_ROWS:
        yield from row(policy, members, shapes)


def _warning(field: str, text: str, remedy: str, reason: str) -> Problem:
    return Problem(field, text, remedy, severity="warning", reason=reason)


# --- a machine ----------------------------------------------------------------------------------------


def _fits_no_pod(machine: Node) -> Iterator[Problem]:
    """A resource that every pod needs, declared as none."""
    for name, value in machine.spec.template.capacity.items():
        if name in NEEDED and size_of(str(value)) <= 0:
            text = f"is {value}, so no pod fits on the machine and it is never asked for"
            yield _warning(f"spec.template.capacity.{name}", text, "write what it has, or remove it", "FitsNoPod")
        elif name == "memory" and size_of(str(value)) < LEAST_MEMORY:
            text = f"is {value}, which is less than 1Mi, so no pod that asks for memory fits on the machine"
            yield _warning(f"spec.template.capacity.{name}", text, 'write it with a unit, such as "16Gi"', "FitsNoPod")


def _incomplete(machine: Node) -> Iterator[Problem]:
    """A machine that was never seen, and declares only a part of what pods ask for."""
    declared, seen = machine.spec.template.capacity, machine.status.template
    if not declared or (seen is not None and seen.capacity):
        return
    if missing := [name for name in ("cpu", "memory") if name not in declared]:
        text = f"has no {' and no '.join(missing)}, so no pod that asks for it wakes the machine until it was on once"
        remedy = f"add {' and '.join(missing)}, or wake it once: hexa on {machine.metadata.name}"
        yield _warning("spec.template.capacity", text, remedy, "TemplateIncomplete")


def _above_seen(machine: Node) -> Iterator[Problem]:
    """More is declared than its kubelet offered."""
    for name, declared, seen in above_seen(machine):
        field = f"spec.template.capacity.{name}"
        if seen and size_of(seen) > 0:
            text = f"is {declared}, and its kubelet offered {seen}: pods are promised what was seen"
            remedy = f"correct it, or boot the machine once with what it has now: hexa on {machine.metadata.name}"
        else:
            text = f"is {declared}, and its kubelet never offered any: pods that ask for it may wake the machine for nothing"
            remedy = "correct it, or look why its device plug-in offers none"
        yield _warning(field, text, remedy, "CapacityAboveSeen")


def _passing_taints(machine: Node) -> Iterator[Problem]:
    """A template with a taint that only stands for a moment on a real node."""
    for index, taint in enumerate(machine.spec.template.taints):
        if taint.key in PASSING and not _removed(taint, machine):
            text = f"{taint.key} is put on and taken off by others; in a template it keeps every pod away for ever"
            yield _warning(f"spec.template.taints[{index}]", text, "remove it", "FitsNoPod")


def _removed(taint: Taint, machine: Node) -> bool:
    return any(each.key == taint.key and each.effect in ("", taint.effect) for each in machine.spec.taints_to_remove)


def _taint_without_key(machine: Node) -> Iterator[Problem]:
    for field, taints in (
        ("template.taints", machine.spec.template.taints),
        ("taintsToRemove", machine.spec.taints_to_remove),
    ):
        for index, taint in enumerate(taints):
            if not taint.key:
                yield _warning(
                    f"spec.{field}[{index}].key", "is empty, and no taint is without a key", "add it", "NoKey"
                )


def _watts(machine: Node) -> Iterator[Problem]:
    """Less draw at full load than idle: one of the two is wrong, and so is every figure that comes of them."""
    idle, most = machine.spec.energy.idle_watts, machine.spec.energy.max_watts
    try:
        wrong = idle is not None and most is not None and parse_number(idle) > parse_number(most)
    except ValueError:
        return  # told as what it is
    if wrong:
        text = f"is {most}, and idleWatts is {idle}: a machine draws no less under load"
        yield _warning("spec.energy.maxWatts", text, "correct one of the two", "MaxBelowIdle")


MACHINE_ROWS: Final[tuple[MachineRow, ...]] = (
    _fits_no_pod,
    _incomplete,
    _above_seen,
    _passing_taints,
    _taint_without_key,
    _watts,
)


# --- a group with its machines ------------------------------------------------------------------------


def _no_room(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    if policy.max_size == 0 and "max_size" not in policy.by:
        text = "is 0: no machine of the group is ever woken, and those that are on are switched off"
        yield _warning("spec.maxSize", text, "raise it, or remove it to allow all machines", "MaxSizeZero")


def _shape_unknown(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    """All machines are off from birth and none says what it has."""
    if not members or any(shape is not None for shape in shapes) or any(map(_about_to_be_seen, members)):
        return
    text = "no machine was ever seen Ready and none declares what it has, so Cluster Autoscaler cannot ask for one"
    remedy = f"write spec.template.capacity in a Node, or wake one machine once: hexa on {members[0].metadata.name}"
    yield _warning("machines", text, remedy, "ShapeUnknown")


def _about_to_be_seen(machine: Node) -> bool:
    """On, or about to be looked at: then its shape is known. In a file (nobody has given it a uid): not declared as off."""
    if not machine.status.phase:
        return bool(machine.metadata.uid) or machine.spec.power_state not in ("off", False)
    return phase_of(machine.status) in (Phase.READY, Phase.UNKNOWN)


def _grace_outlasts_drain(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    drain = policy.limits.drain
    if policy.drain.grace is not None and policy.drain.grace > drain.total_seconds() and not policy.drain.force:
        text = f"is longer than timeouts.drain ({format_duration(drain)}): a pod that needs all of it ends every drain"
        yield _warning("spec.drain.gracePeriod", text, "shorten it, or lengthen timeouts.drain", "GraceOutlastsDrain")


def _never_repeated(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    limits = policy.limits
    if limits.attempts > 1 and limits.wake_interval >= limits.power_on + limits.boot:
        text = f"is {format_duration(limits.wake_interval)}, and powerOn and boot end before: no wake is sent again"
        yield _warning("spec.retries.wakeInterval", text, "shorten it, or write attempts: 1", "NeverWokenAgain")


def _never_below(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    if policy.options.scale_down_utilization_threshold == 0:
        text = "is 0, and no machine is used less than that: Cluster Autoscaler never gives one up"
        yield _warning(
            "spec.scaleDownUtilizationThreshold",
            text,
            "raise it; to keep machines on, raise minSize",
            "NeverScaledDown",
        )


def _never_zero(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    """Cluster Autoscaler takes all machines of such a group off, or none."""
    most = len(members) if policy.max_size is None else policy.max_size
    if policy.options.zero_or_max_node_scaling and 0 < policy.min_size < most:
        text = f"scales to none or all, and minSize {policy.min_size} forbids none: no machine is ever given up"
        yield _warning("spec.zeroOrMaxNodeScaling", text, "remove it, or write minSize: 0", "NeverScaledDown")


def _one_hostname(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    if HOSTNAME_LABEL in policy.labels and len(members) > 1:
        text = f"{HOSTNAME_LABEL} is one machine's, and the group has {len(members)}"
        yield _warning("spec.nodeSelector", text, "remove it", "SelectorOfOneMachine")


def _no_spare(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    if policy.limits.hedge and len(members) == 1:
        text = "a spare is woken beside a silent machine, and the group has no other machine"
        yield _warning("spec.retries.hedge", text, "add machines, or remove it", "NoSpare")


def _cannot_cycle(policy: Policy, members: Sequence[Node], shapes: Sequence[Shape | None]) -> Iterator[Problem]:
    """Remediation that none of the machines has the means for."""
    if not members:
        return
    if policy.power_cycle is not None and not any(cuts(governed(each, policy.hard_off)) for each in members):
        forbidden = " (hardOff is Forbid)" if policy.hard_off is HardOff.FORBID else ""
        text = f"no machine of the group has a driver that may cut the power{forbidden}: none is ever cycled"
        yield _warning("spec.remediation.powerCycle", text, "add a BMC, a PDU or a plug, or remove it", "CannotCycle")
    if policy.out_of_service and all(sensor(each) is None for each in members):
        text = "nothing reads the power of the group's machines, so none is ever proven to be off"
        yield _warning(
            "spec.remediation.outOfService", text, "add a driver that reads to spec.power, or remove it", "NoSensor"
        )


GROUP_ROWS: Final[tuple[GroupRow, ...]] = (
    _no_room,
    _shape_unknown,
    _grace_outlasts_drain,
    _never_repeated,
    _never_below,
    _never_zero,
    _one_hostname,
    _no_spare,
    _cannot_cycle,
)
