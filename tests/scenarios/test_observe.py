"""A group that only observes: what hexa writes in a day, what Cluster Autoscaler can do, and what the receipt says."""

from collections import Counter
from typing import Any

import pytest
import trio
from msgspec import structs
from tests.scenarios.stage import QUICK, boxes, kube_of, rack, reach, switch, up
from trio.testing import MockClock

from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.decide.accounts import up_to_now
from hexa.domain.errors import Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.marks import marked
from hexa.domain.money.written_tariff import WrittenTariff
from hexa.domain.names import OFF_FINALIZER
from hexa.domain.resources.core import CRON_JOBS, JOBS, Kind, KubeNode
from hexa.domain.resources.receipt import Receipt, Saving
from hexa.domain.resources.v1alpha1 import Lookup, Node
from hexa.ports.cloud import Denied, ExternalNode
from hexa.ports.kube import Patch
from hexa.testing.world import Machine, World, machine, open_world
from hexa.testing.world.agent import MortalKube

ID = "machines/rack"
STATUS = {"patch infra.homecluster.dev/nodes/status", "patch infra.homecluster.dev/groups/status"}
DAY = 24 * 3600.0
ENERGY = {"idleWatts": 60, "offWatts": 2, "bootWattHours": 3}


def plugged(count: int, *, on: int) -> list[Machine]:
    """So many machines, the first of them on, each with a reading of its power and a known draw."""
    return [
        machine(f"box-{n}", group="rack", on=n <= on, sensor=True, boot_seconds=8.0, spec={"energy": ENERGY})
        for n in range(1, count + 1)
    ]


def node_of_box(world: World) -> KubeNode:
    """The Kubernetes node of the first machine."""
    node = world.kube_node("box-1")
    assert node is not None
    return node


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Every write of hexa's, by verb, kind and subresource, whichever life of it made it."""
    found: Counter[str] = Counter()

    def counted(verb: str, call: Any) -> Any:
        async def counting(self: MemoryKube, kind: Any, *args: Any, **named: Any) -> Any:
            parts = (each for each in (*args, *named.values()) if isinstance(each, Patch))
            if isinstance(self, MortalKube):
                what = f"{kind.api_version.partition('/')[0]}/{kind.plural}" if isinstance(kind, Kind) else "pods"
                found[f"{verb} {what}{''.join(f'/{patch.subresource}' for patch in parts if patch.subresource)}"] += 1
            return await call(self, kind, *args, **named)

        return counting

    for verb in ("create", "patch", "delete", "evict"):
        monkeypatch.setattr(MemoryKube, verb, counted(verb, getattr(MemoryKube, verb)))
    return found


@pytest.mark.long
async def test_a_day_of_it_writes_status_and_events_only(autojump_clock: MockClock, audit: Counter[str]) -> None:
    """With minSize unmet, pods that wait, an autoscaler that asks, a machine that somebody switches on by hand, a person's edit of
    spec.powerState, a hold and a restart of hexa: no Job, no write to a Kubernetes node, to metadata or to a spec."""
    group = rack(mode="Observe", minSize=3, scaleDownUnneededTime="10m", cost={"pricePerKWh": 0.5})
    async with open_world(groups=[group], machines=plugged(4, on=2), site=QUICK) as world:
        day = world.now
        world.add_pods(20, cpu="2")
        await reach(world, Phase.READY, "box-1", within=120)
        await reach(world, Phase.OFF, "box-4", within=120)
        world.hardware("box-3").press_on()
        await reach(world, Phase.READY, "box-3", within=120)
        world.scale(0)
        world.edit("box-1", {"powerState": "off"})
        world.edit("box-4", {"hold": {"power": "on"}})
        await world.restart_agent()
        await world.until(lambda: (world.now - day).total_seconds() > DAY, within=DAY + 60, every=600)
        assert [world.phase(f"box-{n}") for n in (1, 2, 3, 4)] == [Phase.READY, Phase.READY, Phase.READY, Phase.OFF]
        assert set(audit) == STATUS
        assert audit.total() < 2 * 3 * 24 + 60  # once an hour for a machine, and for its group
        shown = world.cloud.groups()[0]
        assert (shown.min_size, shown.max_size, world.cloud.target_size(ID)) == (3, 3, 3)


