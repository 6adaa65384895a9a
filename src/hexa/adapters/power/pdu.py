"""Outlets of power distribution units by SNMP. They cut power and shut nothing down. puresnmp is imported here only.

puresnmp makes and reads the messages of SNMP 1, 2c and 3; packets go by our own socket, on Trio.
"""

import re
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import puresnmp
import puresnmp.exc
import trio
from puresnmp.credentials import Auth, Credentials, Priv
from x690.types import Integer, ObjectIdentifier, OctetString

from hexa.adapters.power.context import Context
from hexa.adapters.power.measurements import Figure, figure, measured, shown, summed
from hexa.adapters.power.outlets import Fed, Outlet, fed, parse, told
from hexa.domain.errors import HexaError
from hexa.domain.power.outlet_problems import OID, outlet_problems
from hexa.domain.resources.power_spec import Pdu, PowerSpec, SnmpOids, SnmpValue
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import UNMEASURED, Measurement, Power

warnings.filterwarnings("ignore", module="puresnmp")  # of SNMP 1, and of the ciphers that SNMP 3 asks for

ASK_AGAIN: Final = 1.0
"""Seconds after which a packet without an answer is sent again: UDP loses some."""

_APC: Final = "1.3.6.1.4.1.318.1.1"

PROFILES: Final[Mapping[str, SnmpOids]] = {
    # PowerNet-MIB sPDUOutletCtl: outletOn(1), outletOff(2), read and written alike
    "apc-masterswitch": SnmpOids(state=f"{_APC}.4.4.2.1.3", on_state=1, off_state=2, turn_on=1, turn_off=2),
    # PowerNet-MIB rPDUOutletControlOutletCommand: immediateOn(1), immediateOff(2)
    "apc-rpdu": SnmpOids(state=f"{_APC}.12.3.3.1.1.4", on_state=1, off_state=2, turn_on=1, turn_off=2),
    # PowerNet-MIB rPDU2OutletSwitchedControlCommand: immediateOn(1), immediateOff(2)
    "apc-rpdu2": SnmpOids(state=f"{_APC}.26.9.2.4.1.5", on_state=1, off_state=2, turn_on=1, turn_off=2),
    # Managed ePDU (534.6.6.6): off(0), on(1)
    "eaton-managed": SnmpOids(state="1.3.6.1.4.1.534.6.6.6.1.2.2.1.3", on_state=1, off_state=0, turn_on=1, turn_off=0),
    # PDU2-MIB, first PDU of a chain. outletSwitchingState: on(7), off(8); outletSwitchingOperation: off(0), on(1)
    "raritan-px2": SnmpOids(
        state="1.3.6.1.4.1.13742.6.4.1.2.1.3.1",
        on_state=7,
        off_state=8,
        control="1.3.6.1.4.1.13742.6.4.1.2.1.2.1",
        turn_on=1,
        turn_off=0,
    ),
}


WORDS: Final[Mapping[int | str, Reading]] = {
    "on": Reading.ON,
    "outleton": Reading.ON,
    "off": Reading.OFF,
    "outletoff": Reading.OFF,
}
"""States that some PDUs tell as a text; others are named by onState and offState."""


@asynccontextmanager
async def open_power(settings: Pdu, context: Context) -> AsyncIterator[Power]:
    """The outlets of a machine. Nothing is asked yet. Raises `Refused` for settings that can't be used."""
    context = context.at("pdu", settings.address)
    oids = settings.oids or (PROFILES[settings.profile] if settings.profile else None)
    if oids is None:
        known = ", ".join(PROFILES)
        raise context.refused("it names no profile and no oids", f"add profile ({known}) or oids", reason="BadSettings")
    if settings.on_watts is not None and not oids.watts:
        raise context.refused(
            "onWatts needs an OID of watts", "add oids.watts, or remove onWatts", reason="BadSettings"
        )
    problems = outlet_problems(PowerSpec(pdu=settings))
    if problem := next((each for each in problems if each.severity == "error"), None):
        raise context.refused(problem.text, problem.remedy, reason=problem.reason)
    yield PduPower(settings, context, oids)


