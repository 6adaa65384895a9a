"""Power cycles against illness: whether the power of a machine that is wanted on, reads On and is silent may be cycled now.

Whom it may strike at all is judged here, in the order of `REFUSALS`; when it is due, and whether the machine still is silent, is in
`sensing`. It reads no object but our own, and does nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.duration import format_duration
from hexa.domain.group.sizing import Member
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import FAILED, ILL, Phase, cycles_in_a_row, phase_of
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.unclaimed_nodes import runs_as
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy, PowerCycleRules
from hexa.domain.policy.values import active_hold
from hexa.domain.power.ways import cuts, own_pod
from hexa.domain.resources.core import Condition
from hexa.domain.resources.health import CheckOutcome
from hexa.domain.resources.v1alpha1 import HardOff, Node
from hexa.domain.rules.notice import Notice, notices
from hexa.domain.rules.proof import Claim, standing
from hexa.domain.rules.subject import Waiting

REMEDIATION: Final = "Remediation"
"""Condition of a machine that is ill in a group that cycles power: True while that is to come, False if something forbids it."""
STOPPED: Final = "RemediationStopped"
"""Condition of a group in which power is not cycled, though a machine is ill."""
STORM: Final = "Storm"
IN_DOUBT: Final = "InDoubt"
GIVEN_UP: Final = "GivenUp"
ONE_AT_A_TIME: Final = "OneAtATime"
ALARMING: Final = frozenset({STORM, IN_DOUBT, GIVEN_UP})
"""Refusals that a person should hear of: nothing else will mend the machine."""
LONGEST_WAIT: Final = timedelta(days=1)


class Site(Struct, frozen=True):
    """What is heard of all kubelets but the machine's own, of whatever group, or of none."""

    heard: int
    """Kubernetes nodes whose Lease stands."""
    lost: int
    """Machines that are lost."""


class CycleCase(Struct, frozen=True, kw_only=True):
    """A machine, and all that is known around it."""

    node: Node
    policy: Policy
    limits: Limits
    member: Member
    others: Sequence[Member]
    """All machines of its group, itself included."""
    holder: Claim | None
    """Another machine of the group, which is the one without wake proof that may be off."""
    sensed: bool
    """Something reads its power."""
    control_plane: bool = False
    """Its Kubernetes node is a control-plane member, allowed or not."""
    site: Site
    namesakes: tuple[str, ...] = ()
    """Kubernetes nodes that may be the machine's under another name."""
    now: datetime

    @property
    def rules(self) -> PowerCycleRules:
        return self.policy.power_cycle or PowerCycleRules()

    @property
    def phase(self) -> Phase:
        return phase_of(self.node.status)

    @property
    def begun(self) -> bool:
        """Its cycle has begun, and its power is not cut yet."""
        return self.phase is Phase.POWERING_OFF and self.node.status.remediation.cycling


class Refusal(Struct, frozen=True):
    """Why the power of a machine that is ill is not cycled."""

    reason: str
    text: str


class Verdict(Struct, frozen=True):
    """What is made of a machine that is ill."""

    after: timedelta | None = None
    """Its power is cycled once it has been ill for so long; None: it is not."""
    refusal: Refusal | None = None
    """What stands against it; None together with `after`: nobody asked."""


NOT_ASKED: Final = Verdict()


def verdict(case: CycleCase) -> Verdict:
    """Whether the machine's power may be cycled, and how long it must have been ill before."""
    if case.policy.power_cycle is None or not case.member.wanted:
        return NOT_ASKED
    if case.phase not in ILL and not case.begun:
        return NOT_ASKED
    for refuse in REFUSALS:
        if (refusal := refuse(case)) is not None:
            return Verdict(refusal=refusal)
    return Verdict(after=patience(case))


def patience(case: CycleCase) -> timedelta:
    """Twice as long after each cycle in a row, and never so short that a reboot would count as illness."""
    first = max(case.rules.after, case.limits.boot)
    wait = first
    for _ in range(cycles_in_a_row(case.node.status.remediation)):
        wait = min(wait * 2, max(first, LONGEST_WAIT))
    return wait


# --- what stands against it ---------------------------------------------------------------------------


