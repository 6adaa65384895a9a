"""Why an idle machine stays on: the autoscaler leaves it, and the report names what was planted."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, boxes, rack, reach, up
from tests.scenarios.test_wake_for_pinned import local_volume
from trio.testing import MockClock

from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.commands.blockers import BlockerLine, blockers
from hexa.app.commands.shared.snapshot import take
from hexa.app.commands.shared.watching import LiveSnapshot
from hexa.app.commands.why import MachineAnswer, explain_machine
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import HOLDS_DATA_LABEL, HOSTNAME_LABEL, KEPT_ON_ANNOTATION, SAFE_TO_EVICT, SCALE_DOWN_DISABLED
from hexa.domain.resources.core import NODES, PODS
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.ports.kube import Patch
from hexa.testing.world import World, open_world

Plant = Callable[[World], Any]


def web(world: World, **more: Any) -> None:
    """A pod of a ReplicaSet that could run anywhere."""
    world.add_pods(1, name="web", cpu="500m", **more)


def guarded(world: World) -> None:
    """A budget allows no disruption of it."""
    web(world)
    world.add_budget(name="web", minAvailable=1)


def in_kube_system(world: World) -> None:
    """A pod of kube-system without a budget."""
    world.site.add_workload("dns", namespace="kube-system", cpu="500m")


def annotated(world: World) -> None:
    """A pod that says that it must not be moved."""
    web(world)

    def mark(event: Any) -> None:
        notes = event.stored.raw["metadata"].get("annotations") or {}
        if event.stored.key[0] == "default" and SAFE_TO_EVICT not in notes and event.type != "DELETED":
            patch = Patch({"metadata": {"annotations": {SAFE_TO_EVICT: "false"}}})
            world.site.api.patch(PODS, event.stored.key, patch, manager="kubectl")

    world.site.api.listen(PODS, mark)


def disabled(world: World) -> None:
    """Somebody annotated the Kubernetes node."""
    patch = Patch({"metadata": {"annotations": {SCALE_DOWN_DISABLED: "true"}}})
    world.site.api.patch(NODES, ("", "box-1"), patch, manager="kubectl")


CAUSES: dict[str, tuple[str, Plant, dict[str, Any]]] = {
    "PDB": ("DisruptionBudget", guarded, {}),
    "bare pod": ("BarePod", lambda world: world.site.add_pod("one", cpu="500m"), {}),
    "kube-system pod": ("SystemPod", in_kube_system, {}),
    "emptyDir": ("EmptyDir", lambda world: web(world, volumes=[{"name": "scratch", "emptyDir": {}}]), {}),
    "local volume": (
        "PinnedVolume",
        lambda world: web(world, volumes=[local_volume(world, "pg", on="box-1")]),
        {"alone": True},
    ),
    "hold": ("Hold", lambda world: world.edit("box-1", {"hold": {"power": "on"}}), {}),
    "minOnTime": ("MinOnTime", lambda world: None, {"minOnTime": "1h"}),
    "spare": ("Spare", lambda world: None, {"spares": 1}),
    "schedule": ("MinSize", lambda world: None, {"schedules": [{"minSize": 2, "reason": "office"}]}),
    "storage": ("HostsStorage", lambda world: web(world, labels={"app": "web", HOLDS_DATA_LABEL: "true"}), {}),
    "pinned pod": ("PinnedPod", lambda world: web(world, nodeSelector={HOSTNAME_LABEL: "box-1"}), {}),
    "annotation of the pod": ("DoNotDisrupt", annotated, {}),
    "annotation of the node": ("ScaleDownDisabled", disabled, {}),
}
"""What is planted: the rule that is named, how it is planted, what more the group says."""
QUICKLY = ("PDB", "minOnTime")


async def lines(world: World) -> dict[str, BlockerLine]:
    """`hexa blockers`, by machine."""
    kube = MemoryKube(world.site.api, manager="kubectl")
    snapshot = await take(kube, clock=world.site.clock, namespace="machines")
    found = await blockers(kube, snapshot, namespace="machines")
    assert (found.notes, found.wrong) == ((), ())
    return {line.machine.partition("/")[2]: line for line in found.lines}


async def said_by_why(world: World) -> str:
    """The rule that `hexa why box-1` names."""
    kube = MemoryKube(world.site.api, manager="kubectl")
    answer = await explain_machine(
        kube, await take(kube, clock=world.site.clock, namespace="machines"), Lookup("machines", "box-1")
    )
    assert isinstance(answer, MachineAnswer)
    return answer.blocker.rule if answer.blocker is not None else ""


async def idle(world: World, plant: Plant, *, alone: bool) -> None:
    """The first machine is up with what was planted; unless it is alone, another has room for all of it."""
    await up(world, "box-1")
    plant(world)
    await world.until(lambda: world.waiting == 0, within=30)
    if not alone:
        world.edit("box-2", {"hold": {"power": "on"}})
        await reach(world, Phase.READY, "box-2")


@pytest.mark.parametrize(
    "cause", [name if name in QUICKLY else pytest.param(name, marks=pytest.mark.long) for name in CAUSES]
)
async def test_the_autoscaler_leaves_it_and_the_report_names_the_cause(autojump_clock: MockClock, cause: str) -> None:
    """Each planted cause keeps an idle machine on, and `hexa blockers` and `hexa why` name that one."""
    rule, plant, more = CAUSES[cause]
    more = dict(more)
    alone = more.pop("alone", False)
    group = rack(scaleDownUnneededTime="1m", wakeProof="Ignore", **more)
    async with open_world(groups=[group], machines=boxes(2), site=QUICK) as world:
        await idle(world, plant, alone=alone)
        await trio.sleep(900)
        assert world.phase("box-1") is Phase.READY
        found = (await lines(world))["box-1"]
        assert (found.reason.rule, found.idle) == (rule, True)
        assert cause != "schedule" or "spec.schedules[0]" in found.reason.object
        assert await said_by_why(world) == rule


@pytest.mark.long
async def test_without_a_cause_it_rests_and_in_use_it_is_no_idle_machine(autojump_clock: MockClock) -> None:
    """The same pod without any of these moves, and its machine goes off; one that asks for most of a machine is use."""
    group = rack(scaleDownUnneededTime="1m", wakeProof="Ignore")
    async with open_world(groups=[group], machines=boxes(2), site=QUICK) as world:
        await idle(world, web, alone=False)
        await reach(world, Phase.OFF, "box-1", within=900)
        assert set(await lines(world)) == {"box-2"}
        world.add_pods(1, name="big", cpu="3")
        await world.until(lambda: world.waiting == 0, within=30)
        line = (await lines(world))["box-2"]
        assert (line.reason.rule, line.idle) == ("InUse", False)


async def test_the_agent_tells_the_rule_where_the_group_asks_for_it(autojump_clock: MockClock) -> None:
    """In the condition, on the Kubernetes node and in one Event for each change; with the option off nothing of it is left."""
    group = rack(reportBlockers=True, minOnTime="5m", wakeProof="Ignore")
    async with open_world(groups=[group], machines=boxes(1), site=QUICK) as world:
        await up(world)
        await trio.sleep(5)

        def told() -> tuple[str, str]:
            node = world.kube_node("box-1")
            said = [c.reason for c in world.node("box-1").status.conditions if c.type == "KeptOn"]
            note = node.metadata.annotations.get(KEPT_ON_ANNOTATION, "") if node is not None else ""
            return "".join(said), note.partition(":")[0]

        assert told() == ("MinOnTime", "MinOnTime")
        world.edit("box-1", {"hold": {"power": "on"}})
        await trio.sleep(400)
        assert told() == ("Hold", "Hold")
        events = [event.message for event in world.journal.events if event.reason == "KeptOn"]
        assert [text.partition(":")[0] for text in events] == ["MinOnTime", "Hold"]
        world.edit_group("rack", {"reportBlockers": None})
        await trio.sleep(5)
        assert told() == ("", "")


async def test_the_idle_machine_is_the_spare_and_not_the_one_that_serves(autojump_clock: MockClock) -> None:
    """Of two machines that are up the report calls the one without pods the spare, as the condition does."""
    async with open_world(
        groups=[rack(spares=1, wakeProof="Ignore")], machines=boxes(2), autoscaler=None, site=QUICK
    ) as world:
        await reach(world, Phase.READY, "box-1", within=200)
        web(world)
        await reach(world, Phase.READY, "box-2")
        await trio.sleep(30)
        assert any(condition.type == "Spare" for condition in world.node("box-2").status.conditions)
        found = {name: line.reason for name, line in (await lines(world)).items()}
        assert (found["box-2"].rule, found["box-2"].text.partition(" idle")[0]) == ("Spare", "it is one of 1")
        assert "its pods would take the place of another" in found["box-1"].text
        assert await kept_live(world, "box-1", "box-2") == [["Spare"], ["Spare"]]


async def kept_live(world: World, *names: str) -> list[list[str]]:
    """The rules that keep machines on, as commands see them that stay (hexa top)."""
    kube = MemoryKube(world.site.api, manager="kubectl")
    live = LiveSnapshot(kube, clock=world.site.clock, namespace="machines")
    async with trio.open_nursery() as nursery:
        await nursery.start(live.run)
        found: list[list[str]] = []
        for _ in range(2):  # the first look asks which machines run pods
            views = [live.snapshot().views.machine(Lookup("machines", name)) for name in names]
            found = [[veto.reason for veto in view.off_vetoes(world.now)] for view in views if view is not None]
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    return found
