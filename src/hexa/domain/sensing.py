"""From facts to at most one event, and from facts to the next instant at which time alone may bring one.

`sense` tries the events of the phase's row in order, so an illegal event cannot arise. Facts older than the phase do not
count; a machine's clock is never compared with ours. It reads no object and does nothing.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain import trust
from hexa.domain.group import Limits
from hexa.domain.lifecycle import COMING, LIMITS, TRANSITIONS, Event, Phase, phase_of
from hexa.domain.resources.v1alpha1 import NodeStatus, Power, PowerReading, Reading
from hexa.domain.trust import Life, Sample, believed, missed_at

LEASE_PERIOD: Final = trust.LEASE_PERIOD
RENEWAL_MISSED: Final = trust.RENEWAL_MISSED
NEVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)

CROWD_LOOK: Final = timedelta(seconds=5)
"""Between looks at a machine that is silent for longer than it boots, while others of its group are on their way too."""

GOING_OFF: Final = frozenset({Phase.POWERING_OFF, Phase.STOP_FAILED})
"""Phases in which a reading Off is what we asked for, and our shutdown Job a proof of it; in any other a lease that still stands
contradicts it."""

EVENTS_OF_WISH_OR_TIME: Final = frozenset(
    {
        Event.WANTED,
        Event.UNWANTED,
        Event.KEPT,
        Event.EMPTY,
        Event.FORCED,
        Event.OVERDUE,
        Event.COOLED_DOWN,
        Event.REMEDY,
    }
)
"""Not noticed while a machine is paused."""

EVENTS_NOT_SEEN_BLIND: Final = frozenset(
    {Event.POWER_GONE, Event.NODE_LOST, Event.EMPTY, Event.FORCED, Event.OVERDUE, Event.REMEDY}
)
"""Not noticed while we are blind: blind, hexa only ever powers on."""


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of one machine at one moment."""

    now: datetime
    watching_since: datetime | None
    """Since when we see without a gap; None: blind."""
    wish: Power | None = None
    """What is wanted, vetoes considered; None: nothing."""
    node_exists: bool = False
    node_ready: bool = False
    heard: datetime | None = None
    """When the node's Lease was last seen to change."""
    heard_until: datetime | None = None
    """Until when that counts as alive."""
    reading: PowerReading | None = None
    """None: no sensor reads this machine."""
    job_done: bool = False
    """The power Job of this attempt succeeded."""
    job_begun: bool = False
    """The power Job of this attempt is there, or was."""
    pods: int | None = None
    """Pods left to evict (terminating ones included), freshly read; None: not known."""
    force: bool = False
    """The group forces."""
    paused: bool = False
    crowded: bool = False
    """Others of its group that were woken no later are on their way too: boots may be slower than ever, and nothing is lost yet."""
    may_wake: bool = True
    """False: nothing could switch it on."""
    lease_period: timedelta = LEASE_PERIOD
    """How long a renewal of the node's Lease stands: its kubelet's nodeLeaseDurationSeconds, if that is longer than the default."""
    blind_seconds: float = 0.0
    """Seconds since the phase began in which we were blind: deadlines stood still."""
    remedy_after: timedelta | None = None
    """How long the machine must be ill before its power is cycled; None: it is not, or something stands against it (`remedy`)."""

    @property
    def blind(self) -> bool:
        return self.watching_since is None

    @property
    def life(self) -> Life:
        """What is heard of the kubelet."""
        expected = self.watching_since if self.node_exists else None
        return Life(heard=self.heard, until=self.heard_until, expected_from=expected)


def sense(status: NodeStatus, facts: Facts, *, limits: Limits) -> Event | None:
    """The most urgent event of the phase's row that holds, or None."""
    view = _View(status, facts, limits)
    for event in TRANSITIONS[view.phase]:
        if facts.paused and event in EVENTS_OF_WISH_OR_TIME:
            continue
        if facts.blind and event in EVENTS_NOT_SEEN_BLIND:
            continue
        if HOLDS[event](view):
            return event
    return None


