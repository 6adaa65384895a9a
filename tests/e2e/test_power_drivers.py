"""Each power driver against what others wrote: a BMC simulator, a Redfish emulator, an SNMP agent, an SSH server, a network.

They need the packages of .ci/packages; magic packets also need root. No control plane is started for them.
"""

import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from counterparts import ipmi_sim, redfish_emulator, snmpd, sshd
from lab.network import Namespace

from hexa.adapters.power import ipmi, pdu, redfish, ssh
from hexa.adapters.power.context import Context, MountedSecrets
from hexa.adapters.power.magic import packet
from hexa.domain.errors import Refused
from hexa.domain.resources.power_spec import Ipmi, Pdu, Redfish, Ssh
from hexa.domain.resources.v1alpha1 import Reading
from hexa.testing.check_power import PowerBench, check_power

SECRET = "pl4nted-s3cret"


def secret(folder: Path, name: str, **keys: str) -> None:
    """Write a Secret as Kubernetes mounts it."""
    place = folder / "secrets" / name
    place.mkdir(parents=True, exist_ok=True)
    for key, value in keys.items():
        (place / key).write_text(value + "\n")


def context(folder: Path, *, patience: float = 10.0) -> Context:
    """What drivers of worker-01 are told."""
    return Context(machine="worker-01", secrets=MountedSecrets(folder / "secrets"), patience=patience)


def reads(file: Path, value: str) -> Callable[[], Awaitable[bool]]:
    """Whether the file has that value: the machine's power, not by the driver."""

    async def is_on() -> bool:
        return await trio.Path(file).read_text() == f"{value}\n"

    return is_on


async def test_ipmi_against_openipmi(tmp_path: Path) -> None:
    """OpenIPMI's BMC is switched, read, and not fooled; a user who may only read is told so."""
    secret(tmp_path, "bmc", username="admin", password=SECRET)
    secret(tmp_path, "guest", username="guest", password=SECRET)
    secret(tmp_path, "stranger", username="nobody", password=SECRET)
    secret(tmp_path, "wrong", username="admin", password="pl4nted-mistake")
    here = context(tmp_path)
    with ipmi_sim(tmp_path, password=SECRET) as port:
        there = {"address": "127.0.0.1", "port": port}
        await check_power(
            PowerBench(
                open=lambda: ipmi.open_power(Ipmi(**there, secret_name="bmc"), here),
                is_on=reads(tmp_path / "power", "1"),
                denied=lambda: ipmi.open_power(Ipmi(**there, secret_name="wrong"), here),
                unreachable=lambda: ipmi.open_power(Ipmi(address="127.0.0.1", port=1, secret_name="bmc"), here),
                address="127.0.0.1",
                secrets=(SECRET, "pl4nted-mistake"),
            )
        )
        (tmp_path / "power").write_text("0\n")
        async with ipmi.open_power(Ipmi(**there, secret_name="guest", privilege="user"), here) as power:
            assert await power.sense() is Reading.OFF
            with pytest.raises(Refused, match="the user may not do this; give it the privilege operator"):
                await power.turn_on()
        async with ipmi.open_power(Ipmi(**there, secret_name="stranger"), here) as power:
            with pytest.raises(Refused, match="it does not know the user; correct the keys username and password"):
                await power.turn_on()
        assert (tmp_path / "power").read_text() == "0\n"


async def test_redfish_against_sushys_emulator(tmp_path: Path) -> None:
    """sushy's BMC is switched softly and hard, with its own users."""
    secret(tmp_path, "bmc", username="admin", password=SECRET)
    secret(tmp_path, "wrong", username="admin", password="pl4nted-mistake")
    here = context(tmp_path)
    with redfish_emulator(tmp_path, password=SECRET) as port:
        address = f"http://127.0.0.1:{port}"
        await check_power(
            PowerBench(
                open=lambda: redfish.open_power(Redfish(address=address, secret_name="bmc"), here),
                denied=lambda: redfish.open_power(Redfish(address=address, secret_name="wrong"), here),
                unreachable=lambda: redfish.open_power(Redfish(address="http://127.0.0.1:1", secret_name="bmc"), here),
                address="127.0.0.1",
                secrets=(SECRET, "pl4nted-mistake"),
                patience=20.0,
            )
        )


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("v1", {}),
        ("v2c", {}),
        ("v3", {"secret_name": "operator"}),
        ("v3", {"secret_name": "old", "auth_protocol": "md5", "privacy_protocol": "des"}),
    ],
)
async def test_pdu_against_net_snmp(tmp_path: Path, version: str, more: dict[str, Any]) -> None:
    """Outlets of an SNMP agent are switched and read in each version and with each cipher; one that is not there is named."""
    secret(tmp_path, "pdu", community=SECRET)
    for user in ("operator", "old"):
        secret(tmp_path, user, username=user, authPassword=f"{SECRET}-auth", privacyPassword=f"{SECRET}-priv")
    here = context(tmp_path)

    def settings(**changed: Any) -> Pdu:
        given = {"address": "127.0.0.1", "port": port, "profile": "apc-rpdu", "outlets": ("1", "2"), "version": version}
        return Pdu(**{**given, "secret_name": "pdu", **more, **changed})

    with snmpd(tmp_path, secret=SECRET) as port:
        await check_power(
            PowerBench(
                open=lambda: pdu.open_power(settings(), here),
                can=frozenset(("on", "cut", "sense")),
                is_on=reads(tmp_path / "outlets" / "2", "1"),
                unreachable=lambda: pdu.open_power(settings(port=1), here),
                address="127.0.0.1",
                secrets=(SECRET,),
            )
        )
        async with pdu.open_power(settings(outlets=("30",)), here) as power:
            with pytest.raises(Refused, match=r"has no outlet 30|outlet 30 can't be written"):
                await power.sense()
            with pytest.raises(Refused, match=r"has no outlet 30|outlet 30 can't be written"):
                await power.turn_on()
        if version == "v3":
            secret(tmp_path, str(more["secret_name"]), authPassword="pl4nted-mistake")
            async with pdu.open_power(settings(), here) as power:
                with pytest.raises(Refused, match="the user or a password is wrong; correct the Secret"):
                    await power.sense()


