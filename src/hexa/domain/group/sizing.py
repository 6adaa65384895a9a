"""From sizes to machines: what counts in the target, who may be woken and who first, who rests first.

It sees machines as `Member`s (status, wish and vetoes already judged) and writes nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Final

from msgspec import Struct

from hexa.domain.group.member import Member as Member  # noqa: PLC0414 - who embeds imports it from here
from hexa.domain.group.standing import Standing, back, name_back, rank
from hexa.domain.group.watts import brought, together
from hexa.domain.machine.lifecycle import COMING, TRYING, Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import NOT_ASKED, PROGRAMS, UNASKED, overrules
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Asker, OrderBy

IN_TARGET: Final = frozenset(
    {
        Phase.OFF,
        Phase.POWERING_ON,
        Phase.BOOTING,
        Phase.READY,
        Phase.LOST,
        Phase.DRAINING,  # with wish on: about to turn back
        Phase.POWERING_OFF,  # with wish on: goes down, then is woken
        Phase.STOP_FAILED,
    }
)


def counts(member: Member) -> bool:
    """Whether the machine counts in the group's target: wanted on, and it can still come; or found up, and soon adopted."""
    if member.found_up:
        return True
    if member.observed:
        return member.valid and member.phase is Phase.READY
    if not member.wanted or not member.valid or member.quiet:
        return False
    if member.phase is Phase.UNKNOWN:
        return member.node_ready
    if member.phase is Phase.OFF and member.on_vetoes:
        return False
    if member.phase in COMING and member.gave_way:
        return False
    return member.phase in IN_TARGET


def for_now(member: Member) -> bool:
    """Whether it counts, and is none of minSize, so that nobody may rest in its place: it was woken for its proof and rests again,
    or it failed to start and tries again. Whoever rested would be woken again soon."""
    if not counts(member):
        return False
    tries_again = member.failures and (member.phase is Phase.OFF or member.phase in COMING)
    return bool(tries_again) or unasked(member)


def lasting(members: Iterable[Member]) -> int:
    """How many count, without those that do for now only: minSize is about these."""
    return sum(counts(member) and not for_now(member) for member in members)


def target(members: Iterable[Member]) -> int:
    """What Cluster Autoscaler is told as the group's size."""
    return sum(map(counts, members))


def room_for(policy: Policy, members: Iterable[Member]) -> int | None:
    """How many more machines maxSize has room for; None: any number."""
    return None if policy.max_size is None else max(policy.max_size - target(members), 0)


def placed(member: Member) -> bool:
    """Whether it has a place under maxSize whatever becomes of others: it counts, and waits for no machine to be up first."""
    return counts(member) and not (member.phase is Phase.OFF and member.waits_for)


WAKE_ORDER: Final = {
    Phase.DRAINING: 0,  # still on: turning back costs nothing
    Phase.OFF: 1,
    Phase.STOP_FAILED: 2,
    Phase.POWERING_OFF: 3,  # must go down first
}
"""Phases whose machine may be given a wish for on, the quickest to help first."""


def may_be_woken(member: Member) -> bool:
    """Whether a wish for on would bring the machine. One that is woken quietly is on its way already, and may yet be asked for."""
    asked = member.wanted and not (member.quiet and member.phase in COMING)
    return (
        member.valid
        and not asked
        and not member.on_vetoes
        and not member.cooling
        and not any(place.full for place in member.places)
        and (member.phase in WAKE_ORDER or member.quiet)
    )


def candidates(members: Iterable[Member]) -> list[Member]:
    """Machines that may be woken, best first: not the last by a rule, not put off by a person, quickest phase, waiting for
    no other, and first by the order of the group."""
    return sorted(filter(may_be_woken, members), key=wake_rank)


def fitting(policy: Policy, members: Sequence[Member], *, among: list[Member] | None = None) -> list[Member]:
    """Candidates, without those that maxSize has no room for because they wait for others of the group, which need places too, and
    without those that circuits have no watts or no turn for. Each is judged beside those before it. `among`: these only."""
    found = together(candidates(members) if among is None else among, members)
    if policy.max_size is None or not any(member.waits_for for member in found):
        return found
    named = {member.key.name: member for member in members}
    room, taken, fits = policy.max_size - target(members), set[str](), list[Member]()
    for member in found:
        places = {name for name in brought(member, named) if not counts(named[name])} - taken
        if member.waits_for and len(places) > room - len(taken):
            continue
        fits.append(member)
        taken |= places
    return fits


Urgency = tuple[bool, bool, int, bool]


