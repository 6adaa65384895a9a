"""What a user may rely on of `spec.power`: machines that hexa's own drivers switch, and whose power the agent reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, arrows, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.ports.power import MemoryPower
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.adapters.power.context import Context
from hexa.adapters.power.gauge import DriverGauge
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS, Condition
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.v1alpha1 import MACHINES, Reading
from hexa.ports.kube import Patch
from hexa.ports.power import Power
from hexa.testing.world import Machine, World, machine, open_world

PLANTED = "correct-horse-battery"
BMC = {"ipmi": {"address": "bmc-1.lan", "secretName": "bmc-1"}}
MAGIC = {"wakeOnLan": {"macs": ["52:54:00:12:34:56"]}, "ssh": {"address": "box-1.lan", "secretName": "ssh"}}


def wired(name: str, power: dict[str, Any], **more: Any) -> Machine:
    """A machine without pod specs."""
    spec = {"startupPodSpec": None, "shutdownPodSpec": None, "power": power}
    return machine(name, group="rack", spec=spec, **{"boot_seconds": 8.0, **more})


def condition(world: World, kind: str, name: str = "box-1") -> Condition | None:
    """The machine's condition of this type."""
    return next((each for each in world.node(name).status.conditions if each.type == kind), None)


async def test_a_machine_with_a_bmc_is_woken_and_rested_by_readings(autojump_clock: MockClock) -> None:
    """With `spec.power` alone a machine comes up, and goes off once its BMC says that it is off, not when its Job ended."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        assert [(name, action) for name, action, _ in jobs.made] == [("box-1", "startup"), ("box-1", "shutdown")]
        assert ("PoweringOn", "PowerSeen") in arrows(world)
        assert ("PoweringOff", "PowerGone") in arrows(world)
        known = condition(world, "PowerKnown")
        assert known is not None
        assert known.status == "True"
        assert known.message.startswith("Off by ipmi, first read so at ")
        assert world.node("box-1").status.reading.source == "ipmi"


async def test_a_machine_that_nothing_reads_is_switched_all_the_same(autojump_clock: MockClock) -> None:
    """Woken by a magic packet and put off over SSH: silence proves the off, and PowerKnown says that nothing reads it."""
    async with open_world(groups=[rack()], machines=[wired("box-1", MAGIC)], autoscaler=None, site=QUICK) as world:
        await up(world)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        known = condition(world, "PowerKnown")
        assert known is not None
        assert (known.status, known.reason) == ("Unknown", "NoSensor")
        assert not world.agent.gauge.calls


async def test_no_power_is_cut_where_the_group_forbids_it(autojump_clock: MockClock) -> None:
    """With `hardOff: Forbid` a machine that only a plug could switch off is never rested, and says why; one with a BMC is shut down
    in order, and its Job may not cut."""
    plug = {"http": {"address": "plug-2.lan", "device": "shelly"}, "wakeOnLan": MAGIC["wakeOnLan"], "hard": True}
    machines = [wired("box-1", BMC | {"hard": True}), wired("box-2", plug)]
    async with open_world(groups=[rack(hardOff="Forbid")], machines=machines, autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        jobs: list[str] = []
        world.site.api.listen(JOBS, lambda event: jobs.append(str(event.stored.raw)))
        await switch(world, "off", "box-1", "box-2")
        await reach(world, Phase.OFF)
        await trio.sleep(600)
        assert world.phase("box-2") is Phase.READY
        for name, kind, said in (
            ("box-2", "PowerOffUnavailable", "can only cut"),
            ("box-1", "HardOffForbidden", "Forbid"),
        ):
            found = condition(world, kind, name)
            assert found is not None
            assert said in found.message
        assert jobs
        assert not any("'hard': True" in job or '"hard": true' in job for job in jobs)
        world.edit_group("rack", {"hardOff": "Allow"})
        await reach(world, Phase.OFF, "box-2")


async def test_failure_31_a_button_is_noticed_within_a_minute(autojump_clock: MockClock) -> None:
    """Somebody presses the button of a machine that is off: its BMC shows it before its kubelet can, and it is adopted."""
    slow = wired("box-1", BMC, boot_seconds=300.0)
    async with open_world(groups=[rack()], machines=[slow], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        world.hardware("box-1").press_on()
        assert await reach(world, Phase.BOOTING) <= 62


async def test_failure_4_a_bmc_that_falls_silent_is_left_alone(autojump_clock: MockClock) -> None:
    """A BMC without an answer leaves the machine Unknown with the reason and the age, never off; it recovers by itself."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await up(world)
        world.hardware("box-1").defects.sensor_blind = True
        await world.until(lambda: (known := condition(world, "PowerKnown")) and known.status == "Unknown", within=300)
        known = condition(world, "PowerKnown")
        assert known is not None
        assert "no answer; check its address" in known.message
        assert "last read On at 20" in known.message
        assert world.phase("box-1") is Phase.READY
        before = world.agent.gauge.calls["box-1"]
        await trio.sleep(600)
        assert world.agent.gauge.calls["box-1"] - before <= 12  # it backs off
        world.hardware("box-1").defects.sensor_blind = False
        await world.until(lambda: (known := condition(world, "PowerKnown")) and known.status == "True", within=120)


