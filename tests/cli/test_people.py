"""The commands for people, on a site in memory: they answer without an agent, by the agent's own rules."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import trio
from click.testing import Result
from trio.testing import MockClock
from typer.testing import CliRunner

from hexa import wiring
from hexa.adapters.kube_http.cluster import Cluster
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.cli.app import app
from hexa.cli.shared.completion import complete_any, complete_machine
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import BUDGETS, NODES, PODS
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch
from hexa.testing.world import World, group, machine, open_world

Hexa = Callable[..., Result]


class Clock:
    """A clock that stands still."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


@dataclass
class Stage:
    """A site that an agent kept until now; nobody acts any more."""

    world: World
    now: datetime
    kube: MemoryKube
    """The client that the commands get."""


async def build() -> Stage:
    """box-1 is on, with a pod that its budget keeps; box-2 and box-3 are off; box-4 can't be woken; box-5 runs hexa."""
    boxes = [machine(f"box-{number}", group="rack", boot_seconds=8.0, on=number == 1) for number in (1, 2, 3)]
    boxes.append(machine("box-4", group="rack", spec={"startupPodSpec": None}))
    boxes.append(machine("box-5", group="desk", on=True))
    groups = [group("rack", maxNodeProvisionTime="2m"), group("desk")]
    async with open_world(groups=groups, machines=boxes, autoscaler=None) as world:
        await world.until(lambda: world.phase("box-1") is world.phase("box-5") is Phase.READY, within=120)
        world.cordon("box-5")
        world.add_pods(1, name="web", cpu="1")
        world.add_budget(name="web", minAvailable=1)
        await world.settle()
        world.site.api.patch(NODES, ("", "box-5"), Patch({"spec": {"unschedulable": None}}), manager="kubectl")
        world.site.api.create(PODS, HEXA_POD)
        await world.settle()
        return Stage(world, world.now, MemoryKube(world.site.api, manager="kubectl"))


HEXA_POD = {
    "metadata": {"name": "hexa-0", "namespace": "hexa", "labels": {"app.kubernetes.io/name": "hexa"}},
    "spec": {"nodeName": "box-5", "containers": []},
}


@pytest.fixture(scope="module")
def built() -> Stage:
    """Built once: it takes a while."""
    return trio.run(build, clock=MockClock(autojump_threshold=0))


