"""Reads the power of machines whose `spec.power` has something to ask, and remembers what it was told.

Each machine has a pace of its own: quick while its phase waits for a reading, slow while nothing happens, and ever slower while
the other side is silent or refuses. It is a loop beside the others: who wants a reading takes the last one, and waits for none.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import trio
from msgspec import Struct, structs

from hexa.app.fence import CONTAINED
from hexa.app.news import Newsroom
from hexa.app.queue import KeyedQueue
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.decide.accounts import has_account
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.machine.identity import fingerprint
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.power_job import Outcome, current
from hexa.domain.machine.trust import READ_APART, Sample, read_twice
from hexa.domain.machine_view import MachineView
from hexa.domain.money.metering import Metering, counted
from hexa.domain.news import News, What, Work, failure
from hexa.domain.power.claims import DUPLICATE_POWER
from hexa.domain.power.sensor import sensor
from hexa.domain.resources.power_spec import DriverName
from hexa.domain.resources.v1alpha1 import MACHINES, Counter, Lookup, Node, PowerReading, Reading
from hexa.domain.rules.health import NOT_READ_YET, READING_STALE
from hexa.ports.clock import Clock
from hexa.ports.power import DOUBTFUL
from hexa.ports.sensors import Gauge, MeterGauge, Sensors

QUICK: Final = 2.0
"""Seconds between two readings where the phase waits for one."""
MODERATE: Final = 15.0
"""The same where something is wrong, or not known yet."""
STEADY: Final = 60.0
"""The same while nothing is expected: a button that somebody presses is noticed within this. A few may fail in a row until a
reading is too old (`health.READING_STALE`)."""
PACE: Final = {
    Phase.POWERING_ON: QUICK,
    Phase.BOOTING: QUICK,
    Phase.POWERING_OFF: QUICK,
    Phase.UNKNOWN: MODERATE,
    Phase.START_FAILED: MODERATE,
    Phase.STOP_FAILED: MODERATE,
    Phase.LOST: MODERATE,
}
TRIES: Final = 3
"""Failures in a row after which a reading is Unknown however young it is."""
METER_APART: Final = timedelta(seconds=110)
"""Between two readings of a meter, of machines that have an energy account."""
DEADLINE: Final = 30.0
"""Seconds after which a reading is given up, waiting for the turn at a shared controller included."""
AT_ONCE: Final = 100
"""Machines that are asked at a time."""
PAUSES: Final = (2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Seconds until a silent side is asked again, by failures in a row."""
REFUSED: Final = (15.0, 30.0, 60.0, 120.0, 300.0)
"""The same where a person must act: a controller that locks accounts must not be asked with wrong credentials all day."""


class Known(Struct):
    """What is known of one machine."""

    driver: DriverName
    uid: str
    way: str
    """What was asked, as `identity.fingerprint` tells it: what another address says is no reading of this machine."""
    last: Sample | None = None
    """The last answer that was one."""
    error: HexaError | None = None
    """Why there was none since."""
    failures: int = 0
    generation: int = 0
    """Of the machine, when it was asked."""
    meter: Metering | None = None
    """The last reading of its meter."""
    measured_at: datetime | None = None
    """When that was last asked."""
    not_before: datetime | None = None
    """A refused question is not repeated sooner, unless the machine's spec changes."""


