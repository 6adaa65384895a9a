"""What switches a machine on and off: a pod spec of its own, else `spec.power`; and why nothing does."""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import structs

from hexa.domain.policy.problem import Problem
from hexa.domain.power.profile import needs_profile
from hexa.domain.power.roles import Roles, drivers, roles
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.v1alpha1 import HardOff, Node, PowerPodSpec

Direction = Literal["on", "off"]

IMAGE_UNKNOWN: Final = (
    "spec.power runs in Jobs of hexa's own image, and hexa was not told which that is; set HEXA_JOBS_IMAGE (jobs.image)"
)


def lacks(node: Node, direction: Direction, *, image_known: bool = True) -> str:
    """Why nothing can switch the machine in this direction, with the remedy; empty: something can."""
    if own_pod(node, direction) is not None:
        return ""
    field = "startupPodSpec" if direction == "on" else "shutdownPodSpec"
    if needs_profile(node):
        return f"PowerProfile {node.spec.profile} can't be used; see spec.profile and spec.parameters"
    if node.spec.power is None:
        what = "be woken" if direction == "on" else "rest"
        return f"spec.{field} is absent; add it, or spec.power, to let the machine {what}"
    found = roles(node.spec.power)
    if isinstance(found, Problem):
        return str(below_spec(found))
    if not _able(node.spec.power, found, direction):
        return _no_way(node.spec.power, found, direction)
    return "" if image_known else IMAGE_UNKNOWN


def own_pod(node: Node, direction: Direction) -> PowerPodSpec | None:
    """The pod spec that the machine itself brings for this direction."""
    return node.spec.startup_pod_spec if direction == "on" else node.spec.shutdown_pod_spec


def _able(spec: PowerSpec, found: Roles, direction: Direction) -> bool:
    if direction == "on":
        return found.on is not None
    return found.off is not None or (found.cut is not None and spec.hard)


def _no_way(spec: PowerSpec, found: Roles, direction: Direction) -> str:
    given = ", ".join(drivers(spec))
    if direction == "on":
        return f"no driver of spec.power ({given}) turns it on; add one that does, such as wakeOnLan"
    if found.cut is not None:
        return f"{found.cut} of spec.power can only cut the power; add a driver that shuts down, such as ssh, or hard: true"
    return f"no driver of spec.power ({given}) turns it off; add one that does, such as ssh"


def governed(node: Node, hard_off: HardOff) -> Node:
    """The machine as its group lets it be switched."""
    power = node.spec.power
    if power is None or not power.hard or hard_off is HardOff.ALLOW:
        return node
    return structs.replace(node, spec=structs.replace(node.spec, power=structs.replace(power, hard=False)))


def hard_problems(node: Node, hard_off: HardOff) -> Iterator[Problem]:
    """That `hard` of the machine counts no more."""
    if governed(node, hard_off) is not node:
        text, remedy = "has no effect: hardOff of the group is Forbid", "remove one of them"
        yield Problem("spec.power.hard", text, remedy, severity="warning", reason="HardOffForbidden")


def cuts(node: Node) -> bool:
    """Whether the way off can end a system that hangs: by a driver that cuts power. A pod of the machine's own is trusted to."""
    if own_pod(node, "off") is not None:
        return True
    found = roles(node.spec.power) if node.spec.power is not None else None
    return isinstance(found, Roles) and found.cut is not None


def below_spec(problem: Problem) -> Problem:
    """The problem, with its field counted from the whole object."""
    field = problem.field if problem.field == "power" else f"power.{problem.field}"
    return structs.replace(problem, field=f"spec.{field}")