def urgency(member: Member) -> Urgency:
    """What comes before every order of who is woken first: last by a rule, put off by a person, its phase, waiting for others."""
    put_off = member.wish is not None and member.wish.by is Asker.USER
    phase = WAKE_ORDER.get(member.phase, WAKE_ORDER[Phase.OFF])
    return bool(member.last_vetoes), put_off, phase, bool(member.waits_for)


def standing(member: Member) -> Standing:
    """Where the machine stands in its group. Without an order: fewest failures, cheapest, fastest, what is not known as 0."""
    if member.standing:
        return member.standing
    boot = median(member.boot_seconds) if member.boot_seconds else 0.0
    index = None if member.index is None else float(member.index)
    failures = float(member.failures)
    return (
        (OrderBy.RELIABILITY, failures),
        (OrderBy.COST, member.hourly),
        (OrderBy.BOOT, boot),
        (OrderBy.INDEX, index),
    )


def wake_rank(member: Member) -> tuple[Urgency, tuple[tuple[bool, float], ...], str]:
    """Sorts those first that are woken first."""
    return urgency(member), rank(standing(member)), str(member.key)


def may_rest(member: Member) -> bool:
    """Whether the machine may be given a wish for off."""
    return member.wanted and not member.off_vetoes


def resters(members: Iterable[Member]) -> list[Member]:
    """Machines that count and may rest, first to go first: not yet up, then those that came late, with the fewest pods, and last by
    the order of the group. Of those without wake proof the first only: it must come up again before the next may go."""
    found = sorted((m for m in members if counts(m) and may_rest(m)), key=rest_rank)
    risky = [member for member in found if member.unproven and member.phase is not Phase.OFF]
    return [member for member in found if member not in risky[1:]]


REST_ORDER: Final = {Phase.OFF: 0, Phase.POWERING_ON: 1, Phase.BOOTING: 2, Phase.LOST: 3}


def rest_rank(member: Member) -> tuple[int, bool, int, tuple[tuple[bool, float], ...], tuple[int, ...] | str]:
    """Sorts those first that rest first: the order of the group backwards. Without one boots don't count, nor names backwards."""
    place = REST_ORDER.get(member.phase, len(REST_ORDER))
    if member.standing:
        return place, not goes_first(member), member.pods, back(member.standing), name_back(member.key.name)
    counted = tuple(each for each in standing(member) if each[0] is not OrderBy.BOOT)
    return place, not goes_first(member), member.pods, back(counted), str(member.key)


def goes_first(member: Member) -> bool:
    """Whether it rests before those that serve: nobody waits for it, or its maintenance is planned."""
    return came_late(member) or to_be_maintained(member)


def to_be_maintained(member: Member) -> bool:
    """Whether its maintenance is planned."""
    return any(veto.reason == Reason.MAINTENANCE_PLANNED for veto in member.on_vetoes)


def came_late(member: Member) -> bool:
    """What took its place has the pods, or nobody asked for it: nobody waits for it."""
    return member.replaced or (member.wish is not None and member.wish.reason in UNASKED)


CANCELLABLE: Final = frozenset({Phase.OFF, Phase.POWERING_ON, Phase.BOOTING, Phase.UNKNOWN})
"""Phases in which a wish for on is a request not yet fulfilled, which DecreaseTargetSize may take back."""


def cancellable(members: Iterable[Member]) -> list[Member]:
    """Requests not yet fulfilled, the one furthest from coming first. Never a machine whose node is Ready."""
    open_requests = (
        m for m in members if counts(m) and m.phase in CANCELLABLE and not m.node_ready and not overrules(m.wish)
    )
    return sorted((m for m in open_requests if not _comes_anyway(m) and not to_be_idle(m)), key=rest_rank)


def to_be_idle(member: Member) -> bool:
    """Whether it was woken as a spare: nobody but hexa asked for it."""
    return member.wish is not None and member.wish.reason == Reason.SPARE


def _comes_anyway(member: Member) -> bool:
    """Others depend on it; or it is woken already, and safety forbids to switch it off."""
    needed = any(veto.reason == Reason.NEEDED for veto in member.off_vetoes)
    return needed or (member.phase is not Phase.OFF and member.fixed)


def max_size(policy: Policy, members: Sequence[Member]) -> int:
    """The size that can really come: spec.maxSize bounded by the machines that are wanted or may be woken. A group that wants all
    its machines on, or only observes, has them all."""
    able = candidates(members) if any(member.places for member in members) else [m for m in members if may_be_woken(m)]
    possible = target(members) + len(together(able, members))
    return possible if policy.max_size is None or policy.fixed else min(policy.max_size, possible)


