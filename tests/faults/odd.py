"""What the authors of the first runs did not foresee: clocks that step, etcd put back, names and groups that change, meters that
lie for one sample, taints of others, objects that don't decode. Drawn apart from the other acts, so that these stay what they were
for their seeds."""

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

from hexa.domain.names import MEMBERSHIP_LABEL, RELEASED_ANNOTATION
from hexa.domain.resources.core import NODES, PODS
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world.builders import NAMESPACE, group
from tests.faults.acts import Stage, open_again, perform, set_latency
from tests.faults.devices import ODDITY
from tests.faults.script import Act, Box

PLUG_IN: dict[str, Any] = {"key": "node.cilium.io/agent-not-ready", "value": "true", "effect": "NoSchedule"}
SPANS = (5.0, 30.0, 60.0, 120.0, 300.0, 600.0)
CHANCES = {
    "clockSet": 3,
    "restore": 2,
    "rename": 3,
    "moveGroup": 3,
    "groupGone": 2,
    "releaseGroup": 2,
    "leavePolicy": 2,
    "sensorLies": 5,
    "startupTaint": 3,
    "oddPod": 2,
    "oddMachine": 2,
    "oddKubeNode": 1,
    "slowWrites": 3,
}
OF_GROUPS = frozenset({"groupGone", "releaseGroup", "leavePolicy"})
CLOCK_STEPS = (-7200.0, -3600.0, -600.0, -45.0, 45.0, 600.0, 3600.0, 86_400.0)
BLIPS = (0.3, 1.0, 2.5, 6.0)
"""Seconds for which a sensor lies: about one sample, or two."""


def draw_odd(seed: int, hurts: float, groups: dict[str, Any], boxes: tuple[Box, ...]) -> list[Act]:
    """None to three such acts; a restore comes with the snapshot before it."""
    dice = Random(f"odd {seed}")
    acts = []
    for _ in range(dice.choices((0, 1, 2, 3), (2, 3, 2, 1))[0]):
        what = dice.choices(list(CHANCES), list(CHANCES.values()))[0]
        of = dice.choice(list(groups)) if what in OF_GROUPS else dice.choice(boxes).name
        at, duration = round(dice.uniform(0, hurts * 0.9), dice.choice((0, 1, 3))), dice.choice(SPANS)
        value: Any = None
        if what == "clockSet":
            of, duration = "", dice.choice(CLOCK_STEPS)
        elif what == "restore":
            acts.append(Act(at=round(dice.uniform(0, at), 1), what="snapshot"))
            of, duration = "", dice.choice((2.0, 10.0, 60.0))
        elif what == "sensorLies":
            duration = dice.choice(BLIPS)
        elif what == "moveGroup":
            value = dice.choice([*groups, None])
        elif what == "slowWrites":
            of, value = "", dice.choice((0.05, 0.2, 0.5))
        acts.append(Act(at=at, what=what, of=of, value=value, duration=duration))
    return acts


async def _snapshot(stage: Stage, act: Act) -> None:
    """A snapshot of etcd is taken."""
    await perform(stage, act)
    stage.cordoned_then = frozenset(stage.cordoned)


async def _restore(stage: Stage, act: Act) -> None:
    """etcd is put back to the last snapshot, if there is one. People take back the cordons of theirs that come back with it."""
    site = stage.world.site
    if site.snapshot is not None:
        with stage.restoring():
            site.api.restore(site.snapshot, seconds=act.duration or 5.0)
        for name in sorted(stage.cordoned_then - stage.cordoned):
            open_again(stage, name, after=30.0)
        for box in stage.script.boxes:  # what does not decode came back with it: somebody mends that too
            stage.later(30.0, partial(_mend_machine, stage, box.name))
            stage.later(30.0, partial(_mend_kube_node, stage, box.name, None))


async def _rename(stage: Stage, act: Act) -> None:
    """Somebody writes another kubernetesNodeName, and takes it back."""
    stage.edit(MACHINES, act.of, {"spec": {"kubernetesNodeName": f"{act.of}-renamed"}})
    stage.later(act.duration, lambda: stage.edit(MACHINES, act.of, {"spec": {"kubernetesNodeName": None}}))


async def _move_group(stage: Stage, act: Act) -> None:
    """Somebody moves a machine to another group, or out of all, and back."""
    home = next(box.group for box in stage.script.boxes if box.name == act.of)
    label = lambda name: {"metadata": {"labels": {MEMBERSHIP_LABEL: name}}}  # noqa: E731
    stage.edit(MACHINES, act.of, label(act.value))
    stage.later(act.duration, lambda: stage.edit(MACHINES, act.of, label(home)))


async def _group_gone(stage: Stage, act: Act) -> None:
    """Somebody deletes a Group, and applies it again."""
    api = stage.world.site.api
    if api.get(GROUPS, act.of, NAMESPACE) is None:
        return
    api.delete(GROUPS, (NAMESPACE, act.of))

    def back() -> None:
        if api.get(GROUPS, act.of, NAMESPACE) is None:
            stage.world.add_group(group(act.of, **stage.script.groups[act.of]))

    stage.later(act.duration, back)