async def test_ssh_against_openssh(tmp_path: Path) -> None:
    """A machine is shut down with its pinned host key and a key of its own, however the Secret is mounted; strangers on either
    side are refused, and a card that does not keep its wake flag leaves the machine on."""
    here, state, tools = context(tmp_path), tmp_path / "power", tmp_path / "tools"
    state.write_text("on\n")
    tools.mkdir()
    with sshd(tmp_path) as port:
        key, host = (tmp_path / "user").read_text(), (tmp_path / "host.pub").read_text()
        secret(tmp_path, "ssh", **{"ssh-privatekey": key, "known_hosts": host})

        def settings(**more: Any) -> Ssh:
            given = {"address": "127.0.0.1", "port": port, "secret_name": "ssh", "user": "root"}
            return Ssh(**{**given, "command": f"echo off >{state}", **more})

        async def refused(says: str, **more: Any) -> None:
            async with ssh.open_power(settings(**more), here) as power:
                with pytest.raises(Refused, match=says) as raised:
                    await power.turn_off()
            assert "PRIVATE" not in str(raised.value)
            assert state.read_text() == "on\n"

        await refused(
            "its network card nosuch0 does not keep the wake flag, so it was left on", wake_interfaces=("nosuch0",)
        )
        await refused("the shutdown failed there", command="exit 4")
        await refused("the shutdown failed there|does not take the key", command="true", user="nobody")
        secret(tmp_path, "ssh", known_hosts=(tmp_path / "stranger.pub").read_text())
        await refused("its host key is another than the pinned one; compare")
        secret(
            tmp_path,
            "ssh",
            **{"known_hosts": f"elsewhere {host}", "ssh-privatekey": (tmp_path / "stranger").read_text()},
        )
        await refused("it does not take the key for this user; put the public key there")
        secret(tmp_path, "ssh", **{"ssh-privatekey": "pl4nted"})
        await refused("the private key can't be read")

        secret(tmp_path, "ssh", **{"ssh-privatekey": key})
        async with ssh.open_power(settings(), here) as power:
            assert await power.sense() is Reading.ON
            await power.turn_off()
        assert state.read_text() == "off\n"

        goes = f"echo hexa: going down; echo forced >{state}; kill -9 $PPID"
        (tmp_path / "authorized_keys").write_text(f'restrict,command="{goes}" {(tmp_path / "user.pub").read_text()}')
        async with ssh.open_power(settings(forced_command=True), here) as power:
            await power.turn_off()
        assert state.read_text() == "forced\n"
    async with ssh.open_power(settings(), here) as power:
        assert await power.sense() is Reading.UNKNOWN


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
async def test_packets_in_a_network(tmp_path: Path) -> None:
    """Broadcast, directed broadcast and unicast arrive at a machine's card, by the interface that is named, also where no route
    leads out."""
    host, machine = Namespace(), Namespace()
    try:
        machine.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "wire0", "netns", host.path)
        machine.run("ip", "addr", "add", "198.19.255.2/24", "dev", "eth0")
        host.run("ip", "addr", "add", "198.19.255.1/24", "brd", "198.19.255.255", "dev", "wire0")
        machine.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "link", "set", "wire0", "up")
        with machine.udp_socket(9) as card:
            card.settimeout(5)
            for arguments in (["--interface", "wire0"], ["--address", "198.19.255.255"], ["--address", "198.19.255.2"]):
                command = str(Path(sys.executable).with_name("wake-on-lan"))
                words = [command, "52:54:00:12:34:56", "--repeat", "1", *arguments]
                done = await trio.run_process([*host.enter(), *words], capture_stdout=True)
                assert b"sent magic packets" in done.stdout
                assert await trio.to_thread.run_sync(card.recv, 200) == packet(bytes.fromhex("525400123456"))
    finally:
        host.close()
        machine.close()


def test_what_is_needed_is_here() -> None:
    """The packages of .ci/packages bring every counterpart: none of these tests is skipped for want of one."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for name in ("ipmi_sim", "snmpd", "sshd", "ssh", "ssh-keygen") if not shutil.which(name, path=path)]
    assert not missing