class Readings:
    """Implements `ports.sensors`. `elsewhere`: who knows of machines without `spec.power`."""

    def __init__(
        self, *, store: Store, views: Views, gauge: Gauge, elsewhere: Sensors, clock: Clock, news: Newsroom
    ) -> None:
        self._store, self._views, self._gauge = store, views, gauge
        self._elsewhere, self._clock, self._news = elsewhere, clock, news
        self._known: dict[Lookup, Known] = {}
        self._told: Callable[[Lookup], None] = lambda _: None
        self.queue: KeyedQueue[Lookup] = KeyedQueue(
            self._read,
            failed=lambda _key, _error: None,
            owner=store.fence.post(MACHINES, "reading", blocks=False),
            tasks=AT_ONCE,
        )
        store.machines.subscribe(self._changed)
        views.on_rivals(self._rivals)

    def subscribe(self, told: Callable[[Lookup], None]) -> None:
        """Be told of machines whose reading is worth a look."""
        self._told = told

    def clock_set(self, by: timedelta) -> None:
        """The clock was set: readings are as old as before."""
        for known in self._known.values():
            last = known.last
            if last is not None and last.at is not None:
                known.last = structs.replace(last, at=last.at + by, first=(last.first or last.at) + by)
            known.not_before = known.not_before + by if known.not_before is not None else None
            known.measured_at = known.measured_at + by if known.measured_at is not None else None
            if known.meter is not None and known.meter.counter.at is not None:
                moved = structs.replace(known.meter.counter, at=known.meter.counter.at + by)
                known.meter = structs.replace(known.meter, counter=moved)

    # --- what is known ---

    def reading(self, machine: Node) -> PowerReading | None:
        driver = sensor(machine)
        if driver is None:
            return self._elsewhere.reading(machine)
        known = self._of(machine, driver)
        last = known.last if known is not None else None
        if known is None or last is None or last.at is None:
            return PowerReading(power=Reading.UNKNOWN, source=driver)
        doubted = known.error is not None and known.error.reason == DOUBTFUL
        if doubted or known.failures >= TRIES or self._clock.now() - last.at > READING_STALE:
            return PowerReading(power=Reading.UNKNOWN, source=driver, at=last.at)
        return last

    def trouble(self, machine: Node) -> str:
        driver = sensor(machine)
        if driver is None:
            return self._elsewhere.trouble(machine)
        known = self._of(machine, driver)
        if known is None or (known.error is None and known.last is None):
            return NOT_READ_YET
        if known.last is None:
            return str(known.error)
        if known.error is not None:
            return f"{known.error}; last read {_read(known.last)}"
        if known.last.power is Reading.UNKNOWN:
            return f"{driver} answers, and can't tell whether it is on"
        return f"last read {_read(known.last)}"

    def counter(self, machine: Node) -> Counter | None:
        """Implements `ports.sensors.Meters`."""
        driver = sensor(machine)
        known = self._of(machine, driver) if driver is not None else None
        return known.meter.counter if known is not None and known.meter is not None else None

    def watts(self, machine: Node) -> float | None:
        """What its meter said last that it draws; None: it has none, or what was said is too old."""
        driver = sensor(machine)
        known = self._of(machine, driver) if driver is not None else None
        meter = known.meter if known is not None else None
        at = meter.counter.at if meter is not None else None
        fresh = at is not None and self._clock.now() - at <= READING_STALE
        return meter.watts if meter is not None and fresh else None

    def _of(self, machine: Node, driver: DriverName) -> Known | None:
        known = self._known.get(Lookup(machine.metadata.namespace, machine.metadata.name))
        asks = (driver, machine.metadata.uid, fingerprint(machine))
        return known if known is not None and (known.driver, known.uid, known.way) == asks else None

    # --- asking ---

    def _changed(self, key: Lookup, old: Node | None, new: Node | None) -> None:
        if new is None:
            self._known.pop(key, None)
        elif old is None or old.spec.power != new.spec.power or _asks_anew(old, new):
            self.queue.add(key)

    def _rivals(self, keys: Iterable[Lookup]) -> None:
        for key in keys:
            self.queue.add(key)

    async def _read(self, key: Lookup) -> None:
        view = self._views.machine(key)
        driver = sensor(view.node) if view is not None and not view.leaving else None
        if view is None or driver is None:
            self._known.pop(key, None)
            return
        known = self._of(view.node, driver) or Known(driver, view.node.metadata.uid, fingerprint(view.node))
        self._known[key] = known
        shared = next((problem for problem in view.problems if problem.reason == DUPLICATE_POWER), None)
        if shared is not None:  # whose power it would read is not known
            known.last, known.error = None, Refused(str(shared), reason=shared.reason)
            self._told(key)
            return
        now, status = self._clock.now(), view.node.status
        same = known.generation == view.node.metadata.generation
        if same and known.not_before is not None and known.not_before > now:
            self.queue.add(key, delay=(known.not_before - now).total_seconds())
            return
        record = current(status)
        if record is not None and record.outcome == Outcome.RUNNING:
            self.queue.add(key, delay=MODERATE)  # its Job talks to the same controller
            return
        known.generation = view.node.metadata.generation
        await self._ask(key, view, known)

    async def _ask(self, key: Lookup, view: MachineView, known: Known) -> None:
        machine, phase = view.node, view.phase
        before, trouble = self.reading(machine), known.failures >= TRIES
        asked = self._clock.now()
        try:
            with trio.fail_after(DEADLINE):
                power = await self._gauge.read(machine, known.driver)
        except trio.TooSlowError:
            text = f"{machine.metadata.name}: {known.driver}: no reading within {DEADLINE:g} s; look at its controller"
            self._failed(key, known, Unavailable(text, reason="NoAnswer"))
        except HexaError as error:
            self._failed(key, known, error)
        except Exception as error:
            text = f"{machine.metadata.name}: {known.driver}: {type(error).__name__}: {error}"
            self._failed(key, known, Unavailable(text, reason=CONTAINED))
            raise
        else:
            if known.error is not None:
                self._news.tell(News(of=key, what=What.READ_AGAIN, why=str(power), quiet=True))
            known.last = _next(known, power, asked)  # no younger than the question
            known.error, known.failures, known.not_before = None, 0, None
            once = power is Reading.OFF and not read_twice(known.last)
            pace = PACE.get(phase, STEADY)
            self.queue.add(key, delay=min(pace, READ_APART.total_seconds()) if once else pace)
        steady = phase is Phase.READY or (phase is Phase.OFF and view.kube is None)  # nothing waits for a newer reading
        same = _said(before) == _said(self.reading(machine)) and trouble == (known.failures >= TRIES)
        if not (steady and same) or self._is_first(known, asked, before, view.node.status.since):
            self._told(key)
        if known.error is None:
            await self._measure(machine, known)

    async def _measure(self, machine: Node, known: Known) -> None:
        """Read the meter too, where somebody counts. A meter that does not answer is none: what it would say is computed."""
        now, gauge = self._clock.now(), self._gauge
        waits = known.measured_at is not None and now - known.measured_at < METER_APART
        if waits or not isinstance(gauge, MeterGauge) or not has_account(machine):
            return
        known.measured_at = now
        with suppress(HexaError, trio.TooSlowError):
            with trio.fail_after(DEADLINE):
                found = await gauge.measure(machine, known.driver)
            at = self._clock.now()
            known.meter = counted(known.meter, watts=found.watts, kwh=found.kwh, at=at, source=known.driver)

    @staticmethod
    def _is_first(known: Known, asked: datetime, before: PowerReading | None, since: datetime | None) -> bool:
        """Whether it is the first reading that counts in the phase: news, though it says what an older one said."""
        read = known.last is not None and known.last.at == asked
        return read and since is not None and (before is None or before.at is None or before.at <= since)

    def _failed(self, key: Lookup, known: Known, error: HexaError) -> None:
        if known.failures == 0:
            self._news.tell(failure(Work.READING, key, error))
        known.error = error
        known.failures += 1
        pauses = REFUSED if isinstance(error, Refused) else PAUSES
        pause = pauses[min(known.failures, len(pauses)) - 1]
        known.not_before = self._clock.now() + timedelta(seconds=pause) if pauses is REFUSED else None
        self.queue.add(key, delay=pause)


def _asks_anew(old: Node, new: Node) -> bool:
    """A phase that was entered, or a Job that ended: what was read before counts no more."""
    was, now = old.status, new.status
    return was.phase != now.phase or was.since != now.since or was.job != now.job


def _said(reading: PowerReading | None) -> tuple[Reading, bool] | None:
    """What it says, and whether twice."""
    return None if reading is None else (reading.power, read_twice(reading))


def _next(known: Known, power: Reading, asked: datetime) -> Sample:
    """The answer to a question, after the last one."""
    last = known.last
    first = last.first or last.at if last is not None and last.power is power else asked
    return Sample(power=power, source=known.driver, at=asked, first=first)


def _read(last: PowerReading) -> str:
    at = last.at.isoformat(timespec="seconds") if last.at else "never"
    return f"{last.power} at {at}"
