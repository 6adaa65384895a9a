"""What is known of one machine at one moment, and the same seen from its phase. It decides nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.machine import trust
from hexa.domain.machine.lifecycle import LIMITS, Event, Phase, phase_of
from hexa.domain.machine.power_job import current
from hexa.domain.machine.trust import Life, Sample, believed
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.v1alpha1 import NodeStatus, Power, PowerReading, Reading
from hexa.domain.weekly import Span, without

LEASE_PERIOD: Final = trust.LEASE_PERIOD
RENEWAL_MISSED: Final = trust.RENEWAL_MISSED
NEVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)

GOING_OFF: Final = frozenset({Phase.POWERING_OFF, Phase.STOP_FAILED})
"""Phases in which a reading Off is what we asked for, and our shutdown Job a proof of it; in any other a lease that still stands
contradicts it."""


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
    skipped: tuple[Span, ...] = ()
    """Time that never was: our clock was set forward over it. It is among `blind_seconds`, and no part of a pause."""
    power_cycle_after: timedelta | None = None
    """How long the machine must be ill before its power is cycled; None: it is not, or something is against it (`power_cycle`)."""

    @property
    def blind(self) -> bool:
        return self.watching_since is None

    @property
    def life(self) -> Life:
        """What is heard of the kubelet."""
        expected = self.watching_since if self.node_exists else None
        return Life(heard=self.heard, until=self.heard_until, expected_from=expected)


def paused_for(status: NodeStatus, *, now: datetime, skipped: Sequence[Span]) -> timedelta:
    """How long the pause of the status lasted in its phase until now; nothing where none has begun, or the clock went back."""
    began = status.paused_since
    if began is None:
        return timedelta(0)
    spans = without(max(began, status.since or began), now, skipped)
    return sum((end - start for start, end in spans), timedelta(0))


def stood_still(status: NodeStatus, *, now: datetime, skipped: Sequence[Span], blind_seconds: float) -> timedelta:
    """How long the limits of the status's phase stood still until now: it was paused, or we were blind."""
    return paused_for(status, now=now, skipped=skipped) + timedelta(seconds=status.stood_still + blind_seconds)


class View:
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
        still = self._stood_still(self.facts.blind_seconds)
        return max(self.since + span + still, sight + min(span, self.facts.lease_period))

    def _stood_still(self, blind_seconds: float = 0.0) -> timedelta:
        return stood_still(self.status, now=self.now, skipped=self.facts.skipped, blind_seconds=blind_seconds)

    def passed(self, span: timedelta) -> bool:
        due = self.due(span)
        return due is not None and self.now >= due

    @property
    def deadline(self) -> datetime | None:
        """When the phase's limit has passed; a drain's no sooner than a boot that it waits for."""
        due, boots = self.due(self.limit) if self.phase in LIMITS else None, self.boots_until
        return due if due is None or boots is None else max(due, boots)

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
        """A machine that drains before it came up: until when it may still be booting, however short its drain. What boots cannot
        be shut down in order, its silence proves nothing, and pods may be bound to it in the second in which it registers."""
        woken, heard = self.status.woken_at, self.facts.heard
        if self.phase is not Phase.DRAINING or woken is None or (heard is not None and heard > woken):
            return None
        return woken + self.limits.boot

    @property
    def still_boots(self) -> bool:
        until = self.boots_until
        return until is not None and self.now < until

    @property
    def power_cycle_due(self) -> datetime | None:
        """When the power may be cycled: ill, watched without a gap, silent, with power and not cycled for so long. None: not at
        all."""
        after, sight, known = self.facts.power_cycle_after, self.facts.watching_since, self.status.remediation
        if after is None or sight is None or self.facts.paused or self.facts.wish is not Power.ON:
            return None
        marks = (known.ill_since or self.since, sight, known.cycled_at, self.facts.heard, self._read_so_since)
        return max(mark for mark in marks if mark is not None) + after + self._stood_still()

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
        return self.status.remediation.cycling and current(self.status) is None

    @property
    def goes_by_silence(self) -> bool:
        """Whether only silence can tell that the machine went off."""
        return self.phase is Phase.POWERING_OFF and self.facts.reading is None and self.facts.job_done


def says_off(facts: Facts) -> bool:
    """A reading Off that is newer than the last sign of life: believed, or perhaps soon."""
    reading = facts.reading
    if reading is None or reading.at is None or reading.power is not Reading.OFF:
        return False
    return facts.heard is None or reading.at > facts.heard


def reads_off(facts: Facts) -> bool:
    """A reading Off that is believed though nobody ordered it."""
    return believed(facts.reading, facts.life, ordered=False, now=facts.now) is Reading.OFF
