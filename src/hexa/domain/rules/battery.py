"""A UPS on battery: no program wakes a machine, and from a threshold on machines go off in order, until mains and charge are back.

The off is a wish of its own (`ups`), beneath a person's hold and above all else: nothing is written over, so that what was wanted
before is wanted again once it ends. Only what the UPS says clearly counts: what is unknown switches nothing off.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from hexa.domain.duration import format_duration
from hexa.domain.machine.findings import Finding
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.machine.power_job import current
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.wish import effective_wish
from hexa.domain.policy.battery import DEFAULT, OnBattery, Threshold
from hexa.domain.power.ups import Supply, UpsReading
from hexa.domain.resources.v1alpha1 import Asker, Group, Lookup, NodeStatus, Power
from hexa.domain.rules.subject import Alone

UNKNOWN_FOR: Final = timedelta(minutes=30)
"""So long a UPS that was on battery and is not heard is taken to be on battery still. Then what is wanted comes: in doubt hexa
powers on."""

BY_HAND: Final = frozenset({Asker.HOLD, Asker.USER})
"""Somebody who knows what the battery bears."""


class State(StrEnum):
    """What a UPS means for a group: the reason of the condition. API: add, never rename."""

    ON_BATTERY = "OnBattery"
    ORDERED_OFF = "OrderedOff"
    CHARGING = "Charging"
    """Mains are back, and machines that were ordered off wait for the charge."""
    UNKNOWN = "UpsUnknown"
    NOT_HEARD = "UpsNotHeard"
    """The UPS was on mains when it was last heard, if ever: nothing follows from it."""


class Rules(Struct, frozen=True):
    """What the configuration says of the UPS."""

    off: Threshold = DEFAULT
    back: float = 80.0
    """Percent of charge, with mains, from which machines come back."""


class Battery(Struct, frozen=True, kw_only=True):
    """What is known of the UPS, and who is ordered off by it."""

    supply: Supply = Supply.UNKNOWN
    since: datetime
    """Since when it is so."""
    ordered: frozenset[Lookup] = frozenset()
    """Groups whose machines are to be off, until it ends."""
    low: frozenset[Lookup] = frozenset()
    """Groups whose threshold was reached by the last reading: the next must say so too."""
    battery: bool = False
    """It was on battery when it was last heard."""
    trouble: str = ""


def begun(machines: Mapping[Lookup, Iterable[NodeStatus]], *, now: datetime) -> Battery:
    """What an agent that starts knows: groups with machines that are off by the UPS go on so until it is heard."""
    ordered = frozenset(
        group
        for group, statuses in machines.items()
        if any(each.wish is not None and each.wish.by is Asker.UPS for each in statuses)
    )
    return Battery(since=now, ordered=ordered, battery=bool(ordered))


def judged(
    before: Battery, reading: UpsReading, *, rules: Rules, groups: Mapping[Lookup, Threshold | None], now: datetime
) -> Battery:
    """What follows from a reading. `groups`: each with what it says of itself. One reading orders nobody off: drivers tell a charge
    of 0 for a moment when the cable of a UPS is put in again."""
    since = before.since if reading.supply is before.supply else now
    if reading.supply is Supply.UNKNOWN:
        lasts = before.battery and now - since < UNKNOWN_FOR
        ordered = before.ordered if lasts else frozenset[Lookup]()
        trouble = before.trouble or reading.trouble  # the first one: a text that changes is no news
        return Battery(since=since, ordered=ordered, battery=lasts, trouble=trouble)
    if reading.supply is Supply.BATTERY:
        low = frozenset(group for group, own in groups.items() if reached(reading, threshold(own, rules.off)))
        ordered = before.ordered | (low & before.low)
        return Battery(supply=reading.supply, since=since, ordered=ordered, low=low, battery=True)
    charging = reading.charge is not None and reading.charge < rules.back
    return Battery(supply=reading.supply, since=since, ordered=before.ordered if charging else frozenset())


def threshold(own: Threshold | None, site: Threshold) -> Threshold:
    """The group's, and what it leaves open as the site has it."""
    if own is None:
        return site
    charge, runtime = own.charge, own.runtime
    return Threshold(site.charge if charge is None else charge, site.runtime if runtime is None else runtime)


