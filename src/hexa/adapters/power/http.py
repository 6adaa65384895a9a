"""Smart plugs and relays by HTTP: Shelly, Tasmota, and requests of one's own. They cut power and shut nothing down."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol

from hexa.adapters.power.context import Context
from hexa.adapters.power.http_client import Client, base_url, basic, bearer, digest, open_client
from hexa.adapters.power.outlets import Fed, Outlet, parse, reading
from hexa.domain.resources.power import Http, HttpRequest, HttpTemplate
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import Power

FIRST: Final[Mapping[str, str]] = {"shelly": "0", "tasmota": "1", "template": "1"}
"""The outlet of a device that has one."""

USER: Final = "admin"
"""Of Shelly and Tasmota."""


class Device(Protocol):
    """One device's language."""

    async def switch(self, outlet: str, wanted: Reading) -> None: ...

    async def read(self, outlet: str) -> Fed: ...


@asynccontextmanager
async def open_power(settings: Http, context: Context) -> AsyncIterator[Power]:
    """The outlets of a machine. Nothing is asked yet. Raises `Refused` for settings that can't be used."""
    context = context.at("http", settings.address)
    if settings.device == "template" and settings.template is None:
        raise context.refused("device template has no template", "add one, or name the device", reason="BadSettings")
    outlets = parse(settings.outlets or (FIRST[settings.device],), settings.address)
    async with AsyncExitStack() as stack:
        devices = {
            address: await stack.enter_async_context(_open_device(settings, context.at("http", address)))
            for address in dict.fromkeys(outlet.address for outlet in outlets)
        }
        yield HttpPower(settings, context, outlets, devices)


class HttpPower:
    """Implements `ports.power.HardPower`."""

    def __init__(self, settings: Http, context: Context, outlets: list[Outlet], devices: Mapping[str, Device]) -> None:
        self._settings = settings
        self._context = context
        self._outlets = outlets
        self._devices = devices

    def __repr__(self) -> str:
        return f"<HttpPower {self._settings.device} {self._settings.address}>"

    async def turn_on(self) -> None:
        for outlet in self._outlets:
            await self._switch(outlet, Reading.ON)

    async def turn_off(self) -> None:
        raise self._context.refused(
            "an outlet can only cut the power",
            "name another driver for off, such as ssh, or allow hard",
            reason="HardNotAllowed",
        )

    async def cut(self) -> None:
        for outlet in self._outlets:
            await self._switch(outlet, Reading.OFF)

    async def sense(self) -> Reading:
        return reading([await self._read(outlet) for outlet in self._outlets], on_watts=self._settings.on_watts)

    async def _switch(self, outlet: Outlet, wanted: Reading) -> None:
        with self._context.at("http", outlet.address).answering():
            await self._devices[outlet.address].switch(outlet.name, wanted)

    async def _read(self, outlet: Outlet) -> Fed:
        with self._context.at("http", outlet.address).answering():
            return await self._devices[outlet.address].read(outlet.name)


@asynccontextmanager
async def _open_device(settings: Http, context: Context) -> AsyncIterator[Device]:
    url = base_url(context, context.address, scheme="http")
    secret = settings.secret_name
    auth = basic(context, secret, user=USER)
    if settings.device == "template" and secret:
        auth = bearer(context, secret, otherwise=auth)
    async with open_client(context, url, tls=settings.tls, auth=auth) as client:
        match settings.device:
            case "shelly":
                yield Shelly(context, client, client.with_auth(digest(context, secret, user=USER)))
            case "tasmota":
                yield Tasmota(context, client)
            case "template":
                assert settings.template is not None
                yield Template(context, client, settings.template)


class Shelly:
    """Generation 1: /relay/N with Basic authentication. From generation 2 on: /rpc/Switch.* with Digest."""

    def __init__(self, context: Context, old: Client, new: Client) -> None:
        self._context, self._old, self._new = context, old, new
        self._generation = 0

    async def switch(self, outlet: str, wanted: Reading) -> None:
        on = wanted is Reading.ON
        if await self._is_new():
            await self._ask(
                self._new, f"/rpc/Switch.Set?id={_number(self._context, outlet)}&on={str(on).lower()}", outlet
            )
        else:
            await self._ask(self._old, f"/relay/{_number(self._context, outlet)}?turn={'on' if on else 'off'}", outlet)

    async def read(self, outlet: str) -> Fed:
        number = _number(self._context, outlet)
        if await self._is_new():
            status = await self._ask(self._new, f"/rpc/Switch.GetStatus?id={number}", outlet)
            return Fed(_truth(status.get("output")), _watts(status.get("apower")))
        relay = await self._ask(self._old, f"/relay/{number}", outlet)
        meters = (await self._ask(self._old, "/status", outlet)).get("meters", [])
        watts = _watts(meters[number].get("power")) if number < len(meters) else None
        return Fed(_truth(relay.get("ison")), watts)

    async def _is_new(self) -> bool:
        """Which generation it is: /shelly tells, and needs no password."""
        if not self._generation:
            about = (await self._old.ask("GET", "/shelly")).json()
            if not isinstance(about, dict) or not ("gen" in about or "type" in about):
                raise self._context.refused("it is no Shelly", "correct its address or device", reason="WrongDevice")
            self._generation = int(about.get("gen", 1))
        return self._generation > 1

    async def _ask(self, client: Client, path: str, outlet: str) -> Mapping[str, Any]:
        answer = await client.ask("GET", path)
        body = answer.json()
        if answer.status == 404 or (answer.status in (400, 500) and "id" in answer.text.lower()):
            raise _no_outlet(self._context, outlet)
        if not answer.ok or not isinstance(body, dict):
            raise client.odd(answer, "the request")
        return body


