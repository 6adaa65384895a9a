"""What an act of a script does to the world. Nothing is judged here."""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import trio
import trio.lowlevel

from hexa.adapters.memory.ports.ups import MemoryUps
from hexa.adapters.memory.site.faults import FaultKind
from hexa.adapters.memory.site.site import CONTROL_PLANE
from hexa.domain.errors import HexaError
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import CORDON_ANNOTATION, RELEASED_ANNOTATION
from hexa.domain.policy.conventions import STARTUP_TAINTS, told_to_autoscaler
from hexa.domain.resources.core import NODES, KubeNode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.cloud import ExternalNode
from hexa.ports.kube import Patch
from hexa.testing.autoscaler import Settings, open_autoscaler
from hexa.testing.world import Agent, World
from hexa.testing.world.builders import NAMESPACE
from tests.faults.devices import Devices
from tests.faults.script import Act, Script
from tests.faults.whole_site import UPS, put

AUTOSCALER = Settings(
    initial_backoff=60,
    max_backoff=300,
    scale_down_delay_after_add=120,
    scale_down_unneeded_time=120,
    scale_down_unready_time=300,
    unremovable_node_recheck_timeout=60,
    startup_taints=tuple(told_to_autoscaler(STARTUP_TAINTS)),
)
"""Sooner than the defaults: an hour shows what would take a day. The startup taints are those that our manifests tell it."""


class Stage:
    """The world of one run, with an autoscaler and a second agent that come and go."""

    def __init__(self, world: World, script: Script, nursery: trio.Nursery) -> None:
        self.world, self.script, self.nursery = world, script, nursery
        self.rivals: list[Agent] = []
        self.cordoned: set[str] = set()
        """Kubernetes nodes that a person has cordoned."""
        self.cordoned_then: frozenset[str] = frozenset()
        """The same when the last snapshot was taken."""
        self.deleted: set[str] = set()
        """Kubernetes nodes that a person has deleted."""
        self.restores = 0
        """How often etcd was put back."""
        self.ups = MemoryUps()
        self.no_battery_since: float | None = -math.inf
        """Since when the UPS does not say clearly that it is on battery; None: it does."""
        self.puts_back = False
        """It is being put back at this moment: what changes is nobody's deed."""
        self._autoscaler = trio.CancelScope()
        self._starting = trio.Lock()

    @property
    def devices(self) -> Devices:
        """What hexa reads the power of machines by."""
        assert isinstance(self.world.agent.gauge, Devices)
        return self.world.agent.gauge

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Around putting etcd back."""
        self.restores += 1
        self.puts_back = True
        try:
            yield
        finally:
            self.puts_back = False

    def later(self, seconds: float | None, do: Callable[[], object]) -> None:
        """Do it after so many seconds; None: never."""
        if seconds is not None:
            self.world.site.timers.after(seconds, do)

    async def autoscale(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run Cluster Autoscaler; it forgets everything when it is started anew."""
        world = self.world
        client = world.site.client(manager="cluster-autoscaler")
        world.site.api.listen(GROUPS, self._nudge)
        world.site.api.listen(MACHINES, self._nudge)
        started = False
        while True:
            with trio.CancelScope() as self._autoscaler:
                opened = open_autoscaler(world.cloud, client, world.site.clock, settings=AUTOSCALER)
                try:
                    async with opened as world.autoscaler:
                        if not started:
                            task_status.started()
                            started = True
                        await trio.sleep_forever()
                except HexaError:
                    pass  # the API server was away when it came up
            await trio.sleep(10)

    def _nudge(self, _event: Any) -> None:
        if self.world.autoscaler is not None:
            self.world.autoscaler.nudge()

    def restart_autoscaler(self) -> None:
        """It ends now and comes back 10 s later."""
        self._autoscaler.cancel()

    async def start_agent(self) -> None:
        """Start it, unless it lives; while the API server is away it waits."""
        async with self._starting:
            if self.world.agent.life is None:
                await self.world.start_agent()

    def edit(self, kind: Any, name: str, body: dict[str, Any]) -> None:
        """A person's patch of a resource of ours; nothing where somebody has deleted it."""
        if self.world.site.api.get(kind, name, NAMESPACE) is None:
            return
        self.world.site.api.patch(kind, (NAMESPACE, name), Patch(body), manager="kubectl")

    def until(self, seconds: float | None) -> dict[str, str]:
        """A hold or a pause that ends by itself."""
        if seconds is None:
            return {}
        return {"until": f"{self.world.now + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"}


async def perform(stage: Stage, act: Act) -> None:
    """Let it happen."""
    if act.what in {kind.value for kind in FaultKind}:
        fault = {"kind": act.what, "count": act.count, "duration": act.duration}
        stage.world.inject(fault | ({"machine": act.of} if act.of else {}))
    else:
        await DO[act.what](stage, act)


# --- hexa ---