async def test_what_was_put_on_a_node_before_goes_also_when_the_mode_comes_while_hexa_is_blind(
    autojump_clock: MockClock,
) -> None:
    """Jobs cannot be watched while a group goes over to Observe: once they can, nodes of machines that are off lose the cordon
    and all else of ours, though nothing else changes (found by random fault runs)."""
    group = rack(nodeLeavePolicy="Keep")
    async with open_world(groups=[group], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF)
        await switch(world, "on")
        await reach(world, Phase.READY)
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await trio.sleep(120)
        assert marked(node_of_box(world))
        for verb in ("watch", "list"):
            kube_of(world).fail_next(Unavailable("no answer"), verb=verb, kind=JOBS, times=5)
        world.site.api.break_watches()
        await trio.sleep(2)
        world.edit_group("rack", {"mode": "Observe"})
        await trio.sleep(5)
        assert marked(node_of_box(world))
        await trio.sleep(60)
        assert not marked(node_of_box(world))
        assert not node_of_box(world).spec.unschedulable


async def test_cluster_autoscaler_can_do_nothing(autojump_clock: MockClock, audit: Counter[str]) -> None:
    """It is shown what is up as members, refused whatever it asks, and told of no instance that no Kubernetes node carries; nothing
    is written but status."""
    group = rack(mode="Observe", minSize=2)
    async with open_world(groups=[group], machines=plugged(2, on=1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.READY, "box-1", within=120)
        shown = world.cloud.groups()[0]
        assert (shown.min_size, shown.max_size, world.cloud.target_size(ID)) == (1, 1, 1)
        assert world.cloud.instances(ID) == []
        node = world.kube_node("box-1")
        assert node is not None
        assert (node.spec.provider_id, marked(node)) == ("", False)
        assert isinstance(await world.cloud.increase_size(ID, delta=1), Denied)
        refused = await world.cloud.delete_nodes(ID, nodes=[ExternalNode("box-1")])
        assert isinstance(refused, Denied)
        assert refused.reason == "Observe"
        assert set(audit) == STATUS


@pytest.mark.parametrize("first", ["Observe", "Auto"])
async def test_the_end_of_it_takes_the_machines_that_are_up_as_they_are(autojump_clock: MockClock, first: str) -> None:
    """From Observe to Auto: Cluster Autoscaler is told at each moment that two are up, gets no more than maxSize, and no third is
    woken for minSize; whether hexa knew these machines before, or not."""
    observed = rack(mode=first, minSize=2, maxSize=3)
    async with open_world(groups=[observed], machines=plugged(3, on=2), site=QUICK) as world:
        await world.until(lambda: Counter(world.phases().values()) == {"Ready": 2, "Off": 1}, within=120)
        world.edit_group("rack", {"mode": "Observe"})
        await world.settle()
        world.edit_group("rack", {"mode": "Auto"})
        told = []
        for _ in range(300):
            await trio.sleep(0.1)
            told.append((world.cloud.target_size(ID), len(world.cloud.instances(ID))))
            assert isinstance(await world.cloud.increase_size(ID, delta=2), Denied)
        assert set(told) == {(2, 2)}
        assert Counter(world.phases().values()) == {"Ready": 2, "Off": 1}


async def test_what_hexa_had_put_is_taken_off_once(autojump_clock: MockClock, audit: Counter[str]) -> None:
    """Labels, annotations and the finalizer of machines that hexa had in its hands go; then nothing more is written, and when
    the mode ends the machines stay as they are found."""
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2")
        await world.settle()
        world.edit_group("rack", {"mode": "Observe"})
        await world.settle()
        for name in ("box-1", "box-2", "box-3"):
            assert OFF_FINALIZER not in world.node(name).metadata.finalizers
            node = world.kube_node(name)
            assert node is None or not marked(node)
        audit.clear()
        world.hardware("box-2").lose_power()
        await reach(world, Phase.LOST, "box-2", within=300)
        await world.restart_agent()
        await world.settle()
        assert set(audit) == STATUS
        world.edit_group("rack", {"mode": "Auto"})
        await world.until(lambda: _marked(world, "box-1"), within=120)
        await world.settle()
        assert (world.phase("box-1"), world.phase("box-3")) == (Phase.READY, Phase.OFF)


def _marked(world: World, name: str) -> bool:
    node = world.kube_node(name)
    return node is not None and marked(node)


async def test_its_health_checks_end_and_come_back(autojump_clock: MockClock) -> None:
    """The CronJob of a machine's check goes with what hexa had put, and is made again when the mode ends."""
    spec = {"healthcheckPodSpec": {"image": "ping:1"}, "healthcheckPeriod": "10m"}
    async with open_world(groups=[rack()], machines=boxes(1, spec=spec), autoscaler=None, site=QUICK) as world:
        await world.until(lambda: world.site.api.find(CRON_JOBS), within=60)
        world.edit_group("rack", {"mode": "Observe"})
        await world.until(lambda: not world.site.api.find(CRON_JOBS), within=60)
        await world.settle()
        assert world.node("box-1").status.check is None
        world.edit_group("rack", {"mode": "Auto"})
        await world.until(lambda: world.site.api.find(CRON_JOBS), within=60)


async def test_the_receipt_of_a_night(autojump_clock: MockClock) -> None:
    """A machine with a pod was needed; one without could have rested all night, at its watts and price; the sum has both."""
    group = rack(mode="Observe", scaleDownUnneededTime="10m", cost={"pricePerKWh": 0.5, "currency": "CHF"})
    async with open_world(groups=[group], machines=plugged(2, on=2), autoscaler=None, site=QUICK) as world:
        for name in ("box-1", "box-2"):
            await reach(world, Phase.READY, name, within=120)
        world.cordon("box-2")
        world.add_pods(1, cpu="1")
        await world.until(lambda: world.now.hour == 8, within=DAY, every=60)
        busy, idle = (_saving(world, name) for name in ("box-1", "box-2"))
        assert (busy.off_seconds, busy.offs, busy.kept[0].reason) == (0.0, 0, "Pods")
        assert 6 * 3600 < idle.off_seconds < 8 * 3600
        assert (idle.offs, idle.kept[0].reason) == (1, "Unneeded")
        assert abs(idle.kwh - (58 * idle.off_seconds / 3_600_000 - 0.003)) < 1e-3
        assert abs(idle.money - idle.kwh * 0.5) < 1e-3
        total = world.group("rack").status.receipt
        assert total is not None
        assert (total.machines, total.saving.off_seconds, total.saving.currency) == (2, idle.off_seconds, "CHF")


async def test_the_receipt_is_in_the_currency_of_the_tariff(autojump_clock: MockClock) -> None:
    """As the account is, whatever spec.cost.currency says."""
    agile = WrittenTariff(price=0.5, currency="GBP")
    spec = {"energy": {"idleWatts": 100, "offWatts": 0}}
    machines = [machine("box-1", group="rack", on=True, boot_seconds=8.0, spec=spec)]
    group = rack(mode="Observe", scaleDownUnneededTime="10m", cost={"tariff": "agile"})
    async with open_world(
        groups=[group], machines=machines, autoscaler=None, site=QUICK, tariffs={"agile": agile}
    ) as world:
        await trio.sleep(3 * 3600)
        receipt, total = world.node("box-1").status.receipt, world.group("rack").status.receipt
        assert receipt is not None
        assert total is not None
        assert receipt.saving.money > 0
        assert (receipt.saving.currency, total.saving.currency) == ("GBP", "GBP")


@pytest.mark.long
async def test_a_receipt_promises_no_more_than_auto_keeps(autojump_clock: MockClock) -> None:
    """The same machines and pods for a day, once only observed and once in Auto: what the receipt says could have been saved is
    less than what was, and no small part of it."""
    promised = await _day(mode="Observe")
    kept = await _day(wakeProof="Ignore")
    off = [sum(node.status.energy.off_seconds for node in nodes) for nodes in (promised, kept)]
    receipts = [node.status.receipt.saving for node in promised if node.status.receipt is not None]
    could, kwh = sum(each.off_seconds for each in receipts), sum(each.kwh for each in receipts)
    saved = sum(node.status.energy.kwh for node in promised) - sum(node.status.energy.kwh for node in kept)
    assert off[0] < 60
    assert off[1] * 0.4 < could < off[1]
    assert saved * 0.4 < kwh < saved


async def _day(**spec: Any) -> list[Node]:
    """Three machines that are on, busy by day and idle by night, with bursts; how they stand after it."""
    group = rack(scaleDownUnneededTime="10m", **spec)
    async with open_world(groups=[group], machines=plugged(3, on=3), site=QUICK) as world:
        world.add_pods(0, cpu="2")
        for pods in (0, 0, 2, 6, 4, 6, 2, 1, 0, 3, 0, 0):
            world.scale(pods)
            await trio.sleep(DAY / 12)
        return [_counted(world, f"box-{n}") for n in (1, 2, 3)]


def _counted(world: World, name: str) -> Node:
    """The machine with its account up to now: it is written by the day."""
    life = world.agent.life
    assert life is not None
    view = life.core.views.machine(Lookup("machines", name))
    assert view is not None
    return structs.replace(view.node, status=structs.replace(view.node.status, energy=up_to_now(view, world.now)))


def _saving(world: World, name: str) -> Saving:
    receipt = world.node(name).status.receipt
    assert isinstance(receipt, Receipt)
    return receipt.saving