async def test_failure_3_a_bmc_says_yes_and_does_nothing(autojump_clock: MockClock) -> None:
    """A wake that the BMC took and that did nothing shows in the reading: it is sent again within one wake interval."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await reach(world, Phase.OFF)
        world.inject({"kind": "lostWake", "machine": "box-1"})
        await trio.sleep(1)
        await switch(world, "on")
        await reach(world, Phase.READY, within=12 + 15)
        assert len(jobs.made) == 2
        assert "StartFailed" not in dict(arrows(world))


async def test_failure_5_a_bmc_that_dies_with_its_machine_proves_nothing(autojump_clock: MockClock) -> None:
    """A machine and its BMC fall silent at once: it is Lost with unknown power, not Off, and its Kubernetes node stays."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "sensorBlind", "machine": "box-1"}, {"kind": "powerLoss", "machine": "box-1"})
        await reach(world, Phase.LOST)
        await world.until(lambda: (known := condition(world, "PowerKnown")) and known.status == "Unknown", within=300)
        await switch(world, "off")
        await trio.sleep(900)
        assert world.phase("box-1") is not Phase.OFF
        assert world.kube_node("box-1") is not None


async def test_failure_28_a_machine_that_is_cut_off_and_on_is_not_taken_for_off(autojump_clock: MockClock) -> None:
    """While its BMC says On, a machine without a sign of life is not woken, and its Kubernetes node stays."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await up(world)
        world.inject({"kind": "partition", "machine": "box-1", "duration": 900})
        await reach(world, Phase.LOST)
        await trio.sleep(600)
        assert len(jobs.made) == 1
        assert world.kube_node("box-1") is not None
        await reach(world, Phase.READY, within=400)


async def test_failure_41_a_doubtful_answer_is_unknown_at_once(autojump_clock: MockClock) -> None:
    """What was read before counts no more as soon as one answer can't be trusted, and the condition tells why."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await world.until(lambda: world.node("box-1").status.reading.power is Reading.OFF, within=60)
        doubt = Unavailable("box-1: http: its watts are negative (-87); look at its wiring", reason="Doubtful")
        world.agent.gauge.fail_next(doubt)
        await world.until(lambda: world.node("box-1").status.reading.power is Reading.UNKNOWN, within=90, every=0.1)
        known = condition(world, "PowerKnown")
        assert known is not None
        assert "its watts are negative (-87)" in known.message
        assert world.phase("box-1") is Phase.OFF


async def test_failure_42_a_bmc_that_said_off_once_is_asked_again_soon(autojump_clock: MockClock) -> None:
    """One answer Off among many On changes nothing that is told; the BMC is asked again five seconds later, not in a minute."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await up(world)
        await trio.sleep(200)
        calls, before = world.agent.gauge.calls, condition(world, "PowerKnown")
        asked = calls["box-1"]
        world.hardware("box-1").lie(True)
        await world.until(lambda: calls["box-1"] > asked, within=70, every=0.1)
        await trio.sleep(1)
        world.hardware("box-1").lie(False)
        await trio.sleep(5)
        assert calls["box-1"] == asked + 2
        assert before is not None
        assert (before.status, before.reason) == ("True", "Read")
        assert condition(world, "PowerKnown") == before
        assert world.node("box-1").status.power_state == "on"


async def test_a_refused_reading_is_not_repeated_all_day(autojump_clock: MockClock) -> None:
    """Wrong credentials are tried a few times an hour, so that no BMC locks the account; a new Secret is found all the same."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        world.agent.gauge.fail_next(*[Refused("box-1: ipmi at bmc-1.lan: wrong password; correct it")] * 12)
        await trio.sleep(600)
        assert 4 <= world.agent.gauge.calls["box-1"] <= 7
        await trio.sleep(3000)
        refused = [line for line in world.journal.lines if line.message == "power not read"]
        assert len(refused) == 1
        known = condition(world, "PowerKnown")
        assert known is not None
        assert known.status == "True"


async def test_a_reading_is_no_younger_than_its_question(autojump_clock: MockClock) -> None:
    """An answer that was long on its way counts from when it was asked for, so it proves nothing about what came since."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await trio.sleep(1)  # no question is on its way
        world.agent.gauge.seconds = 20.0
        world.hardware("box-1").press_on()
        await world.until(lambda: world.node("box-1").status.reading.power is Reading.ON, within=120)
        read_at = world.node("box-1").status.reading.at
        assert read_at is not None
        assert (world.now - read_at).total_seconds() >= 19.5


async def test_a_bmc_is_left_to_the_job_that_switches_it(autojump_clock: MockClock) -> None:
    """While the machine's power Job runs the agent asks nothing: a BMC has one session at a time."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        world.inject({"kind": "stuckJob", "machine": "box-1"})
        await trio.sleep(1)
        await switch(world, "on")
        await world.until(lambda: world.node("box-1").status.job is not None, within=5)
        await trio.sleep(1)
        before = world.agent.gauge.calls["box-1"]
        await trio.sleep(25)
        assert world.agent.gauge.calls["box-1"] == before


