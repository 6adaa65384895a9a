"""What must be up first: a machine names others in spec.dependsOn, is woken once they are Ready, and goes before they do.

Wanting a machine on wants what it depends on; while it is on, or wanted on, those do not rest. Who depends on whom is judged here
from one machine at a time; the walk over all of them is in `app.views.dependencies`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from hexa.domain.group.sizing import Member
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.wish import PROGRAMS, overrules
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import Asker, Lookup, Node, Power, WishRecord
from hexa.domain.spelling import suggestion

FIELD: Final = "spec.dependsOn"
IDLE: Final = timedelta(minutes=10)
"""So long after the last need a machine without a group, which hexa woke for others, is left on."""
ROOM_LOOK: Final = timedelta(seconds=15)
"""Between looks at the group of a machine that others need, and that has no room for it."""
NAMED: Final = 3
"""So many machines are named in a sentence."""


def dependencies_of(node: Node) -> tuple[Lookup, ...]:
    """The machines that must be up first, as the spec names them."""
    return tuple(Lookup(node.metadata.namespace, name) for name in node.spec.depends_on)


# --- what it depends on --------------------------------------------------------------------------------------------


Place = tuple[Lookup, int]
"""A group and its maxSize."""


class State(StrEnum):
    UP = "Up"
    COMES = "Comes"
    """Not up, and nothing stands against its coming."""
    FAILS = "Fails"
    """It cannot come now."""


class Prerequisite(Struct, frozen=True):
    """A machine as those see it that depend on it."""

    key: Lookup
    state: State
    text: str = ""
    """Why it cannot come."""
    put_off: datetime | None = None
    """Since when a person wants it off."""


_FAILING: Final = {
    Phase.START_FAILED: "failed to start, and is tried again after its cool-off",
    Phase.LOST: "is lost",
}


def prerequisite_of(
    key: Lookup,
    node: Node,
    *,
    valid: bool,
    leaving: bool,
    wish: WishRecord | None,
    on_vetoes: Sequence[Veto],
    full: Place | None = None,
) -> Prerequisite:
    """What its dependents may expect of a machine. `full`: its group, where as many machines as its maxSize have a place there."""
    phase, off = phase_of(node.status), wish is not None and wish.power is Power.OFF
    held = off and overrules(wish)
    put_off = wish.since if wish is not None and off and wish.by not in PROGRAMS else None
    if leaving:
        return Prerequisite(key, State.FAILS, "is given up by hexa (released, or being deleted)")
    if phase is Phase.READY and not held:
        return Prerequisite(key, State.UP, put_off=put_off)
    if not valid:
        return Prerequisite(key, State.FAILS, "is only watched, because of its problems")
    if on_vetoes:
        return Prerequisite(key, State.FAILS, f"cannot be woken: {on_vetoes[0].message}")
    if phase in _FAILING:
        return Prerequisite(key, State.FAILS, _FAILING[phase])
    if full is not None and phase is not Phase.UNKNOWN and (wish is None or off):
        text = f"has no room: Group {full[0].name} has maxSize {full[1]}, and as many machines are on or coming"
        return Prerequisite(key, State.FAILS, text, put_off)
    return Prerequisite(key, State.COMES, put_off=put_off)


def missing(key: Lookup, *, malformed: bool) -> Prerequisite:
    """A name that no machine has."""
    what = "does not decode" if malformed else "does not exist"
    return Prerequisite(key, State.FAILS, f"{what}: create the Node, or correct {FIELD}")


# --- who depends on it ---------------------------------------------------------------------------------------------


class Need(Struct, frozen=True):
    """What a machine asks of those that it depends on."""

    key: Lookup
    wanted: bool
    """It is wanted on, and may be woken but for them."""
    on: bool
    """It is on, on its way, or may be."""
    since: datetime | None = None
    """Of its wish for on."""
    ended: datetime | None = None
    """Since when it is off."""

    @property
    def stands(self) -> bool:
        return self.on or self.wanted


def need_of(key: Lookup, node: Node, *, wish: WishRecord | None, able: bool, node_ready: bool) -> Need:
    """`able`: nothing but its dependencies keeps it from being woken."""
    phase = phase_of(node.status)
    wants = wish is not None and wish.power is Power.ON and bool(node.status.phase)  # else it is adopted as it is found
    match phase:
        case Phase.OFF:
            on = False
        case Phase.UNKNOWN:
            on = node_ready
        case Phase.START_FAILED:
            on = wants  # else it is given up until its cool-off ends
        case _:
            on = True
    since = wish.since if wish is not None and wants else None
    return Need(key, wants and able, on, since, node.status.since if phase is Phase.OFF else None)


class Crowd(Struct, frozen=True):
    """Machines of one group that must be on together, and are more than its maxSize."""

    group: Lookup
    most: int
    machines: tuple[str, ...]
    own: bool
    """The machine itself is one of them, and not only what it depends on."""

    @property
    def problem(self) -> Problem:
        together = " together" if len(self.machines) > 1 else ""
        text = (
            f"Group {self.group.name} has maxSize {self.most}, and {_listed(self.machines)} of it must be on{together}"
        )
        remedy = f"raise maxSize, or take one of them out of {FIELD}"
        return Problem(FIELD, text, remedy, reason=Reason.DEPENDS_ON)


class Ties(Struct, frozen=True):
    """What a machine has to do with others by spec.dependsOn."""

    broken: Problem | None = None
    """Its dependencies make no sense."""
    before: tuple[Prerequisite, ...] = ()
    needs: tuple[Need, ...] = ()
    crowds: tuple[Crowd, ...] = ()
    """Groups that are too small for it and what it depends on."""

    @property
    def waits(self) -> bool:
        """It depends on others."""
        return self.broken is not None or bool(self.before or self.crowds)


NO_TIES: Final = Ties()


# --- rules ---------------------------------------------------------------------------------------------------------


def wake_vetoes(ties: Ties, wish: WishRecord | None) -> Iterator[Veto]:
    """What keeps the machine from being woken, and another of its group may be chosen instead."""
    if ties.broken is not None:
        yield Veto(Reason.DEPENDS_ON, str(ties.broken))
        return
    if crowded := tuple(crowd_vetoes(ties, wish)):
        yield from crowded
        return
    for each in ties.before:
        if each.state is State.FAILS:
            yield Veto(Reason.DEPENDS_ON, f"{FIELD}: {each.key.name} {each.text}")
        elif _put_off_since(each, wish):
            yield Veto(
                Reason.DEPENDS_ON,
                f"{FIELD}: {each.key.name} was switched off by a person; switch it on, or this one again",
            )


def crowd_vetoes(ties: Ties, wish: WishRecord | None) -> Iterator[Veto]:
    """That no group has room for what must be on together. What is up has its place; a hold is above maxSize."""
    if not ties.crowds:
        return
    up = all(each.state is State.UP for each in ties.before)
    held = overrules(wish)
    for crowd in ties.crowds:
        if not up or (crowd.own and not held):
            yield Veto(Reason.DEPENDS_ON, str(crowd.problem))


def _put_off_since(each: Prerequisite, wish: WishRecord | None) -> bool:
    """Between a person's off of the one and a wish for the other, the last word counts."""
    if each.put_off is None or wish is None or wish.power is not Power.ON:
        return False
    return wish.since is not None and each.put_off > wish.since