class _View:
    """Facts seen from a phase: what is older than the phase is dropped here, once."""

    __slots__ = ("counts_from", "facts", "limits", "now", "phase", "since", "status")

    def __init__(self, status: NodeStatus, facts: Facts, limits: Limits) -> None:
        self.status, self.facts, self.limits, self.now = status, facts, limits, facts.now
        self.phase = phase_of(status)
        self.since = status.since or LONG_AGO  # a status that lost its time must not hold the machine for ever
        self.counts_from = self._counts_from()

    def _counts_from(self) -> datetime:
        """Signs of life and readings count from here: the phase's begin. What was noticed to begin a boot belongs to that boot."""
        history = self.status.history
        noticed = len(history) > 1 and history[-1].by == Event.POWER_SEEN and history[-1].at == self.since
        return history[-2].at if self.phase is Phase.BOOTING and noticed else self.since

    @property
    def alive(self) -> bool:
        """The last lease change is within its period, whenever it was."""
        until = self.facts.heard_until
        return until is not None and self.now < until

    @property
    def fresh(self) -> bool:
        """A sign of life of this phase."""
        heard = self.facts.heard
        return heard is not None and heard > self.counts_from and self.alive

    @property
    def power(self) -> Reading:
        """The reading of this phase, as far as it is believed."""
        reading = self.facts.reading
        if reading is None or reading.at is None or reading.at <= self.counts_from:
            return Reading.UNKNOWN
        ordered = self.facts.job_done and self.phase in GOING_OFF
        return believed(reading, self.facts.life, ordered=ordered, now=self.now)

    @property
    def silent_since(self) -> datetime:
        """Begin of the silence that counts: no earlier than the phase, our own sight, and the last sign of life."""
        marks = [self.since, self.facts.watching_since or self.now]
        if self.facts.heard is not None:
            marks.append(self.facts.heard)
        return max(marks)

    @property
    def silence_counts_from(self) -> datetime:
        """When the silence will have lasted a whole lease period."""
        end = self.silent_since + self.facts.lease_period
        until = self.facts.heard_until
        return max(end, until) if until is not None else end

    @property
    def lease_due(self) -> datetime | None:
        """The same where it ends the phase."""
        up = self.phase in (Phase.READY, Phase.DRAINING) and self.facts.node_exists
        return self.silence_counts_from if up and not self.facts.blind else None

    def due(self, span: timedelta) -> datetime | None:
        """When `span` of this phase has passed, the time that stood still left out; None while it stands still.

        No earlier than a lease period of our own sight: what came while we were away is seen first.
        """
        sight = self.facts.watching_since
        if sight is None or self.facts.paused:
            return None
        still = self._paused_for + timedelta(seconds=self.facts.blind_seconds)
        return max(self.since + span + still, sight + min(span, self.facts.lease_period))

    @property
    def _paused_for(self) -> timedelta:
        """How long of this phase it was paused."""
        still = timedelta(seconds=self.status.stood_still)
        if self.status.paused_since is not None:  # a pause that has ended and is not booked yet
            still += max(self.now - max(self.status.paused_since, self.since), timedelta(0))
        return still

    def passed(self, span: timedelta) -> bool:
        due = self.due(span)
        return due is not None and self.now >= due

    @property
    def deadline(self) -> datetime | None:
        """When the phase's limit has passed."""
        return self.due(self.limit) if self.phase in LIMITS else None

    @property
    def limit(self) -> timedelta:
        """How long the phase may last."""
        facts = self.facts
        if self.phase is Phase.UNKNOWN and not facts.node_exists and facts.heard is None and facts.reading is None:
            return timedelta(0)  # nothing could ever tell us more
        span: timedelta = getattr(self.limits, LIMITS[self.phase])
        if self.phase is Phase.UNKNOWN and facts.node_ready:  # its kubelet may renew more seldom than we settle
            return max(span, facts.lease_period)
        return span

    @property
    def off_confirmed_at(self) -> datetime:
        """When the silence after our shutdown Job counts as off where no sensor reads the power.

        A machine that is wanted again is believed off after one missed renewal: a wake that comes too early costs one wake
        interval at most, and waiting costs the pods that wait. (Its Kubernetes node leaves on the stronger proof of LEAVE.)
        """
        confirm = self.limits.off_confirm
        wanted = self.facts.wish is Power.ON
        confirmed = self.silent_since + (min(confirm, RENEWAL_MISSED) if wanted else confirm)
        heard, until = self.facts.heard, self.facts.heard_until
        if heard is not None and until is not None and until - heard > LEASE_PERIOD:  # this kubelet renews more seldom
            confirmed = max(confirmed, heard + (until - heard) / 2)
        return confirmed

    @property
    def boots_until(self) -> datetime | None:
        """A machine that drains before it came up: until when it may still be booting. A system that boots cannot be shut down in
        order, and its silence proves nothing."""
        woken, heard = self.status.woken_at, self.facts.heard
        if self.phase is not Phase.DRAINING or woken is None or (heard is not None and heard > woken):
            return None
        return woken + min(self.limits.boot, self.limits.drain)

    @property
    def still_boots(self) -> bool:
        until = self.boots_until
        return until is not None and self.now < until

    @property
    def remedy_due(self) -> datetime | None:
        """When the power may be cycled: ill, watched without a gap, silent, with power and not cycled for so long. None: not at
        all."""
        after, sight, known = self.facts.remedy_after, self.facts.watching_since, self.status.remediation
        if after is None or sight is None or self.facts.paused or self.facts.wish is not Power.ON:
            return None
        marks = (known.ill_since or self.since, sight, known.cycled_at, self.facts.heard, self._read_so_since)
        return max(mark for mark in marks if mark is not None) + after + self._paused_for

    @property
    def _read_so_since(self) -> datetime | None:
        """Since when the power reads as it does now: what was off in between, be it for a moment, boots, and is not ill."""
        known, seen = self.status.reading, self.facts.reading
        first = seen.first if isinstance(seen, Sample) else None
        if seen is None or (known.power, known.source) == (seen.power, seen.source):
            return max((mark for mark in (known.at, first) if mark is not None), default=None)
        return seen.at

    @property
    def hung(self) -> bool:
        """It has power, and nothing else speaks for it."""
        return self.power is Reading.ON and not self.alive and not self.facts.node_ready

    @property
    def cycle_not_begun(self) -> bool:
        """Its power is to be cycled, and its Job is not made yet."""
        job = self.status.job
        return self.status.remediation.cycling and (job is None or job.attempt != self.status.attempt)

    @property
    def goes_by_silence(self) -> bool:
        """Whether only silence can tell that the machine went off."""
        return self.phase is Phase.POWERING_OFF and self.facts.reading is None and self.facts.job_done