def _held(case: CycleCase) -> Refusal | None:
    now = case.now
    hold = active_hold(case.node.spec.hold, now=now) or active_hold(case.policy.hold, now=now)
    return None if hold is None else Refusal("Held", "a person holds it; hexa auto gives it back")


def _vetoed(case: CycleCase) -> Refusal | None:
    """What forbids an off, or a wake, forbids both in a row."""
    if not case.member.valid:
        return Refusal("Invalid", "its problems come first")
    found = (*case.member.off_vetoes, *case.member.on_vetoes)
    vetoes = [
        veto for veto in found if veto.reason != Reason.MODE and not veto.of_site
    ]  # a group that wants its machines on wants this too; the site comes last
    return Refusal(vetoes[0].reason, vetoes[0].message) if vetoes else None


def _control_plane(case: CycleCase) -> Refusal | None:
    if not case.control_plane:
        return None
    return Refusal(Reason.CONTROL_PLANE, "its Kubernetes node is a control-plane member: a person decides")


def _unproven(case: CycleCase) -> Refusal | None:
    if case.holder is None or not case.member.unproven:
        return None
    return Refusal(Reason.WAKE_PROOF, f"hexa has not shown that it can wake this machine, and {standing(case.holder)}")


def _unread(case: CycleCase) -> Refusal | None:
    if case.sensed:
        return None
    text = (
        "nothing reads its power, so what hangs can't be told from what is off; add a driver that reads to spec.power"
    )
    return Refusal("NoSensor", text)


def _passes(case: CycleCase) -> Refusal | None:
    """Its own health check is asked by another way than its kubelet is heard."""
    check = case.node.status.check
    if check is None or check.outcome is not CheckOutcome.PASSED:
        return None
    return Refusal("HealthCheckPasses", "its health check passes, so it works, and its kubelet or its network does not")


def _other_name(case: CycleCase) -> Refusal | None:
    if not case.namesakes:
        return None
    return Refusal("OtherName", f"Kubernetes node {runs_as(case.namesakes[0])}")


def _cannot_cut(case: CycleCase) -> Refusal | None:
    if case.policy.hard_off is HardOff.FORBID and own_pod(case.node, "off") is None:
        return Refusal("HardOffForbidden", "hardOff of the group is Forbid, and a system that hangs can't be shut down")
    if cuts(case.node):
        return None
    return Refusal(
        "NoHardOff", "no driver of spec.power can cut the power of a system that hangs; add a BMC, a PDU or a plug"
    )


def _given_up(case: CycleCase) -> Refusal | None:
    known = case.node.status.remediation
    if case.begun or cycles_in_a_row(known) < case.rules.cycles:
        return None
    last = known.cycled_at.isoformat(timespec="seconds") if known.cycled_at else "an unknown time"
    return Refusal(
        GIVEN_UP, f"{known.cycles} power cycles did not help, the last one at {last}; it is left as it is: look at it"
    )


def _storm(case: CycleCase) -> Refusal | None:
    ill, most = sum(map(is_ill, case.others)), most_ill(case.rules, case.others)
    if ill <= most:
        return None
    text = f"{ill} machines of the group are ill, and spec.remediation.maxUnhealthy is {most}: look for what they share"
    return Refusal(STORM, text)


def _doubt(case: CycleCase) -> Refusal | None:
    lost, heard = case.site.lost + 1, case.site.heard
    if heard == 0:
        return Refusal(IN_DOUBT, "no kubelet at all is heard: look at the API server, its leases and its network first")
    if lost > max(heard, 1):
        text = (
            f"{lost} machines of all groups are lost at once and {heard} kubelets are heard: look at the network first"
        )
        return Refusal(IN_DOUBT, text)
    return None


def _safe_hands(case: CycleCase) -> Refusal | None:
    """The site itself is in doubt."""
    stands = next((veto for veto in case.member.off_vetoes if veto.of_site), None)
    return None if stands is None else Refusal(stands.reason, stands.message)


def _other_cycles(case: CycleCase) -> Refusal | None:
    busy = next((m for m in case.others if m.key != case.member.key and _goes_on(m)), None)
    return (
        None if busy is None else Refusal(ONE_AT_A_TIME, f"the power of {busy.key.name} is being cycled: one at a time")
    )


