"""Which machine of each group may be off without wake proof, kept up to date by what changes.

Who claims that is judged in `domain.rules.proof`; here claims are remembered, so that one more change costs one judgement.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from hexa.app.store import Store
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.marks import leaving
from hexa.domain.machine_view import membership_of
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Lookup, Node
from hexa.domain.rules.proof import Claim, Slot, claim_of, slot_of

NO_SLOT: Final = Slot()


class Proofs:
    """The claims of every group's machines, and the one that stands. `policy`: of a group; None: there is no such group.
    `as_asked`: a machine with what a request on its group asks of it."""

    def __init__(
        self, store: Store, policy: Callable[[Lookup], Policy | None], as_asked: Callable[[Node], Node]
    ) -> None:
        self._store, self._policy, self._as_asked = store, policy, as_asked
        self._claims: dict[Lookup, dict[Lookup, Claim]] = {}
        """Of each group, those of its machines."""
        self._claimed_in: dict[Lookup, Lookup] = {}
        self._slots: dict[Lookup, Slot] = {}
        self._on_slot: list[Callable[[Lookup], None]] = []

    def on_slot(self, notify: Callable[[Lookup], None]) -> None:
        """Call `notify(group)` when another machine becomes the one of the group that may be off without wake proof."""
        self._on_slot.append(notify)

    def slot(self, group: Lookup) -> Slot:
        """The claim that stands now."""
        return self._slots.get(group, NO_SLOT)

    def beside(self, key: Lookup, group: Lookup) -> Claim | None:
        """The claim that stands, unless it is the machine's own."""
        holder = self.slot(group).holder
        return holder if holder is not None and holder.key != key else None

    def look(self, group: Lookup, now: datetime) -> None:
        """Choose anew if time alone has changed it."""
        until = self.slot(group).until
        if until is not None and now >= until:
            self._choose(group, now)

    def changed(self, key: Lookup) -> None:
        """The machine, its Kubernetes node or its group has changed: so may have its claim."""
        node, now = self._store.machines.objects.get(key), self._store.clock.now()
        group = membership_of(node) if node is not None and not leaving(node) else None
        claim = self._claim(key, node, group, now)  # raises what its data raises: then what it claimed stands
        before = self._claimed_in.pop(key, None)
        old = self._claims[before].pop(key, None) if before is not None else None
        if claim is not None and group is not None:
            self._claims.setdefault(group, {})[key] = claim
            self._claimed_in[key] = group
        if before is not None and before != group:
            self._choose(before, now)
        if group is not None and (claim != old or before not in (None, group)):
            self._choose(group, now)
        elif group is not None:
            self.look(group, now)

    def _claim(self, key: Lookup, node: Node | None, group: Lookup | None, now: datetime) -> Claim | None:
        policy = self._policy(group) if group is not None else None
        if node is None or policy is None:
            return None
        return claim_of(
            key, self._as_asked(node), self._store.nodes.objects.get(Lookup("", kube_name(node))), policy, now=now
        )

    def _choose(self, group: Lookup, now: datetime) -> None:
        before = self.slot(group).holder
        chosen = slot_of(self._claims.get(group, {}).values(), now=now)
        self._slots[group] = chosen
        if not self._claims.get(group):  # nobody claims anything: nothing is remembered of a group that may be gone
            self._claims.pop(group, None)
            del self._slots[group]
        if _shown(chosen.holder) != _shown(before):
            for notify in self._on_slot:
                notify(group)


def _shown(holder: Claim | None) -> tuple[object, ...]:
    """What others see of the claim that stands."""
    return () if holder is None else (holder.key, holder.decided, holder.dark, holder.failed)