def least_size(policy: Policy, members: Sequence[Member]) -> int:
    """What Cluster Autoscaler is told as the least size, never above the greatest: spec.minSize, or all that there are of a group
    that can neither grow nor shrink; and as many more as count for now only."""
    return max_size(policy, members) if policy.fixed else policy.min_size + sum(map(for_now, members))


def to_wake(policy: Policy, members: Sequence[Member]) -> list[Member]:
    """Machines to wake so that the group reaches minSize."""
    missing = policy.min_size - target(members)
    return fitting(policy, members)[: max(missing, 0)]


def to_keep(policy: Policy, members: Sequence[Member]) -> list[Member]:
    """Machines that hexa wanted off for maxSize, whose off a rule has put off until now, and that there is room for again."""
    waiting = [m for m in members if m.phase is Phase.READY and m.off_vetoes and _off_for_size(m) and not m.on_vetoes]
    return sorted(waiting, key=wake_rank)[: room_for(policy, members)]


def _off_for_size(member: Member) -> bool:
    """Asked for while it was up: what somebody else has switched on since is no such machine."""
    wish = member.wish
    if wish is None or member.wanted or wish.reason != Reason.MAX_SIZE or not member.valid:
        return False
    ours = wish.by in (Asker.RECOVERY, Asker.SCHEDULE)
    return ours and wish.since is not None and member.since is not None and wish.since >= member.since


def to_rest(policy: Policy, members: Sequence[Member]) -> list[Member]:
    """Machines to rest so that the group comes down to a lowered maxSize, and wishes to take back that would lift it above."""
    if policy.max_size is None:
        return []
    surplus = target(members) - policy.max_size
    waiting = sorted(filter(_waits, members), key=rest_rank)
    return waiting[: max(len(waiting) + surplus, 0)] + resters(members)[: max(surplus, 0)]


def _waits(member: Member) -> bool:
    """Not in the target now, and back in it when its next try begins."""
    next_try = member.phase in (Phase.START_FAILED, Phase.UNKNOWN) or stranded(member)
    return next_try and member.wanted and member.valid and not counts(member) and not overrules(member.wish)


class Replacement(Struct, frozen=True):
    """A machine that failed to start, and the one that takes its place."""

    failed: Member
    successor: Member


def replacements(policy: Policy, members: Sequence[Member]) -> list[Replacement]:
    """Who takes whose place: the best candidates, none above maxSize. A failed machine is not in the target any more."""
    found = fitting(policy, members)
    begun = {pair.failed.key for pair in begun_replacements(members)}
    alone = [member for member in unreplaced(members) if member.key not in begun]
    return [Replacement(*pair) for pair in zip(alone, found[: room_for(policy, members)], strict=False)]


def begun_replacements(members: Sequence[Member]) -> list[Replacement]:
    """Failed machines whose successor was asked already, before a crash came."""
    alone = {member.key for member in unreplaced(members)}
    return [pair for pair in successors(members) if pair.failed.key in alone]


def successors(members: Sequence[Member]) -> list[Replacement]:
    """Machines that do not come up, wanted on, and who was asked to take their place since that try began."""
    asked = sorted((m for m in members if m.wish is not None and m.wanted and m.wish.replaces), key=_asked_at)
    takers = {m.wish.replaces: m for m in asked if m.wish is not None}  # the last one asked: earlier ones came up since
    tried = (m for m in members if takers and m.wanted and (m.phase in TRYING or stranded(m)))
    pairs = ((failed, takers.get(failed.key.name)) for failed in tried)
    return [Replacement(failed, taker) for failed, taker in pairs if taker is not None and _asked_since(taker, failed)]


def _asked_at(member: Member) -> datetime:
    asked = member.wish.since if member.wish is not None else None
    return asked or _NEVER


def _asked_since(taker: Member, failed: Member) -> bool:
    """The wish speaks of this try, not of an earlier one."""
    asked, began = taker.wish.since if taker.wish is not None else None, _began(failed)
    return taker.key != failed.key and (began is None or (asked is not None and asked >= began))


def _began(failed: Member) -> datetime | None:
    """Begin of the try; of one that could not begin, of its wish."""
    if failed.phase is Phase.OFF:
        return failed.wish.since if failed.wish is not None else None
    return failed.began or failed.since


