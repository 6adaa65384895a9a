"""How far a reading Off is believed: the one place where that is judged.

Off is believed where two proofs agree, and nothing contradicts them. The reading is newer than the last sign of life, and since
that one the kubelet has missed a renewal. And a second reading, some time after the first, says the same, with no other answer
between; or our own shutdown Job is done. A Lease that is renewed after the reading makes it no Off, in any phase.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from hexa.domain.resources.v1alpha1 import PowerReading, Reading

LEASE_PERIOD: Final = timedelta(seconds=40)
"""How long a renewed Lease of a kubelet stands (the kubelet's default leaseDurationSeconds)."""
RENEWAL_MISSED: Final = timedelta(seconds=12)
"""A kubelet renews its Lease each 10 s (a quarter of leaseDurationSeconds); one renewal is missed after this."""
READ_APART: Final = timedelta(seconds=5)
"""Two readings Off that lie so far apart are two proofs; one sample may be wrong."""


class Sample(PowerReading, frozen=True, kw_only=True):
    """A reading, and how long the sensor has been saying so."""

    first: datetime | None = None
    """When it was first read so, with no other answer since; None: this once."""


class Life(Struct, frozen=True, kw_only=True):
    """What is heard of the kubelet."""

    heard: datetime | None = None
    """When its Lease was last seen to change."""
    until: datetime | None = None
    """Until when that counts as alive."""
    expected_from: datetime | None = None
    """From when on we would have heard it, if it lives; None: there is no Kubernetes node, or we are blind."""


def missed_at(life: Life) -> datetime | None:
    """When a kubelet that lives has missed a renewal; None: none is expected, and none was heard."""
    marks = []
    if life.heard is not None:
        period = life.until - life.heard if life.until is not None else LEASE_PERIOD
        marks.append(life.heard + (RENEWAL_MISSED if period <= LEASE_PERIOD else period / 2))  # it renews more seldom
    if life.expected_from is not None:
        marks.append(life.expected_from + RENEWAL_MISSED)
    return max(marks, default=None)


def read_twice(reading: PowerReading) -> bool:
    """Whether two readings in a row, some time apart, say the same."""
    first = reading.first if isinstance(reading, Sample) else None
    return first is not None and reading.at is not None and reading.at - first >= READ_APART


def believed(reading: PowerReading | None, life: Life, *, ordered: bool, now: datetime) -> Reading:
    """What the power is as far as it can be trusted: On as it is read, Off where it is proven. `ordered`: our own shutdown Job is
    done."""
    if reading is None or reading.at is None:
        return Reading.UNKNOWN
    if reading.power is not Reading.OFF:
        return reading.power
    missed = missed_at(life)
    outvoted = life.heard is not None and reading.at <= life.heard
    if outvoted or (missed is not None and now < missed) or not (ordered or read_twice(reading)):
        return Reading.UNKNOWN
    return Reading.OFF


def renewed_since(reading: PowerReading, life: Life, *, now: datetime) -> bool:
    """Whether the Lease was renewed after the sensor began to say Off, and stands: the two contradict each other."""
    first = _first(reading)
    if first is None or life.heard is None or life.until is None:
        return False
    return life.heard >= first + READ_APART and now < life.until


def _first(reading: PowerReading) -> datetime | None:
    return (reading.first if isinstance(reading, Sample) else None) or reading.at


class Told(Struct, frozen=True):
    """What people and programs are told of a reading."""

    reading: PowerReading | None
    contradiction: str = ""
    """What contradicts it, in a sentence; empty: nothing does."""


def told(reading: PowerReading | None, life: Life, *, ordered: bool, before: PowerReading, now: datetime) -> Told:
    """A reading as it is told. An Off that is not proven yet changes nothing of what was told `before`; one that its kubelet
    contradicts is Unknown. An On that our shutdown Job and a long silence contradict is told as well."""
    if reading is None or reading.power is Reading.UNKNOWN:
        return Told(reading)
    if reading.power is Reading.ON:
        return Told(reading, _hangs(reading, life) if ordered and _long_silent(life, now) else "")
    if believed(reading, life, ordered=ordered, now=now) is Reading.OFF:
        return Told(reading)
    unknown = PowerReading(power=Reading.UNKNOWN, source=reading.source, at=reading.at)
    if renewed_since(reading, life, now=now):
        return Told(unknown, _lives(reading))
    return Told(before if before.source == reading.source else unknown)


def _long_silent(life: Life, now: datetime) -> bool:
    """No sign of life in two lease periods."""
    marks = [mark for mark in (life.heard, life.expected_from) if mark is not None]
    return bool(marks) and now >= max(marks) + 2 * LEASE_PERIOD


def _lives(reading: PowerReading) -> str:
    first = _first(reading)
    since = f" since {first.isoformat(timespec='seconds')}" if first is not None else ""
    return (
        f"{reading.source} reads Off{since}, and its kubelet renewed its Lease after that: it counts as on, and its Kubernetes "
        f"node stays; look whether {reading.source} reads this machine, and reads it right"
    )


def _hangs(reading: PowerReading, life: Life) -> str:
    since = f" since {life.heard.isoformat(timespec='seconds')}" if life.heard is not None else ""
    return (
        f"{reading.source} reads On, though the shutdown Job is done and its kubelet is silent{since}: it hangs in its shutdown, "
        f"or {reading.source} does not read this machine"
    )