def _power_gone(view: _View) -> bool:
    if view.power is Reading.OFF:
        return view.phase in GOING_OFF or not view.fresh
    return view.goes_by_silence and view.now >= view.off_confirmed_at


def _node_lost(view: _View) -> bool:
    if view.power is Reading.OFF or view.still_boots:
        return False
    return not view.facts.node_exists or view.now >= view.silence_counts_from


def _wanted(view: _View) -> bool:
    if view.facts.wish is not Power.ON:
        return False
    if view.phase is Phase.LOST:
        return view.facts.may_wake and view.power is not Reading.ON and view.passed(view.limits.lost)
    if view.phase is Phase.DRAINING:
        return not view.alive  # a living one is KEPT
    return view.facts.may_wake or view.phase is not Phase.OFF


def _unwanted(view: _View) -> bool:
    if view.facts.wish is not Power.OFF:
        return False
    return view.phase is not Phase.READY or _cooled_down(view)


def _cooled_down(view: _View) -> bool:
    until = view.status.cool_until
    return until is None or view.now >= until


def _forced(view: _View) -> bool:
    if view.facts.wish is not Power.OFF or not view.facts.force:
        return False
    return view.passed(view.limits.lost if view.phase is Phase.LOST else view.limits.drain)


def _remedy(view: _View) -> bool:
    due = view.remedy_due
    return due is not None and view.now >= due and view.hung and view.facts.may_wake


def _empty(view: _View) -> bool:
    """Nothing is left to evict. Where the Kubernetes node was deleted under its kubelet, no pod object tells what that still runs:
    it has as long to end as a lost machine waits, unless it falls silent before."""
    unknown = view.alive and not view.facts.node_exists and not view.passed(view.limits.lost)
    return view.facts.wish is Power.OFF and view.facts.pods == 0 and not view.still_boots and not unknown


def _occupied(view: _View) -> bool:
    if view.cycle_not_begun:  # it works after all, or nobody waits for it any more
        return view.fresh or view.facts.wish is not Power.ON
    if view.status.remediation.cycling:
        return view.fresh  # back before the cut has struck: its Job is taken back
    if view.facts.wish is Power.ON and not view.facts.job_begun:
        return view.alive  # wanted again before anything was done to it
    return bool(view.facts.pods) and view.fresh and not view.status.forced


def _overdue(view: _View) -> bool:
    return view.passed(view.limit)