@pytest.fixture
def stage(built: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The same, its machines and groups given back as they were after each test."""
    tables = [built.world.site.api.table(kind).objects for kind in (MACHINES, GROUPS)]
    before = [dict(objects) for objects in tables]

    @asynccontextmanager
    async def open_cluster(**_: str) -> AsyncIterator[tuple[Any, Cluster]]:
        yield built.kube, Cluster(server="https://x", origin="test", namespace="machines")

    clock = Clock(built.now)
    monkeypatch.setattr(wiring, "open_cluster", open_cluster)
    monkeypatch.setattr(wiring, "system_clock", lambda: clock)
    monkeypatch.setattr(built.world.site.api, "now", clock.now)
    yield built
    for objects, old in zip(tables, before, strict=True):
        objects.clear()
        objects.update(old)


@pytest.fixture
def world(stage: Stage) -> World:
    """What is there."""
    return stage.world


@pytest.fixture
def hexa(world: World) -> Hexa:
    """Runs a command."""
    return lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_get(hexa: Hexa) -> None:
    """Machines and groups in a line each, with wish, phase and since."""
    shown = hexa("get")
    assert shown.exit_code == 0, shown.output
    assert "\x1b" not in shown.stdout
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0] == ["NAME", "SIZE", "TARGET", "READY", "OFF", "HEALTH", "HELD", "AGE", "BLOCKER"]
    assert lines[1][:6] == ["desk", "1", "1", "1", "0", "healthy"]
    assert lines[2][:6] == ["rack", "4", "1", "1", "3", "healthy"]
    assert lines[4] == ["NAME", "WISH", "PHASE", "SINCE", "HEALTH", "GROUP", "AGE", "BLOCKER"]
    assert lines[5][:3] == ["box-1", "on", "Ready"]
    assert lines[6][:3] == ["box-2", "off", "Off"]


def test_get_for_programs(hexa: Hexa) -> None:
    """-o json has all of it; a word chooses the kind and names choose objects, once each."""
    told = json.loads(hexa("get", "hn", "box-1", "machines/box-1", "-o", "json").stdout)
    assert [line["name"] for line in told["machines"]] == ["box-1"]
    assert told["machines"][0]["kubernetesNode"] == "box-1"
    assert told["groups"] == []
    assert "KUBERNETES-NODE" in hexa("get", "machines", "-o", "wide").stdout
    assert "name: rack" in hexa("get", "groups", "-o", "yaml").stdout


def test_unknown_names_suggest_near_ones(hexa: Hexa) -> None:
    """A slip of the pen is told with what was probably meant; what was named rightly is shown."""
    shown = hexa("get", "machines", "box-1", "bax-2")
    assert shown.exit_code == 1
    assert "box-1" in shown.stdout
    assert "bax-2: there is no machine of that name in namespace machines; did you mean box-2?" in shown.stderr
    assert hexa("why", "nothing").exit_code == 1


@pytest.mark.parametrize(
    "command", [("why",), ("on",), ("get",), ("drain-check",), ("history",)], ids=lambda each: each[0]
)
def test_unknown_names_say_in_which_namespace_there_is_one(hexa: Hexa, command: tuple[str, ...]) -> None:
    """A machine that is looked for in the wrong namespace is told with the right one, as the option to add."""
    shown = hexa(*command, "box-2", "-n", "default")
    assert shown.exit_code == 1
    told = "box-2: there is no machine"
    assert told in shown.stderr
    assert "in namespace default; namespace machines has one: -n machines" in shown.stderr


def test_on_writes_a_hold(hexa: Hexa, stage: Stage, world: World) -> None:
    """The hold has power, end and reason, and the answer says who decides now."""
    shown = hexa("on", "box-2", "--for", "3h", "--reason", "demo")
    assert shown.exit_code == 0, shown.output
    hold = world.node("box-2").spec.hold
    assert hold is not None
    assert (hold.power, hold.reason) == ("on", "demo")
    assert hold.until is not None
    assert timedelta(hours=3) <= hold.until - stage.now < timedelta(hours=3, seconds=1)
    assert shown.stdout.startswith("Node machines/box-2: held on until ")
    assert "hold wants it on (Node machines/box-2 spec.hold)" in shown.stdout
    hexa("on", "box-2")
    hold = world.node("box-2").spec.hold
    assert hold is not None
    assert (hold.until, hold.reason) == (None, "")
    assert hexa("auto", "box-2").exit_code == 0
    assert world.node("box-2").spec.hold is None


def test_on_of_a_machine_that_nothing_wakes_says_so(hexa: Hexa) -> None:
    """The hold is written, and what stands against it is told."""
    shown = hexa("on", "box-4")
    assert shown.exit_code == 0
    assert "PowerOnUnavailable: spec.startupPodSpec is absent" in shown.stdout


def test_off_of_a_machine_that_hosts_hexa_says_so(hexa: Hexa) -> None:
    """It will be Blocked, and by which pod."""
    shown = hexa("off", "box-5")
    assert "warning: it will be Blocked by HostsControl: hexa/hexa-0 runs on it" in shown.stdout
    told = hexa("why", "box-5").stdout
    assert "box-5 is on, and hold wants it off; HostsControl stands against it: hexa/hexa-0 runs on it" in told


def test_groups_are_held(hexa: Hexa, world: World) -> None:
    """--group holds every machine of the group, and says which has a hold of its own."""
    hexa("on", "box-2")
    shown = hexa("off", "--group", "rack", "--until", "2030-01-01T00:00:00Z")
    assert shown.exit_code == 0, shown.output
    hold = world.group("rack").spec.hold
    assert hold is not None
    assert hold.power == "off"
    assert "box-2 has a hold of its own, which counts: hexa auto machines/box-2" in shown.stdout
    why = hexa("why", "box-1").stdout
    assert "off by hold until" in why
    assert "(Group machines/rack spec.hold)" in why
    assert "on by recovery" in why


def test_several_machines_are_answered_one_by_one(hexa: Hexa, stage: Stage, world: World) -> None:
    """One that fails stops no other, and shows in the exit code."""
    stage.kube.fail_next(Unavailable("away"), verb="patch", kind=MACHINES, name="box-2")
    shown = hexa("pause", "box-2", "box-3", "--reason", "new disk")
    assert shown.exit_code == 1
    assert shown.stderr == "hexa: box-2: away\n"
    paused = world.node("box-3").spec.paused
    assert paused is not None
    assert paused.reason == "new disk"
    stage.kube.fail_next(Refused("no"), verb="patch", kind=MACHINES)
    assert hexa("resume", "box-3").exit_code == 3
    assert hexa("resume", "box-3").exit_code == 0
    assert world.node("box-3").spec.paused is None


def test_a_name_without_namespace_is_of_the_context_s(hexa: Hexa, world: World) -> None:
    """A machine of another namespace is never switched because somebody else was named with theirs."""
    for far in ("far", "box-2"):
        world.site.api.create(
            MACHINES, {"metadata": {"name": far, "namespace": "other"}, "spec": {}}, manager="kubectl"
        )
    shown = hexa("off", "far", "other/box-2")
    assert shown.exit_code == 1
    assert world.node("far", namespace="other").spec.hold is None
    assert world.node("box-2", namespace="other").spec.hold is not None
    assert world.node("box-2").spec.hold is None
    assert "write one of these" in hexa("get", "-A", "box-2").stderr
    assert "other" in hexa("get", "-A", "far").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("on",),
        ("on", "box-1", "--for", "3h", "--until", "18:00"),
        ("on", "box-1", "--for", "3"),
        ("on", "box-1", "--until", "soon"),
        ("on", "box-1", "--until", "2020-01-01"),
        ("pause", "box-1", "--for", "0s"),
    ],
)
def test_what_makes_no_sense_is_not_written(hexa: Hexa, world: World, arguments: tuple[str, ...]) -> None:
    """It ends with 2, one line, and nothing was done."""
    shown = hexa(*arguments)
    assert shown.exit_code == 2
    assert shown.stderr.startswith("hexa: ")
    assert world.node("box-1").spec.hold is None


@pytest.mark.parametrize(("manager", "way"), [("kustomize-controller", "flux"), ("argocd-controller", "ignoreDiff")])
def test_git_may_take_it_back(hexa: Hexa, world: World, manager: str, way: str) -> None:
    """Objects that a GitOps manager keeps get a warning with what to do."""
    patch = Patch({"spec": {"hold": {"power": "on"}}})
    world.site.api.patch(MACHINES, ("machines", "box-2"), patch, manager=manager)
    shown = hexa("off", "box-2").stdout
    assert f"warning: {manager} owns spec.hold and will put back what is in Git" in shown
    assert way in shown
    world.site.api.patch(MACHINES, ("machines", "box-3"), Patch({"spec": {"powerState": "off"}}), manager=manager)
    assert f"warning: {manager} manages this object and may revert spec.hold" in hexa("on", "box-3").stdout


def test_why_names_wish_phase_and_what_keeps_it(hexa: Hexa) -> None:
    """Who wants what since when, what brought it there, and what a drain would meet."""
    told = hexa("why", "box-1").stdout
    assert told.startswith("box-1 is on: recovery wants it on\n")
    assert "on by recovery for " in told
    assert "its Kubernetes node is Ready" in told
    assert "default/web-" in told
    assert "PDB default/web allows 0 disruptions (1 of 1 pods are healthy, 1 must be)" in told
    assert "box-1: Ready" in told
    assert "stale" not in told


def test_blockers_names_the_one_rule_of_each_machine_that_is_on(hexa: Hexa) -> None:
    """Machines that are off are not among them; why says the same of one machine, json has all of it."""
    shown = hexa("blockers")
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0] == ["MACHINE", "GROUP", "FOR", "RULE", "BECAUSE", "WHAT-TO-DO"]
    assert [(line[0], line[3]) for line in lines[1:]] == [("box-1", "DisruptionBudget"), ("box-5", "HostsControl")]
    assert "PDB default/web allows 0 disruptions" in shown.stdout
    told = hexa("why", "box-1").stdout
    assert "Stays on because of\n  DisruptionBudget: PDB default/web allows 0 disruptions" in told
    assert "Stays on" not in hexa("why", "box-2").stdout
    (line,) = json.loads(hexa("blockers", "box-1", "-o", "json").stdout)
    assert (line["machine"], line["idle"], line["reason"]["rule"]) == ("machines/box-1", True, "DisruptionBudget")
    assert len(json.loads(hexa("blockers", "rack", "desk", "-o", "json").stdout)) == 2
    assert hexa("report", "--blockers").stdout == shown.stdout
    assert hexa("report", "--blockers", "--group", "desk").stdout.splitlines()[1].split()[0] == "box-5"
    assert hexa("report", "--blockers", "-o", "csv").exit_code == 2
    wrong = hexa("blockers", "box-9", "box-1")
    assert (wrong.exit_code, "DisruptionBudget" in wrong.stdout) == (1, True)
    assert "box-9: there is no machine or group of that name" in wrong.stderr


def test_blockers_says_what_it_may_not_read(hexa: Hexa, stage: Stage) -> None:
    """A person without rights to budgets still gets an answer, with a note that more may stand behind."""
    stage.kube.fail_next(Refused("list poddisruptionbudgets is forbidden"), verb="list", kind=BUDGETS)
    shown = hexa("blockers")
    assert shown.exit_code == 0, shown.output
    assert "hexa: disruption budgets are not known: list poddisruptionbudgets is forbidden" in shown.stderr
    assert [line.split()[3] for line in shown.stdout.splitlines()[1:]] == ["NotYet", "HostsControl"]


def test_why_tells_of_a_pause(hexa: Hexa) -> None:
    """A paused machine is only watched, and how that ends is said; so is that no agent took it in."""
    hexa("pause", "box-2", "--for", "2h", "--reason", "new disk")
    told = hexa("why", "box-2").stdout
    assert "the end of its pause; until then it is only watched: in 2h" in told
    assert "Paused: paused until" in told
    assert "hexa resume machines/box-2" in told
    assert "the status may be stale: the last change of its spec is not in its status yet" in told


def test_why_of_a_group(hexa: Hexa) -> None:
    """Target, limits, who is next, and what keeps each."""
    told = hexa("why", "rack").stdout
    assert told.startswith("rack wants 1 of 4 machines on (at least 0, all allowed)\n")
    assert "Next to wake\n  box-2\n  box-3\n" in told
    assert "Next to rest\n  box-1\n" in told
    assert "PowerOnUnavailable" in told
    parsed = json.loads(hexa("why", "rack", "-o", "json").stdout)
    assert (parsed["target"], parsed["possible"], parsed["nextToRest"]) == (1, 3, ["box-1"])


WAITING: list[tuple[dict[str, Any], str, str]] = [
    (
        {"nodeSelector": {"zone": "a"}},
        "no group can serve it",
        "Selector: the pod wants zone=a, and it has no such label",
    ),
    ({"requests": {"cpu": "64"}}, "no group can serve it", "Resources: the pod asks for 64 cpu, and it has 4 free"),
    ({"requests": {"memory": "1Ti"}}, "no group can serve it", "asks for 1Ti memory, and it has 16Gi free"),
    ({"requests": {"nvidia.com/gpu": "1"}}, "no group can serve it", "asks for 1 nvidia.com/gpu, and it has none"),
    (
        {"requests": {"cpu": "100m"}},
        "it fits on box-1, box-5 now",
        "Cluster Autoscaler can ask for box-2",
    ),
    ({"requests": {"cpu": "3500m"}}, "it fits on box-5 now", "machines/desk: cannot serve it"),
    ({"requests": {"cpu": "3500m"}}, "it fits on box-5 now", "NoRoom: box-5: it is on, and has no room for the pod"),
    ({"priority": -20}, "", "its priority -20 is below -10"),
    ({"schedulerName": "volcano"}, "", "its schedulerName is volcano"),
    (
        {
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
            "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
        },
        "",
        "not judged here: topologySpreadConstraints, resourceClaims",
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]
                    }
                }
            }
        },
        "no group can serve it",
        "Affinity: its labels do not match",
    ),
]


@pytest.fixture
def pend(stage: Stage) -> Iterator[Callable[..., None]]:
    """Makes a pod that waits, and takes it away again."""
    pods = stage.world.site.api.table(PODS).objects
    like = next(iter(pods.values()))

    def make(*, requests: dict[str, str] | None = None, **spec: Any) -> None:
        containers = [{"name": "main", "image": "x", "resources": {"requests": requests or {}}}]
        metadata = {"name": "waits", "namespace": "apps", "uid": "u", "resourceVersion": "1"}
        manifest = {**like.raw, "metadata": metadata, "spec": {"containers": containers, **spec}, "status": {}}
        pods["apps", "waits"] = type(like)(manifest, like.version)

    yield make
    pods.pop(("apps", "waits"), None)


@pytest.mark.parametrize(("spec", "summary", "says"), WAITING)
def test_why_of_a_pod_that_waits(
    hexa: Hexa, pend: Callable[..., None], spec: dict[str, Any], summary: str, says: str
) -> None:
    """For each group it is said whether it can serve the pod, and what stands against it: selector, taint, affinity, resources, or
    that no machine is left to wake."""
    pend(**spec)
    told = hexa("why", "pod", "waits", "-n", "apps")
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith("apps/waits waits: ")
    assert summary in told.stdout.splitlines()[0]
    assert says in told.stdout


def test_why_of_a_pod_that_names_a_machine(hexa: Hexa, world: World, pend: Callable[..., None]) -> None:
    """Without wakeForPinned nobody wakes anything for it, and the field is named; with it hexa does, within holds."""
    pend(nodeSelector={"kubernetes.io/hostname": "box-2"})
    told = hexa("why", "pod", "apps/waits").stdout
    assert "Pinned: it can run on box-2 only, and Cluster Autoscaler wakes nothing for such a pod" in told
    world.edit_group("rack", {"wakeForPinned": True})
    told = hexa("why", "pod", "apps/waits").stdout
    assert "machines/rack can serve it" in told.splitlines()[0]
    assert "it can run on box-2 only, which hexa wakes for it" in told
    world.edit("box-2", {"hold": {"power": "off"}})
    assert "Hold: held off" in hexa("why", "pod", "apps/waits").stdout


def test_why_of_a_pod_tells_of_limits_and_taints(hexa: Hexa, world: World, pend: Callable[..., None]) -> None:
    """maxSize, holds, taints of a template and a shape that nobody knows are reasons; json has them all."""
    pend(requests={"cpu": "3500m"})
    world.edit_group("rack", {"maxSize": 1})
    assert (
        "MaxSize: 1 machines are on or coming, and maxSize is 1; raise maxSize"
        in hexa("why", "po", "apps/waits").stdout
    )
    world.edit_group("rack", {"maxSize": None, "hold": {"power": "off"}})
    assert "Hold: box-2: held off" in hexa("why", "pod", "apps/waits").stdout
    world.edit_group("rack", {"hold": None})
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    world.edit("box-2", {"template": {"taints": [taint]}})
    told = json.loads(hexa("why", "pod", "apps/waits", "-o", "json").stdout)
    (rack,) = (group for group in told["groups"] if group["group"] == "machines/rack")
    assert [(r["rule"], r["text"]) for r in rack["reasons"]] == [
        ("Taint", "the pod does not tolerate gpu=yes:NoSchedule")
    ]
    for name in ("box-1", "box-2", "box-3", "box-4"):
        world.edit(name, {"template": None})
        world.site.api.patch(MACHINES, ("machines", name), Patch({"status": {"template": None}}, subresource="status"))
    assert "ShapeUnknown: no machine was ever seen Ready" in hexa("why", "pod", "apps/waits").stdout


def test_why_of_a_pod_that_does_not_wait(hexa: Hexa, world: World) -> None:
    """A pod that has a place is told with it; one that is not there is an error; and two names are one too many."""
    web = next(pod.metadata.name for pod in world.pods() if pod.metadata.name.startswith("web"))
    assert f"default/{web} is on Kubernetes node box-1: Running" in hexa("why", "pod", f"default/{web}").stdout
    missing = hexa("why", "pod", "nobody")
    assert (missing.exit_code, missing.stderr) == (1, "hexa: machines/nobody: there is no pod of that name\n")
    assert hexa("why", "box-1", "box-2").exit_code == 2


def test_objects_of_a_namespace_that_nobody_watches_say_so(hexa: Hexa, stage: Stage, pend: Callable[..., None]) -> None:
    """Where hexa's pod was told other namespaces, get and why say that nothing here is switched, and that no group serves a pod."""
    pods = stage.world.site.api.table(PODS).objects
    agent = pods["hexa", "hexa-0"]
    env = [{"name": "HEXA_NAMESPACES", "value": "homelab"}]
    container = {"name": "hexa", "image": "hexa", "env": env}
    pods["hexa", "hexa-0"] = type(agent)({**agent.raw, "spec": {**agent.raw["spec"], "containers": [container]}}, 10**6)
    try:
        assert hexa("get").stdout.count("hexa watches homelab only") == 7
        assert "metadata.namespace: hexa watches homelab only; add the namespace" in hexa("why", "box-2").stdout
        assert "hexa watches homelab only" in hexa("why", "rack").stdout
        pend(requests={"cpu": "3500m"})
        told = hexa("why", "pod", "apps/waits").stdout
        assert ": can serve it" not in told
        assert told.count("hexa watches homelab only") == told.count("cannot serve it") > 1
        held = hexa("on", "box-2")
        assert "Unwatched: hexa watches homelab only; add the namespace" in held.output
        hexa("auto", "box-2")
    finally:
        pods["hexa", "hexa-0"] = agent


def test_why_of_a_drain_without_end(hexa: Hexa) -> None:
    """Its JSON has the answer of the drain too."""
    drain = json.loads(hexa("why", "box-1", "-o", "json").stdout)["drain"]
    assert drain["ends"] is False
    assert [blocker["reason"] for blocker in drain["blockers"]] == ["DisruptionBudget"]


def test_drain_check_says_who_blocks(hexa: Hexa) -> None:
    """It ends with 4 where a drain would not end, and with 0 where there is nothing to drain."""
    shown = hexa("drain-check", "box-1")
    assert shown.exit_code == 4, shown.output
    assert "a drain would not end, and be given up after 10m: 1 pod blocks" in shown.stdout
    assert hexa("drain-check", "box-2").exit_code == 0
    assert hexa("drain-check", "box-1", "bix-2").exit_code == 1


def test_drain_check_tells_of_rules(hexa: Hexa) -> None:
    """A hold forbids the drain to begin."""
    hexa("on", "box-1")
    shown = hexa("drain-check", "box-1")
    assert shown.exit_code == 4
    assert "forbidden  Hold: held on" in shown.stdout


def test_history(hexa: Hexa) -> None:
    """The phases with what was noticed, the newest last."""
    shown = hexa("history", "box-1")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["WHEN", "AGO", "PHASE", "BECAUSE"]
    assert "Unknown" in lines[1]
    assert "its Kubernetes node is Ready" in lines[2]
    assert lines[-1].startswith("since it was enrolled: ")


def test_modes_are_shown_and_named(hexa: Hexa, world: World) -> None:
    """get has a column for them where a group has one; a word that is not acted on is told at once, and why names the mode."""
    assert "MODE" not in hexa("get").stdout
    world.edit_group("rack", {"mode": "AlwaysOn"})
    shown = hexa("get", "groups").stdout.splitlines()
    assert shown[0].split()[6] == "MODE"
    assert [line.split()[6] for line in shown[1:]] == ["Auto", "AlwaysOn"]
    assert "rack wants 3 of 4 machines on (mode AlwaysOn)" in hexa("why", "rack").stdout
    assert "on by mode" in hexa("why", "box-2").stdout
    assert "Group machines/rack spec.mode" in hexa("why", "box-2").stdout
    world.edit_group("rack", {"mode": "Observe"})
    assert "rack only observes its 4 machines; 1 of them are up" in hexa("why", "rack").stdout
    assert "box-2 is off; its group only observes (mode Observe)" in hexa("why", "box-2").stdout
    told = hexa("on", "box-2")
    assert "Observe: its group only observes (mode Observe)" in told.output


def test_schedules_are_shown_and_named(hexa: Hexa, world: World) -> None:
    """get says when one changes the sizes next, where a group has any; why says what it sets now, and what it keeps on."""
    assert "NEXT CHANGE" not in hexa("get").stdout
    always = {"minSize": 5, "reason": "open day"}
    world.edit_group("rack", {"minSize": 0, "schedules": [always, {"days": ["Sun"], "minSize": 1, "reason": "closed"}]})
    shown = hexa("get", "groups").stdout
    assert "NEXT CHANGE" in shown
    assert 'minSize from 5 to 1 (schedule "closed" begins)' in shown
    told = hexa("why", "rack").stdout
    assert 'minSize is 5 by schedule "open day"' in told
    assert 'Sun 00:00 (UTC): minSize from 5 to 1 (schedule "closed" begins)' in told
    assert json.loads(hexa("get", "groups", "rack", "-o", "json").stdout)["groups"][0]["nextChange"].startswith("20")
    world.edit_group("rack", {"schedules": [{**always, "minSize": 100}]})
    kept = hexa("why", "box-1").stdout
    assert 'minSize is 100 by schedule "open day"' in kept
    assert "Group machines/rack spec.schedules[0].minSize" in kept


def test_a_receipt_is_shown_by_machine_and_group(hexa: Hexa, world: World) -> None:
    """With what it leaves out; without one it says how to get one."""
    assert "set spec.mode: Observe on a Group" in hexa("receipt").stderr
    assert hexa("receipt", "rack").exit_code == 1
    kept = [{"reason": "Pods", "seconds": 36000.0}, {"reason": "Unneeded", "seconds": 1200.0}]
    saving = {"offSeconds": 7200.0, "offs": 1, "kwh": 0.113, "money": 0.0565, "currency": "EUR", "kept": kept}
    receipt = {"since": "2026-01-05T00:00:00Z", "saving": saving}
    for name in ("box-1", "box-2"):
        patch = Patch({"status": {"receipt": receipt}}, subresource="status")
        world.site.api.patch(MACHINES, ("machines", name), patch)
    shown = hexa("receipt")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert [line[1] for line in lines[1:]] == ["box-1", "box-2", "all"]
    assert shown.stdout.splitlines()[-1].endswith("4.0 h       2     0.23  0.11 EUR  Pods 20.0 h, Unneeded 0.7 h")
    assert "no energy is known of box-1, box-2: set spec.energy.idleWatts" in shown.stderr
    assert "hexa has not shown that it can wake box-1, box-2" in shown.stderr
    assert hexa("report", "--receipt").stdout == shown.stdout
    told = json.loads(hexa("receipt", "rack", "-o", "json").stdout)
    assert [line["offHours"] for line in told["lines"]] == [2.0, 2.0, 4.0]


def test_without_rights_on_the_cluster_it_says_what_is_missing(hexa: Hexa, stage: Stage) -> None:
    """Who may read the namespace only still gets an answer, with a note."""
    stage.kube.fail_next(Refused("list nodes is forbidden"), verb="list", kind=NODES)
    shown = hexa("get")
    assert shown.exit_code == 0
    assert "hexa: whether machines joined is not known: list nodes is forbidden" in shown.stderr
    stage.kube.fail_next(Refused("no"), verb="list", kind=MACHINES)
    assert hexa("get").exit_code == 3


class Context:
    """What a shell has typed so far."""

    params: dict[str, Any] = {}  # noqa: RUF012


def test_names_are_completed(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Machines and groups come from the cluster; where it can't be asked, nothing is said."""
    assert complete_machine(Context, "box-1") == ["box-1"]  # type: ignore[arg-type]
    assert complete_any(Context, "") == ["box-1", "box-2", "box-3", "box-4", "box-5", "desk", "rack"]  # type: ignore[arg-type]
    stage.kube.fail_next(Unavailable("away"), verb="list")
    assert complete_any(Context, "") == []  # type: ignore[arg-type]
    assert capsys.readouterr() == ("", "")
