"""Smart plugs and relays by HTTP: Shelly, Tasmota, and requests of one's own. They cut power and shut nothing down."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Protocol

from hexa.adapters.power.context import Context
from hexa.adapters.power.http_client import base_url, basic, bearer, digest, open_client
from hexa.adapters.power.measurements import summed
from hexa.adapters.power.outlets import Fed, Outlet, parse, told
from hexa.adapters.power.plugs import USER, Shelly, Tasmota, Template
from hexa.domain.power.outlet_problems import outlet_problems
from hexa.domain.resources.power_spec import Http, PowerSpec
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import Measurement, Power

FIRST: Final[Mapping[str, str]] = {"shelly": "0", "tasmota": "1", "template": "1"}
"""The outlet of a device that has one."""


class Device(Protocol):
    """One device's language."""

    async def switch(self, outlet: str, wanted: Reading) -> None: ...

    async def press(self, outlet: str) -> None:
        """Close the contact for a moment: a power button is wired to it."""
        ...

    async def read(self, outlet: str, *, metered: bool) -> Fed:
        """The outlet as it is; with watts where they count."""
        ...

    async def measure(self, outlet: str) -> Measurement:
        """What is drawn, and was, from the outlet."""
        ...


@asynccontextmanager
async def open_power(settings: Http, context: Context) -> AsyncIterator[Power]:
    """The outlets of a machine. Nothing is asked yet. Raises `Refused` for settings that can't be used."""
    context = context.at("http", settings.address)
    if settings.device == "template" and settings.template is None:
        raise context.refused("device template has no template", "add one, or name the device", reason="BadSettings")
    if problem := next((each for each in outlet_problems(PowerSpec(http=settings)) if each.severity == "error"), None):
        raise context.refused(problem.text, problem.remedy, reason=problem.reason)
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
        if self._settings.toggle:
            await self._press()
            return
        for outlet in self._outlets:
            await self._switch(outlet, Reading.ON)

    async def turn_off(self) -> None:
        if self._settings.toggle:
            await self._press()
            return
        raise self._context.refused(
            "an outlet can only cut the power",
            "name another driver for off, such as ssh, or allow hard",
            reason="HardNotAllowed",
        )

    async def cut(self) -> None:
        if self._settings.toggle:
            raise self._context.refused("a button cuts no power", "name another driver", reason="NotSupported")
        for outlet in self._outlets:
            await self._switch(outlet, Reading.OFF)

    async def sense(self) -> Reading:
        fed = [await self._read(outlet) for outlet in self._outlets]
        return told(fed, on_watts=self._settings.on_watts, context=self._context)

    async def measure(self) -> Measurement:
        return summed([await self._measure(outlet) for outlet in self._outlets])

    async def _measure(self, outlet: Outlet) -> Measurement:
        with self._context.at("http", outlet.address).answering():
            return await self._devices[outlet.address].measure(outlet.name)

    async def _press(self) -> None:
        for outlet in self._outlets:
            with self._context.at("http", outlet.address).answering():
                await self._devices[outlet.address].press(outlet.name)

    async def _switch(self, outlet: Outlet, wanted: Reading) -> None:
        with self._context.at("http", outlet.address).answering():
            await self._devices[outlet.address].switch(outlet.name, wanted)

    async def _read(self, outlet: Outlet) -> Fed:
        with self._context.at("http", outlet.address).answering():
            return await self._devices[outlet.address].read(outlet.name, metered=self._settings.on_watts is not None)


@asynccontextmanager
async def _open_device(settings: Http, context: Context) -> AsyncIterator[Device]:
    url = base_url(context, context.address, scheme="http")
    secret = settings.secret_name
    auth = basic(context, "" if settings.login == "query" else secret, user=USER)
    if settings.device == "template" and secret:
        auth = bearer(context, secret, otherwise=auth)
    async with open_client(context, url, tls=settings.tls, auth=auth) as client:
        client.nameless = not secret
        match settings.device:
            case "shelly":
                yield Shelly(context, client, client.with_auth(digest(context, secret, user=USER)))
            case "tasmota":
                yield Tasmota(context, client, settings)
            case "template":
                assert settings.template is not None
                yield Template(context, client, settings.template)
