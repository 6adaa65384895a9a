"""What a user may rely on of `hexa power test`: the agent itself switches, and the machine is left as found, or held."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, boxes, loaded, rack, reach, up
from tests.scenarios.test_spec_power import BMC, wired
from trio.testing import MockClock

from hexa.app.commands.conformance import Result, Step, Tick, conduct
from hexa.app.commands.conformance_plan import Objected
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import NODES, PODS
from hexa.domain.resources.v1alpha1 import MACHINES, Hold, Lookup
from hexa.ports.kube import Patch
from hexa.testing.world import World, group, machine, open_world

KEY = Lookup("machines", "box-1")
REST = timedelta(seconds=30)


async def conducted(
    world: World,
    *,
    stopped: trio.Event | None = None,
    tell: Callable[[Step | Tick], None] = lambda _: None,
    key: Lookup = KEY,
) -> Result | Objected:
    """A test of the machine, begun now."""
    return await conduct(
        world.kube,
        clock=world.site.clock,
        key=key,
        rest=REST,
        stopped=trio.Event() if stopped is None else stopped,
        tell=tell,
        by="ann",
    )


async def outcome(world: World, **more: Any) -> Result:
    """A test that is not refused."""
    result = await conducted(world, **more)
    assert isinstance(result, Result), result
    return result


def hold_of(world: World) -> Hold | None:
    """The hold over the machine."""
    return world.node("box-1").spec.hold


def stages(result: Result) -> list[tuple[str, bool]]:
    """What was done, and whether it passed."""
    return [(str(step.step), step.passed) for step in result.steps]


async def test_a_machine_that_is_on_passes(autojump_clock: MockClock) -> None:
    """Drained, off by its reading, dark for a while, up again by a wake of hexa: it ends on, unheld, with wake proof, and its pod
    moved away in order."""
    async with open_world(
        groups=[rack()], machines=[wired("box-1", BMC), *boxes(2)[1:]], autoscaler=None, site=QUICK
    ) as world:
        jobs = JobWatch(world)
        await loaded(world)
        await up(world, "box-2")
        told: list[Step | Tick] = []
        result = await outcome(world, tell=told.append)
        assert (result.verdict, result.found, result.text) == ("pass", "on", "")
        assert stages(result) == [("drain", True), ("off", True), ("stay off", True), ("on", True)]
        assert [step.text for step in result.steps][1::2] == [
            "read off by ipmi",
            "Ready with a new boot ID; read on by ipmi",
        ]
        assert [each for each in told if isinstance(each, Step)] == list(result.steps)
        assert any(isinstance(each, Tick) and "it drains" in each.text for each in told)
        assert result.steps[2].seconds >= 30
        assert jobs.of("box-1") == ["startup", "shutdown", "startup"]
        assert world.hardware("box-1").pods_killed == 0
        assert (hold_of(world), result.undo) == (None, "")
        assert world.phase("box-1") is Phase.READY
        proven = world.node("box-1").status.wake_proven_at
        assert proven is not None
        assert (world.now - proven).total_seconds() < 10
        await trio.sleep(600)
        assert world.phase("box-1") is Phase.READY


async def test_a_machine_that_is_off_passes_and_is_off_again(autojump_clock: MockClock) -> None:
    """It ends in the state in which it was found, without a sensor by its silence, and its wake is proven."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await trio.sleep(5)
        result = await outcome(world)
        assert (result.verdict, result.found) == ("pass", "off")
        assert [name for name, _ in stages(result)] == ["on", "drain", "off", "stay off"]
        assert result.steps[2].text == "its kubelet fell silent after the Job"
        assert (world.phase("box-1"), hold_of(world)) == (Phase.OFF, None)
        assert world.node("box-1").status.wake_proven_at is not None
        await trio.sleep(600)
        assert world.phase("box-1") is Phase.OFF


@pytest.mark.parametrize("power", [None, BMC], ids=["nothing reads it", "a BMC reads it"])
async def test_a_shutdown_that_is_accepted_and_not_followed(
    power: dict[str, Any] | None, autojump_clock: MockClock
) -> None:
    """The BMC says yes and does nothing: FAIL says what shows it, and the machine stays held on and serves, without an end."""
    box = wired("box-1", power) if power else boxes()[0]
    async with open_world(groups=[rack()], machines=[box], autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "hungShutdown", "machine": "box-1"})
        result = await outcome(world)
        shown = "ipmi still reads it on" if power else "its kubelet still gives signs of life"
        assert (result.verdict, result.reason) == ("fail", "StopFailed")
        assert result.text == f"its shutdown Job was done, and {shown}"
        assert stages(result) == [("drain", True), ("off", False)]
        assert result.undo == "hexa auto machines/box-1"
        hold = hold_of(world)
        assert hold is not None
        assert (hold.power, hold.until) == ("on", None)
        assert hold.reason == f"hexa power test failed: {result.text}"
        await reach(world, Phase.READY)
        await world.until(lambda: world.node("box-1").status.welcomed, within=30)
        node = world.kube_node("box-1")
        assert node is not None
        assert not node.spec.unschedulable


