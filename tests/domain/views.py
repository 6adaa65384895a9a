"""The site's machines as decisions see them, put together anew only where something has changed."""

from datetime import datetime
from operator import is_
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct
from tests.domain.builders import at, view

from hexa.domain.group.sizing import Member
from hexa.domain.machine_view import MachineView
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.hedge import with_takers
from hexa.domain.rules.proof import Claim, Slot, claim_of, slot_of

if TYPE_CHECKING:
    from tests.domain.site import Site


T = TypeVar("T")


class Made(Struct, Generic[T], frozen=True):
    """What was put together, of what, and until when it stands if none of that changes."""

    of: tuple[Any, ...]
    what: T
    until: datetime | None = None

    def stands(self, of: tuple[Any, ...], now: datetime) -> bool:
        """Whether it was made of the very same, and time has not changed it."""
        return len(of) == len(self.of) and all(map(is_, self.of, of)) and (self.until is None or now < self.until)


NOT_MADE: Any = Made((None,), None)


class Views:
    """Views and members of a site. They are what the stored objects say, and nothing that was watched."""

    def __init__(self, site: "Site") -> None:
        self.site = site
        self._machines: dict[str, Made[MachineView]] = dict.fromkeys(site.nodes, NOT_MADE)
        self._judged: dict[str, Made[Member]] = dict.fromkeys(site.nodes, NOT_MADE)
        self._members: Made[list[Member]] = NOT_MADE
        self._slot: Made[Claim | None] = NOT_MADE

    def of(self, name: str) -> MachineView:
        """The machine."""
        site, now = self.site, at(self.site.now)
        holder = self._holder(now)
        beside = None if holder is None or holder.key.name == name else holder
        parts = (site.nodes[name], site.group, site.boxes[name].kube, beside)
        known = self._machines[name]
        if not known.stands(parts, now):
            made = view(site.nodes[name], group=site.group, kube=site.boxes[name].kube, waits_for=beside)
            known = self._machines[name] = Made(parts, made)
        return known.what

    def _holder(self, now: datetime) -> Claim | None:
        """The machine that may be off without wake proof."""
        site = self.site
        parts = (site.group, *site.nodes.values())
        if not self._slot.stands(parts, now):
            found = (claim_of(Lookup("site", n), node, None, site.policy, now=now) for n, node in site.nodes.items())
            slot: Slot = slot_of((claim for claim in found if claim is not None), now=now)
            same = self._slot.what == slot.holder  # the very same, so that views of it stand
            self._slot = Made(parts, self._slot.what if same else slot.holder, slot.until)
        return self._slot.what

    def members(self) -> list[Member]:
        """The machines as sizing sees them. The very same list, while nothing has changed."""
        site, now = self.site, at(self.site.now)
        parts = (site.group, *site.nodes.values(), *[box.kube for box in site.boxes.values()])
        if not self._members.stands(parts, now):
            judged = [self._judge(self.of(name), now) for name in sorted(site.nodes)]
            ends = [end for end in (self._slot.until, *(each.until for each in judged)) if end is not None]
            self._members = Made(parts, with_takers(each.what for each in judged), min(ends, default=None))
        return self._members.what

    def _judge(self, machine: MachineView, now: datetime) -> Made[Member]:
        known = self._judged[machine.key.name]
        if not known.stands((machine,), now):
            known = Made((machine,), machine.member(now), machine.judged_until(now))
            self._judged[machine.key.name] = known
        return known