class Tasmota:
    """/cm?cmnd=PowerN with Basic authentication, so that no password stands in a URL."""

    def __init__(self, context: Context, client: Client) -> None:
        self._context, self._client = context, client

    async def switch(self, outlet: str, wanted: Reading) -> None:
        await self._power(outlet, " On" if wanted is Reading.ON else " Off")

    async def read(self, outlet: str) -> Fed:
        state = await self._power(outlet, "")
        sensors = (await self._command("Status 10")).get("StatusSNS", {})
        watts = sensors.get("ENERGY", {}).get("Power") if isinstance(sensors, dict) else None
        if isinstance(watts, list):
            index = _number(self._context, outlet) - 1
            watts = watts[index] if index < len(watts) else None
        return Fed(Reading.ON if state == "ON" else Reading.OFF, _watts(watts))

    async def _power(self, outlet: str, argument: str) -> str:
        number = _number(self._context, outlet)
        body = await self._command(f"Power{number}{argument}")
        state = body.get(f"POWER{number}", body.get("POWER") if number == 1 else None)
        if state not in ("ON", "OFF"):
            raise _no_outlet(self._context, outlet)
        return str(state)

    async def _command(self, command: str) -> Mapping[str, Any]:
        answer = await self._client.ask("GET", "/cm", params={"cmnd": command})
        body = answer.json()
        if not answer.ok or not isinstance(body, dict):
            raise self._client.odd(answer, f"the command {command}")
        return body


class Template:
    """Requests that the settings spell out."""

    def __init__(self, context: Context, client: Client, template: HttpTemplate) -> None:
        self._context, self._client, self._template = context, client, template

    async def switch(self, outlet: str, wanted: Reading) -> None:
        request = self._template.turn_on if wanted is Reading.ON else self._template.turn_off
        await self._ask(request, outlet)

    async def read(self, outlet: str) -> Fed:
        status = self._template.status
        if status is None:
            return Fed(Reading.UNKNOWN)
        text, body = await self._ask(status, outlet)
        state = _shown(_at(body, status.state)) if status.state else text
        watts = _watts(_at(body, status.watts)) if status.watts else None
        if re.fullmatch(status.on_pattern, state):
            return Fed(Reading.ON, watts)
        return Fed(Reading.OFF if re.fullmatch(status.off_pattern, state) else Reading.UNKNOWN, watts)

    async def _ask(self, request: HttpRequest, outlet: str) -> tuple[str, Any]:
        path, body = request.path.replace("{outlet}", outlet), request.body.replace("{outlet}", outlet)
        more = {"content": body, "headers": {"Content-Type": request.content_type}} if body else {}
        answer = await self._client.ask(request.method, "/" + path.lstrip("/"), **more)
        if not answer.ok:
            raise self._client.odd(answer, f"{request.method} {request.path}")
        return answer.text, answer.json()


def _at(body: Any, path: str) -> Any:
    """relays.0.ison: keys and numbers of items, parted by dots."""
    for part in path.split("."):
        if isinstance(body, list) and part.isdigit() and int(part) < len(body):
            body = body[int(part)]
        elif isinstance(body, dict):
            body = body.get(part)
        else:
            return None
    return body


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _truth(value: Any) -> Reading:
    if isinstance(value, bool):
        return Reading.ON if value else Reading.OFF
    return Reading.UNKNOWN


def _watts(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(context: Context, outlet: str) -> int:
    if not outlet.isdigit():
        raise context.refused(f"outlet {outlet!r} is no number", "correct outlets", reason="UnknownOutlet")
    return int(outlet)


def _no_outlet(context: Context, outlet: str) -> Exception:
    return context.refused(f"it has no outlet {outlet}", "correct outlets", reason="UnknownOutlet")
