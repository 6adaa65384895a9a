"""What a fault script does to a site in RAM: each kind of fault, as data."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from hexa.adapters.memory.ports.jobs import MemoryJobs
from hexa.adapters.memory.ports.sensors import MemorySensors
from hexa.adapters.memory.site.faults import Fault, FaultKind
from hexa.adapters.memory.site.machine import MemoryMachine, State
from hexa.adapters.memory.site.site import Site, open_site
from hexa.domain.errors import Expired, Unavailable
from hexa.domain.resources.core import NODES, PODS
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node, OwnedMetadata, PowerPodSpec, Reading
from hexa.ports.jobs import Action, Order, Outcome, Seen


@pytest.fixture
async def site(autojump_clock: MockClock) -> AsyncIterator[Site]:
    """A site with one machine that is off, `off`, and one that is on, `on`; both boot in 10 s."""
    async with open_site() as site:
        site.add_control_plane()
        site.add_machine("off", boot_seconds=10, sensor=True)
        site.add_machine("on", boot_seconds=10, on=True, sensor=True)
        yield site


def inject(site: Site, **fault: Any) -> MemoryMachine:
    """Inject the fault as a scenario writes it; returns its machine."""
    site.inject(msgspec.convert(fault, Fault))
    return site.machines[fault.get("machine", "on")]


async def wake(machine: MemoryMachine) -> bool:
    """Send a wake; returns whether the machine was up within 20 s."""
    machine.wake()
    await trio.sleep(20)
    return machine.state is State.UP


async def run_job(
    site: Site, action: Action, *, machine: str = "off", deadline: float = 30.0, attempt: int = 1
) -> Seen | None:
    """Order an action, and see what became of it after its deadline."""
    declared = site.api.get(MACHINES, machine, "machines")
    if declared is None:
        declared = site.api.create(MACHINES, {"metadata": {"name": machine, "namespace": "machines"}, "spec": {}})
    order = Order(Lookup("machines", machine), declared.uid, action, attempt, PowerPodSpec(image="x"), deadline)
    jobs = MemoryJobs(site.client())
    await jobs.start(order)
    await trio.sleep(deadline / 2)
    await jobs.observe(order)
    await trio.sleep(deadline / 2 + 5)
    return await jobs.observe(order)


async def test_lost_wakes(autojump_clock: MockClock, site: Site) -> None:
    """So many wakes do nothing, the next one works."""
    machine = inject(site, kind="lostWake", machine="off", count=2)
    await trio.sleep(1)
    assert [await wake(machine) for _ in range(3)] == [False, False, True]
    assert (machine.wakes, machine.boots) == (3, 1)


async def test_a_dead_machine_comes_back_when_it_is_repaired(autojump_clock: MockClock, site: Site) -> None:
    """Neither wake nor button brings power to a dead machine, until the fault's duration is over."""
    machine = inject(site, kind="dead", machine="off", duration="1h")
    await trio.sleep(1)
    machine.press_on()
    assert not await wake(machine)
    assert not machine.power
    await trio.sleep(3600)
    assert await wake(machine)


async def test_slow_boots(autojump_clock: MockClock, site: Site) -> None:
    """The next boot takes longer, the one after its usual time."""
    machine = inject(site, kind="slowBoot", machine="off", duration=60)
    await trio.sleep(1)
    assert not await wake(machine)
    await trio.sleep(51)
    assert machine.state is State.UP
    machine.lose_power()
    assert await wake(machine)


async def test_a_boot_that_never_joins(autojump_clock: MockClock, site: Site) -> None:
    """The machine has power and no node appears; a power cycle mends it."""
    machine = inject(site, kind="noJoin", machine="off")
    await trio.sleep(1)
    assert not await wake(machine)
    await trio.sleep(3600)
    assert (machine.power, site.api.get(NODES, "off")) == (True, None)
    machine.cut_hard()
    assert await wake(machine)


async def test_a_hung_shutdown(autojump_clock: MockClock, site: Site) -> None:
    """An orderly shutdown is ignored once; the next one works, a cut always."""
    machine = inject(site, kind="hungShutdown", machine="on")
    await trio.sleep(1)
    machine.cut_soft()
    assert machine.state is State.UP
    machine.cut_soft()
    assert machine.state is State.STOPPING


async def test_buttons(autojump_clock: MockClock, site: Site) -> None:
    """Somebody presses the power button: on boots, off shuts down in order; pods lost so are not hexa's."""
    off, on = inject(site, kind="buttonOn", machine="off"), inject(site, kind="buttonOff", machine="on", at="30s")
    site.add_pod("p")
    await trio.sleep(20)
    assert (off.state, on.state) == (State.UP, State.UP)
    await trio.sleep(20)
    assert (on.power, on.pods_killed, on.pods_lost + off.pods_lost) == (False, 0, 1)