def reached(reading: UpsReading, at: Threshold) -> bool:
    """Whether the battery is down to the threshold. One that says itself that it is low is, unless the threshold is never."""
    charge, runtime = at.charge or 0.0, at.runtime or timedelta(0)
    by_charge = reading.charge is not None and charge > 0 and reading.charge <= charge
    by_runtime = reading.runtime is not None and timedelta(0) < runtime and reading.runtime <= runtime
    return by_charge or by_runtime or (reading.low and (charge > 0 or runtime > timedelta(0)))


def of_group(known: Battery, group: Lookup) -> OnBattery | None:
    """What it means for the machines of the group; None: nothing."""
    ordered, heard = group in known.ordered, known.supply is not Supply.UNKNOWN
    bars = known.battery or ordered
    if not bars and (heard or not known.trouble):
        return None
    goes = ordered and known.supply is Supply.BATTERY
    state = _state(known, ordered) if bars else State.NOT_HEARD
    text = f"{TEXTS[state]}: {known.trouble}" if known.trouble else TEXTS[state]
    return OnBattery(reason=state, text=text, since=known.since, bars=bars, ordered=ordered, goes=goes)


def _state(known: Battery, ordered: bool) -> State:
    if known.supply is Supply.UNKNOWN:
        return State.UNKNOWN
    if known.supply is Supply.MAINS:
        return State.CHARGING
    return State.ORDERED_OFF if ordered else State.ON_BATTERY


TEXTS: Final[Mapping[str, str]] = {
    State.ON_BATTERY: "the UPS is on battery: no program wakes a machine",
    State.ORDERED_OFF: "the battery of the UPS is down to the threshold: machines are drained and switched off",
    State.CHARGING: "mains are back: machines that went off on battery come once it is charged",
    State.UNKNOWN: f"the UPS was on battery and is not heard: for {format_duration(UNKNOWN_FOR)} no program wakes a machine, and "
    "none is switched off for it",
    State.NOT_HEARD: "the UPS is not heard, and nothing is switched off for it",
}


# --- the rule ---------------------------------------------------------------------------------------


def off(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """The UPS's own off is not begun while it is unclear whether it still is on battery, or mains are back."""
    stands = machine.policy.battery
    if stands is None or not stands.ordered or stands.goes:
        return ()
    wish, status = effective_wish(machine.node, machine.policy, now=now), machine.node.status
    begun = phase_of(status) is Phase.POWERING_OFF and current(status) is not None
    if wish is None or wish.by is not Asker.UPS or phase_of(status) is Phase.OFF or begun:
        return ()
    return (Veto(Reason.ON_BATTERY, stands.text, of_group=True),)


def on(machine: Alone, now: datetime) -> tuple[Veto, ...]:
    """No program wakes it; a person does."""
    stands = machine.policy.battery
    if stands is None or not stands.bars:
        return ()
    wish = effective_wish(machine.node, machine.policy, now=now)
    if wish is not None and wish.power is Power.ON and wish.by in BY_HAND:
        return ()
    return (Veto(Reason.ON_BATTERY, stands.text, of_group=True),)


# --- in words ---------------------------------------------------------------------------------------


def says_of_group(stands: OnBattery | None) -> Iterator[Finding]:
    """What a person should know of each group."""
    if stands is not None:
        yield Finding(Reason.ON_BATTERY if stands.bars else State.NOT_HEARD, stands.reason, stands.text)


def told(group: Group, *, now: datetime) -> OnBattery | None:
    """What the agent has told of the group: for who does not ask the UPS."""
    standing = (c for c in group.status.conditions if c.type == Reason.ON_BATTERY and c.status == "True")
    found = next(standing, None)
    if found is None:
        return None
    ordered, since = found.reason in (State.ORDERED_OFF, State.CHARGING), found.last_transition_time or now
    goes = found.reason == State.ORDERED_OFF
    return OnBattery(reason=found.reason, text=found.message, since=since, ordered=ordered, goes=goes)
