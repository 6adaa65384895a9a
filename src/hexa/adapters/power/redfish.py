"""Redfish (DMTF DSP0266): power of one system of a management controller. Asks softly, and cuts only when told to.

While a controller starts, or switches, it answers in ways that no specification knows: what is not understood may be understood
soon, and is told as what it was. Logging in is in `redfish_login`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from hexa.adapters.power.context import Context
from hexa.adapters.power.http_client import BUSY, Answer, Client, base_url, basic, open_client, said
from hexa.adapters.power.measurements import dig, measured, shown
from hexa.adapters.power.redfish_login import Login, open_login
from hexa.domain.errors import HexaError
from hexa.domain.resources.power_spec import Redfish
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import DOUBTFUL, UNMEASURED, Measurement, Power

SYSTEMS: Final = "/redfish/v1/Systems"

READINGS: Final[Mapping[str, Reading]] = {
    "on": Reading.ON,
    "paused": Reading.ON,
    "off": Reading.OFF,
    "poweringon": Reading.UNKNOWN,
    "poweringoff": Reading.UNKNOWN,
}
"""PowerState of a ComputerSystem, however it is capitalized."""

IN_DOUBT: Final = frozenset({"starting", "updating", "intest"})
"""Status.State of a system whose PowerState Off is not of this moment, however it is capitalized."""

CHASSIS: Final = 4
"""Of a system that are asked at most: the first that measures counts."""

STARTING: Final = "its services may still be starting"

BUTTON: Final = "PushPowerButton"
ON: Final = ("On", "ForceOn", BUTTON)
SOFT: Final = ("GracefulShutdown", BUTTON)  # some controllers know no other way
HARD: Final = ("ForceOff",)
"""Types of reset that do it, best first. A button does the opposite of what is: pressed only where that is known."""


@asynccontextmanager
async def open_power(settings: Redfish, context: Context) -> AsyncIterator[Power]:
    """The power of a system. Nothing is asked yet. Raises `Refused` for settings that can't be used."""
    context = context.at("redfish", settings.address)
    url = base_url(context, settings.address, scheme="https")
    auth = basic(context, settings.secret_name)
    async with (
        open_client(context, url, tls=settings.tls, auth=auth) as client,
        open_login(client, context, secret=settings.secret_name, mode=settings.login) as login,
    ):
        client.nameless = not settings.secret_name
        yield RedfishPower(settings, context, client, login)