async def _kill(stage: Stage, act: Act) -> None:
    """Killed now, or after so many more writes; started again a while later. One that is about to come up is left alone."""
    if stage.world.agent.life is None:
        return
    stage.world.kill_agent(after_writes=act.value or 0)
    stage.nursery.start_soon(_revive, stage, act.duration or 0.0)


async def _revive(stage: Stage, seconds: float) -> None:
    world = stage.world
    if world.agent.life is not None:
        await world.agent.ended()
    await trio.sleep(seconds)
    await stage.start_agent()


async def _rival(stage: Stage, act: Act) -> None:
    """An old leader that has not yet noticed that it leads no more: a second hexa is at work, for as long as a Lease stands."""
    rival = Agent(stage.world.site, stage.world.journal)
    rival.image, rival.conventions = stage.world.agent.image, stage.world.agent.conventions
    rival.fed = stage.world.agent.fed
    stage.rivals.append(rival)

    async def live() -> None:
        with trio.move_on_after(act.duration or 0.0):
            await rival.run()
        stage.later(0, lambda: set_latency(stage.world.agent, 0.0))

    rival.latency = act.value or 0.0
    set_latency(stage.world.agent, LATENCY)
    stage.nursery.start_soon(live)


LATENCY = 0.02
"""Seconds that a call takes while two write the same objects: without any they would write for ever at one moment."""


def set_latency(agent: Agent, seconds: float) -> None:
    """Each call of the living agent takes so long from now on."""
    if agent.life is not None:
        agent.life.kube.latency = seconds


async def _touch(stage: Stage, act: Act) -> None:
    """Somebody writes the same objects all the time: every writer of ours is stale now and then."""

    async def touches() -> None:
        for number in range(act.count * 5):
            body = {"metadata": {"annotations": {"example.com/touched": str(number)}}}
            stage.edit(MACHINES, act.of, body)
            if stage.world.kube_node(act.of) is not None:
                stage.world.site.api.patch(NODES, ("", act.of), Patch(body), manager="kubectl")
            await trio.sleep(0.1)

    stage.nursery.start_soon(touches)


# --- the site ---


async def _unschedulable(stage: Stage, act: Act) -> None:
    """No node takes power Jobs."""
    stage.world.cordon(CONTROL_PLANE)
    stage.later(act.duration, lambda: _uncordon(stage, CONTROL_PLANE))


def _uncordon(stage: Stage, name: str) -> None:
    if stage.world.kube_node(name) is not None:
        stage.world.site.api.patch(NODES, ("", name), Patch({"spec": {"unschedulable": None}}), manager="kubectl")


async def _ups(stage: Stage, act: Act) -> None:
    """Mains fail or come back, the battery is fuller or emptier, the UPS speaks or does not."""
    if put(stage.ups, act.value):
        stage.no_battery_since = None
    elif stage.no_battery_since is None:
        stage.no_battery_since = trio.current_time()


# --- people ---


async def _power_state(stage: Stage, act: Act) -> None:
    stage.edit(MACHINES, act.of, {"spec": {"powerState": act.value}})


async def _hold(stage: Stage, act: Act) -> None:
    kind = GROUPS if act.what == "holdGroup" else MACHINES
    hold = {"power": act.value, "reason": "test", **stage.until(act.duration)}
    stage.edit(kind, act.of, {"spec": {"hold": hold}})


async def _pause(stage: Stage, act: Act) -> None:
    stage.edit(MACHINES, act.of, {"spec": {"paused": {"reason": "test", **stage.until(act.duration)}}})


async def _resize(stage: Stage, act: Act) -> None:
    """Another limit for a while."""
    old = stage.script.groups[act.of]
    other = "minSize" if act.what == "maxSize" else "maxSize"
    new = {act.what: act.value}
    if act.what == "maxSize":
        new[other] = min(old.get("minSize", 0), act.value)
    elif "maxSize" in old:
        new[act.what] = min(act.value, old["maxSize"])
    stage.edit(GROUPS, act.of, {"spec": new})
    back = {"minSize": old.get("minSize"), "maxSize": old.get("maxSize")}
    stage.later(act.duration, lambda: stage.edit(GROUPS, act.of, {"spec": back}))


async def _mode(stage: Stage, act: Act) -> None:
    """Another mode, for a while or for good."""
    old = stage.script.groups[act.of].get("mode", "Auto")
    stage.edit(GROUPS, act.of, {"spec": {"mode": act.value}})
    stage.later(act.duration, lambda: stage.edit(GROUPS, act.of, {"spec": {"mode": old}}))


async def _cordon(stage: Stage, act: Act) -> None:
    """A person cordons a node, and takes it back later."""
    node = stage.world.kube_node(act.of)
    if node is None or node.spec.unschedulable:
        return
    stage.world.cordon(act.of)
    open_again(stage, act.of, after=act.duration)