async def _release_group(stage: Stage, act: Act) -> None:
    """`hexa release` was there for a while."""
    _annotate_group(stage, act.of, "2026-01-05T00:00:00Z")
    stage.later(act.duration, lambda: _annotate_group(stage, act.of, None))


def _annotate_group(stage: Stage, name: str, value: str | None) -> None:
    stage.edit(GROUPS, name, {"metadata": {"annotations": {RELEASED_ANNOTATION: value}}})


async def _leave_policy(stage: Stage, act: Act) -> None:
    """The other policy for a while."""
    old = stage.script.groups[act.of].get("nodeLeavePolicy")
    _set_policy(stage, act.of, "Delete" if old == "Keep" else "Keep")
    stage.later(act.duration, lambda: _set_policy(stage, act.of, old))


def _set_policy(stage: Stage, name: str, policy: str | None) -> None:
    stage.edit(GROUPS, name, {"spec": {"nodeLeavePolicy": policy}})


async def _startup_taint(stage: Stage, act: Act) -> None:
    """The network plug-in's taint stands on the node, now or as soon as there is one, for so long."""

    def put() -> None:
        found = stage.world.kube_node(act.of)
        if found is None:
            stage.later(5.0, put)
            return
        _set_taint(stage, act.of, there=True)
        stage.later(act.duration, lambda: _set_taint(stage, act.of, there=False))

    put()


def _set_taint(stage: Stage, name: str, *, there: bool) -> None:
    stored = stage.world.site.api.get(NODES, name)
    if stored is None:
        return
    taints = [each for each in stored.raw["spec"].get("taints") or () if each["key"] != PLUG_IN["key"]]
    body = {"spec": {"taints": [*taints, *([PLUG_IN] if there else [])] or None}}
    stage.world.site.api.patch(NODES, ("", name), Patch(body), manager="cilium")


async def _odd_pod(stage: Stage, act: Act) -> None:
    """A pod of the machine does not decode for a while."""
    api = stage.world.site.api
    on_it = (pod for pod in stage.world.pods() if pod.spec.node_name == act.of and pod.metadata.namespace == "default")
    pod = next(on_it, None)
    if pod is None:
        return
    key = pod.metadata.namespace, pod.metadata.name
    api.patch(PODS, key, Patch({"spec": {"priority": "high"}}), manager="somebody")

    def mend() -> None:
        if api.get(PODS, key[1], key[0]) is not None:
            api.patch(PODS, key, Patch({"spec": {"priority": None}}), manager="somebody")

    stage.later(act.duration, mend)


async def _odd_machine(stage: Stage, act: Act) -> None:
    """The Node resource carries what its schema would have refused."""
    stage.edit(MACHINES, act.of, {"spec": {"taintsToRemove": 7}})
    stage.later(act.duration, partial(_mend_machine, stage, act.of))


def _mend_machine(stage: Stage, name: str) -> None:
    found = stage.world.site.api.get(MACHINES, name, NAMESPACE)
    if found is not None and found.raw["spec"].get("taintsToRemove") == 7:
        stage.edit(MACHINES, name, {"spec": {"taintsToRemove": None}})


async def _odd_kube_node(stage: Stage, act: Act) -> None:
    """The Kubernetes node does not decode for a while."""
    api = stage.world.site.api
    found = api.get(NODES, act.of)
    if found is None:
        return
    old = found.raw["spec"].get("unschedulable")
    api.patch(NODES, ("", act.of), Patch({"spec": {"unschedulable": "maybe"}}), manager="somebody")
    stage.later(act.duration, partial(_mend_kube_node, stage, act.of, old))


def _mend_kube_node(stage: Stage, name: str, unschedulable: Any) -> None:
    api = stage.world.site.api
    found = api.get(NODES, name)
    if found is not None and found.raw["spec"].get("unschedulable") == "maybe":
        api.patch(NODES, ("", name), Patch({"spec": {"unschedulable": unschedulable}}), manager="somebody")


async def _slow_writes(stage: Stage, act: Act) -> None:
    """Each call of hexa takes its time."""
    stage.world.agent.latency = act.value
    set_latency(stage.world.agent, act.value)

    def quick() -> None:
        stage.world.agent.latency = 0.0
        set_latency(stage.world.agent, 0.0)

    stage.later(act.duration, quick)


async def _device_odd(stage: Stage, act: Act) -> None:
    """What the device of the machine answers is wrong, or is not understood, for a while."""
    stage.devices.odd[act.of] = act.value
    stage.later(act.duration, lambda: stage.devices.odd.pop(act.of, None))


DO: dict[str, Callable[[Stage, Act], Awaitable[None]]] = {
    "snapshot": _snapshot,
    "restore": _restore,
    "rename": _rename,
    "moveGroup": _move_group,
    "groupGone": _group_gone,
    "releaseGroup": _release_group,
    "leavePolicy": _leave_policy,
    "startupTaint": _startup_taint,
    "oddPod": _odd_pod,
    "oddMachine": _odd_machine,
    "oddKubeNode": _odd_kube_node,
    "slowWrites": _slow_writes,
    ODDITY: _device_odd,
}
