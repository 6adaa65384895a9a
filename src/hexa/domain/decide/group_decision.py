"""What is known of a group, and what is to be done with it next: values, as `decision` beside it has them for a machine. Who
carries them out matches them exhaustively.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from hexa.domain.group.sizing import Member
from hexa.domain.machine.findings import Finding
from hexa.domain.machine_view import MachineView
from hexa.domain.news import NOTHING, News
from hexa.domain.pods.pending import Pending
from hexa.domain.resources.v1alpha1 import Group, GroupStatus, Lookup, Node, NodeStatus, Shape, WishRecord
from hexa.domain.rules.safe_hands import SafeHands

# --- what is known ----------------------------------------------------------------------------------


class Pair(Struct, frozen=True):
    """A machine that does not come, and the one that was asked in its place."""

    failed: Lookup
    successor: Lookup
    hedge: bool
    """The one that does not come is silent, and may yet come; else it has failed."""


class Done(Struct, frozen=True):
    """What was read and done since this look at the group began."""

    in_use: dict[str, bool] = {}
    """Whether pods run on a machine, by its name."""
    asked: tuple[Pair, ...] = ()
    gave_way: tuple[Pair, ...] = ()
    """Those of them of which it is written down."""


NOTHING_DONE: Final = Done()


class GroupObserved(Struct, frozen=True, kw_only=True):
    """What is known of a group beside its view."""

    now: datetime
    born: datetime
    """Since when this agent lives."""
    seeing: bool
    """The snapshot is watched without a gap."""
    stored: Group
    """The group as it is stored."""
    members: tuple[Member, ...]
    """Its machines as sizing sees them."""
    machines: tuple[MachineView, ...]
    nodes: dict[str, Node]
    """The same machines by name, as they are stored."""
    found: tuple[Finding, ...] | None = None
    """What a person should know of the group; None: not gathered yet."""
    changes_at: datetime | None = None
    """When a schedule changes what the group says; None: it has none."""
    report_in: timedelta = timedelta(0)
    """Until the next report may be written: the status of a group is for people, who read no faster."""
    prices_end: datetime | None = None
    """Of its tariff's prices the last one ends then; None: they do not end."""
    safe_hands: SafeHands | None = None
    """The site itself is in doubt."""
    done: Done = NOTHING_DONE
    waiting: tuple[Pending, ...] | None = None
    """Pods that say where they can run, and wait; None: not known, or no group asks for it."""
    all_waiting: bool = True
    """Whether none of them is missing."""
    other_shapes: tuple[Shape, ...] = ()
    """What other groups are shown as, where the group is to learn its shape."""


# --- what is to be done -----------------------------------------------------------------------------


class Ask(Struct, frozen=True, tag=True):
    """Ask machines to come, or to go, in one write, under the group's lock: raises a conflict where they have changed."""

    wishes: tuple[tuple[Lookup, WishRecord], ...]
    news: tuple[News, ...]
    pairs: tuple[Pair, ...] = ()
    """In whose place they are asked."""


class WishFor(Struct, frozen=True, tag=True):
    """Store a wish on one machine, under the group's lock."""

    key: Lookup
    wish: WishRecord
    news: tuple[News, ...]
    beside: dict[str, Any] = {}
    """A change of metadata in the same patch."""


class Exchange(Struct, frozen=True, tag=True):
    """Store the requests with other machines in place of some, under the group's lock."""

    status: GroupStatus


class Replaced(Struct, frozen=True):
    """A machine whose place another takes: its status first, where that changes, then its wish, where that does."""

    key: Lookup
    status: NodeStatus | None
    wish: WishRecord | None
    news: News


class GiveWay(Struct, frozen=True, tag=True):
    """What follows from successors that were asked, machine by machine and at once; repeated, it writes nothing more."""

    replaced: tuple[Replaced, ...]
    pairs: tuple[Pair, ...]


class LookForPods(Struct, frozen=True, tag=True):
    """Look whether pods run on the machine, and decide again."""

    key: Lookup


class Gather(Struct, frozen=True, tag=True):
    """Gather what a person should know of the group, and decide again."""


class Report(Struct, frozen=True, tag=True):
    """Store the group's status."""

    status: GroupStatus
    news: tuple[News, ...] = NOTHING


class GroupRest(Struct, frozen=True, tag=True):
    """Nothing more now."""

    until: datetime | None = None


Locked = Ask | WishFor | Exchange | LookForPods
GroupDecision = Locked | GiveWay | Gather | Report | GroupRest
Todo = GroupDecision | datetime | None
