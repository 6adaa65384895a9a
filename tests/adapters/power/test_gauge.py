"""What a user may rely on of the agent's own readings: whose turn it is, where credentials come from, and what is said."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from trio.testing import MockClock

from hexa.adapters.power.context import Context
from hexa.adapters.power.gauge import DriverGauge, HeldSecrets
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.v1alpha1 import Node, Reading
from hexa.ports.power import Power

PLANTED = "correct-horse-battery"


def box(name: str = "box", address: str = "bmc.lan") -> Node:
    """A machine with a BMC."""
    power = {"ipmi": {"address": address, "secretName": "bmc"}, "ssh": {"address": "box", "secretName": "ssh"}}
    return msgspec.convert({"metadata": {"name": name, "namespace": "machines"}, "spec": {"power": power}}, Node)


class Vault:
    """Secrets by namespace and name."""

    def __init__(self, password: str = PLANTED) -> None:
        self.values: dict[tuple[str, str], Mapping[str, bytes]] = {("machines", "bmc"): {"password": password.encode()}}
        self.asked: list[str] = []
        self.error: Refused | None = None

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        self.asked.append(f"{namespace}/{name}")
        if self.error is not None:
            raise self.error
        return self.values.get((namespace, name))


class Bmc:
    """A driver that says which passwords it was given, and how many questions were open at once."""

    def __init__(self) -> None:
        self.passwords: list[str] = []
        self.open = self.most = 0

    @asynccontextmanager
    async def opened(self, spec: PowerSpec, context: Context) -> AsyncIterator["Bmc.Way"]:
        yield Bmc.Way(self, spec, context)

    class Way:
        def __init__(self, bmc: "Bmc", spec: PowerSpec, context: Context) -> None:
            self.bmc, self.spec, self.context = bmc, spec, context

        async def turn_on(self) -> None: ...

        async def turn_off(self) -> None: ...

        async def sense(self) -> Reading:
            assert self.spec.ipmi is not None
            assert self.spec.ssh is None
            async with self.context.turns.take(self.spec.ipmi.address):
                self.bmc.open += 1
                self.bmc.most = max(self.bmc.most, self.bmc.open)
                await trio.sleep(0.05)
                self.bmc.open -= 1
            self.bmc.passwords.append(self.context.needed("bmc", "password"))
            return Reading.ON


async def test_a_rotated_secret_is_used_by_the_next_reading(autojump_clock: MockClock) -> None:
    """Credentials are read for each reading, of the sensing driver only, so a new password needs no restart."""
    vault, bmc = Vault(), Bmc()
    gauge = DriverGauge(bmc.opened, vault, patience=1)
    assert await gauge.read(box(), "ipmi") is Reading.ON
    vault.values["machines", "bmc"] = {"password": b"new"}
    await gauge.read(box(), "ipmi")
    assert bmc.passwords == [PLANTED, "new"]
    assert vault.asked == ["machines/bmc"] * 2


async def test_failure_4_a_controller_is_asked_one_question_at_a_time(autojump_clock: MockClock) -> None:
    """Machines that share a controller wait for each other, however its address is written; those with their own do not."""
    bmc = Bmc()
    gauge = DriverGauge(bmc.opened, Vault(), patience=1)
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(gauge.read, box(f"box-{number}"), "ipmi")
    assert bmc.most == 1
    same = ("bmc.lan", "BMC.lan.", "https://bmc.lan", "https://bmc.lan:443/", "bmc.lan:623")
    async with trio.open_nursery() as nursery:
        for number, address in enumerate(same):
            nursery.start_soon(gauge.read, box(f"box-{number}", address), "ipmi")
    assert bmc.most == 1
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(gauge.read, box(f"box-{number}", f"bmc-{number}.lan"), "ipmi")
    assert trio.current_time() - begun < 0.1


async def test_a_secret_that_is_missing_or_forbidden_is_named(autojump_clock: MockClock) -> None:
    """One sentence names machine, driver, Secret and remedy; the BMC is not asked."""
    vault, bmc = Vault(), Bmc()
    gauge = DriverGauge(bmc.opened, vault, patience=1)
    vault.values.clear()
    with pytest.raises(Refused, match=r"box: ipmi: there is no Secret machines/bmc; create it"):
        await gauge.read(box(), "ipmi")
    vault.error = Refused("cannot get secrets in namespace machines: ServiceAccount x needs verb get")
    with pytest.raises(Refused, match=r"box: ipmi: cannot get secrets .* needs verb get; let hexa get this Secret"):
        await gauge.read(box(), "ipmi")
    vault.error = None
    vault.values["machines", "bmc"] = {"user": b"root"}
    with pytest.raises(
        Refused, match=r"the key password of Secret bmc is missing; put it at key password of Secret machines/bmc"
    ):
        await gauge.read(box(), "ipmi")
    assert not bmc.passwords


async def test_a_driver_that_breaks_does_not_end_the_agent(autojump_clock: MockClock) -> None:
    """An error that no driver should raise is one of this machine's readings, without the words in which a secret might stand."""

    @asynccontextmanager
    async def broken(spec: PowerSpec, context: Context) -> AsyncIterator[Power]:
        async with trio.open_nursery():
            raise ValueError(PLANTED)
        yield

    with pytest.raises(Unavailable, match=r"box: ipmi: it failed by \w+ in \w+\.py:\d+; that is a defect") as caught:
        await DriverGauge(broken, Vault(), patience=1).read(box(), "ipmi")
    assert PLANTED not in str(caught.value)


def test_what_is_held_is_not_shown() -> None:
    """Neither the text of a Secret that is held nor of what holds it shows a value."""
    held = HeldSecrets("machines", {"bmc": {"password": PLANTED.encode()}})
    assert PLANTED not in repr(held)
    assert "bmc" in repr(held)
