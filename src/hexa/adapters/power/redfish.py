"""Redfish (DMTF DSP0266): power of one system of a management controller. Asks softly, and cuts only when told to.

It keeps no session: Basic authentication with each request needs none of the few that a controller has.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from hexa.adapters.power.context import Context
from hexa.adapters.power.http_client import Answer, Client, base_url, basic, open_client
from hexa.domain.resources.power import Redfish
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import Power

SYSTEMS: Final = "/redfish/v1/Systems"

READINGS: Final[Mapping[str, Reading]] = {
    "On": Reading.ON,
    "Paused": Reading.ON,
    "Off": Reading.OFF,
}
"""PowerState of a ComputerSystem; PoweringOn and PoweringOff are neither."""

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
    async with open_client(context, url, tls=settings.tls, auth=auth) as client:
        yield RedfishPower(settings, context, client)


class RedfishPower:
    """Implements `ports.power.HardPower`."""

    def __init__(self, settings: Redfish, context: Context, client: Client) -> None:
        self._settings = settings
        self._context = context
        self._client = client
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
                return _reading(await self._system())

    async def _switch(self, wanted: Reading, types: tuple[str, ...]) -> None:
        async with self._context.turns.take(self._settings.address):
            with self._context.answering():
                system = await self._system()
                reading = _reading(system)
                if reading is Reading.UNKNOWN:
                    types = tuple(each for each in types if each != BUTTON)
                if reading is not wanted:
                    await self._reset(system, types)

    async def _reset(self, system: Mapping[str, Any], types: tuple[str, ...]) -> None:
        action = system.get("Actions", {}).get("#ComputerSystem.Reset", {})
        allowed = await self._allowed(action)
        type_ = next((each for each in types if allowed is None or each in allowed), None)
        if type_ is None:
            what = f"it can do none of {', '.join(types)} (it can {', '.join(allowed or ['nothing'])})"
            raise self._context.refused(what, "name another driver for this", reason="NotSupported")
        target = action.get("target") or f"{self._path}/Actions/ComputerSystem.Reset"
        answer = await self._client.ask("POST", target, json={"ResetType": type_})
        if not answer.ok:
            raise self._client.odd(answer, f"the reset {type_}")

    async def _allowed(self, action: Mapping[str, Any]) -> Sequence[str] | None:
        """The types of reset that it can do, as it says beside the action or in a resource of its own; None if it does not."""
        beside: Sequence[str] | None = action.get("ResetType@Redfish.AllowableValues")
        info = action.get("@Redfish.ActionInfo")
        if beside is not None or not info:
            return beside
        body = (await self._client.ask("GET", info)).json()
        parameters = body.get("Parameters", ()) if isinstance(body, dict) else ()
        return next((each.get("AllowableValues") for each in parameters if each.get("Name") == "ResetType"), None)

    async def _system(self) -> Mapping[str, Any]:
        self._path = self._path or await self._find()
        answer = await self._client.ask("GET", self._path)
        body = answer.json()
        if answer.status == 404:
            self._path = ""
            remedy = "correct system, or leave it out where there is only one"
            raise self._context.refused(f"it has no system {self._settings.system}", remedy, reason="UnknownSystem")
        if not answer.ok or not isinstance(body, dict):
            raise self._odd(answer)
        return body

    async def _find(self) -> str:
        wanted = self._settings.system
        if wanted.startswith("/"):
            return wanted.rstrip("/")
        if wanted:
            return f"{SYSTEMS}/{wanted}"
        answer = await self._client.ask("GET", SYSTEMS)
        body = answer.json()
        if not answer.ok or not isinstance(body, dict):
            raise self._odd(answer)
        paths = [str(each["@odata.id"]) for each in body.get("Members", ())]
        if len(paths) != 1:
            what = f"it has {len(paths)} systems" + (
                f" ({', '.join(path.rpartition('/')[2] for path in paths)})" if paths else ""
            )
            raise self._context.refused(what, "say which by system", reason="UnknownSystem")
        return paths[0].rstrip("/")

    def _odd(self, answer: Answer) -> Exception:
        if answer.ok or answer.status == 404:
            what, remedy = (
                "it does not speak Redfish there",
                "correct its address, or switch Redfish on in its settings",
            )
            return self._context.refused(what, remedy, reason="NoRedfish")
        return self._client.odd(answer, "reading the power")


def _reading(system: Mapping[str, Any]) -> Reading:
    return READINGS.get(str(system.get("PowerState")), Reading.UNKNOWN)
