"""What is to be done with a machine next: one write, one act, one more look, or nothing until a moment. All are values; who carries
them out matches them exhaustively.

A write and its news belong together: what happened is told once it is stored. A write may name the group whose lock it needs: who
carries it out takes the lock, looks again, decides again, and acts on that answer.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from hexa.domain.machine.power_job import Action
from hexa.domain.news import NOTHING, News
from hexa.domain.resources.v1alpha1 import Lookup, NodeStatus, WishRecord


class Looked(StrEnum):
    """What a decision may ask to be read first."""

    JOB = "job"
    """How the recorded power Job stands."""
    ORDER = "order"
    """Whether there is a way to switch the machine, and whether the Job of this attempt is of another time."""
    PLAN = "plan"
    """The pods of its Kubernetes node, read fresh, and what a drain would do with them."""
    NAME = "name"
    """The Kubernetes node that it had, and the one that its spec names anew."""
    STUCK = "stuck"
    """What a dead kubelet keeps on its Kubernetes node, read fresh."""
    MEMBERS = "members"
    """The machines of its group as sizing sees them."""
    SITE = "site"
    """What is heard of all other kubelets."""
    UNCLAIMED = "unclaimed"
    """Kubernetes nodes that no machine claims."""
    LOAD = "load"
    """Whether pods are on it that would have to move, read fresh."""
    PRICE = "price"
    """What a kilowatt-hour has cost since its receipt was last written."""
    WOKEN = "woken"
    """When others of its group that are on their way were first woken."""
    PRICES = "prices"
    """What energy costs since the machine's account was complete, by its group's tariff."""


class Look(Struct, frozen=True, tag=True):
    """Read this, and decide again."""

    at: Looked


class Save(Struct, frozen=True, tag=True):
    """Store the status."""

    status: NodeStatus
    news: tuple[News, ...] = NOTHING
    lock: Lookup | None = None
    renewed: bool = False
    """The attempt is begun in place of one whose Job may be forgotten."""


class Want(Struct, frozen=True, tag=True):
    """Store a wish, with a change of metadata beside it."""

    wish: WishRecord
    beside: dict[str, Any] = {}
    news: tuple[News, ...] = NOTHING
    lock: Lookup | None = None


class Edit(Struct, frozen=True, tag=True):
    """Make a small change to the machine's metadata, by a merge patch."""

    body: dict[str, Any]
    news: tuple[News, ...] = NOTHING


class Start(Struct, frozen=True, tag=True):
    """Make the power Job of the saved attempt, once nobody has written the machine since; other Jobs of it end first."""

    action: Action


class EndJobs(Struct, frozen=True, tag=True):
    """End and remove the machine's power Jobs but for one."""

    keep: str = ""


class Evict(Struct, frozen=True, tag=True):
    """Ask for every eviction of the plan."""

    grace: int | None
    """Seconds that pods have at most; None: what they say."""


class MakeRoom(Struct, frozen=True, tag=True):
    """Wake another machine for the pods of the plan that fit nowhere else."""


class Welcome(Struct, frozen=True, tag=True):
    """Give the Kubernetes node back what it had, take off what is ours, and open it to pods."""

    ready_since: datetime


class Sweep(Struct, frozen=True, tag=True):
    """Remove pods that the last power-off left behind."""

    boot: datetime


class Touch(StrEnum):
    """One write to the machine's Kubernetes node, or what becomes of it."""

    CORDON = "cordon"
    UNCORDON = "uncordon"
    UNMARK = "unmark"
    SUSPEND = "suspend"
    DELETE = "delete"
    TAINT = "taint"
    """out-of-service"""
    CLEAR = "clear"
    """The same taint, off again."""


class OnNode(Struct, frozen=True, tag=True):
    """Write to the Kubernetes node. Repeated, it writes nothing more."""

    touch: Touch
    news: tuple[News, ...] = NOTHING


class Rest(Struct, frozen=True, tag=True):
    """Nothing more now."""

    until: datetime | None = None
    """When to look again by time alone; None: only news can change anything."""
    lease: datetime | None = None
    """When its kubelet's Lease would be late: to be looked at if nothing was heard by then."""


Act = Start | EndJobs | Evict | MakeRoom | Welcome | Sweep | OnNode
Decision = Look | Save | Want | Edit | Act | Rest

NO_REST: Final = Rest()