def _goes_on(member: Member) -> bool:
    """Its cycle goes on by itself: it is wanted, and not left off by a pause or for want of what it depends on."""
    left_off = member.phase is Phase.OFF and member.on_vetoes
    return member.cycling and member.wanted and not left_off


REFUSALS: Final[Sequence[Callable[[CycleCase], Refusal | None]]] = (
    _held,
    _vetoed,
    _control_plane,
    _unproven,
    _unread,
    _passes,
    _other_name,
    _cannot_cut,
    _given_up,
    _storm,
    _doubt,
    _safe_hands,
    _other_cycles,
)
"""What stands against a power cycle, the most lasting first."""


# --- the storm guard ----------------------------------------------------------------------------------


def is_ill(member: Member) -> bool:
    """Lost, failed, being cycled, or up without a Ready kubelet; what a person has paused, or somebody maintains,
    is not counted."""
    if any(veto.reason in (Reason.PAUSED, Reason.MAINTENANCE) for veto in member.on_vetoes):
        return False
    not_ready = member.phase is Phase.READY and not member.node_ready
    return member.phase in FAILED or member.ill or (member.cycling and member.wanted) or not_ready


def most_ill(rules: PowerCycleRules, members: Iterable[Member]) -> int:
    """How many may be ill: of a share, rounded down, that of the machines that should be on."""
    if rules.max_unhealthy is not None:
        return rules.max_unhealthy
    return int(sum(member.wanted or is_ill(member) for member in members) * rules.share + 1e-9)


# --- in words -----------------------------------------------------------------------------------------


def findings(case: CycleCase, judged: Verdict) -> list[Finding]:
    """What a person should know of it."""
    if judged.refusal is not None:
        return [Finding(REMEDIATION, judged.refusal.reason, judged.refusal.text, "False")]
    if judged.after is None:
        return []
    known, rules = case.node.status.remediation, case.rules
    number = cycles_in_a_row(known)
    if case.begun:
        return [Finding(REMEDIATION, "Cycling", f"its power is cycled, {known.cycles} of {rules.cycles} in a row")]
    span = format_duration(judged.after)
    text = f"its power is cycled ({number + 1} of {rules.cycles} in a row) once it has been silent, and has read On, for {span}"
    return [Finding(REMEDIATION, "Waiting", text)]


def told(case: CycleCase) -> list[Finding]:
    """The same, judged now."""
    return findings(case, verdict(case))


def with_power_cycle(found: Sequence[Finding]) -> list[Finding]:
    """What is found. A person need not cut the power of a machine when hexa is about to."""
    comes = any(finding.type == REMEDIATION and finding.status == "True" for finding in found)
    return [finding for finding in found if not (comes and (finding.type, finding.reason) == ("Blocked", "Hung"))]


def tells(before: Iterable[Condition], now: Iterable[Condition]) -> Iterator[Notice]:
    """That something has begun to stand against a cycle of which a person should hear."""
    found, old = _refusal(now), _refusal(before)
    if old is None or found is None or old.reason != found.reason:
        yield from notices(found, prefix="its power is not cycled: ")


def awaits(machine: Waiting) -> Iterator[tuple[str, datetime | None]]:
    """What is waited for, or what stands against a cycle: from the condition that the agent keeps, for whoever explains does not
    hear kubelets."""
    told = next((each for each in machine.node.status.conditions if each.type == REMEDIATION), None)
    if told is None or machine.phase not in (Phase.POWERING_OFF, *FAILED):
        return
    if told.reason == "Waiting":
        yield f"a sign of life; else {told.message}", None
    elif told.reason == "Cycling":
        yield "its power to be cut; then it is woken again", None
    else:
        yield f"its kubelet, or a person; its power is not cycled, by {told.reason}: {told.message}", None


def _refusal(conditions: Iterable[Condition]) -> Condition | None:
    return next((c for c in conditions if c.type == REMEDIATION and c.reason in ALARMING and c.status == "False"), None)


def says_of_group(machines: Iterable[Node]) -> Iterator[Finding]:
    """That machines of a group are left ill."""
    told = [
        (machine.metadata.name, c) for machine in machines if (c := _refusal(machine.status.conditions)) is not None
    ]
    if told:
        told.sort(key=lambda each: each[0])
        yield Finding(STOPPED, told[0][1].reason, "; ".join(f"{name}: {c.message}" for name, c in told))