def stranded(member: Member) -> bool:
    """Off and wanted on, and what it depends on cannot come."""
    return member.phase is Phase.OFF and member.wanted and any(v.reason == Reason.DEPENDS_ON for v in member.on_vetoes)


def unreplaced(members: Iterable[Member]) -> list[Member]:
    """Machines that failed to start, or cannot, and whose place another may take: asked for by Cluster Autoscaler or by hexa."""
    return [member for member in members if _replaceable(member) and not member.replaced]


def half_replaced(members: Iterable[Member]) -> list[Member]:
    """Machines whose place another took, and which are still wanted."""
    return [member for member in members if _replaceable(member) and member.replaced]


def _replaceable(member: Member) -> bool:
    failed = member.phase is Phase.START_FAILED or stranded(member)
    return failed and member.wanted and asked_by_program(member)


def asked_by_program(member: Member) -> bool:
    """Whether its wish is Cluster Autoscaler's or hexa's own: any machine of the group would do."""
    wish = member.wish
    return wish is not None and wish.by in PROGRAMS and wish.reason not in NOT_ASKED


# --- exercise ---


def unasked(member: Member) -> bool:
    """Whether nobody asked for it that is up, or on its way: for the proof alone, or to see whether it works again."""
    return member.wanted and member.wish is not None and member.wish.reason in UNASKED


def exercising(members: Iterable[Member]) -> list[Member]:
    """Machines that nobody asked for."""
    return list(filter(unasked, members))


def short_of(policy: Policy, members: Iterable[Member]) -> bool:
    """Whether minSize lacks machines but for those that count for now only."""
    return lasting(members) < policy.min_size


def to_exercise(policy: Policy, members: Sequence[Member], *, now: datetime) -> Member | None:
    """The machine to wake for its proof now: off by no person's word, its last try the longest ago. One at a time, never above the
    greatest size."""
    if policy.exercise_every is None or not _room_for_one(policy, members):
        return None
    due = [m for m in _may_exercise(members) if (at := exercise_due(policy, m)) is None or at <= now]
    return min(due, key=lambda member: (member.tried_at or _NEVER, str(member.key)), default=None)


def to_probe(policy: Policy, members: Sequence[Member], *, now: datetime) -> Member | None:
    """The machine in quarantine to wake quietly now: the longest due, where the group says so, and where it can be rested again.
    One at a time, beside exercises too, and never above the greatest size."""
    if not policy.probes_wake or not _room_for_one(policy, members):
        return None
    due = [(m.probe_due, m) for m in _may_exercise(members) if m.probe_due is not None and m.probe_due <= now]
    able = [(at, m) for at, m in due if not m.fixed]
    return min(able, key=lambda pair: (pair[0], str(pair[1].key)))[1] if able else None


def next_probe(policy: Policy, members: Sequence[Member], *, now: datetime) -> datetime | None:
    """When the next quiet wake will be due by time alone."""
    dues = (member.probe_due for member in _may_exercise(members)) if policy.probes_wake else ()
    return min((due for due in dues if due is not None and due > now), default=None)


def _room_for_one(policy: Policy, members: Sequence[Member]) -> bool:
    """Whether a machine that nobody asked for may be woken: none is up, and the group is not as large as it can be."""
    if exercising(members) or any(map(_rests_again, members)):
        return False
    return target(members) < max_size(policy, members)


def _rests_again(member: Member) -> bool:
    """On its way down after its exercise."""
    down = member.phase in (Phase.READY, Phase.DRAINING, Phase.POWERING_OFF)
    return down and not member.wanted and member.wish is not None and member.wish.reason == Reason.EXERCISED


def next_exercise(policy: Policy, members: Sequence[Member], *, now: datetime) -> datetime | None:
    """When the next exercise will be due by time alone."""
    dues = (exercise_due(policy, member) for member in _may_exercise(members))
    return min((due for due in dues if due is not None and due > now), default=None)


def exercise_due(policy: Policy, member: Member) -> datetime | None:
    """When the machine's next exercise is due; None: it was never tried, or exercise is off."""
    if policy.exercise_every is None or member.tried_at is None:
        return None
    return member.tried_at + policy.exercise_every


def _may_exercise(members: Iterable[Member]) -> list[Member]:
    """Those that can be woken now and without another one: what they depend on is up, or they depend on nothing."""
    able = (m for m in members if m.phase is Phase.OFF and not m.wanted and may_be_woken(m))
    found = (m for m in able if not m.waits_for and not m.put_off)
    return [member for member in found if member.wish is None or member.wish.by not in (Asker.USER, Asker.SCHEDULE)]


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