class PduPower:
    """Implements `ports.power.HardPower`."""

    def __init__(self, settings: Pdu, context: Context, oids: SnmpOids) -> None:
        self._settings = settings
        self._context = context
        self._oids = oids
        self._outlets = parse(settings.outlets, settings.address)

    def __repr__(self) -> str:
        return f"<PduPower {', '.join(f'{each.address}/{each.name}' for each in self._outlets)}>"

    async def turn_on(self) -> None:
        for outlet in self._outlets:
            await self._switch(outlet, self._oids.turn_on, self._oids.control_on)

    async def turn_off(self) -> None:
        if self._settings.toggle:  # a pulse on the machine's power button
            return await self.turn_on()
        raise self._context.refused(
            "an outlet can only cut the power",
            "name another driver for off, such as ssh, or allow hard",
            reason="HardNotAllowed",
        )

    async def cut(self) -> None:
        if self._settings.toggle:
            raise self._context.refused("a button cuts no power", "name another driver", reason="NotSupported")
        for outlet in self._outlets:
            await self._switch(outlet, self._oids.turn_off, self._oids.control_off)

    async def sense(self) -> Reading:
        fed = [await self._read(outlet) for outlet in self._outlets]
        return told(fed, on_watts=self._settings.on_watts, context=self._context)

    async def measure(self) -> Measurement:
        oid = self._oids.watts
        if not oid:
            return UNMEASURED
        values = [await self._value(outlet, self._oid(oid, outlet)) for outlet in self._outlets]
        return summed([measured(_number(value)) for value in values])

    async def _switch(self, outlet: Outlet, value: SnmpValue, control: str) -> None:
        oid = self._oid(control or self._oids.control or self._oids.state, outlet)
        await self._ask(outlet, lambda client: client.set(oid, _written(value)), oid)

    async def _read(self, outlet: Outlet) -> Fed:
        state, doubt = await self._state(outlet)
        watts = Figure()
        if self._settings.on_watts is not None:
            watts = figure(_number(await self._value(outlet, self._oid(self._oids.watts, outlet))))
        return fed(state, watts, doubt=doubt)

    async def _state(self, outlet: Outlet) -> tuple[Reading, str]:
        """The outlet's state, or the doubt about a text that is none. A number that is neither on nor off is unknown."""
        oids = self._oids
        oid = ObjectIdentifier(oids.state.lstrip(".")) if oids.separator else self._oid(oids.state, outlet)
        value = await self._value(outlet, oid)
        if oids.separator:
            value = self._part(outlet, value)
        states = {**WORDS, _plain(oids.on_state): Reading.ON, _plain(oids.off_state): Reading.OFF}
        plain = _plain(value)
        found = states.get(plain, Reading.UNKNOWN)
        doubt = "" if isinstance(plain, int) or found is not Reading.UNKNOWN else _odd(value)
        return found, doubt

    def _part(self, outlet: Outlet, value: Any) -> Any:
        """The outlet's part of a text that has the states of all."""
        if not isinstance(value, bytes) or not re.fullmatch("[0-9]{1,9}", outlet.name):
            return value
        parts = value.decode(errors="replace").split(self._oids.separator)
        if not 0 < int(outlet.name) <= len(parts):
            what = f"it has no outlet {outlet.name}: its answer has the states of {len(parts)} outlets"
            context = self._context.at("pdu", outlet.address)
            raise context.refused(what, "correct outlets, state or separator", reason="UnknownOutlet")
        return parts[int(outlet.name) - 1]

    def _oid(self, text: str, outlet: Outlet) -> ObjectIdentifier:
        whole = text.replace("{outlet}", outlet.name) if "{outlet}" in text else f"{text}.{outlet.name}"
        if not OID.fullmatch(whole):
            context, remedy = self._context.at("pdu", outlet.address), "write outlets and oids in numbers and dots"
            raise context.refused(f"{shown(whole)} is no OID", remedy, reason="BadSettings")
        return ObjectIdentifier(whole.lstrip("."))

    async def _value(self, outlet: Outlet, oid: ObjectIdentifier) -> Any:
        return (await self._ask(outlet, lambda client: client.get(oid), oid)).pythonize()

    async def _ask(self, outlet: Outlet, question: Any, oid: ObjectIdentifier) -> Any:
        context = self._context.at("pdu", outlet.address)
        async with context.turns.take(outlet.address):
            address = (await context.resolved(outlet.address))[0]
            try:
                client = _Client(
                    address, self._credentials(context), port=self._settings.port, sender=cast(Any, _Sender(context))
                )
                return await question(client)
            except puresnmp.exc.SnmpError as error:
                raise self._ours(context, outlet, oid, error) from None  # the request in it has the credentials
            except HexaError:
                raise
            except Exception as error:  # its parser raises whatever comes of bytes that are no SNMP
                what = f"its answer can't be read ({type(error).__name__})"
                remedy = "look whether it speaks SNMP of this version on this port, and try again"
                raise context.unavailable(what, remedy, reason="DeviceError") from None

    def _credentials(self, context: Context) -> Credentials:
        settings, secret = self._settings, self._settings.secret_name
        if settings.version != "v3":
            community = context.needed(secret, "community")
            return puresnmp.V1(community) if settings.version == "v1" else puresnmp.V2C(community)
        password, privacy = context.secret(secret, "authPassword"), context.secret(secret, "privacyPassword")
        return puresnmp.V3(
            context.needed(secret, "username"),
            Auth(password.encode(), settings.auth_protocol) if password else None,
            Priv(privacy.encode(), settings.privacy_protocol) if privacy else None,
        )

    def _ours(
        self, context: Context, outlet: Outlet, oid: ObjectIdentifier, error: puresnmp.exc.SnmpError
    ) -> HexaError:
        said = str(error).lower()
        if isinstance(error, puresnmp.exc.NoSuchOID):
            remedy = "correct outlets, profile or oids"
            return context.refused(f"it has no outlet {outlet.name} at OID {oid}", remedy, reason="UnknownOutlet")
        if isinstance(error, _READ_ONLY):
            remedy = "give the community or the user the right to write, and look whether the outlet exists"
            return context.refused(f"outlet {outlet.name} can't be written", remedy, reason="Forbidden")
        if any(words in said for words in ("digest", "decrypt", "user", "authentic")):
            remedy = f"correct the Secret {self._settings.secret_name}, authProtocol and privacyProtocol"
            return context.refused("the user or a password is wrong", remedy, reason="BadCredentials")
        if isinstance(error, puresnmp.exc.FaultySNMPImplementation):
            return context.unavailable("it answered about another OID", "update its firmware", reason="DeviceError")
        return context.unavailable(
            f"it answered with an error ({type(error).__name__})", "try again", reason="DeviceError"
        )


