"""The power Job of a machine's present attempt: started once, watched, its result saved, then removed.

Never two at a time: before a Job is started, every other one of the machine is ended and gone.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.app.store import Store
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.machine.power_job import Action, Outcome
from hexa.domain.machine_view import MachineView
from hexa.domain.names import API_GROUP
from hexa.domain.power.jobs import pod_for
from hexa.domain.resources.core import Job
from hexa.domain.resources.v1alpha1 import JobRecord, Lookup, NodeStatus
from hexa.ports.jobs import Jobs, Order, Seen

NONE: Final[frozenset[str]] = frozenset()
SHOWN: Final = 500
"""Characters of what the API server says that people are shown."""
WEBHOOK: Final = "InternalError"
"""The reason of the API server's answer where an admission webhook cannot be asked."""
CLOCKS_APART: Final = timedelta(minutes=1)
"""So far the API server's clock may be behind ours."""


class PowerJobs:
    """Orders of machines, by ports.jobs and the snapshot of Jobs."""

    def __init__(self, jobs: Jobs, store: Store, *, image: str = "") -> None:
        """`image`: what the Jobs of spec.power run."""
        self._jobs, self._store, self._image = jobs, store, image
        self._begun: dict[Lookup, str] = {}
        """The last Job that we started of each machine: the snapshot may not show it yet."""
        self._there: dict[Lookup, str] = {}
        """The last one that the API server took."""
        self._unmade: dict[Lookup, JobRecord] = {}
        """The last one of each machine that could not be made."""
        self._known: dict[Lookup, set[str]] = {}
        """Jobs in the snapshot by machine. Machines are told by owner reference: labels may be cut."""
        store.jobs.subscribe(self._changed)
        for cache in (store.jobs, store.machines):
            cache.on_rewind(self._forget)

    def _forget(self) -> None:
        """The API server's data is that of a backup: attempts are counted anew from there, and their Jobs were never made."""
        self._begun.clear()
        self._there.clear()
        self._unmade.clear()

    def _changed(self, key: Lookup, old: Job | None, new: Job | None) -> None:
        if old is not None and (owner := machine_of(old)) is not None:
            names = self._known.get(owner, set())
            names.discard(key.name)
            if not names:
                self._known.pop(owner, None)
        if new is not None and (owner := machine_of(new)) is not None:
            self._known.setdefault(owner, set()).add(key.name)

    def forget(self, machine: Lookup) -> None:
        """The machine is gone."""
        for known in (self._begun, self._there, self._unmade):
            known.pop(machine, None)

    def names(self, machine: Lookup) -> frozenset[str]:
        """The machine's Jobs that may be there."""
        known, begun = self._known.get(machine, NONE), self._begun.get(machine)
        return known if begun is None and known is NONE else frozenset([*known, *([begun] if begun else [])])

    def order(self, view: MachineView, status: NodeStatus, action: Action) -> Order | None:
        """The order of the present attempt; None if the machine does not say how."""
        startup = action is Action.STARTUP
        cut = not startup and status.remediation.cycling
        spec = pod_for(view.node, "on" if startup else "off", image=self._image, limits=view.limits, cut=cut)
        if spec is None:
            return None
        return Order(
            machine=view.key,
            uid=view.node.metadata.uid,
            action=action,
            attempt=status.attempt,
            spec=spec,
            deadline=(view.limits.power_on if startup else view.limits.power_off).total_seconds(),
            kubernetes_node=view.kube_name,
        )

    async def start(self, order: Order) -> JobRecord | None:
        """Start it and say how it stands; None while another Job of the machine is still ending."""
        name = self._jobs.name(order)
        if self._others(order.machine, name) and not await self._jobs.cancel(order.machine, uid=order.uid, keep=name):
            return None
        self._begun[order.machine] = name
        try:
            seen = await self._jobs.start(order)
        except HexaError as error:
            if _is_answer(error):  # without one it may have been made
                self._unmade[order.machine] = _record(order, Seen(name, Outcome.UNMADE, _unmade(error)))
            raise
        self._unmade.pop(order.machine, None)
        self._there[order.machine] = name
        return _record(order, seen)

    def stops(self, view: MachineView) -> bool:
        """Whether the shutdown Job of the present attempt is known to be there: what it does can't be taken back."""
        if (order := self.order(view, view.node.status, Action.SHUTDOWN)) is None:
            return False
        return self.there(order)

    def unmade(self, order: Order) -> JobRecord | None:
        """How it stands with the Job of the order, if the last try to make it failed."""
        record = self._unmade.get(order.machine)
        return record if record is not None and record.name == self._jobs.name(order) else None

    def there(self, order: Order) -> bool:
        """Whether the Job of the order is known to be there."""
        name = self._jobs.name(order)
        return self._there.get(order.machine) == name or name in self._known.get(order.machine, NONE)

    def of_another_time(self, order: Order, begun: datetime) -> bool:
        """Whether there is a Job of the order's name that was made well before the attempt began: the count went back, because
        the machine's status is that of a backup."""
        name = self._jobs.name(order)
        job = self._store.jobs.get(order.machine.namespace, name)
        made = job.metadata.creation_timestamp if job is not None else None
        return made is not None and self._there.get(order.machine) != name and made < begun - CLOCKS_APART

    async def observe(self, order: Order, known: JobRecord) -> JobRecord:
        """How the recorded Job stands. One that vanished before its result was seen has failed; one that may not be read stands as
        before, and says why: the limits of its phase pass all the same."""
        try:
            seen = await self._jobs.observe(order)
        except Refused as error:
            return structs.replace(known, message=_shown(error))
        return _record(
            order, seen or Seen(known.name, Outcome.FAILED, "the Job was deleted before its result was seen")
        )

    async def clean(self, view: MachineView, *, keep: str = "") -> bool:
        """Remove the machine's Jobs but for `keep`, if the snapshot knows any; whether none is left."""
        if not self._others(view.key, keep):
            return True
        gone = await self._jobs.cancel(view.key, uid=view.node.metadata.uid, keep=keep)
        if gone:
            self._begun.pop(view.key, None)
        return gone

    def finished(self, machine: Lookup, name: str) -> bool:
        """Whether the snapshot shows the Job as over, or does not show it."""
        job = self._store.jobs.get(machine.namespace, name)
        return job is None or any(
            c.type in ("Complete", "Failed") and c.status == "True" for c in job.status.conditions
        )

    def _others(self, machine: Lookup, name: str) -> bool:
        """Whether another Job of the machine may be there."""
        return self._begun.get(machine, name) != name or bool(self._known.get(machine, NONE) - {name})


def _is_answer(error: HexaError) -> bool:
    """Whether the API server itself says that the Job is not made. A failed connection or a time limit says nothing, whatever
    reason it has."""
    return not isinstance(error, Unavailable) or error.reason == WEBHOOK


def _unmade(error: HexaError) -> str:
    return f"it could not be made: {_shown(error)}"


def _shown(error: HexaError) -> str:
    return " ".join(str(error).split())[:SHOWN]


def machine_of(job: Job) -> Lookup | None:
    """The machine that owns the Job."""
    owners = job.metadata.owner_references
    name = next((o.name for o in owners if o.kind == "Node" and o.api_version.startswith(f"{API_GROUP}/")), None)
    return Lookup(job.metadata.namespace, name) if name else None


def _record(order: Order, seen: Seen) -> JobRecord:
    return JobRecord(
        name=seen.name,
        action=str(order.action),
        attempt=order.attempt,
        outcome=str(seen.outcome),
        message=seen.message,
    )
