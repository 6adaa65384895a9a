"""Hedges: the spare machine that is woken beside one that stays silent, so that the wait for a dead machine is one wake interval.

The spare's wish names the machine whose place it takes: from that one write on the silent one does not count, and no second
spare is asked for it. A spare is never hedged itself, so that a broken switch wakes twice what was asked for at most, and not
the whole group. Who is silent is judged in `sensing`; what becomes of machines that fail is in `sizing`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from msgspec import structs

from hexa.domain.group.sizing import Member, Replacement, asked_by_program, candidates, successors, target
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of
from hexa.domain.machine.reason import Reason
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Asker, Lookup
from hexa.domain.rules.rule import Scene

QUICK: Final = frozenset({Phase.OFF, Phase.DRAINING})
"""Phases that a spare comes up from without delay."""
PEOPLE: Final = frozenset({Asker.USER, Asker.SCHEDULE})
"""Whose off a hedge does not pass, though real demand does."""


def begun_hedges(members: Sequence[Member]) -> list[Replacement]:
    """Silent machines whose spare was asked already and which are not marked yet: a crash came between the two writes."""
    return [pair for pair in successors(members) if pair.failed.phase in COMING and not pair.failed.replaced]


def next_hedge(policy: Policy, members: Sequence[Member]) -> Replacement | None:
    """The silent machine that waits longest and the spare to wake beside it; None: nobody is silent, or there is no spare or no
    room. The target stays what it is."""
    if policy.max_size is not None and target(members) > policy.max_size:
        return None
    alone = sorted((m for m in members if may_be_hedged(m)), key=lambda m: (str(m.began or m.since or ""), str(m.key)))
    spare = next((m for m in candidates(members) if may_hedge(m)), None)
    return Replacement(alone[0], spare) if alone and spare is not None else None


def may_be_hedged(member: Member) -> bool:
    """Whether a spare may be woken beside it: silent, counted, asked for by a program, and no spare itself."""
    if not (member.silent and member.wanted and member.valid) or member.phase not in COMING or member.gave_way:
        return False
    return asked_by_program(member) and not _stands_in(member)


def _stands_in(member: Member) -> bool:
    """A spare that has neither come up nor failed since it was asked."""
    wish, tried = member.wish, member.tried_at
    if wish is None or wish.reason != Reason.HEDGE:
        return False
    return tried is None or wish.since is None or tried < wish.since


def may_hedge(member: Member) -> bool:
    """Whether a candidate is a spare: quick to come, shown to wake, not switched off by a person, and with no turn to wait for."""
    by_person = member.wish is not None and member.wish.by in PEOPLE
    return member.phase in QUICK and not (member.unproven or by_person or member.waits_for or member.put_off)


def hedged_by(members: Sequence[Member], keys: Collection[Lookup]) -> list[Lookup]:
    """Silent machines whose place these take: where these are taken back, so are they."""
    return [
        pair.failed.key for pair in successors(members) if pair.failed.phase in COMING and pair.successor.key in keys
    ]


def with_takers(members: Iterable[Member]) -> list[Member]:
    """The machines, those marked whose place another was asked to take."""
    found = list(members)
    taken = {pair.failed.key for pair in successors(found)}
    return [structs.replace(m, taken=True) if m.key in taken else m for m in found] if taken else found


# --- in words -----------------------------------------------------------------------------------------


def says(scene: Scene) -> Iterator[Finding]:
    """That another machine has its place."""
    if scene.status.replaced and phase_of(scene.status) in COMING:
        text = "no sign of life since it was woken; another machine of the group was woken beside it and has its place"
        yield Finding("Hedged", "Silent", text)


def why(member: Member, others: Sequence[Member]) -> Iterator[str]:
    """That nobody counts on a silent machine, and whose place a spare has."""
    pair = next((pair for pair in successors(others) if pair.failed.key == member.key), None)
    if member.phase in COMING and (member.replaced or pair is not None):
        who = pair.successor.key.name if pair is not None else "another machine"
        yield f"nobody counts on it: it was silent, and {who} was woken beside it; it stays if it comes while there is room"
    wish = member.wish
    if wish is not None and wish.reason == Reason.HEDGE and member.phase in (*COMING, Phase.OFF):
        yield f"it has the place of {wish.replaces}, which gave no sign of life; no spare is woken beside this one"
