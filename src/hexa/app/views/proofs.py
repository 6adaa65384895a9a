"""Which machine of each group may be off without wake proof. Who claims that is judged in `domain.rules.proof`."""

from typing import Final

from hexa.app.views.slots import Claimed
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.proof import Claim, Slot, claim_of, slot_of


def _shown(slot: Slot) -> tuple[object, ...]:
    """What others see of the claim that stands."""
    holder = slot.holder
    return () if holder is None else (holder.key, holder.decided, holder.dark, holder.failed)


PROOF: Final = Claimed[Claim, Slot](
    claim=lambda key, node, kube, policy, now: claim_of(key, node, kube, policy, now=now),
    stand=lambda claims, now: slot_of(claims, now=now),
    nothing=Slot(),
    seen=_shown,
)


def beside(slot: Slot, key: Lookup) -> Claim | None:
    """The claim that stands, unless it is the machine's own."""
    holder = slot.holder
    return holder if holder is not None and holder.key != key else None