def open_again(stage: Stage, name: str, *, after: float | None) -> None:
    """The person who cordoned a node takes the cordon back."""
    stage.cordoned.add(name)

    def back() -> None:
        found = stage.world.kube_node(name)
        if found is None or stage.world.phases().get(name) is not Phase.READY or _ours(found):
            stage.later(30.0, back)  # nobody opens a node that hexa drains, or that has left with the cordon
        else:
            stage.cordoned.discard(name)
            _uncordon(stage, name)

    stage.later(after, back)


def _ours(node: KubeNode) -> bool:
    return CORDON_ANNOTATION in node.metadata.annotations


async def _release(stage: Stage, act: Act) -> None:
    """hexa keeps its hands off for a while."""
    stage.edit(MACHINES, act.of, {"metadata": {"annotations": {RELEASED_ANNOTATION: "2026-01-05T00:00:00Z"}}})
    back = {"metadata": {"annotations": {RELEASED_ANNOTATION: None}}}
    stage.later(act.duration or 60.0, lambda: stage.edit(MACHINES, act.of, back))


async def _delete_node(stage: Stage, act: Act) -> None:
    """A person deletes the Kubernetes node of a machine that is off."""
    if not stage.world.hardware(act.of).power and stage.world.kube_node(act.of) is not None:
        stage.deleted.add(act.of)
        stage.world.site.api.delete(NODES, ("", act.of))


# --- load ---


async def _scale(stage: Stage, act: Act) -> None:
    if act.of:
        stage.world.scale(act.value, name=act.of)


async def _job(stage: Stage, act: Act) -> None:
    """Work that takes its time."""
    for number in range(act.count):
        name = f"job-{int(act.at * 1000)}-{number}"
        stage.world.site.add_job(name, run=act.duration or 60.0, cpu=str(act.value))


async def _bare(stage: Stage, act: Act) -> None:
    """A pod that nothing brings back."""
    stage.world.site.add_pod(f"bare-{int(act.at * 1000)}", run=act.duration, cpu=str(act.value))


# --- Cluster Autoscaler ---


async def _restart_autoscaler(stage: Stage, act: Act) -> None:
    stage.restart_autoscaler()


async def _delete_twice(stage: Stage, act: Act) -> None:
    box = next(box for box in stage.script.boxes if box.name == act.of)
    node = ExternalNode(act.of, f"hexa://{NAMESPACE}/{act.of}")
    for _ in range(act.count):
        stage.nursery.start_soon(_ask, lambda: stage.world.cloud.delete_nodes(_id(box.group), nodes=[node]))
        await trio.lowlevel.checkpoint()


async def _increase(stage: Stage, act: Act) -> None:
    stage.nursery.start_soon(_ask, lambda: stage.world.cloud.increase_size(_id(act.of), delta=act.count))


async def _decrease(stage: Stage, act: Act) -> None:
    stage.nursery.start_soon(_ask, lambda: stage.world.cloud.decrease_target_size(_id(act.of), delta=-act.count))


async def _ask(call: Callable[[], Awaitable[Any]]) -> None:
    with suppress(HexaError):  # as Cluster Autoscaler takes it: another loop will come
        await call()


def _id(group: str) -> str:
    return f"{NAMESPACE}/{group}"


DO: dict[str, Callable[[Stage, Act], Awaitable[None]]] = {
    UPS: _ups,
    "kill": _kill,
    "rival": _rival,
    "touch": _touch,
    "unschedulable": _unschedulable,
    "powerState": _power_state,
    "hold": _hold,
    "holdGroup": _hold,
    "pause": _pause,
    "maxSize": _resize,
    "minSize": _resize,
    "mode": _mode,
    "cordon": _cordon,
    "release": _release,
    "deleteNode": _delete_node,
    "scale": _scale,
    "job": _job,
    "bare": _bare,
    "restartAutoscaler": _restart_autoscaler,
    "deleteTwice": _delete_twice,
    "increase": _increase,
    "decrease": _decrease,
}


# --- in the end ---


async def mend(stage: Stage) -> None:
    """All that was broken is mended; what people said stands."""
    world = stage.world
    if world.site.api.last_outage is not None:
        world.site.api.last_outage = None
    world.site.job_defects.clear()
    stage.devices.odd.clear()
    await _ups(stage, Act(at=0, what=UPS, value={"mains": True, "charge": 100}))
    for client in world.site.clients:
        client._planned.clear()
    _uncordon(stage, CONTROL_PLANE)
    for rival in stage.rivals:
        rival.kill()
    if world.agent.life is not None:
        world.agent.life.kube.dies_in = None
        world.agent.life.kube.latency = 0.0
    world.agent.latency = 0.0
    for machine in world.site.machines.values():
        defects = machine.defects
        defects.lost_wakes = defects.slow_boots = defects.no_joins = defects.ignored_offs = 0
        defects.dead = defects.sensor_blind = defects.sensor_lies = False
        if machine.partitioned:
            machine.partition(False)
        if machine.state == "Hung" or (machine.state == "Booting" and machine._next is None):
            machine.reboot()  # by a person: a machine that hangs with power is out of hexa's reach
    await stage.start_agent()