async def test_a_crash_with_and_without_reboot(autojump_clock: MockClock, site: Site) -> None:
    """A crash leaves power on and nothing running, until a reboot if one is to come."""
    machine = inject(site, kind="crash", machine="on", duration=100)
    await trio.sleep(90)
    assert (machine.state, machine.power) == (State.HUNG, True)
    await trio.sleep(30)
    assert (machine.state, machine.boots) == (State.UP, 1)


async def test_power_loss_of_the_whole_site(autojump_clock: MockClock, site: Site) -> None:
    """Without a machine's name it strikes all but the control plane; with a duration they boot as power returns."""
    inject(site, kind="powerLoss", at=10, duration=60)
    await trio.sleep(20)
    assert [machine.power for machine in site.machines.values()] == [True, False, False]
    await trio.sleep(70)
    assert [machine.state for machine in site.machines.values()] == [State.UP] * 2 + [State.UP]


async def test_a_partition_heals(autojump_clock: MockClock, site: Site) -> None:
    """A machine is cut off for the duration and runs on."""
    machine = inject(site, kind="partition", machine="on", duration=100)
    await trio.sleep(50)
    assert (machine.partitioned, machine.state) == (True, State.UP)
    await trio.sleep(60)
    assert not machine.partitioned


async def test_a_reboot_counts_as_a_boot(autojump_clock: MockClock, site: Site) -> None:
    """A machine that reboots by itself is up again after its boot time."""
    machine = inject(site, kind="reboot", machine="on")
    await trio.sleep(5)
    assert machine.state is State.BOOTING
    await trio.sleep(10)
    assert (machine.state, machine.boots, machine.offs) == (State.UP, 1, 0)


async def test_a_blind_sensor(autojump_clock: MockClock, site: Site) -> None:
    """The sensor reads Unknown for the duration."""
    inject(site, kind="sensorBlind", machine="on", duration=10)
    declared, readings = Node(metadata=OwnedMetadata(name="on")), []
    for _ in range(2):
        await trio.sleep(6)
        reading = MemorySensors(site).reading(declared)
        assert reading is not None
        readings.append(reading.power)
    assert readings == [Reading.UNKNOWN, Reading.ON]


@pytest.mark.parametrize(
    ("kind", "outcome", "said"),
    [
        ("stuckJob", Outcome.FAILED, "deadline"),
        ("failedJob", Outcome.FAILED, "exit code 1"),
        ("imageMissing", Outcome.FAILED, "ImagePullBackOff"),
    ],
)
async def test_jobs_that_go_wrong(
    autojump_clock: MockClock, site: Site, kind: str, outcome: Outcome, said: str
) -> None:
    """The next power Job of the machine and action fails with a reason and does nothing; others are spared."""
    machine = inject(site, kind=kind, machine="off", action="startup")
    other = await run_job(site, Action.SHUTDOWN, machine="on")
    seen = await run_job(site, Action.STARTUP)
    again = await run_job(site, Action.STARTUP, attempt=2)
    assert seen is not None
    assert other is not None
    assert again is not None
    assert (seen.outcome, said in seen.message) == (outcome, True), seen
    assert (other.outcome, again.outcome, machine.wakes) == (Outcome.DONE, Outcome.DONE, 1)
    phases = {stored.raw["status"]["phase"] for stored in site.api.find(PODS)}
    assert phases <= {"Succeeded", "Failed"}  # whatever hung was ended


async def test_a_job_whose_answer_is_not_understood(autojump_clock: MockClock, site: Site) -> None:
    """The power Job fails, and the machine was switched all the same."""
    machine = inject(site, kind="oddAnswer", machine="off")
    seen = await run_job(site, Action.STARTUP)
    assert seen is not None
    assert (seen.outcome, machine.wakes, machine.power) == (Outcome.FAILED, 1, True)


async def test_api_faults(autojump_clock: MockClock, site: Site) -> None:
    """Errors strike each client once, an outage all calls for its time, a compaction every old version."""
    kube = site.client()
    before = site.api.version
    site.add_pod("p")
    inject(site, kind="apiError", at=1)
    inject(site, kind="outage", at=10, duration="5s")
    inject(site, kind="compaction", at=20)
    await trio.sleep(2)
    with pytest.raises(Unavailable):
        await kube.list(PODS)
    await kube.list(PODS)
    await trio.sleep(9)
    with pytest.raises(Unavailable):
        await kube.list(PODS)
    await trio.sleep(10)
    await kube.list(PODS)
    with pytest.raises(Expired):
        async with kube.watch(PODS, since=before):
            pass


async def test_an_unknown_machine_is_named(autojump_clock: MockClock) -> None:
    """A script that names no machine of the site fails at once, before time passes."""
    async with open_site() as site:
        with pytest.raises(ValueError, match="nowhere"):
            site.inject(Fault(kind=FaultKind.DEAD, machine="nowhere", at=3600))


@pytest.mark.parametrize("fault", [{"kind": "unheard"}, {"kind": "dead", "mashine": "m1"}, {"machine": "m1"}])
def test_a_script_with_a_typo_is_refused(fault: dict[str, str]) -> None:
    """Unknown kinds and fields are errors that say where."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fault, Fault)
