"""A management controller (BMC) by IPMI 2.0 over LAN. One session at a time for each controller, closed after each question."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn, TypeVar

import trio

from hexa.adapters.power import rmcp
from hexa.adapters.power.context import Context
from hexa.adapters.power.measurements import measured
from hexa.adapters.power.rmcp import CHASSIS_STATUS, POWER_READING, Command, Control, chassis_control
from hexa.domain.errors import HexaError, Refused
from hexa.domain.resources.power_spec import Ipmi
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import DOUBTFUL, UNMEASURED, Measurement, Power

T = TypeVar("T")

ASK_AGAIN: Final = 1.0
"""Seconds after which a packet without an answer is sent again: UDP loses some."""

LEVELS: Final = {"user": 2, "operator": 3, "administrator": 4}

STATUS_BYTES: Final = 3
"""Of the answer to Get Chassis Status at least (IPMI 2.0, 28.2)."""
POWER_ON: Final = 0x01
DCMI: Final = 0xDC
READING_BYTES: Final = 18
"""Of the answer to Get Power Reading (DCMI 1.5, 6.6.1): watts are bytes 1 and 2, the last one says whether it measures."""
MEASURES: Final = 0x40
CONTROL_FAULT: Final = 0x10
"""It tried to switch, and the power did not follow."""

_NO_SUITE: Final = (0x03, 0x04, 0x05, rmcp.NO_SUITE, 0x14)
_CORRECT: Final = "correct the keys username and password of the Secret that secretName names"

SESSION: Final = {
    0x01: ("it has no session free", "", "Busy"),
    0x09: ("it does not know the privilege that is asked for", "correct privilege", "BadPrivilege"),
    0x0A: (
        "the user does not have the privilege that is asked for",
        "give it that privilege, or lower privilege",
        "Forbidden",
    ),
    0x0B: ("it has no session free at this privilege", "", "Busy"),
    0x0C: ("it does not take the user's name", _CORRECT, "BadCredentials"),
    0x0D: ("it does not know the user", _CORRECT, "BadCredentials"),
    0x0F: ("the password is wrong", _CORRECT, "BadCredentials"),
    rmcp.NO_SUITE: (
        "it speaks none of the cipher suites 3 and 17",
        "allow one of them in its settings",
        "NoCipherSuite",
    ),
}
"""RMCP+ status -> what, remedy (none: it may go by itself), reason."""

COMMAND: Final = {
    0xC0: ("it is busy", "", "Busy"),
    0xC1: ("it does not know this command", "name another driver for this", "NotSupported"),
    0xC3: ("it gave up", "", "Busy"),
    0xCC: ("it can't switch in this way", "name another driver for this, such as ssh for off", "NotSupported"),
    0xD1: ("its firmware is being updated", "", "Busy"),
    0xD2: ("it is still starting", "", "Busy"),
    0xD4: ("the user may not do this", "give it the privilege operator on the BMC", "Forbidden"),
    0xD5: ("it can't do this in its present state", "look at its own console", "WrongState"),
}
"""IPMI completion code -> the same."""


@asynccontextmanager
async def open_power(settings: Ipmi, context: Context) -> AsyncIterator[Power]:
    """A controller. Nothing is asked yet."""
    address = settings.address if settings.port == 623 else f"{settings.address}:{settings.port}"
    yield IpmiPower(settings, context.at("ipmi", address))


class IpmiPower:
    """Implements `ports.power.HardPower`."""

    def __init__(self, settings: Ipmi, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._suites = [17, 3] if settings.cipher_suite == "auto" else [int(settings.cipher_suite)]

    def __repr__(self) -> str:
        return f"<IpmiPower {self._context.address}>"

    async def turn_on(self) -> None:
        await self._switch(Control.UP, unless=Reading.ON)

    async def turn_off(self) -> None:
        await self._switch(Control.SOFT, unless=Reading.OFF)

    async def cut(self) -> None:
        await self._switch(Control.DOWN, unless=Reading.OFF)

    async def sense(self) -> Reading:
        async with self._session() as session:
            reading, doubt = await session.power()
        if doubt:
            raise self._context.unavailable(doubt, "wait, and look at its own page", reason=DOUBTFUL)
        return reading

    async def measure(self) -> Measurement:
        async with self._session() as session:
            try:
                answer = await session.ask(POWER_READING)
            except Refused:
                return UNMEASURED  # not every controller speaks DCMI, and not to every user
        active = len(answer) >= READING_BYTES and answer[0] == DCMI and answer[-1] & MEASURES
        return measured(int.from_bytes(answer[1:3], "little")) if active else UNMEASURED

    async def _switch(self, what: Control, *, unless: Reading) -> None:
        async with self._session() as session:
            if (await session.power())[0] is not unless:
                await session.ask(rmcp.set_privilege(LEVELS[self._settings.privilege]))
                await session.ask(chassis_control(what))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator["_Session"]:
        async with self._context.turns.take(self._context.address), self._line() as line:
            session = await self._log_in(line)
            try:
                yield session
            finally:
                with trio.move_on_after(ASK_AGAIN, shield=True):
                    await session.close()

    @asynccontextmanager
    async def _line(self) -> AsyncIterator["_Line"]:
        with self._context.answering():
            address = (await self._context.resolved(self._settings.address))[0]
        line = _Line(address, self._settings.port, self._context)
        await line.open()
        try:
            yield line
        finally:
            line.close()

    async def _log_in(self, line: "_Line") -> "_Session":
        for suite in self._suites:
            try:
                return await self._log_in_with(line, rmcp.SUITES[suite])
            except rmcp.SessionRefused as error:
                if error.status not in _NO_SUITE or suite == self._suites[-1]:
                    self._refuse(error.status if error.status not in _NO_SUITE else rmcp.NO_SUITE)
            except rmcp.BadPassword:
                self._refuse(0x0F)
        raise AssertionError("there is at least one suite")

    async def _log_in_with(self, line: "_Line", suite: rmcp.Suite) -> "_Session":
        context, secret = self._context, self._settings.secret_name
        name, password = context.needed(secret, "username").encode(), context.needed(secret, "password").encode()
        for what, value, most in (("username", name, rmcp.LONGEST_NAME), ("password", password, rmcp.LONGEST_PASSWORD)):
            if len(value) > most:
                raise context.refused(
                    f"IPMI takes {most} bytes of a {what} at most", "set a shorter one", reason="BadSecret"
                )
        handshake = rmcp.Handshake(
            name=name,
            password=password,
            key_g=(context.secret(secret, "key_g") or "").encode(),
            privilege=LEVELS[self._settings.privilege],
            suite=suite,
        )
        with context.answering():
            await self._open(line, handshake)
            if handshake.suite.id not in self._suites:
                self._refuse(rmcp.NO_SUITE)
            await line.ask(handshake.rakp_1, handshake.proved)
            return _Session(line, context, await line.ask(handshake.rakp_3, handshake.session))

    async def _open(self, line: "_Line", handshake: rmcp.Handshake) -> None:
        """From another port at half time: a controller that takes a port for that of an old session, which it never saw end, does
        not answer what comes from there."""
        with trio.move_on_after(self._context.patience / 2):
            await line.ask(handshake.open_request, handshake.opened)
            return
        line.close()
        await line.open()
        await line.ask(handshake.open_request, handshake.opened)

    def _refuse(self, status: int) -> NoReturn:
        raise _ours(self._context, SESSION, status, f"it opens no session (status {status:#04x})")


class _Line:
    """Questions and answers over UDP."""

    def __init__(self, address: str, port: int, context: Context) -> None:
        self._address, self._port, self._context = address, port, context
        self._socket: trio.socket.SocketType

    async def open(self) -> None:
        """From a port of ours that the system chooses."""
        family = trio.socket.AF_INET6 if ":" in self._address else trio.socket.AF_INET
        self._socket = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
        try:
            await self._socket.connect((self._address, self._port))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    async def ask(self, question: Callable[[], bytes], understand: Callable[[bytes], T]) -> T:
        """Ask until an answer comes that is one; the caller has the deadline."""
        try:
            while True:
                await self._socket.send(question())
                with trio.move_on_after(ASK_AGAIN):
                    while True:
                        packet = await self._socket.recv(2048)
                        try:
                            return understand(packet)
                        except rmcp.Broken:
                            continue  # late, or not for us
        except OSError as error:
            what = f"nothing listens there ({error.strerror})"
            remedy = "check its address, and switch IPMI over LAN on in its settings"
            raise self._context.unavailable(what, remedy, reason="Unreachable") from error

    async def tell(self, packet: bytes) -> None:
        await self._socket.send(packet)


class _Session:
    """Commands of an open session."""

    def __init__(self, line: _Line, context: Context, session: rmcp.Session) -> None:
        self._line, self._context, self._session = line, context, session

    async def power(self) -> tuple[Reading, str]:
        """The reading, and why it is unknown."""
        state = await self.ask(CHASSIS_STATUS)
        if len(state) < STATUS_BYTES:
            return Reading.UNKNOWN, f"its chassis status has {len(state)} bytes, and {STATUS_BYTES} are the least"
        if state[0] & POWER_ON:
            return Reading.ON, ""
        if state[0] & CONTROL_FAULT:
            return Reading.UNKNOWN, "it reads off, and says that the power did not follow its control"
        return Reading.OFF, ""

    async def ask(self, command: Command) -> bytes:
        self._session.next()
        try:
            with self._context.answering():
                return await self._line.ask(
                    lambda: self._session.request(command), lambda packet: self._session.answer(packet, command)
                )
        except rmcp.CommandRefused as error:
            code = error.code
        raise _ours(self._context, COMMAND, code, f"it refused (completion code {code:#04x})")

    async def close(self) -> None:
        with suppress(OSError):  # it closes silent sessions by itself, after a minute
            await self._line.tell(self._session.closing())


def _ours(context: Context, table: dict[int, tuple[str, str, str]], code: int, otherwise: str) -> HexaError:
    what, remedy, reason = table.get(code, (otherwise, "", "DeviceError"))  # what nobody knows may go by itself
    if remedy:
        return context.refused(what, remedy, reason=reason)
    return context.unavailable(what, "try again later, and log other users out of it", reason=reason)