HOLDS: Final[dict[Event, Callable[[_View], bool]]] = {
    Event.WANTED: _wanted,
    Event.UNWANTED: _unwanted,
    Event.POWER_SEEN: lambda v: v.power is Reading.ON or v.fresh,
    Event.POWER_GONE: _power_gone,
    Event.STARTED: lambda v: v.facts.job_done and v.facts.reading is None,
    Event.NODE_READY: lambda v: v.facts.node_ready and v.fresh,
    Event.NODE_LOST: _node_lost,
    Event.KEPT: lambda v: v.facts.wish is Power.ON and v.alive,
    Event.EMPTY: _empty,
    Event.FORCED: _forced,
    Event.OCCUPIED: _occupied,
    Event.OVERDUE: _overdue,
    Event.COOLED_DOWN: _cooled_down,
    Event.REMEDY: _remedy,
}


def next_due(status: NodeStatus, facts: Facts, *, limits: Limits, lease: bool = True) -> datetime | None:
    """The next instant after `now` at which time alone may bring an event or a duty; None: only news can. `lease`: whether the
    end of the lease counts (`lease_due`); each renewal puts it off."""
    view = _View(status, facts, limits)
    instants = [*_instants(view), *([view.lease_due] if lease else [])]
    return min((instant for instant in instants if instant is not None and instant > facts.now), default=None)


def lease_due(status: NodeStatus, facts: Facts, *, limits: Limits) -> datetime | None:
    """When the silence of a machine that is up will have lasted a whole lease period; None: it does not matter, or has."""
    due = _View(status, facts, limits).lease_due
    return due if due is not None and due > facts.now else None


def limit_due(status: NodeStatus, facts: Facts, *, limits: Limits) -> datetime | None:
    """When the phase's limit passes (in Lost: when the machine may be acted on); None: it has none, or stands still."""
    view = _View(status, facts, limits)
    return view.due(limits.lost) if view.phase is Phase.LOST else view.deadline


def _instants(view: _View) -> Iterator[datetime]:
    facts, phase = view.facts, view.phase
    if not facts.paused:
        yield from _instants_of_work(view)
    if facts.blind:
        return  # what silence tells, and deadlines, stand still
    if view.deadline is not None:
        yield view.deadline
    yield from _instants_of_trust(view)
    if phase in (Phase.DRAINING, Phase.LOST) and not facts.node_exists and facts.heard_until is not None:
        yield min(facts.heard_until, view.due(view.limits.lost) or facts.heard_until)
    if view.goes_by_silence:
        yield view.off_confirmed_at
    if view.boots_until is not None:
        yield view.boots_until
    yield from _instants_of_remedy(view)
    if Event.NODE_READY in TRANSITIONS[phase] and facts.node_ready and view.alive and facts.heard is not None:
        yield facts.heard + RENEWAL_MISSED  # the next sign of life may be of this phase


def _instants_of_trust(view: _View) -> Iterator[datetime]:
    """When a reading Off is believed, or contradicted."""
    facts, reading = view.facts, view.facts.reading
    if reading is None or reading.power is not Reading.OFF:
        return
    if facts.heard_until is not None:
        yield facts.heard_until  # the lease that contradicts it ends
    if view.alive and reading.at is not None:
        yield reading.at + RENEWAL_MISSED  # it is contradicted by then, or silent
    if (missed := missed_at(facts.life)) is not None:
        yield missed


def _instants_of_remedy(view: _View) -> Iterator[datetime]:
    """When a power cycle is due, and when its Job is."""
    if Event.REMEDY in TRANSITIONS[view.phase] and view.remedy_due is not None:
        yield view.remedy_due
        if view.facts.heard_until is not None:
            yield view.facts.heard_until
    if view.cycle_not_begun:
        yield cycle_due(view.facts)


def _instants_of_work(view: _View) -> Iterator[datetime]:
    """Those of duties, cool-offs and of what waits in Lost: none of them while paused."""
    status, facts, phase = view.status, view.facts, view.phase
    if status.cool_until is not None:
        yield status.cool_until
    if phase in COMING and facts.wish is Power.ON and status.wakes < view.limits.attempts:
        due = max(wake_due(status, limits=view.limits, crowded=facts.crowded), sighted(status, facts))
        if facts.crowded:  # the others may be up before that
            due = min(due, facts.now + CROWD_LOOK)
        yield due if facts.heard_until is None or not view.fresh else max(due, facts.heard_until)
    if phase in COMING and not status.silent and (hush := silence_due(status, facts, limits=view.limits)) is not None:
        yield hush
    if phase is Phase.LOST and (due_lost := view.due(view.limits.lost)) is not None:
        yield due_lost
    if phase is Phase.OFF and facts.node_exists and not facts.blind:
        yield leave_due(facts)


def cycle_due(facts: Facts) -> datetime:
    """When a whole lease period of silence has been watched."""
    if facts.watching_since is None:
        return NEVER
    marks = (facts.heard, facts.watching_since)
    silent = max(mark for mark in marks if mark is not None) + facts.lease_period
    return max(silent, facts.heard_until or silent)