async def test_a_slow_bmc_holds_up_nobody(autojump_clock: MockClock) -> None:
    """While one BMC takes half a minute for an answer, another machine is woken as quickly as ever."""
    other = wired("box-2", {"ipmi": {"address": "bmc-2.lan", "secretName": "bmc-2"}}, boot_seconds=600.0)
    machines = [machine("box-1", group="rack", boot_seconds=8.0), other]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        world.agent.gauge.seconds = 29.0
        await switch(world, "on", "box-2", "box-1")
        await reach(world, Phase.READY, within=15)


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        (BMC, {"redfish": {"address": "https://BMC-1.lan/"}}, "BMC bmc-1.lan"),
        (MAGIC, {"wakeOnLan": {"macs": ["52-54-00-12-34-56"]}}, "MAC address 52:54:00:12:34:56"),
        (
            {"http": {"address": "http://plug.lan", "device": "shelly"}},
            {"http": {"address": "plug.lan", "device": "shelly", "outlets": ["0"]}},
            "outlet 0 of plug plug.lan",
        ),
    ],
)
async def test_two_machines_that_name_the_same_hardware_are_not_switched(
    one: dict[str, Any], other: dict[str, Any], what: str, autojump_clock: MockClock
) -> None:
    """Two machines that name one BMC, outlet or MAC both say so, neither is switched or read; once one is corrected, both are."""
    async with open_world(
        groups=[rack()], machines=[wired("box-1", one), wired("box-2", other)], autoscaler=None, site=QUICK
    ) as world:
        jobs = JobWatch(world)
        await switch(world, "on", "box-1", "box-2")
        await trio.sleep(30)
        for name, twin in (("box-1", "box-2"), ("box-2", "box-1")):
            found = condition(world, "Invalid", name)
            assert found is not None
            assert found.reason == "DuplicatePower"
            assert f"{what} is also named by machines/{twin}" in found.message
        assert not jobs.made
        assert not world.agent.gauge.calls
        world.site.api.patch(
            MACHINES, ("machines", "box-2"), Patch({"spec": {"power": None, "startupPodSpec": {"image": "x"}}})
        )
        await world.until(lambda: {name for name, _, _ in jobs.made} == {"box-1", "box-2"}, within=30)
        assert condition(world, "Invalid") is None


async def test_no_credential_shows_anywhere(autojump_clock: MockClock) -> None:
    """A password that the agent reads a BMC with stands in no object, Event, condition or line of the log, whatever fails."""
    vault = Vault()
    async with open_world(
        groups=[rack()], machines=[wired("box-1", BMC | MAGIC)], autoscaler=None, site=QUICK, agent=False
    ) as world:
        world.agent.gauge = DriverGauge(vault.opened, vault, patience=1)
        seen: list[str] = []
        world.site.api.listen(JOBS, lambda event: seen.append(repr(event.stored.raw)))
        world.site.api.listen(MACHINES, lambda event: seen.append(repr(event.stored.raw)))
        vault.machine = world.hardware("box-1")
        await world.start_agent()
        await up(world)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        for vault.error in ("BadCredentials", "NoAnswer"):
            await trio.sleep(400)
        told = [*seen, *map(repr, world.journal.lines), *map(repr, world.journal.events)]
        assert vault.given
        assert len(told) > 20
        assert not [text for text in told if PLANTED in text]


class Vault:
    """Secrets, and a BMC that takes them."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.error = ""
        self.machine: MemoryMachine | None = None

    async def read(self, namespace: str, name: str) -> dict[str, bytes] | None:
        return {"password": PLANTED.encode()}

    @asynccontextmanager
    async def opened(self, spec: PowerSpec, context: Context) -> AsyncIterator[Power]:
        self.given.append(context.needed("bmc-1", "password"))
        if self.error:
            kind = context.unavailable if self.error == "NoAnswer" else context.refused
            raise kind("it did not work", "look at it", reason=self.error)
        assert self.machine is not None
        yield MemoryPower(self.machine)


async def test_without_an_image_a_machine_says_so(autojump_clock: MockClock) -> None:
    """Where hexa was not told its own image, a machine with `spec.power` is not switched and names the setting."""
    machines = [wired("box-1", BMC)]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK, agent=False) as world:
        world.agent.image = ""
        await world.start_agent()
        await switch(world, "on")
        await trio.sleep(10)
        found = condition(world, "PowerOnUnavailable")
        assert found is not None
        assert "HEXA_JOBS_IMAGE" in found.message
        assert world.phase("box-1") is Phase.OFF
