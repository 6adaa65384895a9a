"""What of other machines explains a machine: the spare beside a silent one, whose place it takes, whom it waits for."""

from collections.abc import Iterator, Sequence

from hexa.domain.group.sizing import Member, successors
from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.machine.wish import HEDGE


def beside(member: Member, others: Sequence[Member]) -> Iterator[str]:
    """What a machine on its way has to do with others of its group, in sentences."""
    pair = next((pair for pair in successors(others) if pair.failed.key == member.key), None)
    if member.phase in COMING and (member.replaced or pair is not None):
        who = pair.successor.key.name if pair is not None else "another machine"
        yield f"nobody counts on it: it was silent, and {who} was woken beside it; it stays if it comes while there is room"
    if member.waits_for and member.phase in (Phase.OFF, Phase.LOST) and member.wanted:
        yield f"{', '.join(member.waits_for)} to be Ready, which it depends on (spec.dependsOn)"
    wish = member.wish
    if wish is not None and wish.reason == HEDGE and member.phase in (*COMING, Phase.OFF):
        yield f"it has the place of {wish.replaces}, which gave no sign of life; no spare is woken beside this one"