class RedfishPower:
    """Implements `ports.power.HardPower`."""

    def __init__(self, settings: Redfish, context: Context, client: Client, login: Login) -> None:
        self._settings = settings
        self._context = context
        self._client, self._login = client, login
        self._path = ""

    def __repr__(self) -> str:
        return f"<RedfishPower {self._settings.address}{' ' + self._path if self._path else ''}>"

    async def turn_on(self) -> None:
        await self._switch(Reading.ON, ON)

    async def turn_off(self) -> None:
        await self._switch(Reading.OFF, SOFT)

    async def cut(self) -> None:
        await self._switch(Reading.OFF, HARD)

    async def sense(self) -> Reading:
        async with self._context.turns.take(self._settings.address):
            with self._context.answering():
                system = await self._system()
        return self._told(system)

    async def measure(self) -> Measurement:
        async with self._context.turns.take(self._settings.address):
            with self._context.answering():
                links = dig(await self._system(), "Links", "Chassis")
                for link in links[:CHASSIS] if isinstance(links, list) else ():
                    if (found := await self._of_chassis(dig(link, "@odata.id"))) != UNMEASURED:
                        return found
        return UNMEASURED

    async def _of_chassis(self, path: Any) -> Measurement:
        """What a chassis measures: by its EnvironmentMetrics, which count energy too, else by its Power, which newer ones lack."""
        chassis = await self._part(path)
        metrics = await self._part(dig(chassis, "EnvironmentMetrics", "@odata.id"))
        found = measured(dig(metrics, "PowerWatts", "Reading"), dig(metrics, "EnergykWh", "Reading"))
        if found != UNMEASURED:
            return found
        power = await self._part(dig(chassis, "Power", "@odata.id"))
        return measured(dig(power, "PowerControl", 0, "PowerConsumedWatts"))

    async def _part(self, path: Any) -> Any:
        """A resource that may not be there."""
        if not isinstance(path, str) or not path:
            return None
        answer = await self._login.ask("GET", path)
        return answer.json() if answer.ok else None

    async def _switch(self, wanted: Reading, types: tuple[str, ...]) -> None:
        async with self._context.turns.take(self._settings.address):
            with self._context.answering():
                system = await self._system()
                reading = _reading(system)
                if reading is not wanted:
                    await self._reset(system, types, known=reading is not Reading.UNKNOWN)

    async def _reset(self, system: Mapping[str, Any], types: tuple[str, ...], *, known: bool) -> None:
        action = dig(system, "Actions", "#ComputerSystem.Reset")
        allowed = await self._allowed(action)
        type_ = next((each for each in types if allowed is None or each in allowed), None)
        if type_ is None:
            what = f"it can do none of {', '.join(types)} (it can {', '.join(map(str, allowed or ['nothing']))})"
            raise self._context.refused(what, "name another driver for this", reason="NotSupported")
        if type_ == BUTTON and not known:
            what = "its power is not known now, and a button does the opposite of what is"
            raise self._context.unavailable(what, "try again later", reason=DOUBTFUL)
        target = str(dig(action, "target") or f"{self._path.rstrip('/')}/Actions/ComputerSystem.Reset")
        answer = await self._login.ask("POST", target, json={"ResetType": type_})
        if not answer.ok or _failed(answer.json()):
            raise self._not_reset(answer, type_)

    def _not_reset(self, answer: Answer, type_: str) -> HexaError:
        error = self._client.odd(answer, f"the reset {type_}")
        if type_ == BUTTON and answer.status not in BUSY:
            error.reason = "BadAnswer"  # it may have been pressed, and a second press undoes the first
        return error

    async def _allowed(self, action: Any) -> Sequence[str] | None:
        """The types of reset that it can do, as it says beside the action or in a resource of its own; None if it does not: an
        empty list is one that is not filled in yet."""
        beside, info = dig(action, "ResetType@Redfish.AllowableValues"), dig(action, "@Redfish.ActionInfo")
        if (isinstance(beside, list) and beside) or not isinstance(info, str) or not info:
            return beside if isinstance(beside, list) and beside else None
        parameters = dig((await self._login.ask("GET", info)).json(), "Parameters")
        for each in parameters if isinstance(parameters, list) else ():
            if dig(each, "Name") == "ResetType" and isinstance(values := dig(each, "AllowableValues"), list):
                return values or None
        return None

    async def _system(self) -> Mapping[str, Any]:
        path = self._path or await self._find()
        answer = await self._login.ask("GET", path)
        if answer.status == 404:
            self._path = ""
            raise await self._missing(path)
        system = self._body(answer, "reading the power")
        self._path = path
        return system

    async def _find(self) -> str:
        wanted = self._settings.system
        if wanted.startswith("/"):
            return wanted
        if wanted:
            return f"{SYSTEMS}/{wanted}"
        paths = await self._members()
        if not paths:
            raise self._not_yet("it lists no system")
        if len(paths) > 1:
            what = f"it has {len(paths)} systems ({', '.join(map(_id, paths))})"
            raise self._context.refused(what, "say which by system", reason="UnknownSystem")
        return paths[0]

    async def _members(self) -> list[str]:
        """Paths of its systems, as they are written. Raises `Unavailable` where it says that there are others."""
        body = self._body(await self._login.ask("GET", SYSTEMS), "listing its systems")
        members = dig(body, "Members")
        paths = [dig(each, "@odata.id") for each in (members if isinstance(members, list) else [])]
        count = dig(body, "Members@odata.count")
        if isinstance(count, int) and count > len(paths):
            raise self._not_yet(f"it lists {len(paths)} of {count} systems")
        return [path for path in paths if isinstance(path, str) and path]

    async def _missing(self, path: str) -> HexaError:
        """Why there is no such system: because the controller has others only, or because it still starts."""
        there = await self._members()
        if there and _id(path) not in map(_id, there):
            remedy = "correct system, or leave it out where there is only one"
            return self._context.refused(f"it has no system {self._settings.system}", remedy, reason="UnknownSystem")
        return self._not_yet(f"its system {path} was answered by status 404")

    def _body(self, answer: Answer, doing: str) -> Mapping[str, Any]:
        body = answer.json()
        if answer.ok and isinstance(body, dict):
            return body
        if answer.status == 404:
            raise self._not_yet(f"{doing} was answered by status 404")
        raise self._client.odd(answer, doing)

    def _not_yet(self, what: str) -> HexaError:
        remedy = "wait; if it goes on, correct address and system, or switch Redfish on in its settings"
        return self._context.unavailable(f"{what}: {STARTING}", remedy, reason="DeviceError")

    def _told(self, system: Mapping[str, Any]) -> Reading:
        """The reading. Raises `Unavailable` for a state that can't be trusted."""
        state, result = system.get("PowerState"), _reading(system)
        if result is not Reading.UNKNOWN or str(state).lower() in _SWITCHING:
            return result
        what = f"its PowerState is {shown(state)}" if state is not None else f"it reports no PowerState{said(system)}"
        if str(state).lower() in READINGS:
            what = f"{what} while its system is {_state(system)}"
        raise self._context.unavailable(self._context.quoted(what), "wait, and look at its own page", reason=DOUBTFUL)


_SWITCHING: Final = frozenset(state for state, reading in READINGS.items() if reading is Reading.UNKNOWN)


def _reading(system: Mapping[str, Any]) -> Reading:
    result = READINGS.get(str(system.get("PowerState")).lower(), Reading.UNKNOWN)
    doubt = result is Reading.OFF and str(_state(system)).lower() in IN_DOUBT
    return Reading.UNKNOWN if doubt else result


def _failed(body: Any) -> bool:
    """Whether a body tells of an error, whatever its status. Success has the form of an error with some, and says so."""
    error = dig(body, "error")
    extended = dig(error, "@Message.ExtendedInfo")
    messages = extended if isinstance(extended, list) else []
    code = str(dig(error, "code")).lower()
    names = [code, *(str(dig(each, "MessageId") or dig(each, "MessageID")).lower() for each in messages)]
    grades = [str(dig(each, "MessageSeverity") or dig(each, "Severity")).lower() for each in messages]
    return not any("success" in name for name in names) and ("critical" in grades or code.endswith("generalerror"))


def _state(system: Mapping[str, Any]) -> Any:
    """Of its Status, which is a text for some."""
    status = system.get("Status")
    return status if isinstance(status, str) else dig(status, "State")


def _id(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
