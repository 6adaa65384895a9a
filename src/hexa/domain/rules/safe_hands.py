"""SafeHands: while the site itself is in doubt, hexa only powers on, and only for wishes that exist.

Most machines fell silent at once, the API server comes and goes, or the clock was set: what hexa believes of the site may be wrong,
so nothing is switched off, no power is cycled, no node is taken out of service, and no failure is held against a machine. It is
judged by statuses, so that an agent that starts anew sees the same; it ends by itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.resources.v1alpha1 import Group, HistoryEntry, NodeStatus, Power

AT_LEAST: Final = 2
"""One machine that falls silent is that machine's own trouble, however small the site."""
WITHIN: Final = timedelta(minutes=15)
"""Machines that fell silent longer ago count no more: by then what should come has come or has failed (maxNodeProvisionTime), and
the lifecycle has its own rules. No trouble holds a site longer than this and `CALM`."""
CALM: Final = timedelta(minutes=2)
"""Longer than a lease period, a look of the node lifecycle controller and a retry of a watch together."""
FLAPS: Final = 4
"""So often sight must be lost `FLAPPING`: three API servers that are restarted one after the other are no trouble."""
FLAPPING: Final = timedelta(minutes=10)
CLOCK: Final = timedelta(seconds=40)
"""A clock that is set by less than a lease period changes nothing that is judged."""
BEGINS: Final = timedelta(minutes=10)
"""So long after its start hexa takes machines that fall silent for those of a site that went dark before."""


class Trouble(StrEnum):
    """Why the site is in doubt. They are API: add, never rename."""

    NODES_LOST = "MostNodesLost"
    DARK_SITE = "DarkSite"
    """The same of an agent that has just started."""
    API_FLAPS = "ApiServerFlaps"
    CLOCK_SET = "ClockSet"


class SafeHands(Struct, frozen=True):
    """The site is in doubt: one value from its begin to its end."""

    trouble: str
    text: str
    since: datetime | None
    vetoes: tuple[Veto, ...] = ()


def safe_hands(trouble: Trouble, text: str, *, since: datetime) -> SafeHands:
    """The site is in doubt from now on."""
    return _standing(trouble, f"{text}: hexa only powers on until {CALM.seconds // 60} minutes were calm", since)


def _standing(trouble: str, text: str, since: datetime | None) -> SafeHands:
    return SafeHands(trouble, text, since, (Veto(Reason.SAFE_HANDS, text, of_site=True),))


# --- machines ---------------------------------------------------------------------------------------


class Standing(Struct, frozen=True):
    """A machine as the site is judged by it. One that is off on purpose, drains or never came is neither up nor fallen."""

    up: bool = False
    fallen_until: datetime | None = None
    """Until when it counts as fallen; None: it does not."""
    not_ready_since: datetime | None = None
    """Since when its kubelet, which is heard, is seen not to be Ready."""


NEITHER: Final = Standing()
"""Neither up nor fallen."""


def standing(status: NodeStatus, *, node_ready: bool, before: Standing, now: datetime) -> Standing:
    """The machine now. `before`: as it was judged last."""
    if status.wish is None or status.wish.power is not Power.ON:
        return NEITHER
    serves = phase_of(status) is Phase.READY
    since = (before.not_ready_since or now) if serves and not node_ready else None
    if since is not None:
        fallen = fallen_until(since, None, now=now)
    elif serves and before.not_ready_since is not None:
        fallen = fallen_until(before.not_ready_since, now, now=now)
    else:
        fallen = fallen_until(*_last_fall(status.history), now=now)
    return Standing(serves and node_ready, fallen, since)


def fallen_until(fell: datetime | None, back: datetime | None, *, now: datetime) -> datetime | None:
    """Until when a machine counts as fallen that fell silent at one moment and came back at another (None: it did not yet)."""
    if fell is None or not fell <= (back or now) <= now or (back or now) - fell > WITHIN:
        return None
    until = fell + WITHIN if back is None else back + CALM
    return until if until > now else None


def _last_fall(history: Sequence[HistoryEntry]) -> tuple[datetime | None, datetime | None]:
    """When a machine that was up fell silent last, and when it was Ready again."""
    back: datetime | None = None
    for entry in reversed(history):
        if entry.action == Phase.LOST:
            return entry.at, back
        if back is not None and entry.action == Phase.READY:
            break
        if entry.action == Phase.READY:
            back = entry.at
        elif entry.action in (Phase.DRAINING, Phase.POWERING_OFF):
            break
    return None, None


# --- the site ---------------------------------------------------------------------------------------


def most_fell(*, fallen: int, up: int) -> bool:
    """Whether most of the machines that should be up fell silent. `up`: those of them that are up, and did not fall."""
    return fallen >= AT_LEAST and fallen > up


def of_machines(*, fallen: int, up: int, now: datetime, born: datetime) -> SafeHands | None:
    """The site by its machines. `born`: since when this agent lives."""
    if not most_fell(fallen=fallen, up=up):
        return None
    count = f"{fallen} of {fallen + up} machines that should be up"
    if now - born < BEGINS:
        text = f"hexa has started a short time ago, and {count} are off or silent"
        return safe_hands(Trouble.DARK_SITE, text, since=now)
    return safe_hands(Trouble.NODES_LOST, f"{count} fell silent within {WITHIN.seconds // 60} minutes", since=now)


def of_sight(spells: int, *, now: datetime) -> SafeHands | None:
    """The site by how often the API server was lost `FLAPPING`; asked when it is seen again."""
    if spells < FLAPS:
        return None
    text = f"the API server was lost {spells} times within {FLAPPING.seconds // 60} minutes"
    return safe_hands(Trouble.API_FLAPS, text, since=now)


def of_clock(by: timedelta, *, now: datetime) -> SafeHands | None:
    """The site after its clock was set."""
    if abs(by) < CLOCK:
        return None
    word = "forward" if by > timedelta(0) else "back"
    return safe_hands(Trouble.CLOCK_SET, f"the clock was set {word} by {abs(by).total_seconds():.0f} s", since=now)


# --- in words ---------------------------------------------------------------------------------------


def says_of_group(stands: SafeHands | None) -> Iterator[Finding]:
    """What a person should know of each group."""
    if stands is not None:
        yield Finding(Reason.SAFE_HANDS, stands.trouble, stands.text)


def told(groups: Iterable[Group]) -> SafeHands | None:
    """What the agent has told of its groups: for who does not watch the site."""
    found = (c for group in groups for c in group.status.conditions if c.type == Reason.SAFE_HANDS)
    first = next((c for c in found if c.status == "True"), None)
    return None if first is None else _standing(first.reason, first.message, first.last_transition_time)