def waits_for(ties: Ties) -> tuple[str, ...]:
    """Names of the machines that the wake waits for."""
    return tuple(each.key.name for each in ties.before if each.state is State.COMES)


def rest_vetoes(ties: Ties, wish: WishRecord | None) -> Iterator[Veto]:
    """The veto of a machine that others depend on: those that are on, and those that are wanted on, unless a person said later that
    this one goes off."""
    off = wish is not None and wish.power is Power.OFF
    standing = [need for need in ties.needs if need.on or (need.wanted and (not off or _later(need, wish)))]
    if not standing:
        return
    first = min(standing, key=lambda need: (not need.on, str(need.key)))
    names = sorted(need.key.name for need in standing)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    yield Veto(
        Reason.NEEDED,
        f"{first.key.name}{more} depends on it and is {'on' if first.on else 'wanted on'}: rest that first",
    )


def waiting(ties: Ties, *, wish: WishRecord | None, phase: Phase) -> Iterator[Finding]:
    """That a machine which is wanted on stays off for now, and for whom."""
    names = waits_for(ties)
    if names and wish is not None and wish.power is Power.ON and phase in (Phase.OFF, Phase.LOST):
        yield Finding(
            Reason.DEPENDS_ON, "Waiting", f"woken once {_listed(names)} {'is' if len(names) == 1 else 'are'} Ready"
        )


def why(member: Member, others: Sequence[Member]) -> Iterator[str]:
    """Whom it waits for."""
    if member.waits_for and member.phase in (Phase.OFF, Phase.LOST) and member.wanted:
        yield f"{', '.join(member.waits_for)} to be Ready, which it depends on (spec.dependsOn)"


def needed_wish(
    ties: Ties, wish: WishRecord | None, *, held: bool, room: bool, grouped: bool, now: datetime
) -> WishRecord | None:
    """The wish that hexa sets because of those that depend on the machine; None: the wish stands.

    On for a machine that is wanted on and depends on it, where its own group has room; over a person's off only if that machine
    was wanted later. Off again, without a group, some time after nobody needs it.
    """
    if held or not ties.needs:
        return None
    if wish is not None and wish.power is Power.ON:
        over = not grouped and wish.reason == Reason.NEEDED and (end := idle_from(ties)) is not None and end <= now
        return WishRecord(power=Power.OFF, by=Asker.RECOVERY, reason=Reason.NOT_NEEDED, since=now) if over else None
    asking = sorted((need for need in ties.needs if need.wanted and _later(need, wish)), key=lambda need: str(need.key))
    if not asking or not room:
        return None
    name = asking[0].key.name
    return WishRecord(power=Power.ON, by=Asker.RECOVERY, reason=Reason.NEEDED, since=now, needed_by=name)