async def test_a_job_that_fails_is_told_in_its_own_words(autojump_clock: MockClock) -> None:
    """A shutdown Job that fails ends the test at once; what its pod said is the verdict's reason."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "failedJob", "machine": "box-1", "action": "shutdown"})
        result = await outcome(world)
        assert (result.verdict, result.reason) == ("fail", "JobFailed")
        assert result.text.startswith("its shutdown Job failed: ")
        assert "exit code 1" in result.text
        assert sum(step.seconds for step in result.steps) < 20


async def test_a_machine_that_never_wakes(autojump_clock: MockClock) -> None:
    """It went off and does not come: FAIL, held off and left alone; the next test may begin once it is mended, and takes the hold
    away."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await up(world)
        world.hardware("box-1").defects.dead = True
        result = await outcome(world)
        assert (result.verdict, result.reason) == ("fail", "StartFailed")
        assert (
            result.text
            == "3 wakes were sent, and no Ready Kubernetes node came within its limits, and ipmi still reads it off"
        )
        hold = hold_of(world)
        assert hold is not None
        assert (hold.power, hold.until) == ("off", None)
        assert world.node("box-1").status.wake_proven_at is None
        wakes = world.hardware("box-1").wakes
        await trio.sleep(3600)
        assert world.hardware("box-1").wakes == wakes
        world.hardware("box-1").defects.dead = False
        assert world.phase("box-1") is Phase.OFF
        again = await outcome(world)
        assert (again.verdict, again.found) == ("pass", "off")
        assert hold_of(world) is None
        await reach(world, Phase.READY)  # whoever wanted it on gets it back


@pytest.mark.long
async def test_a_machine_that_hangs_on_its_way_up_is_held_on(autojump_clock: MockClock) -> None:
    """It has power and never joins, perhaps for a firmware update: held on, nothing cuts it, and its BMC is quoted."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "noJoin", "machine": "box-1", "count": 9})
        result = await outcome(world)
        assert (result.verdict, result.reason) == ("fail", "StartFailed")
        assert "ipmi reads it on: its system hangs, or its kubelet does not join" in result.text
        hold = hold_of(world)
        assert hold is not None
        assert hold.power == "on"
        offs = world.hardware("box-1").offs
        await trio.sleep(1800)
        assert world.hardware("box-1").offs == offs


async def test_a_lost_wake_is_told_and_passes(autojump_clock: MockClock) -> None:
    """What hexa makes good on any other day it makes good here: two wakes are a pass with a remark."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.inject({"kind": "lostWake", "machine": "box-1"})
        result = await outcome(world)
        assert result.verdict == "pass"
        assert "2 wakes were needed" in result.steps[-1].text


