"""What is known of a machine beside its view, from the snapshot and from what this agent remembers. It asks nobody."""

from datetime import datetime, timedelta
from typing import Final

from hexa.app.node.health_checks import HealthChecks
from hexa.app.node.power_jobs import PowerJobs
from hexa.app.store import Store
from hexa.app.views.index import Index
from hexa.domain.decide.decision import Save
from hexa.domain.decide.observed import Observed, Read
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import owner_of
from hexa.domain.machine.power_job import current, running
from hexa.domain.machine.stamps import aware
from hexa.domain.machine.trust import Sample
from hexa.domain.machine.wish import recorded_wish
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import Lookup, PowerReading
from hexa.domain.weekly import Span
from hexa.ports.clock import Clock
from hexa.ports.heartbeats import Heartbeats
from hexa.ports.sensors import Meters, Sensors

SKIPS_KEPT: Final = 20


class Observer:
    """What this life of the agent has seen of each machine."""

    def __init__(
        self,
        *,
        store: Store,
        heartbeats: Heartbeats,
        sensors: Sensors,
        checks: HealthChecks | None,
        jobs: PowerJobs,
        clock: Clock,
        meters: Meters | None = None,
    ) -> None:
        self._store, self._heartbeats, self._sensors, self._checks = store, heartbeats, sensors, checks
        self._meters = meters
        self._jobs, self._clock, self._born = jobs, clock, clock.now()
        self._first_seen: dict[Lookup, datetime] = {}
        """Machines without a stored phase."""
        self._skipped: tuple[Span, ...] = ()
        """Time over which the clock was set forward."""
        self._renewed: dict[Lookup, int] = {}
        """Attempts begun in place of one whose Job may be forgotten."""
        self._nothing_stuck: dict[Lookup, datetime | None] = {}
        """Machines on which nothing was stuck, by the phase's begin: nothing comes to a node that is off."""
        self._pods_seen: dict[Lookup, datetime] = {}
        """When the pods of a machine that is only observed were last looked at."""
        self._marked: Index[Lookup] = Index()
        """Kubernetes nodes by the machine whose marks they bear."""
        store.nodes.subscribe(lambda key, _, new: self._marked.move(key, owner_of(new) if new is not None else None))
        store.machines.on_rewind(self._renewed.clear)

    def clock_set(self, by: timedelta) -> None:
        """The clock was set: nothing that we began began after now."""
        now = self._clock.now()
        self._born = min(self._born, now)
        self._first_seen = {key: min(seen, now) for key, seen in self._first_seen.items()}
        if by > timedelta(0):
            self._skipped = (*self._skipped, (now - by, now))[-SKIPS_KEPT:]
        else:
            self._skipped = tuple((start + by, end + by) for start, end in self._skipped)

    def forget(self, key: Lookup) -> None:
        """The machine is gone."""
        for known in (self._first_seen, self._renewed, self._nothing_stuck, self._pods_seen):
            known.pop(key, None)

    def saved(self, machine: MachineView, saved: Save) -> None:
        """A decision was stored."""
        if saved.status.phase:
            self._first_seen.pop(machine.key, None)
        if saved.renewed:
            self._renewed[machine.key] = saved.status.attempt

    def looked_for_stuck(self, machine: MachineView, *, found: bool) -> None:
        """Whether anything was stuck on the machine's Kubernetes node."""
        if found:
            self._nothing_stuck.pop(machine.key, None)
        else:
            self._nothing_stuck[machine.key] = machine.node.status.since

    def looked_for_pods(self, machine: MachineView, now: datetime) -> None:
        """The machine's pods were looked at."""
        self._pods_seen[machine.key] = now

    def observe(self, machine: MachineView, read: Read) -> Observed:
        """All that is known now."""
        key, node, status, name = machine.key, machine.node, machine.node.status, machine.kube_name
        now, life = self._clock.now(), self._heartbeats.life(name)
        stored, record = self._store.machines.objects.get(key), current(status)
        return Observed(
            now=now,
            born=self._born,
            first_seen=now if status.phase else self._first_seen.setdefault(key, now),
            seeing_since=self._store.watching_since,
            hearing_since=self._heartbeats.watching_since(),
            blind_seconds=self._store.blind_seconds(status.since) if status.since else 0.0,
            heard=life.heard if life is not None else None,
            heard_until=life.until if life is not None else None,
            lease_period=self._heartbeats.period(name),
            renewal=self._heartbeats.renewal(name),
            reading=_sample(self._sensors.reading(node)),
            sensor_trouble=self._sensors.trouble(node),
            check=self._checks.seen(node, kubernetes_node=name) if self._checks is not None else None,
            recorded=recorded_wish(stored) if stored is not None else None,
            renewed=self._renewed.get(key) == status.attempt,
            job_over=record is not None and running(status) and self._jobs.finished(key, record.name),
            stops=machine.phase is Phase.POWERING_OFF and self._jobs.stops(machine),
            jobs=self._jobs.names(key),
            marked_node="" if status.phase else min((each.name for each in self._marked.get(key, ())), default=""),
            nothing_stuck=key in self._nothing_stuck and self._nothing_stuck[key] == status.since,
            pods_seen_at=self._pods_seen.get(key),
            counter=self._meters.counter(node) if self._meters is not None else None,
            skipped=self._skipped_since(status.energy.counted_to, status.paused_since) if self._skipped else (),
            read=read,
        )

    def _skipped_since(self, *moments: datetime | None) -> tuple[Span, ...]:
        """After the first of those that are known."""
        since = min((aware(moment) for moment in moments if moment is not None), default=None)
        return tuple(span for span in self._skipped if since is not None and span[1] > since)


def _sample(reading: PowerReading | None) -> Sample | None:
    if reading is None or isinstance(reading, Sample):
        return reading
    return Sample(power=reading.power, source=reading.source, at=reading.at)
