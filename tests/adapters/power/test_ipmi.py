"""The driver for IPMI, against the BMC that pyghmi brings; tests/e2e has it against OpenIPMI's simulator."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.adapters.power.secrets import context, secret
from tests.adapters.power.test_http import closed_port

from hexa.adapters.power import rmcp
from hexa.adapters.power.context import Context
from hexa.adapters.power.ipmi import open_power
from hexa.domain.errors import Refused
from hexa.domain.resources.power_spec import Ipmi
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import UNMEASURED, Measurement, Metered
from hexa.testing.check_power import PowerBench, check_power

PASSWORD = "pl4nted-p4ssw0rd"

BMC = f"""
import sys
from pyghmi.ipmi.bmc import Bmc

class Machine(Bmc):
    on = False
    def get_power_state(self): return "on" if self.on else "off"
    def power_on(self): self.on = True
    def power_off(self): self.on = False
    def power_shutdown(self): self.on = False
    def handle_raw_request(self, request, session):
        if (request["netfn"], request["command"]) != (0x2C, 2):
            return super().handle_raw_request(request, session)
        if not self.on:
            return session.send_ipmi_response(code=0xC1)
        session.send_ipmi_response(data=[0xDC, 137, 0, 5, 0, 255, 1, 100, 0, 0, 0, 0, 0, 232, 3, 0, 0, 0x40])

