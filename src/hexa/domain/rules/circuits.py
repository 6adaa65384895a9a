"""Circuits: no wake of hexa's takes a breaker, or a group, above the watts that it bears, and the wakes of a breaker begin apart.

Nobody passes the watts, a person's word included: a breaker that trips takes all of its machines down. What a circuit has for a
machine is reckoned in `group.watts`, from all machines that draw from it; here stands what follows for each.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from hexa.domain.duration import format_duration
from hexa.domain.group.sizing import Member, max_size
from hexa.domain.group.watts import Place, begins
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.policy.circuits import watts_problem
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Power
from hexa.domain.rules.rule import Scene
from hexa.domain.rules.subject import Among, Waiting

APART: Final = timedelta(milliseconds=100)
"""Between looks at those that wait for the same moment: the first in line is looked at first."""
WAKES: Final = COMING | {Phase.OFF, Phase.LOST}
"""Phases out of which, or in which, wakes are sent."""


def on(machine: Among, now: datetime) -> Iterator[Veto]:
    """A machine that is wanted on, and for which no watts are left. (One that is not wanted is not chosen: `may_be_woken`.)"""
    if not machine.places or machine.phase is not Phase.OFF:
        return
    wish = machine.wish(now)
    if wish is not None and wish.power is Power.ON:
        yield from full(machine.places)


def full(places: Sequence[Place]) -> Iterator[Veto]:
    """Of a machine's circuits those that have no watts left for it."""
    for place in places:
        if place.full:
            text, of_group = full_text(place), place.circuit.of_group
            yield Veto(Reason.CIRCUIT_FULL, text, None, field=_field(place), of_group=of_group)


def over(machine: Among, now: datetime) -> Iterator[Veto]:
    """A wake that repeats another one, or that of a lost machine, while the circuit is over its watts: the machine may be off."""
    for place in machine.places:
        if place.over and machine.phase in WAKES:
            text = f"{place.circuit.title} bears {place.circuit.watts:g} W, and its machines that are on or coming draw more"
            yield Veto(Reason.CIRCUIT_FULL, text, None, field=_field(place), of_group=place.circuit.of_group)


def _field(place: Place) -> str:
    return "spec.maxWatts" if place.circuit.of_group else "spec.circuit"


def full_text(place: Place) -> str:
    """That no watts are left, for people."""
    title, watts = place.circuit.title, f"{place.circuit.watts:g} W"
    if place.alone_too_large:
        return f"{title} bears {watts}, and the machine alone draws {place.watts:g} W"
    return f"{title} bears {watts}, and fewer than the {place.needs:g} W that this machine adds are left"


def later(machine: Among, now: datetime) -> Iterator[Veto]:
    """Another machine of the circuit began to draw less than its spacing ago."""
    for place in machine.places:
        if place.due is not None and now < place.due and machine.phase in WAKES:
            spacing = format_duration(place.circuit.spacing)
            text = f"its turn on {place.circuit.title}, whose wakes begin {spacing} apart (inrushSpacing)"
            yield Veto(Reason.INRUSH_SPACING, text, place.due + place.ahead * place.gap, "spec.circuit")


def ends(machine: Among, now: datetime) -> Iterator[datetime | None]:
    """When its turn may have come."""
    for place in machine.places:
        if place.due is not None and machine.phase in WAKES:
            yield place.due + min(place.ahead, 100) * APART


def waits(scene: Scene) -> Iterator[Finding]:
    """That the machine is wanted on, and what it waits for."""
    machine, wish = scene.machine, scene.machine.wish(scene.now)
    if phase_of(scene.status) in (Phase.OFF, Phase.LOST) and wish is not None and wish.power is Power.ON:
        for veto in (*over(machine, scene.now), *later(machine, scene.now)):
            yield Finding(veto.reason, "Waiting", veto.message)


def awaits(machine: Waiting) -> Iterator[tuple[str, datetime | None]]:
    """What the agent says that it waits for: who asks may not know the circuits."""
    if machine.phase in (Phase.OFF, Phase.LOST):
        for condition in machine.node.status.conditions:
            if condition.type in (Reason.CIRCUIT_FULL, Reason.INRUSH_SPACING):
                yield condition.message, None


def says(scene: Scene) -> Iterator[Finding]:
    """What is wrong with the watts that it says."""
    for place in scene.machine.places:
        if (problem := watts_problem(place.circuit, place.watts if place.declared else None)) is not None:
            yield Finding(problem.reason, problem.reason, str(problem))


def short(policy: Policy, members: Sequence[Member], *, size: int) -> str:
    """Why a group can't have so many machines on, where its circuits are why; empty: they are not."""
    if not any(member.places for member in members):
        return ""
    bare = [structs.replace(member, places=(), slots=None) for member in members]
    if size <= max_size(policy, members) or size > max_size(policy, bare):
        return ""
    found = (place for member in members if begins(member) for place in member.places)
    return "; ".join(dict.fromkeys(map(_left, found)))


def _left(place: Place) -> str:
    free = f"{place.circuit.title} bears {place.circuit.watts:g} W, and {max(place.room, 0.0):g} W are left"
    return f"{free}; its wakes begin {format_duration(place.circuit.spacing)} apart" if place.gap else free