def _later(need: Need, wish: WishRecord | None) -> bool:
    """Whether the need counts over an off that was asked for. Of the same second the need counts: `_put_off_since` says the
    contrary, and one of the two must wait for the other."""
    if wish is None or wish.by in PROGRAMS or wish.since is None:
        return True
    if overrules(wish):
        return False
    return need.since is not None and need.since >= wish.since


def lacks_room(ties: Ties, wish: WishRecord | None) -> bool:
    """Whether it is wanted by a machine that depends on it: asked only where it is not wanted on yet."""
    return (wish is None or wish.power is Power.OFF) and any(need.wanted and _later(need, wish) for need in ties.needs)


def room_look(ties: Ties, wish: WishRecord | None, *, now: datetime) -> datetime | None:
    """When to look again whether there is room for it now; `wish`: the recorded one."""
    return now + ROOM_LOOK if lacks_room(ties, wish) else None


def idle_from(ties: Ties) -> datetime | None:
    """From when a machine that was woken for others is not needed any more; None: it is needed, or nobody knows."""
    if any(need.stands for need in ties.needs):
        return None
    ends = [need.ended for need in ties.needs if need.ended is not None]
    return max(ends) + IDLE if ends else None


# --- what makes no sense -------------------------------------------------------------------------------------------


def broken(key: Lookup, edges: Mapping[Lookup, Sequence[Lookup]]) -> Problem | None:
    """A machine that depends on itself, directly or by others."""
    if key in edges.get(key, ()):
        return Problem(FIELD, f"{key.name} depends on itself", f"take {key.name} out of it", reason=Reason.DEPENDS_ON)
    way = _way_back(key, edges)
    if way is None:
        return None
    text = f"goes round in a circle: {' -> '.join(each.name for each in way)}; none of them can be the first"
    return Problem(
        FIELD, text, f"take {way[1].name} out of it, or break the circle at another", reason=Reason.DEPENDS_ON
    )


def _way_back(key: Lookup, edges: Mapping[Lookup, Sequence[Lookup]]) -> list[Lookup] | None:
    """The shortest circle through the machine."""
    came_from: dict[Lookup, Lookup] = {}
    front = [key]
    while front:
        following: list[Lookup] = []
        for each in front:
            for other in edges.get(each, ()):
                if other == key:
                    return [*_traced(each, key, came_from), key]
                if other not in came_from:
                    came_from[other] = each
                    following.append(other)
        front = following
    return None


def _traced(last: Lookup, first: Lookup, came_from: Mapping[Lookup, Lookup]) -> list[Lookup]:
    way = [last]
    while way[-1] != first:
        way.append(came_from[way[-1]])
    return way[::-1]


def crowds(
    key: Lookup, edges: Mapping[Lookup, Sequence[Lookup]], place: Callable[[Lookup], Place | None]
) -> tuple[Crowd, ...]:
    """Groups that have no room for the machine and all that it depends on, also by others. `place`: the machine's group; None: it
    is in none, or in one without maxSize."""
    found: dict[Place, list[Lookup]] = {}
    for each in _together(key, edges):
        if (where := place(each)) is not None:
            found.setdefault(where, []).append(each)
    return tuple(
        Crowd(group, most, tuple(each.name for each in machines), own=key in machines)
        for (group, most), machines in found.items()
        if len(machines) > most and machines != [key]
    )


def _together(key: Lookup, edges: Mapping[Lookup, Sequence[Lookup]]) -> list[Lookup]:
    """The machine and all that it depends on, the nearest first; one that depends on nothing needs nobody."""
    found = dict.fromkeys((key, *edges.get(key, ())))
    for each in (way := list(found)):
        new = [other for other in edges.get(each, ()) if other not in found]
        found.update(dict.fromkeys(new))
        way.extend(new)  # the loop goes on with them
    return way


def reference_problems(
    key: Lookup, edges: Mapping[Lookup, Sequence[Lookup]], known: Collection[Lookup] | None
) -> Iterator[Problem]:
    """What is wrong with the dependencies of a machine among others. `known`: all that there are; None: there may be more."""
    if (problem := broken(key, edges)) is not None:
        yield problem
    for index, other in enumerate(edges.get(key, ())):
        if known is None or other in known:
            continue
        close = suggestion(other.name, [each.name for each in known if each.namespace == key.namespace])
        remedy = f"did you mean {close}?" if close else "create it, or take it out; until then the machine is not woken"
        yield Problem(f"{FIELD}[{index}]", f"there is no Node {other}", remedy, reason="DependencyMissing")


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{', '.join(found[:NAMED])}{more}"
