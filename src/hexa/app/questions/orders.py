"""A person's word over a machine that comes over HTTP: written as `hexa on`, `hexa off` and `hexa auto` write it.

A wake is a hold that ends. It never goes against another's word: what is held off stays off, and what is held on longer stays so.
Programs ask for it, so it does not do what only a person's hold may: on battery, or before maintenance, nobody is woken by it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import trio
from msgspec import Struct

from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.commands.switch import Answer, Change, write
from hexa.domain.duration import parse_duration
from hexa.domain.errors import Conflict, NotFound
from hexa.domain.machine.kube_conditions import PLANNED, by_others, in_words
from hexa.domain.machine.reason import Reason
from hexa.domain.machine_view import MachineView
from hexa.domain.policy.problem import Problem
from hexa.domain.policy.values import active_hold, power_of
from hexa.domain.resources.v1alpha1 import Hold, Lookup, Power
from hexa.domain.words.orders import LONGEST, WOKEN_FOR, HoldBody, Ordered, WakeBody
from hexa.ports.journal import Journal
from hexa.ports.kube import Kube
from hexa.ports.questions import Unfit

PAUSES: Final = (0.05, 0.2, 1.0)
"""Seconds until a wake is decided anew where somebody else wrote the machine meanwhile: the watch brings what."""
HELD_OFF: Final = "HeldOff"
BROKEN: Final = "DoesNotDecode"
FINAL: Final = frozenset({HELD_OFF, BROKEN, Reason.ON_BATTERY, Reason.MAINTENANCE_PLANNED})
"""Conflicts that no new look resolves."""
NAME: Final = 200
"""Characters of a caller's name that are written."""
LITTLE: Final = 0.1
"""A wake that would move the end by less than this share of its length writes nothing."""


class _Wanted(Struct, frozen=True):
    """What a wake wants of a machine."""

    until: datetime
    own: Hold | None
    """The machine's hold while it stands."""
    stands: bool = False
    """It is held on about so long already."""


class HoldOrders:
    """Implements `ports.questions.Orders`."""

    def __init__(self, kube: Kube, snapshot: Callable[[], Snapshot], journal: Journal) -> None:
        self._kube, self._snapshot, self._journal = kube, snapshot, journal

    async def hold(self, machine: Lookup, body: HoldBody, *, by: str) -> Ordered:
        snapshot = self._snapshot()
        self._view(snapshot, machine)
        until = _end(body, snapshot.now)
        if body.power == "auto":
            change = Change(field="hold", value=None, done="no longer held", looks_ahead=False)
        else:
            value = {"power": body.power, "reason": _reason(body.reason, by), "makeRoom": body.make_room or None}
            change = _hold(value, until)
        return await self._written(snapshot, machine, change, by=by, until=until)

    async def wake(self, machine: Lookup, body: WakeBody, *, by: str) -> Ordered:
        for pause in PAUSES:
            try:
                return await self._wake(machine, body, by)
            except NotFound:
                raise
            except Conflict as error:
                if error.reason in FINAL:
                    raise
            await trio.sleep(pause)
        return await self._wake(machine, body, by)

    async def _wake(self, machine: Lookup, body: WakeBody, by: str) -> Ordered:
        snapshot = self._snapshot()
        view = self._view(snapshot, machine)
        wanted = _wanted(view, body, snapshot.now)
        if wanted.stands:
            return _stands(machine, wanted)
        reason = wanted.own.reason if wanted.own is not None and not body.reason else _reason(body.reason, by)
        read = view.node.metadata.resource_version
        change = _hold({"power": "on", "reason": reason, "makeRoom": None}, wanted.until, read=read)
        return await self._written(snapshot, machine, change, by=by, until=wanted.until)

    def awake(self, machine: Lookup, body: WakeBody) -> Ordered | None:
        snapshot = self._snapshot()
        wanted = _wanted(self._view(snapshot, machine), body, snapshot.now)
        return _stands(machine, wanted) if wanted.stands else None

    def _view(self, snapshot: Snapshot, key: Lookup) -> MachineView:
        view = snapshot.views.machine(key)
        if view is None and key in snapshot.store.machines.malformed:
            raise Conflict(f"{key} does not decode, and nothing is done to it: hexa why {key}", reason=BROKEN)
        if view is None:
            raise NotFound(f"there is no machine {key}")
        return view

    async def _written(
        self, snapshot: Snapshot, key: Lookup, change: Change, *, by: str, until: datetime | None
    ) -> Ordered:
        (answer,) = await write(self._kube, snapshot, change, machines=[str(key)], groups=[], namespace=key.namespace)
        self._tell(key, answer, by)
        if answer.error is not None:
            raise answer.error
        return Ordered(machine=str(key), text=answer.text, changed=True, warnings=answer.warnings, until=until)

    def _tell(self, key: Lookup, answer: Answer, by: str) -> None:
        failed = {"error": answer.text} if answer.error is not None else {"done": answer.text}
        self._journal.log("asked over HTTP", machine=str(key), by=by[:NAME], **failed)


