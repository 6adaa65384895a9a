"""What a rule says: the columns of the table, and what ranks an off veto."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Generic, TypeVar

from msgspec import Struct

from hexa.domain.group.sizing import Member
from hexa.domain.machine.facts import Facts
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Node, NodeStatus, Power
from hexa.domain.rules.health import Signs
from hexa.domain.rules.notice import Tells
from hexa.domain.rules.power_cycle import CycleCase
from hexa.domain.rules.proof import Claim
from hexa.domain.rules.safe_hands import SafeHands
from hexa.domain.rules.subject import Among, Waiting


class Rank(IntEnum):
    """How far an off veto reaches."""

    SAFETY = 4
    """Above a hold: an off that is wanted, whoever wants it, is shown as Blocked and not acted on."""
    STAYS = 3
    """An off that is wanted is not acted on before the veto ends. (Whose word passes it, the rule itself says.)"""
    DELAYS = 2
    """An off that is wanted waits in the lifecycle, whose own limits know it."""
    ASKS = 1
    """No program is granted an off; one that is wanted already is acted on."""


class Scene(Struct, frozen=True, kw_only=True):
    """A machine in the status that is about to be saved, and what conditions are told by."""

    machine: Among
    status: NodeStatus
    now: datetime
    signs: Signs
    namesakes: tuple[str, ...] = ()
    """Kubernetes nodes that may be the machine's under another name, where that matters."""
    cycle_case: CycleCase | None = None
    """What a power cycle is judged by; None: nobody asks for one."""


class GroupScene(Struct, frozen=True, kw_only=True):
    """A group, and what conditions of it are told by."""

    policy: Policy
    machines: Sequence[Node]
    members: Sequence[Member]
    """The same machines as sizing sees them."""
    holder: Claim | None
    """The machine of it that may be off without wake proof."""
    safe_hands: SafeHands | None
    """The site itself is in doubt."""


class Bid(Struct, frozen=True, kw_only=True):
    """What Cluster Autoscaler asks of machines of a group at once; what it may ask of each, the other columns say."""

    power: Power
    policy: Policy
    members: Sequence[Member]
    """All machines of the group."""
    chosen: Sequence[Member]
    now: datetime


M = TypeVar("M")
Vetoes = Callable[[M, datetime], Iterable[Veto]]


class Rule(Struct, Generic[M], frozen=True, kw_only=True):
    """A row. `M` is what the rule is given of a machine: `Alone`, or `Among` others."""

    name: str
    what: str
    """In one line."""
    reason: Reason | None = None
    """Of its vetoes."""
    rank: Rank = Rank.ASKS
    off: Vetoes[M] | None = None
    """Forbids an off."""
    on: Vetoes[M] | None = None
    """Bars the machine from being chosen to wake."""
    last: Vetoes[M] | None = None
    """Makes it the last to be chosen, and bars nothing."""
    later: Vetoes[M] | None = None
    """Keeps a wake that is wanted from beginning now; the machine may be chosen all the same, and comes when its turn is."""
    again: Vetoes[M] | None = None
    """The same of a wake that was begun: it is not sent now where its Job is late, nor sent again."""
    waits: Callable[[M], tuple[str, ...]] | None = None
    """Machines that its wake waits for; it may be chosen all the same."""
    grants: Callable[[Bid], Iterable[Veto]] | None = None
    """Forbids to grant Cluster Autoscaler that several machines come, or go, at once: all of them, or none."""
    ends: Callable[[M, datetime], Iterable[datetime | None]] | None = None
    """When, by time alone, what it forbids or says changes. Those of the past do not count."""
    looked: bool = True
    """Whether the machine is looked at then. Not where the lifecycle's own limits know the moment, or nothing is to be done."""
    due: Callable[[M, Facts], datetime | None] | None = None
    """When it has something to do by time alone."""
    says: Callable[[Scene], Iterable[Finding]] | None = None
    """Conditions beside that of its vetoes."""
    says_of_group: Callable[[GroupScene], Iterable[Finding]] | None = None
    """Conditions of the group."""
    tells: Tells | None = None
    """What is told of its conditions when they begin."""
    awaits: Callable[[Waiting], Iterable[tuple[str, datetime | None]]] | None = None
    """What `hexa why` says first that a machine waits for in its phase, and until when; None: only news ends it."""
    why: Callable[[Member, Sequence[Member]], Iterator[str]] | None = None
    """What `hexa why` says that a machine waits for, of the machine and all of its group."""
    remedy: str = ""
    """What a person can do about a veto: `{name}` is the machine, or its group as an option of `hexa` where the group forbids it;
    `{machine}` is always the machine."""