async def test_a_machine_that_comes_back_by_itself(autojump_clock: MockClock) -> None:
    """A shutdown that is a restart, or firmware that switches on again, is no off: FAIL names what to look at."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await up(world)

        def button(news: Step | Tick) -> None:
            if isinstance(news, Step) and news.step == "off":
                world.hardware("box-1").press_on()

        result = await outcome(world, tell=button)
        assert (result.verdict, result.reason) == ("fail", "CameBack")
        assert "it came up again by itself" in result.text
        assert "restore on AC power loss" in result.remedy
        hold = hold_of(world)
        assert hold is not None
        assert hold.power == "on"


async def test_a_bmc_of_another_machine_is_found_out(autojump_clock: MockClock) -> None:
    """Up, and read off: the BMC is somebody else's."""
    async with open_world(groups=[rack()], machines=[wired("box-1", BMC)], autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await trio.sleep(5)

        def blind(news: Step | Tick) -> None:
            if isinstance(news, Tick) and "is being woken" in news.text:
                world.hardware("box-1").defects.sensor_blind = True

        result = await outcome(world, tell=blind)
        assert (result.verdict, result.reason) == ("fail", "ReadingContradicts")
        assert "its Kubernetes node is Ready, and ipmi reads" in result.text


async def test_a_drain_that_a_budget_blocks(autojump_clock: MockClock) -> None:
    """The pod stays, the budget is named, and the machine is on, schedulable and held on."""
    async with open_world(
        groups=[rack(timeouts={"drain": "2m"})], machines=boxes(2), autoscaler=None, site=QUICK
    ) as world:
        await loaded(world, budget={"minAvailable": 1})
        await up(world, "box-2")
        ticks: list[str] = []
        result = await outcome(world, tell=lambda news: ticks.append(news.text))
        assert (result.verdict, result.reason) == ("fail", "DrainBlocked")
        assert "the drain was given up: default/load" in result.text
        assert "hexa drain-check machines/box-1" in result.remedy
        assert any("blocked by default/load" in tick for tick in ticks)
        assert world.hardware("box-1").offs == 0
        hold = hold_of(world)
        assert hold is not None
        assert hold.power == "on"
        assert world.waiting == 0


@pytest.mark.parametrize("stage", ["drain", "off", "stay off", "on"])
async def test_interrupted_in_any_stage(stage: str, autojump_clock: MockClock) -> None:
    """Ctrl-C takes the hold back: whoever decided before decides again, and the agent brings the machine back up."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        stopped = trio.Event()

        def stop(news: Step | Tick) -> None:
            if isinstance(news, Tick) and news.stage == stage:
                stopped.set()

        result = await outcome(world, stopped=stopped, tell=stop)
        assert (result.verdict, result.reason) == ("stopped", "Interrupted")
        assert "its hold is taken back, and user wants it on" in result.left
        assert hold_of(world) is None
        await world.until(lambda: world.phase("box-1") is Phase.READY, within=180)


async def test_an_interruption_without_an_api_server_says_until_when(autojump_clock: MockClock) -> None:
    """The hold can't be taken back then; it ends by itself, and how to end it sooner is told."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        stopped = trio.Event()

        def stop(news: Step | Tick) -> None:
            if isinstance(news, Tick) and news.stage == "stay off" and not stopped.is_set():
                world.inject({"kind": "outage", "duration": 60})
                stopped.set()

        result = await outcome(world, stopped=stopped, tell=stop)
        hold = hold_of(world)
        assert hold is not None
        assert hold.until is not None
        assert f"stands until {hold.until.isoformat(timespec='seconds')}" in result.left
        assert result.undo == "hexa auto machines/box-1"
        await world.until(lambda: world.phase("box-1") is Phase.READY, within=3600)


async def test_nobody_acts(autojump_clock: MockClock) -> None:
    """Without an agent that is said after half a minute, and nothing is left behind."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.kill_agent()
        began = trio.current_time()
        result = await outcome(world)
        assert (result.verdict, result.steps) == ("noAgent", ())
        assert 29 <= trio.current_time() - began <= 35
        assert hold_of(world) is None


async def test_an_agent_that_dies_on_the_way_fails_the_test(autojump_clock: MockClock) -> None:
    """The machine stays held as it was last seen, and the reason says that nobody acts."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)

        def kill(news: Step | Tick) -> None:
            if isinstance(news, Step) and news.step == "off":
                world.kill_agent()

        result = await outcome(world, tell=kill)
        assert (result.verdict, result.reason) == ("fail", "NoAgent")
        hold = hold_of(world)
        assert hold is not None
        assert hold.power == "off"


async def test_an_api_server_that_is_away_for_a_while(autojump_clock: MockClock) -> None:
    """An outage in the midst is waited out."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        ticks: list[str] = []

        def cut(news: Step | Tick) -> None:
            ticks.append(news.text)
            if isinstance(news, Step) and news.step in ("off", "stay off"):
                world.inject({"kind": "outage", "duration": 40})

        result = await outcome(world, tell=cut)
        assert (result.verdict, result.text) == ("pass", "")
        assert "the API server does not answer" in ticks


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"hold": None}, "its hold was taken away"),
        ({"hold": {"power": "on", "until": None, "reason": "demo"}}, "somebody else holds it on now (demo)"),
        ({"paused": {"reason": "new fan"}}, "it was paused meanwhile"),
    ],
)
async def test_somebody_else_takes_over(edit: dict[str, Any], says: str, autojump_clock: MockClock) -> None:
    """A person's word meanwhile ends the test, and stands."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)

        def take(news: Step | Tick) -> None:
            if isinstance(news, Tick) and news.stage == "off":
                world.edit("box-1", edit)

        result = await outcome(world, tell=take)
        assert (result.verdict, result.reason, result.text) == ("stopped", "TakenOver", says)
        hold = hold_of(world)
        assert (hold.reason if hold else None) == ("demo" if "demo" in says else None)


HEXA_POD = {
    "metadata": {"name": "hexa-0", "namespace": "hexa", "labels": {"app.kubernetes.io/name": "hexa"}},
    "spec": {"nodeName": "box-1", "containers": []},
}
LONGHORN = {
    "metadata": {
        "name": "instance-manager-1",
        "namespace": "longhorn-system",
        "labels": {"longhorn.io/component": "instance-manager"},
    },
    "spec": {"nodeName": "box-1", "containers": []},
}


@pytest.mark.parametrize(
    ("spec", "pod", "rule", "says"),
    [
        ({"hold": {"power": "on", "reason": "demo"}}, None, "Hold", "held on: demo"),
        ({"hold": {"power": "off", "reason": "demo"}}, None, "Hold", "held off: demo"),
        ({"paused": {"reason": "new fan"}}, None, "Paused", "paused: new fan"),
        ({"startupPodSpec": None}, None, "PowerOnUnavailable", "spec.startupPodSpec is absent"),
        ({"shutdownPodSpec": None}, None, "PowerOffUnavailable", "spec.shutdownPodSpec is absent"),
        ({}, HEXA_POD, "HostsControl", "hexa/hexa-0 runs on it"),
        ({}, LONGHORN, "HostsStorage", "set spec.storage: ignore on the group"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
async def test_machines_that_are_not_tested(
    spec: dict[str, Any], pod: dict[str, Any] | None, rule: str, says: str, autojump_clock: MockClock
) -> None:
    """The rule that stands against it is named, and nothing is written."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        world.agent.kill()
        await world.agent.ended()
        if pod is not None:
            world.site.api.create(PODS, pod)
        if spec:
            world.edit("box-1", spec)
        await trio.sleep(1)
        before = world.node("box-1")
        result = await conducted(world)
        assert isinstance(result, Objected)
        assert result.reasons[0].rule == rule
        assert says in result.reasons[0].text
        assert world.node("box-1") == before


async def test_control_plane_members_are_not_tested(autojump_clock: MockClock) -> None:
    """Also where the group takes them as members."""
    async with open_world(
        groups=[group("rack", allowControlPlane=True)], machines=boxes(), autoscaler=None, site=QUICK
    ) as world:
        await up(world)
        label = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
        world.site.api.patch(NODES, ("", "box-1"), Patch(label), manager="kubectl")
        await trio.sleep(5)
        result = await conducted(world)
        assert isinstance(result, Objected)
        assert [each.rule for each in result.reasons] == ["ControlPlane"]


async def test_machines_on_their_way_are_not_tested(autojump_clock: MockClock) -> None:
    """A machine that boots, one that is wanted otherwise than it is, and one that hexa never saw."""
    slow = boxes(1, boot_seconds=60.0)
    async with open_world(groups=[rack()], machines=slow, autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        world.edit("box-1", {"powerState": "on"})
        await reach(world, Phase.BOOTING)
        result = await conducted(world)
        assert isinstance(result, Objected)
        assert result.reasons[0].rule == "InTransition"
        assert "it boots, and waits for" in result.reasons[0].text
        await reach(world, Phase.READY)
        world.kill_agent()
        world.edit("box-1", {"powerState": "off"})
        result = await conducted(world)
        assert isinstance(result, Objected)
        assert "it is on, and user wants it off" in result.reasons[0].text
        world.add_machine(machine("box-9", group="rack"))
        result = await conducted(world, key=Lookup("machines", "box-9"))
        assert isinstance(result, Objected)
        assert result.reasons[0].rule == "NotSeen"


async def test_a_rule_that_only_the_agent_sees(autojump_clock: MockClock) -> None:
    """Where the agent may not switch it off by a rule that nobody could see before, the hold is taken back and the rule told."""
    async with open_world(groups=[rack()], machines=boxes(), autoscaler=None, site=QUICK) as world:
        await up(world)
        stored = world.site.api

        def host(news: Step | Tick) -> None:
            if isinstance(news, Tick) and world.phase("box-1") is Phase.READY and not stored.find(PODS):
                stored.create(PODS, HEXA_POD)

        world.kube.patch = _before(world, world.kube.patch)  # type: ignore[method-assign]
        result = await outcome(world, tell=host)
        assert (result.verdict, result.reason) == ("refused", "HostsControl")
        assert "hexa/hexa-0 runs on it" in result.text
        assert hold_of(world) is None
        assert world.hardware("box-1").offs == 0


def _before(world: World, patch: Any) -> Any:
    """hexa's own pod comes to the machine just before the hold is written."""

    async def patched(*arguments: Any, **more: Any) -> Any:
        if arguments[0] is MACHINES and not any(
            s.raw["metadata"]["name"] == "hexa-0" for s in world.site.api.find(PODS)
        ):
            world.site.api.create(PODS, HEXA_POD)
        return await patch(*arguments, **more)

    return patched
