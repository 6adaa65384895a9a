"""One machine of a group as sizing sees it: status, wish and vetoes already judged."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from hexa.domain.group.standing import Standing
from hexa.domain.group.watts import Place
from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.resources.health import NodeHealth
from hexa.domain.resources.v1alpha1 import Lookup, Power, Switched, WishRecord

NOT_UP: Final = COMING | {Phase.OFF, Phase.UNKNOWN, Phase.START_FAILED}


class Member(Struct, frozen=True, kw_only=True):
    """One machine of a group as sizing sees it."""

    key: Lookup
    phase: Phase
    wish: WishRecord | None = None
    """What is wanted, a hold included."""
    node_ready: bool = False
    on_vetoes: tuple[Veto, ...] = ()
    off_vetoes: tuple[Veto, ...] = ()
    last_vetoes: tuple[Veto, ...] = ()
    """Rules by which it is the last to be woken, and that bar nothing."""
    put_off: tuple[Veto, ...] = ()
    """Rules by which its wake waits for its turn; it may be chosen all the same."""
    fixed: bool = False
    """Safety forbids its off (`rules.judge`)."""
    failures: int = 0
    boot_seconds: tuple[float, ...] = ()
    hourly: float = 0.0
    index: int | None = None
    standing: Standing = ()
    """Where it stands by the order of its group; empty: the group has none."""
    replaced: bool = False
    """It is written down that another took its place."""
    taken: bool = False
    """Another was asked to take its place (`hedge.with_takers`)."""
    silent: bool = False
    """Woken, and no sign of life for a wake interval."""
    waits_for: tuple[str, ...] = ()
    """Machines that must be up before it is woken, and are not yet."""
    places: tuple[Place, ...] = ()
    """What circuits have for it."""
    slots: int | None = None
    """How many wakes of its circuit may still begin in time; None: any number."""
    began: datetime | None = None
    """When the try to come up began that is under way, or that failed."""
    cooling: bool = False
    """Left alone after a failure."""
    valid: bool = True
    since: datetime | None = None
    switched: Switched = Switched()
    """When it was last switched, as far as that is remembered."""
    pods: int = 0
    vacant: bool = False
    """Up, and runs nothing that a drain would move; told only where the group keeps spares."""
    ill: bool = False
    """Lost or unable to join, and not off since."""
    cycling: bool = False
    """Its power is being cycled."""
    unproven: bool = False
    """It may be off only as the one of its group without wake proof."""
    tried_at: datetime | None = None
    """When a boot or a wake of it last ended, well or not."""
    health: NodeHealth = NodeHealth.UNKNOWN
    probe_due: datetime | None = None
    """When it is due for a quiet wake; None: it is in no quarantine."""
    observed: bool = False
    """Its group only observes: it counts while it is up, whatever anybody wants."""
    idle: bool = False
    """Observed, and no pods are on it that would have to move."""
    found_up: bool = False
    """Up, and not adopted yet: a first look finds out whether it stays so."""

    @property
    def quiet(self) -> bool:
        """Woken to see whether it works again: until it is up, nobody counts on it."""
        return self.wanted and self.wish is not None and self.wish.reason == Reason.PROBE and self.phase in NOT_UP

    @property
    def wanted(self) -> bool:
        return self.wish is not None and self.wish.power is Power.ON

    @property
    def gave_way(self) -> bool:
        """Another has its place, or it never had one: until it comes up after all, nobody counts on it."""
        return self.replaced or self.taken or self.quiet
