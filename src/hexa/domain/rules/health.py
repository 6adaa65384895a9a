"""How a machine is: the conditions that always stand, each with the evidence that it rests on, and one word for it all.

The text of a condition names who said it and since when, and how old that may be at most; never the time of the latest reading.
So what only gets older is written once, and what has grown too old is another condition. Nobody acts on power by this module:
an unhealthy machine is told of, shown in its group, and left alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from hexa.domain.duration import format_duration
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import COMING, FAILED, Phase, phase_of
from hexa.domain.machine.outage import Outage, Silence, told_apart
from hexa.domain.machine.unclaimed_nodes import perhaps
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import Condition
from hexa.domain.resources.health import CheckOutcome, CheckRecord, GroupHealth, NodeHealth
from hexa.domain.resources.v1alpha1 import JobRecord, NodeStatus, PowerReading, Reading, WakeProof
from hexa.domain.rules.notice import Notice, notices
from hexa.domain.rules.proof import proven

POWER_KNOWN: Final = "PowerKnown"
REACHABLE: Final = "Reachable"
JOINED: Final = "Joined"
WAKEABLE: Final = "Wakeable"
HEALTH_CHECK: Final = "HealthCheck"
ALWAYS_SAID: Final = frozenset({POWER_KNOWN, REACHABLE, JOINED, WAKEABLE, HEALTH_CHECK})
"""Conditions that always say how it is, instead of coming and going. (Wakeable not where the group ignores it, HealthCheck only
where there is one.)"""

NO_SENSOR: Final = "NoSensor"
"""Reason of PowerKnown where nothing reads the power."""
CONTRADICTION: Final = "Contradiction"
"""Reason of PowerKnown where the reading and another proof contradict each other."""
NOT_READ_YET: Final = "it was not read yet"
"""The trouble of a sensor that the agent, which has just started, has not asked."""
Said = Literal["True", "False", "Unknown"]
READING_STALE: Final = timedelta(minutes=3)
"""A reading that is older is Unknown."""


class Signs(Struct, frozen=True, kw_only=True):
    """What the health of a machine is judged by, at one moment."""

    status: NodeStatus
    """With the phase that is judged; its conditions and its reading are those of before."""
    kube_name: str = ""
    ready: Condition | None = None
    """The kubelet's condition Ready; None: there is no Kubernetes node, or it says nothing."""
    node_exists: bool = False
    alive: bool = False
    """A change of its Lease was seen less than a lease period ago."""
    reading: PowerReading | None = None
    """None: no sensor reads this machine."""
    trouble: str = ""
    """Why the reading is Unknown."""
    contradiction: str = ""
    """What contradicts the reading, in a sentence."""
    check: CheckRecord | None = None
    """None: the machine declares no health check."""
    check_trouble: str = ""
    """Why there is no CronJob of it, where that is so."""
    possible_nodes: tuple[str, ...] = ()
    """Kubernetes nodes that no machine claims and that came since it was first woken: one may be this machine's."""

    @property
    def phase(self) -> Phase:
        return phase_of(self.status)

    @property
    def node_ready(self) -> bool:
        return self.ready is not None and self.ready.status == "True"

    @property
    def passes(self) -> bool:
        return self.check is not None and self.check.outcome is CheckOutcome.PASSED

    @property
    def sensor_fails(self) -> bool:
        """It was asked, and its answer is no reading."""
        unread = self.reading is not None and self.reading.power is Reading.UNKNOWN
        return unread and (bool(self.contradiction) or self.trouble not in ("", NOT_READ_YET))


# --- conditions -----------------------------------------------------------------------------------------------------


def standing(signs: Signs, policy: Policy, *, now: datetime) -> list[Finding]:
    """What is always said of the machine."""
    found = [_power_known(signs), _reachable(signs), _joined(signs)]
    found += filter(None, (_wakeable(signs.status, policy, now=now), _checked(signs)))
    return found