_READ_ONLY: Final = (
    puresnmp.exc.NotWritable,
    puresnmp.exc.ReadOnly,
    puresnmp.exc.NoAccess,
    puresnmp.exc.NoCreation,
    puresnmp.exc.AuthorizationError,
)


class _Client(puresnmp.Client):
    """A client that takes no answer about another OID: the state of another outlet is none of this one."""

    async def _send(self, pdu: Any, request_id: int) -> Any:
        response = await super()._send(pdu, request_id)
        if [each.oid for each in response.value.varbinds] != [each.oid for each in pdu.value.varbinds]:
            raise puresnmp.exc.FaultySNMPImplementation("the answer is about another OID")
        return response


class _Sender:
    """What puresnmp sends by."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, endpoint: Any, packet: bytes, **_: Any) -> bytes:
        """The answer to a packet. Deadline and repeats are ours, not puresnmp's."""
        try:
            with trio.move_on_after(self._context.patience):
                return await self._exchange(endpoint, packet)
        except OSError as error:
            what = f"nothing listens there ({error.strerror})"
            remedy = "check its address, and switch SNMP on in its settings"
            raise self._context.unavailable(what, remedy, reason="Unreachable") from error
        what = f"no answer within {self._context.patience:g} s"
        remedy = (
            "check its address, its network, and the Secret: a wrong community or privacyPassword is met with silence"
        )
        raise self._context.unavailable(what, remedy, reason="NoAnswer")

    async def _exchange(self, endpoint: Any, packet: bytes) -> bytes:
        family = trio.socket.AF_INET6 if endpoint.ip.version == 6 else trio.socket.AF_INET
        with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as socket:
            await socket.connect((str(endpoint.ip), endpoint.port))
            while True:
                await socket.send(packet)
                with trio.move_on_after(ASK_AGAIN):
                    return bytes(await socket.recv(65535))


def _written(value: SnmpValue) -> Any:
    """What is sent: a number, also one that was written as a text, else the text."""
    number = _plain(value)
    return Integer(number) if isinstance(number, int) else OctetString(str(value).encode())


def _plain(value: Any) -> int | str:
    """A state in the form in which it is compared: a number, however it is written, or a text whatever its case."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = text.strip("\0 \t\r\n")
    return int(text) if re.fullmatch(r"[-+]?[0-9]{1,10}", text) else text.lower()


def _number(value: Any) -> Any:
    """A figure: a number as a text counts as one, for some PDUs write decimals so."""
    text = value.decode(errors="replace").strip("\0 \t\r\n") if isinstance(value, bytes) else value
    return float(text) if isinstance(text, str) and re.fullmatch(r"[-+]?[0-9]{1,10}(\.[0-9]{1,6})?", text) else text


def _odd(value: Any) -> str:
    said = shown(value.decode(errors="replace") if isinstance(value, bytes) else value)
    return f"its state is {said}, and a number or a word of onState and offState is needed (separator parts a text of all outlets)"
