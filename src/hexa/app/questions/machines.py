"""A machine as the overview tells of it, by the same functions that `hexa get` and `hexa why` answer by."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from statistics import median

from msgspec import structs

from hexa.app.commands.get import contained, line_of, undecodable
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.questions.beside import NOTHING, Beside
from hexa.app.questions.kept import Kept
from hexa.domain.decide.accounts import up_to_now
from hexa.domain.group.sizing import target
from hexa.domain.machine.lifecycle import count_availability
from hexa.domain.machine.wish import held
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import has_energy
from hexa.domain.news import About
from hexa.domain.policy.values import power_of
from hexa.domain.resources.v1alpha1 import EnergyAccount, Hold, Lookup
from hexa.domain.words import hands as hands_beside
from hexa.domain.words.arrivals import Boot, Coming, arrival, coming, recent_boots, set_out
from hexa.domain.words.figures import declared_watts, energy_state, priced
from hexa.domain.words.known import Known
from hexa.domain.words.overview import EnergyState, Grade, Hand, MachineState, hands, why


class Scope:
    """One look at all machines. `kept`: what was told at looks before."""

    def __init__(self, snapshot: Snapshot, kept: Kept[MachineState] | None = None) -> None:
        self.kept = kept if kept is not None else Kept()
        self.snapshot = snapshot
        self._around: dict[Lookup, tuple[int, tuple[float, ...]]] = {}

    def around(self, view: MachineView) -> tuple[object, ...]:
        """What of its group is told with a machine, beside what stands in its view."""
        if view.group is None:
            return ()
        key, views = view.group.key, self.snapshot.views
        if key not in self._around:
            self._around[key] = target(views.judged(key, self.snapshot.now)), boots_of(self.snapshot, view, own=())
        size, kin = self._around[key]
        return size, None if view.node.status.boot_seconds else kin


class Told:
    """A machine, and what was found out about it."""

    def __init__(self, snapshot: Snapshot, key: Lookup, beside: Beside, scope: Scope) -> None:
        self.key = key
        self._now = snapshot.now
        self._error = ""
        self.view: MachineView | None = None
        try:
            self.view = snapshot.views.machine(key)
            self.state = self._told(snapshot, beside, scope)
        except Exception as error:
            self._error = contained(error)
            self.state = MachineState(namespace=key.namespace, name=key.name, why=self._error, blocker=self._error)

    def _told(self, snapshot: Snapshot, beside: Beside, scope: Scope) -> MachineState:
        if self.view is None:
            self._error = undecodable(snapshot.store.machines.malformed[self.key])
            return MachineState(namespace=self.key.namespace, name=self.key.name, why=self._error, blocker=self._error)
        view = self.view
        told = scope.kept.get(
            self.key, (view, *scope.around(view)), snapshot.now, lambda: machine_state(snapshot, view, beside)
        )
        return _now(told, beside.watts(view.node), snapshot.now)

    def hands(self) -> Iterator[Hand]:
        """What of it needs a person."""
        if self._error:
            yield broken(About.NODE, self.key, self._error)
        if self.view is not None:
            conditions = self.view.node.status.conditions
            yield from hands(About.NODE, self.key, conditions)
            yield from hands_beside.maintained(self.key, self.view.kube, conditions, now=self._now)


def machine_of(snapshot: Snapshot, key: Lookup, beside: Beside = NOTHING) -> MachineState | None:
    """One machine; None: there is none of that name."""
    there = key in snapshot.store.machines.objects or key in snapshot.store.machines.malformed
    return Told(snapshot, key, beside, Scope(snapshot)).state if there else None


def broken(kind: About, key: Lookup, error: str) -> Hand:
    """An object that does not decode or cannot be told of needs a person."""
    reason = "DoesNotDecode" if error.startswith("does not decode") else "Contained"
    return Hand(kind=kind, namespace=key.namespace, name=key.name, reason=reason, message=error, severity=Grade.ERROR)


def machine_state(snapshot: Snapshot, view: MachineView, beside: Beside = NOTHING) -> MachineState:
    """A machine that decodes, by what it declares. Raises what its data raises."""
    known = snapshot.known(view)
    line, status, hold = line_of(known, view), view.node.status, held(view.node, view.policy, now=snapshot.now)
    told = MachineState(
        namespace=line.namespace,
        name=line.name,
        group=line.group or None,
        phase=line.phase,
        since=line.since,
        power=status.power_state,
        wanted=line.wish or None,
        by=line.by or None,
        wished=line.wished or _wished(known),
        held=power_held(hold),
        held_until=hold.until if hold is not None else None,
        why=why(known),
        blocker=line.blocker or None,
        reading=line.reading,
        progress=line.progress,
        health=line.health,
        health_reason=line.ailment or None,
        kubernetes_node=line.kubernetes_node,
        uptime=(count_availability(status, now=snapshot.now).availability.uptime if status.phase else line.uptime)
        or None,
        energy=_energy(view, up_to_now(view, snapshot.now), beside.today(view.policy, snapshot.now)),
    )
    return _timed(snapshot, view, told)


def power_held(hold: Hold | None) -> str | None:
    """on or off; None: no hold stands."""
    return power_of(hold.power) if hold is not None else None


def _wished(known: Known) -> datetime | None:
    """Since when what is wanted stands in its status, where the wish itself does not say it."""
    stored, wish = known.node.status.wish, known.member.wish
    same = stored is not None and wish is not None and (stored.power, stored.by) == (wish.power, wish.by)
    return stored.since if stored is not None and same else None


def _now(told: MachineState, measured: float | None, now: datetime) -> MachineState:
    """With what may be another one at each moment."""
    if measured is not None:
        told = structs.replace(told, watts=measured, watts_measured=True)
    if told.ready_at is None or told.ready_by is None:
        return told
    return structs.replace(told, eta_seconds=Coming(told.ready_at, told.ready_by).seconds(now))


def _timed(snapshot: Snapshot, view: MachineView, told: MachineState) -> MachineState:
    """With what follows from its recent boots."""
    status, boots = view.node.status, boots_of(snapshot, view)
    watts = declared_watts(view.rates, view.phase, boots, known=has_energy(view.node.spec.energy))
    told = structs.replace(told, watts=watts, boot_typical_seconds=median(boots) if boots else None)
    began = set_out(status)
    if began is None:
        return told
    comes = coming(began, boots)
    return structs.replace(
        told,
        arrival=arrival(Boot(name=view.key.name, since=began, boot_seconds=boots)),
        ready_at=comes.likely if comes is not None else None,
        ready_by=comes.late if comes is not None else None,
    )


def boots_of(snapshot: Snapshot, view: MachineView, *, own: Sequence[float] | None = None) -> tuple[float, ...]:
    """Its own recent boots in seconds; of a machine without any, those of its group."""
    kin = snapshot.views.members(view.group.key) if view.group is not None else ()
    own = view.node.status.boot_seconds if own is None else own
    return recent_boots(own, (each.node.status.boot_seconds for each in kin))


def _energy(view: MachineView, account: EnergyAccount, today: str) -> EnergyState:
    money = priced(view.node, per_kwh=view.rates.per_kwh, tariff=view.policy.tariff)
    return energy_state(account, counted=account.energy_to is not None, money=money, today=today)