def _power_known(signs: Signs) -> Finding:
    reading, before = signs.reading, _before(signs.status, POWER_KNOWN)
    if reading is None:
        text = "nothing reads its power; what hexa knows of it comes from its kubelet's Lease and from its Jobs"
        return Finding(POWER_KNOWN, NO_SENSOR, text, "Unknown")
    if signs.contradiction:
        return Finding(POWER_KNOWN, CONTRADICTION, signs.contradiction, "False")
    if reading.power is not Reading.UNKNOWN:
        first = steady(signs.status.reading, reading).at
        since = f", first read so at {moment(first)}" if first is not None else ""
        age = format_duration(READING_STALE)
        return Finding(POWER_KNOWN, "Read", f"{reading.power} by {reading.source}{since}; never older than {age}")
    if signs.trouble == NOT_READ_YET and before is not None and before.reason != NO_SENSOR:
        return before  # an agent that has just started knows nothing new
    return Finding(POWER_KNOWN, "NotRead", signs.trouble or f"{reading.source} does not tell", "Unknown")


def tells(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[Notice]:
    """Of a contradiction, where there was none before."""
    was, now = (
        next((each for each in conditions if each.type == POWER_KNOWN and each.reason == CONTRADICTION), None)
        for conditions in (before, after)
    )
    if was is None:
        yield from notices(now)


def _reachable(signs: Signs) -> Finding:
    """Whether software of the machine answers; a management controller that answers is not the machine."""
    since = f" since {moment(signs.status.since)}" if signs.status.since is not None else ""
    if signs.passes and signs.check is not None and signs.phase is not Phase.READY:
        return Finding(REACHABLE, "CheckPasses", f"its health check passes since {moment(signs.check.since)}")
    if signs.phase is Phase.READY or (signs.alive and signs.phase in _HEARD):
        return Finding(REACHABLE, "LeaseRenewed", "its kubelet renews its Lease, at least once in a lease period")
    if signs.phase is Phase.LOST:
        outage = outage_of(signs)
        return Finding(REACHABLE, outage.reason, f"no sign of life from its kubelet{since}: {outage.text}", "False")
    reason, text, status = _UNREACHED.get(signs.phase, _SILENT)
    return Finding(REACHABLE, reason, text.format(since=since), status)


def outage_of(signs: Signs) -> Outage:
    """What may have happened to a machine that is silent."""
    power = signs.reading.power if signs.reading is not None else None
    return told_apart(Silence(reading=power, sensor_fails=signs.sensor_fails, ready=signs.ready))


_HEARD: Final = frozenset({Phase.UNKNOWN, Phase.DRAINING, Phase.STOP_FAILED})
"""Phases in which a living kubelet tells; in the others the phase itself does."""
_SILENT: Final[tuple[str, str, Said]] = ("Silent", "no sign of life from its kubelet{since}", "Unknown")
_UNREACHED: Final[dict[Phase, tuple[str, str, Said]]] = {
    Phase.OFF: ("PoweredOff", "it is off{since}", "False"),
    Phase.POWERING_ON: ("Boots", "it is on its way up{since}", "Unknown"),
    Phase.BOOTING: ("Boots", "it is on its way up{since}", "Unknown"),
    Phase.POWERING_OFF: ("GoesOff", "it is being switched off{since}", "Unknown"),
    Phase.START_FAILED: ("NeverCame", "no sign of life from its kubelet after its wakes; given up{since}", "False"),
}


def _joined(signs: Signs) -> Finding:
    """Whether Kubernetes has its node, and what the kubelet says: the time is Kubernetes' own."""
    ready = signs.ready
    since = f" since {moment(ready.last_transition_time)}" if ready and ready.last_transition_time else ""
    if signs.node_ready:
        return Finding(JOINED, "KubeletReady", f"Kubernetes node {signs.kube_name} is Ready{since}")
    if not signs.node_exists:
        text = f"there is no Kubernetes node {signs.kube_name}{perhaps(signs.possible_nodes)}"
        return Finding(JOINED, "NoNode", text, "False")
    if signs.phase is Phase.OFF:  # the node of a machine that is off changes a minute later, and says nothing new then
        return Finding(JOINED, "NoReadyNode", f"Kubernetes node {signs.kube_name} is not Ready", "False")
    why = f" ({ready.reason})" if ready is not None and ready.reason else ""
    return Finding(JOINED, "NoReadyNode", f"Kubernetes node {signs.kube_name} is not Ready{since}{why}", "False")


def _wakeable(status: NodeStatus, policy: Policy, *, now: datetime) -> Finding | None:
    """Whether hexa has shown that it can wake the machine, and when; None where the group does not care."""
    if policy.wake_proof is WakeProof.IGNORE:
        return None
    at, failed = status.wake_proven_at, status.wake_failed_at
    if proven(status, policy, now=now):
        return Finding(WAKEABLE, "Woken", f"a wake of hexa last brought it up at {moment(at)}")
    if failed is not None:
        return Finding(WAKEABLE, "WakeFailed", f"the last wake failed at {moment(failed)}", "False")
    if at is not None:
        text = f"a wake of hexa last brought it up at {moment(at)}: longer ago than wakeProofLasts"
        return Finding(WAKEABLE, "ProofAged", text, "False")
    return Finding(WAKEABLE, "NotWoken", "no wake of hexa has brought it up since it was last switched on", "Unknown")


def _checked(signs: Signs) -> Finding | None:
    """What its health check says; None where there is none."""
    check = signs.check
    if check is None:
        return None
    if signs.check_trouble:
        return Finding(HEALTH_CHECK, "NotRun", signs.check_trouble, "Unknown")
    said, since = f": {check.message}" if check.message else "", f" since {moment(check.since)}"
    match check.outcome:
        case CheckOutcome.PASSED:
            return Finding(HEALTH_CHECK, "Passed", f"CronJob {check.name} passes{since}")
        case CheckOutcome.FAILED:
            return Finding(HEALTH_CHECK, "Failed", f"CronJob {check.name} fails{since}{said}", "False")
        case CheckOutcome.UNKNOWN:
            return Finding(HEALTH_CHECK, "NoResult", f"CronJob {check.name} tells nothing{since}{said}", "Unknown")
        case _:
            return Finding(HEALTH_CHECK, "NoResult", f"CronJob {check.name}: {_none_ended(signs.phase)}", "Unknown")


def _none_ended(phase: Phase) -> str:
    return "no run has ended since the machine came up" if phase in CHECKED else "suspended while the machine is not up"


def _before(status: NodeStatus, kind: str) -> Finding | None:
    """The condition as it stands."""
    old = next((condition for condition in status.conditions if condition.type == kind), None)
    return None if old is None else Finding(old.type, old.reason, old.message, _status(old.status))


def _status(text: str) -> Said:
    return "True" if text == "True" else "False" if text == "False" else "Unknown"


def steady(old: PowerReading, new: PowerReading | None) -> PowerReading:
    """A reading is written when its value changes, not each time it is read."""
    if new is None or (old.power is new.power and old.source == new.source):
        return old
    return PowerReading(power=new.power, source=new.source, at=new.at)


def moment(when: datetime | None) -> str:
    """For people, to the second."""
    return when.isoformat(timespec="seconds") if when is not None else ""


# --- health checks --------------------------------------------------------------------------------------------------

EVER: Final = datetime.min.replace(tzinfo=UTC)
CHECKED: Final = frozenset({Phase.READY, Phase.DRAINING, Phase.LOST, Phase.START_FAILED, Phase.STOP_FAILED})
"""Phases in which the health check runs. A machine that is off, or on its way, fails it for a reason that everybody knows; one
that has failed or is lost is looked at: its check tells when it works again."""


def checks_from(status: NodeStatus) -> datetime | None:
    """Runs that began before this say nothing of the machine as it is now; None: none counts."""
    phase = phase_of(status)
    if phase not in CHECKED:
        return None
    if phase in (Phase.START_FAILED, Phase.STOP_FAILED):
        return status.since
    marks = [mark for mark in (status.last_startup_time, status.last_shutdown_time) if mark is not None]
    return max(marks, default=EVER)


# --- one word -------------------------------------------------------------------------------------------------------


class Judgement(Struct, frozen=True):
    """How a machine is, and the first reason why it is not healthy."""

    health: NodeHealth
    reason: str = ""


class Rule(Struct, frozen=True):
    """One thing that makes a machine not healthy."""

    reason: str
    health: NodeHealth
    holds: Callable[[Signs], bool]
    text: str
    """For the documentation."""


def _in(phase: Phase) -> Callable[[Signs], bool]:
    return lambda signs: signs.phase is phase


_UNDER_WAY: Final[dict[str, frozenset[Phase]]] = {
    "startup": frozenset({*COMING, Phase.UNKNOWN, Phase.OFF, Phase.START_FAILED}),
    "shutdown": frozenset({Phase.UNKNOWN, Phase.DRAINING, Phase.POWERING_OFF, Phase.STOP_FAILED}),
}
"""Phases in which what a power Job should bring about has not happened; in the others what became of the Job is over."""


def job_at_work(status: NodeStatus) -> JobRecord | None:
    """The power Job of the present attempt, while it matters what became of it."""
    job = status.job
    matters = job is not None and job.attempt == status.attempt
    return job if matters and phase_of(status) in _UNDER_WAY.get(job.action if job else "", ()) else None


def _job_failed(signs: Signs) -> bool:
    job = job_at_work(signs.status)
    return (
        job is not None and job.outcome == "failed" and signs.phase not in COMING
    )  # on its way another wake may bring it


DEGRADED: Final = NodeHealth.DEGRADED
RULES: Final = (  # the first that holds is told
    Rule("NotSeenYet", NodeHealth.UNKNOWN, _in(Phase.UNKNOWN), "phase Unknown: hexa has yet to see how it is"),
    Rule("Lost", NodeHealth.OFFLINE, _in(Phase.LOST), "phase Lost: it should be up, and its kubelet is silent"),
    Rule("StartFailed", DEGRADED, _in(Phase.START_FAILED), "phase StartFailed: it was woken and did not come"),
    Rule("StopFailed", DEGRADED, _in(Phase.STOP_FAILED), "phase StopFailed: it was switched off and stayed on"),
    Rule(
        "NotReady",
        DEGRADED,
        lambda signs: signs.phase is Phase.READY and not signs.node_ready,
        "phase Ready, and its kubelet says NotReady",
    ),
    Rule(
        "CheckFailed",
        DEGRADED,
        lambda signs: signs.check is not None and signs.check.outcome is CheckOutcome.FAILED,
        "its health check fails",
    ),
    Rule(
        "PowerJobFailed",
        DEGRADED,
        _job_failed,
        "its last power Job failed, and what it should bring about has not happened",
    ),
    Rule(
        "WakeFailed",
        DEGRADED,
        lambda signs: signs.phase is Phase.OFF and signs.status.wake_failed_at is not None,
        "phase Off, and its last wake failed",
    ),
    Rule(
        "PowerNotRead",
        DEGRADED,
        lambda signs: signs.sensor_fails,
        "what reads its power gives no answer, or is contradicted by its kubelet",
    ),
)


def ailments(signs: Signs) -> Iterator[Rule]:
    """Everything that makes the machine not healthy, the first to be told first."""
    return (rule for rule in RULES if rule.holds(signs))


def judged(signs: Signs) -> Judgement:
    """How the machine is."""
    first = next(ailments(signs), None)
    return Judgement(NodeHealth.HEALTHY) if first is None else Judgement(first.health, first.reason)


# --- groups ---------------------------------------------------------------------------------------------------------

Each = tuple[Phase, NodeHealth]
"""A machine of a group: its phase and its health."""


class GroupRule(Struct, frozen=True):
    """A row of the table by which the health of a group follows from its machines'."""

    health: GroupHealth
    holds: Callable[[Sequence[Each]], bool]
    text: str


def _down(each: Each) -> bool:
    return each[0] in FAILED or each[1] is NodeHealth.OFFLINE


def _ails(each: Each) -> bool:
    return _down(each) or each[1] is NodeHealth.DEGRADED


def _unknown(each: Each) -> bool:
    return each[1] is NodeHealth.UNKNOWN


GROUP_RULES: Final = (  # the first that holds
    GroupRule(GroupHealth.UNKNOWN, lambda machines: not machines, "it has no machine"),
    GroupRule(
        GroupHealth.OFFLINE,
        lambda machines: all(map(_down, machines)),
        "no machine can serve: each is offline, or failed to start or to stop",
    ),
    GroupRule(
        GroupHealth.DEGRADED, lambda machines: any(map(_ails, machines)), "at least one machine is degraded or offline"
    ),
    GroupRule(
        GroupHealth.UNKNOWN,
        lambda machines: 2 * sum(map(_unknown, machines)) > len(machines),
        "of more than half of its machines nobody knows",
    ),
    GroupRule(GroupHealth.HEALTHY, lambda machines: True, "otherwise"),
)


def group_health(members: Iterable[Each]) -> GroupHealth:
    """How a group is. A machine that gets worse never makes its group better."""
    found = list(members)
    return next(rule.health for rule in GROUP_RULES if rule.holds(found))