def may_cycle(facts: Facts) -> bool:
    """Whether the Job that cuts the power of a machine in a cycle may be made. What led to the cycle is looked at again: hexa may
    have been away since, and the machine may have come back."""
    on = facts.reading is not None and facts.reading.power is Reading.ON
    silent = not facts.node_ready and facts.now >= cycle_due(facts)
    wanted = facts.wish is Power.ON and facts.may_wake and facts.remedy_after is not None
    return not facts.blind and not facts.paused and wanted and on and silent


def wake_due(status: NodeStatus, *, limits: Limits, crowded: bool = False) -> datetime:
    """When the wake may be sent again."""
    return (status.woken_at or status.since or NEVER) + (limits.patient_interval if crowded else limits.wake_interval)


def wake_again(status: NodeStatus, facts: Facts, *, limits: Limits, job_running: bool) -> bool:
    """Whether another wake is due: still wanted, no sign of life since the boot began, attempts left, the last Job over."""
    view = _View(status, facts, limits)
    if (
        facts.wish is not Power.ON
        or facts.paused
        or job_running
        or status.wakes >= limits.attempts
        or not facts.may_wake
    ):
        return False
    if view.fresh or view.power is Reading.ON:
        return False
    return facts.now >= max(wake_due(status, limits=limits, crowded=facts.crowded), sighted(status, facts))


def sighted(status: NodeStatus, facts: Facts) -> datetime:
    """When we have watched for long enough to miss the answer to a wake that was sent before: after a restart, and after a leap of
    the clock."""
    sight, woken = facts.watching_since, status.woken_at
    if sight is None:
        return LONG_AGO  # blind, hexa only ever powers on
    return LONG_AGO if woken is not None and woken >= sight else sight + facts.lease_period


def silence_due(status: NodeStatus, facts: Facts, *, limits: Limits) -> datetime | None:
    """When the first wake of this boot will have gone unanswered for a wake interval, as seen by us; None: nobody asks."""
    if not limits.hedge or status.wakes == 0 or facts.wish is not Power.ON or facts.watching_since is None:
        return None
    seen = facts.watching_since + min(limits.wake_interval, LEASE_PERIOD)
    return max(seen, wake_due(status, limits=limits, crowded=facts.crowded)) if status.wakes == 1 else seen


def silent(status: NodeStatus, facts: Facts, *, limits: Limits) -> bool:
    """Whether the machine was woken and gives no sign of life: from the end of the first wake interval until there is one."""
    view = _View(status, facts, limits)
    if view.phase not in COMING or view.fresh or view.power is Reading.ON or not limits.hedge:
        return False
    due = silence_due(status, facts, limits=limits)
    return status.silent or (due is not None and not facts.paused and facts.now >= due)


def leave_due(facts: Facts) -> datetime:
    """When two lease periods of silence have passed."""
    marks = [mark + 2 * facts.lease_period for mark in (facts.heard, facts.watching_since) if mark is not None]
    if facts.heard_until is not None:
        marks.append(facts.heard_until + facts.lease_period)  # later than the above where it lives on
    return max(marks, default=facts.now + 2 * facts.lease_period)


def may_leave(status: NodeStatus, facts: Facts, *, shutdown_done: bool) -> bool:
    """The proof that LEAVE needs: a reading Off that is believed (`trust`), or our own shutdown Job done, no reading On, and no
    sign of life for two lease periods. A running kubelet never registers a deleted node again."""
    if facts.blind or facts.paused:
        return False
    reading = facts.reading
    if reading is not None and reading.power is Reading.OFF:
        return believed(reading, facts.life, ordered=shutdown_done, now=facts.now) is Reading.OFF
    since = status.since or LONG_AGO
    if reading is not None and reading.power is Reading.ON and reading.at is not None and reading.at > since:
        return False  # it contradicts what the Job and the silence say
    return shutdown_done and facts.now >= leave_due(facts)


def says_off(facts: Facts) -> bool:
    """A reading Off that is newer than the last sign of life: believed, or perhaps soon."""
    reading = facts.reading
    if reading is None or reading.at is None or reading.power is not Reading.OFF:
        return False
    return facts.heard is None or reading.at > facts.heard


def reads_off(facts: Facts) -> bool:
    """A reading Off that is believed though nobody ordered it."""
    return believed(facts.reading, facts.life, ordered=False, now=facts.now) is Reading.OFF
