"""The driver for Wake-on-LAN."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from hexa.adapters.power.context import Context, MountedSecrets
from hexa.adapters.power.magic import packet
from hexa.adapters.power.wake_on_lan import open_power
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.power_spec import WakeOnLan
from hexa.domain.resources.v1alpha1 import Reading

MACS = ("52:54:00:12:34:56", "52:54:00:12:34:57")


async def test_wakes_every_card_and_reads_nothing(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    """Each card gets its packets, with the password of the Secret as it is at that moment; the power stays unknown."""
    (tmp_path / "secure-on").mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        card.bind(("127.0.0.1", 0))
        card.settimeout(2)
        settings = WakeOnLan(
            macs=MACS, addresses=("localhost",), port=card.getsockname()[1], repeat=2, secret_name="secure-on"
        )
        async with open_power(settings, Context(secrets=MountedSecrets(tmp_path))) as power:
            for password in ("001122334455", "001122334466"):
                (tmp_path / "secure-on" / "password").write_text(password)
                await power.turn_on()
                expected = [packet(bytes.fromhex(mac.replace(":", "")), bytes.fromhex(password)) for mac in MACS]
                assert [card.recv(200) for _ in range(4)] == expected * 2
            assert await power.sense() is Reading.UNKNOWN


async def test_failure_1_packets_go_to_every_address_that_is_named(tmp_path: Path) -> None:
    """The broadcast of a segment, a directed one and the machine's own address may stand side by side: each gets them, so one
    that a switch or a pod network eats is not the only one."""
    addresses = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    with ExitStack() as stack:
        cards = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in addresses]
        cards[0].bind((addresses[0], 0))
        port = cards[0].getsockname()[1]
        for card, address in zip(cards[1:], addresses[1:], strict=True):
            card.bind((address, port))
        settings = WakeOnLan(macs=MACS[:1], addresses=addresses, port=port, repeat=2)
        async with open_power(settings, Context(secrets=MountedSecrets(tmp_path))) as power:
            await power.turn_on()
        for card in cards:
            card.settimeout(2)
            assert [card.recv(200) for _ in range(2)] == [packet(bytes.fromhex(MACS[0].replace(":", "")))] * 2


async def test_can_turn_nothing_off() -> None:
    """A packet has no way to turn a machine off: it says so and names what can."""
    async with open_power(WakeOnLan(macs=MACS), Context(machine="worker-01")) as power:
        with pytest.raises(
            Refused, match=r"^worker-01: wakeOnLan at 52:54.*can only turn a machine on; name another driver"
        ):
            await power.turn_off()


async def test_malformed_mac_names_machine_and_remedy() -> None:
    """One bad MAC among good ones is refused before anything is sent."""
    with pytest.raises(
        Refused, match=r"^worker-01: wakeOnLan at .*'52:54:1' is no MAC address; write six bytes"
    ) as raised:
        async with open_power(WakeOnLan(macs=(*MACS, "52:54:1")), Context(machine="worker-01")):
            pass
    assert raised.value.reason == "BadMac"


async def test_interface_that_is_not_there() -> None:
    """An interface that the pod does not have is named, with the pod's network as the remedy."""
    async with open_power(WakeOnLan(macs=MACS, interface="nosuch0"), Context()) as power:
        with pytest.raises(
            Unavailable, match="there is no network interface nosuch0; correct its name, or give the pod"
        ):
            await power.turn_on()