def _hold(value: dict[str, Any], until: datetime | None, *, read: str = "") -> Change:
    ends = f"until {until.isoformat(timespec='seconds')}" if until is not None else "without an end"
    end = until.isoformat() if until is not None else None
    done = f"held {value['power']} {ends}"
    return Change(field="hold", value={**value, "until": end}, done=done, read=read, looks_ahead=False)


def _reason(reason: str, by: str) -> str:
    return f"{reason} ({by[:NAME]})" if reason else f"asked over HTTP by {by[:NAME]}"


# --- how long -------------------------------------------------------------------------------------------------------


def _end(body: HoldBody, now: datetime) -> datetime | None:
    """When the hold ends; None: not by itself. Raises `Unfit`."""
    if body.for_ and body.until is not None:
        raise _unfit("until", "for and until exclude each other", "leave out one of the two")
    if body.power == "auto" and (body.for_ or body.until is not None or body.make_room):
        raise _unfit("power", "auto ends a hold at once", "leave out for, until and makeRoom")
    if body.power == "on" and body.make_room:
        raise _unfit("makeRoom", "it is about pods of a machine that goes off", "leave it out, or set power: off")
    if body.until is not None:
        return _whole(body.until, now, field="until")
    return _whole(now + _span(body.for_), now, field="for") if body.for_ else None


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise _unfit("for", str(error), "write one such as 90m or 3h") from None
    if span > LONGEST:
        raise _unfit("for", f"{text} is longer than a year", "name an end within a year, or hold without one")
    return span


def _whole(moment: datetime, now: datetime, *, field: str) -> datetime:
    """In whole seconds, none lost. Raises `Unfit`."""
    if moment <= now:
        raise _unfit(field, "that is not in the future", "name a later end")
    if moment > now + LONGEST:
        raise _unfit(field, "that is more than a year away", "name an end within a year, or hold without one")
    return (moment + timedelta(microseconds=999_999)).astimezone(UTC).replace(microsecond=0)


def _unfit(field: str, text: str, remedy: str) -> Unfit:
    return Unfit(Problem(field, text, remedy, reason="BadRequest"))


def _wanted(view: MachineView, body: WakeBody, now: datetime) -> _Wanted:
    """What the wake comes to. Raises `Unfit`, and `Conflict` where the machine is held off, or no program may wake it."""
    span = _span(body.for_) if body.for_ else WOKEN_FOR
    until = _whole(now + span, now, field="for")
    own, group = active_hold(view.node.spec.hold, now=now), active_hold(view.policy.hold, now=now)
    for hold, remedy in ((own, f"hexa auto {view.key}"), (group, f"hexa auto --group {view.policy.name}")):
        if hold is not None and power_of(hold.power) is Power.OFF:
            why = f": {hold.reason}" if hold.reason else ""
            raise Conflict(f"{view.key} is held off{why}; {remedy} lets go of it", reason=HELD_OFF)
        if hold is not None and (hold.until is None or hold.until >= until - span * LITTLE):
            return _Wanted(hold.until or until, own, stands=True)
        if hold is not None:
            break  # the machine's own counts before its group's
    if (barred := _barred(view)) is not None:
        reason, why = barred
        raise Conflict(
            f"{view.key} is woken by no program: {why}; hexa on {view.key} wakes it all the same", reason=reason
        )
    return _Wanted(until, own)


def _barred(view: MachineView) -> tuple[Reason, str] | None:
    """What no program wakes the machine against, however its wish is written."""
    battery, planned = view.policy.battery, by_others(view.kube, PLANNED)
    if battery is not None and battery.bars:
        return Reason.ON_BATTERY, battery.text
    return (Reason.MAINTENANCE_PLANNED, f"maintenance is planned{in_words(planned)}") if planned is not None else None


def _stands(machine: Lookup, wanted: _Wanted) -> Ordered:
    text = "held on already"
    return Ordered(machine=str(machine), text=text, changed=False, until=wanted.until)
