"""`check_cloud` passes what keeps Cluster Autoscaler's rules, and names the rule that is broken."""

from collections.abc import Callable
from typing import Any

import pytest
from trio.testing import MockClock

from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.v1alpha1 import Shape
from hexa.ports.cloud import Denied, Done, NodeGroup, Options, UnknownGroup
from hexa.testing.check_cloud import check_cloud
from hexa.testing.fake_cloud import FakeCloud
from hexa.testing.world import group, machine, open_world

GROUP = "default/group-0"


async def test_a_good_cloud_passes_and_is_left_as_it_was() -> None:
    """The check gives back every machine that it asked for."""
    cloud = FakeCloud()
    await check_cloud(cloud, group=GROUP)
    assert cloud.target_size(GROUP) == 0


def broken(**methods: Any) -> Callable[[FakeCloud], None]:
    """Puts other methods in the place of a cloud's own."""

    def break_it(cloud: FakeCloud) -> None:
        for name, method in methods.items():
            setattr(cloud, name, method)

    return break_it


def without_cpu(cloud: FakeCloud) -> None:
    """A shape that nothing fits on."""
    cloud.fake_groups[GROUP].shape = Shape(capacity={"memory": "1Gi"})


def percent(cloud: FakeCloud) -> None:
    """A threshold that Cluster Autoscaler takes for fifty times a node."""
    cloud.fake_groups[GROUP].options = Options(scale_down_utilization_threshold=50)


@pytest.mark.parametrize(
    ("break_it", "rule"),
    [
        (broken(refresh=lambda: False), "the snapshot is complete"),
        (broken(groups=lambda: [NodeGroup(GROUP, 0, 1)] * 2), "every group has an id of its own"),
        (broken(groups=lambda: [NodeGroup(GROUP, 2, 1)]), "0 <= min_size <= max_size"),
        (broken(group_for_node=lambda *_: NodeGroup(GROUP, 0, 1)), "a stranger belongs to no group"),
        (broken(options=lambda _: Options()), "options of an unknown group is UnknownGroup"),
        (percent, "scale_down_utilization_threshold is 50"),
        (without_cpu, "a template has cpu and memory"),
        (broken(node_price=lambda *_: 0.0), "a stranger has no price"),
        (broken(pod_price=lambda *_: -1.0), "a pod costs at least 0"),
        (broken(version=lambda: 1), "a change of the target changes the version"),
        (
            broken(instances=lambda group: UnknownGroup(group) if "no-such" in group else []),
            "is an instance with an id",
        ),
    ],
)
async def test_a_broken_rule_is_named(break_it: Callable[[FakeCloud], None], rule: str) -> None:
    """Each failure says in a sentence what does not hold."""
    cloud = FakeCloud()
    break_it(cloud)
    with pytest.raises(AssertionError, match=rule):
        await check_cloud(cloud, group=GROUP)


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        ("increase_size", "the target has grown when increase_size returns"),
        ("decrease_target_size", "the target has shrunk when decrease_target_size returns"),
        ("delete_nodes", "the target counts a node"),
    ],
)
async def test_a_write_that_does_nothing_is_found(method: str, rule: str) -> None:
    """A write must be stored when it returns."""
    cloud = FakeCloud()
    real = getattr(cloud, method)

    async def idle(group: str, **fields: Any) -> Done | UnknownGroup | Denied:
        answer: Done | UnknownGroup | Denied = Done() if group == GROUP else await real(group, **fields)
        return answer

    setattr(cloud, method, idle)
    with pytest.raises(AssertionError, match=rule):
        await check_cloud(cloud, group=GROUP)


async def test_hexa_keeps_the_rules(autojump_clock: MockClock) -> None:
    """hexa's own provider passes the check, over a site in memory."""
    rack = group("rack", maxSize=2, wakeProof="Ignore")
    machines = [machine(f"rack-{number}", group="rack") for number in (1, 2)]
    async with open_world(groups=[rack], machines=machines, autoscaler=None) as world:
        await world.until(lambda: set(world.phases().values()) == {Phase.OFF}, within=60)
        await check_cloud(world.cloud, group="machines/rack")
