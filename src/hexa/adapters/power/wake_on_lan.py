"""Wake-on-LAN: turns on, and nothing else. Packets themselves are made and sent in `magic`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from hexa.adapters.power import magic
from hexa.adapters.power.context import Context
from hexa.domain.resources.power_spec import WakeOnLan
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import Power

PAUSE: Final = 0.1
"""Seconds between two sendings of a packet: a switch that has to learn its ports again loses the first ones."""


@asynccontextmanager
async def open_power(settings: WakeOnLan, context: Context) -> AsyncIterator[Power]:
    """A way to turn a machine on by its network cards. Raises `Refused` for a MAC address that is none."""
    yield WakeOnLanPower(settings, context.at("wakeOnLan", ", ".join(settings.macs)))


class WakeOnLanPower:
    """Implements `ports.power`."""

    def __init__(self, settings: WakeOnLan, context: Context) -> None:
        self._settings = settings
        self._context = context
        try:
            self._macs = [magic.parse_mac(mac) for mac in settings.macs]
        except ValueError as error:
            what, _, remedy = str(error).partition(": ")
            raise context.refused(what, remedy, reason="BadMac") from error

    def __repr__(self) -> str:
        return f"<WakeOnLanPower {self._context.address}>"

    async def turn_on(self) -> None:
        packets = self._packets()
        targets = [
            target for address in self._settings.addresses or (magic.EVERYONE,) for target in await self._at(address)
        ]
        for turn in range(self._settings.repeat):
            if turn:
                await trio.sleep(PAUSE)
            for target in targets:
                self._send(packets, target)

    async def turn_off(self) -> None:
        raise self._context.refused(
            "a magic packet can only turn a machine on", "name another driver for off, such as ssh", reason="NoWayOff"
        )

    async def sense(self) -> Reading:
        return Reading.UNKNOWN

    def _packets(self) -> list[bytes]:
        name = self._settings.secret_name
        try:
            password = magic.parse_password(self._context.needed(name, "password")) if name else b""
        except ValueError as error:
            raise self._context.refused(str(error), f"correct the Secret {name}", reason="BadSecret") from None
        return [magic.packet(mac, password) for mac in self._macs]

    async def _at(self, address: str) -> list[magic.Target]:
        found = await self._context.resolved(address, family=trio.socket.AF_INET)
        return [magic.Target(numbers, self._settings.port, self._settings.interface) for numbers in found]

    def _send(self, packets: Sequence[bytes], target: magic.Target) -> None:
        try:
            magic.send(packets, target)
        except OSError as error:
            what, _, remedy = magic.why(error, target).partition(": ")
            raise self._context.unavailable(what, remedy, reason="NotSent") from error
