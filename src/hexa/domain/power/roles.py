"""Which of a machine's drivers does what. Pure tables; it switches nothing.

A driver is chosen where a field of the spec names it, else by the order of the tables: what boots a machine before what
merely gives it power, what asks the system before what does not.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from hexa.domain.memo import remembered
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.power_spec import POWER_DRIVERS, DriverName, PowerSpec

FIELDS: Final[dict[DriverName, str]] = {"wakeOnLan": "wake_on_lan"}
"""Attribute of `PowerSpec`, where it differs from the name."""


class Ability(StrEnum):
    ON = "turnOn"
    OFF = "turnOff"
    CUT = "cut"
    SENSE = "sense"


ORDER: Final[dict[Ability, tuple[DriverName, ...]]] = {
    Ability.ON: ("redfish", "ipmi", "wakeOnLan", "script", "plugin", "pdu", "http"),
    Ability.OFF: ("ssh", "redfish", "ipmi", "script", "plugin", "http", "pdu"),
    Ability.CUT: ("redfish", "ipmi", "pdu", "http", "script", "plugin"),
    Ability.SENSE: ("redfish", "ipmi", "script", "plugin", "pdu", "http", "ssh"),
}
"""Who can do it, best first."""

OUTLETS: Final = ("pdu", "http")
"""Drivers of the socket in the wall: they tell whether it is live, and only by watts whether the machine runs. With `toggle` their
contact is a power button's: they shut down, and cut nothing."""


class Roles(Struct, frozen=True, kw_only=True):
    """Who does what; None: nobody can."""

    on: DriverName | None
    on_else: DriverName | None = None
    """Where the first one fails."""
    off: DriverName | None
    """Asks the system."""
    cut: DriverName | None
    """Takes the power away, if that is allowed."""
    sense: DriverName | None
    toggling: frozenset[DriverName] = frozenset()
    """Drivers that press a button, which does the opposite of what is."""
    metered: bool = False
    """The reading is by watts: one sample of next to nothing proves nothing."""

    @property
    def proves_off(self) -> bool:
        """Whether the reading can be Off. An SSH server that is silent is no proof."""
        return self.sense is not None and self.sense != "ssh"

    @property
    def names(self) -> tuple[DriverName, ...]:
        """Each driver that has a role."""
        return tuple(name for name in POWER_DRIVERS if name in (self.on, self.on_else, self.off, self.cut, self.sense))


@remembered
def roles(spec: PowerSpec) -> Roles | Problem:
    """Who does what, or why that can't be said."""
    given = drivers(spec)
    if not given:
        return Problem("power", "names no driver", f"add one of {', '.join(POWER_DRIVERS)}", reason="NoDriver")
    for ability, wanted in ((Ability.ON, spec.turn_on), (Ability.OFF, spec.turn_off), (Ability.SENSE, spec.sense)):
        if wanted is not None and (problem := _cannot(spec, ability, wanted)):
            return problem
    if spec.turn_on_else is not None and (problem := _no_other(spec, spec.turn_on_else)):
        return problem
    soft = spec.turn_off if spec.turn_off is not None and can(spec, Ability.OFF, spec.turn_off) else None
    off = soft or (None if spec.turn_off else _best(spec, Ability.OFF))
    cut = spec.turn_off if spec.turn_off in OUTLETS and soft is None else None
    sense = spec.sense or _sensor(spec, soft=off is not None)
    return Roles(
        on=spec.turn_on or _best(spec, Ability.ON),
        on_else=spec.turn_on_else,
        off=off,
        cut=cut or _best(spec, Ability.CUT),
        sense=sense,
        toggling=frozenset(name for name in given if toggles(spec, name)),
        metered=sense is not None and measures(spec, sense),
    )


def drivers(spec: PowerSpec) -> tuple[DriverName, ...]:
    """The drivers that the spec has settings for."""
    return tuple(name for name in POWER_DRIVERS if settings(spec, name) is not None)


def settings(spec: PowerSpec, driver: DriverName) -> object | None:
    """The settings of a driver; None if it has none."""
    found: object | None = getattr(spec, FIELDS.get(driver, driver))
    return found


def toggles(spec: PowerSpec, driver: DriverName) -> bool:
    """Whether what the driver does presses a power button."""
    return bool(getattr(settings(spec, driver), "toggle", False))


def measures(spec: PowerSpec, driver: DriverName) -> bool:
    """Whether the driver tells by watts whether the machine runs."""
    return driver in OUTLETS and getattr(settings(spec, driver), "on_watts", None) is not None


def can(spec: PowerSpec, ability: Ability, driver: DriverName) -> bool:
    """Whether the driver is able to, as it is set up."""
    if settings(spec, driver) is None or driver not in ORDER[ability]:
        return False
    if driver == "script" and spec.script is not None:
        return _SCRIPT[ability] in spec.script.can
    if driver in OUTLETS and not _outlet_can(spec, ability, driver):
        return False
    return not (toggles(spec, driver) and ability is Ability.CUT)


def _outlet_can(spec: PowerSpec, ability: Ability, driver: DriverName) -> bool:
    """A contact that presses a button shuts down, and tells nothing of the machine unless a request of its own asks."""
    template = spec.http.template if driver == "http" and spec.http is not None else None
    if ability is Ability.SENSE:
        return template.status is not None if template is not None else not toggles(spec, driver)
    return ability is not Ability.OFF or toggles(spec, driver)


_SCRIPT: Final = {Ability.ON: "on", Ability.OFF: "off", Ability.CUT: "cut", Ability.SENSE: "status"}


def _cannot(spec: PowerSpec, ability: Ability, driver: DriverName) -> Problem | None:
    able = [name for name in drivers(spec) if can(spec, ability, name) or (ability is Ability.OFF and name in OUTLETS)]
    if driver in able:
        return None
    remedy = f"name {_either(able)}, or add another driver" if able else "add a driver that can"
    what = (
        f"is {driver}, which has no settings" if settings(spec, driver) is None else f"is {driver}, which can't do that"
    )
    return Problem(ability.value, what, remedy, reason="DriverCannot")


def _no_other(spec: PowerSpec, driver: DriverName) -> Problem | None:
    """Why the driver can't stand in for the one that turns on."""
    if driver == (spec.turn_on or _best(spec, Ability.ON)):
        return Problem("turnOnElse", f"is {driver}, which is the first one", "name another", reason="DriverCannot")
    problem = _cannot(spec, Ability.ON, driver)
    return None if problem is None else structs.replace(problem, field="turnOnElse")


def _best(spec: PowerSpec, ability: Ability) -> DriverName | None:
    return next((name for name in ORDER[ability] if can(spec, ability, name)), None)


def _sensor(spec: PowerSpec, *, soft: bool) -> DriverName | None:
    """An outlet stays live when the system shuts down, so without watts it tells nothing of a machine that does."""
    for name in ORDER[Ability.SENSE]:
        if not can(spec, Ability.SENSE, name):
            continue
        if tells(spec, name, soft=soft):
            return name
    return None


def tells(spec: PowerSpec, driver: DriverName, *, soft: bool) -> bool:
    """Whether the driver's reading is the machine's, where that shuts down in order (`soft`)."""
    return driver not in OUTLETS or not soft or measures(spec, driver) or toggles(spec, driver)


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)