bmc = Machine({{"admin": "{PASSWORD}"}}, port=int(sys.argv[1]), address="127.0.0.1")
print("ready", flush=True)
bmc.listen()
"""


@contextmanager
def bmc() -> Iterator[int]:
    """Its port."""
    port = closed_port()
    with subprocess.Popen([sys.executable, "-c", BMC, str(port)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield port
        finally:
            process.kill()


def settings(port: int, **more: Any) -> Ipmi:
    """A BMC on loopback."""
    return Ipmi(**{"address": "127.0.0.1", "port": port, "secret_name": "bmc", **more})


async def test_a_foreign_bmc(tmp_path: Path) -> None:
    """The driver keeps the contract with a BMC that others wrote; a suite that is pinned and not offered is refused; a password
    that is rotated is picked up; many who ask at once get one session after the other."""
    secret(tmp_path, "bmc", username="admin", password=PASSWORD)
    secret(tmp_path, "wrong", username="admin", password="pl4nted-mistake")
    here = context(tmp_path)
    with bmc() as port:
        await check_power(
            PowerBench(
                open=lambda: open_power(settings(port), here),
                unreachable=lambda: open_power(settings(closed_port()), here),
                denied=lambda: open_power(settings(port, secret_name="wrong"), here),
                address="127.0.0.1",
                secrets=(PASSWORD, "pl4nted-mistake"),
            )
        )
        await _measured(port, here)
        await _pinned_suite(port, here)
        await _rotated(port, here, tmp_path)
        await _many(port, here)


async def _measured(port: int, here: Context) -> None:
    async with open_power(settings(port), here) as power:
        assert isinstance(power, Metered)
        await power.turn_on()
        assert await power.measure() == Measurement(watts=137)
        await power.turn_off()
        assert await power.measure() == UNMEASURED  # it does not know the command


async def _pinned_suite(port: int, here: Context) -> None:
    async with open_power(settings(port, cipher_suite="17"), here) as power:
        with pytest.raises(Refused, match="it speaks none of the cipher suites"):
            await power.sense()


async def _rotated(port: int, here: Context, folder: Path) -> None:
    async with open_power(settings(port, secret_name="wrong"), here) as power:
        with pytest.raises(Refused, match="the password is wrong; correct the keys username and password"):
            await power.sense()
        secret(folder, "wrong", password=PASSWORD)
        await power.sense()


async def _many(port: int, here: Context) -> None:
    async with open_power(settings(port), here) as power, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(power.sense)


@asynccontextmanager
async def deaf_to_the_first(port: int) -> AsyncIterator[int]:
    """The port of a relay to the controller that drops what comes from the first port that it ever hears of."""
    with ExitStack() as sockets:
        near, far = sockets.enter_context(trio.socket.socket(type=trio.socket.SOCK_DGRAM)), dict[Any, Any]()
        await near.bind(("127.0.0.1", 0))

        async def back(sender: Any) -> None:
            while True:
                await near.sendto(await far[sender].recv(2048), sender)

        async def forth() -> None:
            first = (await near.recvfrom(2048))[1]
            while True:
                packet, sender = await near.recvfrom(2048)
                if sender == first:
                    continue
                if sender not in far:
                    far[sender] = sockets.enter_context(trio.socket.socket(type=trio.socket.SOCK_DGRAM))
                    await far[sender].connect(("127.0.0.1", port))
                    nursery.start_soon(back, sender)
                await far[sender].send(packet)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(forth)
            yield near.getsockname()[1]
            nursery.cancel_scope.cancel()


async def test_a_controller_that_takes_our_port_for_that_of_an_old_session(tmp_path: Path) -> None:
    """It never saw that session end, and does not answer what comes from its port: the session is opened from another one."""
    secret(tmp_path, "bmc", username="admin", password=PASSWORD)
    with bmc() as port:
        async with deaf_to_the_first(port) as relay:
            async with open_power(settings(relay), context(tmp_path, patience=2.0)) as power:
                assert await power.sense() is Reading.OFF


def handshake(**more: Any) -> rmcp.Handshake:
    """One that has asked nothing yet."""
    given = {"name": b"admin", "password": b"x", "key_g": b"", "privilege": 3, "suite": rmcp.SUITES[3], **more}
    return rmcp.Handshake(**given)


@pytest.mark.parametrize("packet", [b"", b"\x06\x00\xff\x07", bytes(60), b"\x06\x00\xff\x07\x06\x11" + bytes(50)])
def test_foreign_packets_are_passed_over(packet: bytes) -> None:
    """What is no answer to us is broken, whatever it is, and never an error of Python."""
    with pytest.raises(rmcp.Broken):
        handshake().opened(packet)


def test_a_changed_packet_is_no_answer() -> None:
    """Every packet of a session is authenticated: one bit turned anywhere makes it none."""
    ours = rmcp.Session(rmcp.SUITES[17], b"cons", b"ctrl", b"k" * 32, b"c" * 32)
    theirs = rmcp.Session(rmcp.SUITES[17], b"ctrl", b"cons", b"k" * 32, b"c" * 32)
    for session in (ours, theirs):
        session.next()
    packet = theirs.request(rmcp.Command(0x01, 0x01, b"\x00\x21"))  # function and completion code of an answer
    assert ours.answer(packet, rmcp.CHASSIS_STATUS) == b"\x21"
    for at in range(len(packet)):
        turned = bytearray(packet)
        turned[at] ^= 1
        with pytest.raises(rmcp.Broken):
            ours.answer(bytes(turned), rmcp.CHASSIS_STATUS)


async def test_name_or_password_too_long_for_ipmi(tmp_path: Path) -> None:
    """IPMI takes 16 and 20 bytes; longer ones are refused with that, not cut."""
    secret(tmp_path, "bmc", username="admin", password="pl4nted" * 4)
    async with open_power(settings(closed_port()), context(tmp_path)) as power:
        with pytest.raises(Refused, match="IPMI takes 20 bytes of a password at most; set a shorter one"):
            await power.sense()


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("fe80::1%lo", "fe80::1%1"),
        ("[fe80::1%25lo]", "fe80::1%1"),
    ],
)
async def test_an_ipv6_address_may_stand_in_brackets_and_names_its_interface(
    tmp_path: Path, written: str, numbers: str
) -> None:
    """Written as in a URL or bare, it is the same address; the interface of a link-local one is not lost on the way."""
    assert await context(tmp_path).resolved(written) == [numbers]
