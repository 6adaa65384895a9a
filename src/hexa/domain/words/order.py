"""Where a machine stands among those of its group that may be woken, or rested, and what puts it there."""

from collections.abc import Iterator

from hexa.domain.group.choice import place_to_rest, place_to_wake
from hexa.domain.group.sizing import candidates, resters
from hexa.domain.group.standing import not_known
from hexa.domain.resources.v1alpha1 import OrderBy
from hexa.domain.words.known import Known


def order(known: Known) -> Iterator[str]:
    """Its place, why another comes first, and what puts it last because nobody declared it. Nothing: it is no candidate."""
    place = place_to_wake(candidates(known.others), known.member) or place_to_rest(resters(known.others), known.member)
    if place:
        yield place
        tariff = known.policy.tariff if OrderBy.COST in known.policy.order else ""
        if tariff:
            yield f"cost is that of the hour by tariff {tariff}, which the agent alone knows: Events of the Group have it"
        for key, remedy in not_known(known.member.standing):
            if tariff and key is OrderBy.COST:
                continue
            yield f"{key} is not known of it, so it is the last in that: {remedy}"
