"""Plays one script in virtual time and says what was broken."""

from hashlib import sha256
from time import process_time
from typing import Any

import msgspec
import trio
from msgspec import Struct, structs
from trio.testing import MockClock

from hexa.adapters.memory.clock import START
from hexa.adapters.memory.cluster.api import Backup
from hexa.adapters.memory.cluster.kinds import REPLICA_SETS
from hexa.adapters.memory.settings import Settings as Site
from hexa.app.supply import Fed
from hexa.domain.names import HOSTNAME_LABEL, SAFE_TO_EVICT
from hexa.testing.determinism import repeatable_scheduling
from hexa.testing.world import Machine, World, group, machine, open_world
from tests.faults import odd, profiles
from tests.faults.acts import Stage, mend, perform
from tests.faults.devices import Devices
from tests.faults.guard import LOOKS, Broken, Guard
from tests.faults.script import PLUG, POWER, Box, Load, Script
from tests.faults.whole_site import UPS

CALM = 3600.0
"""Seconds from the last fault to the judgement."""
QUIET = 1500.0
"""The last of them, in which nothing more may go wrong."""


class Outcome(Struct, frozen=True):
    """What came of a run."""

    seed: int
    broken: tuple[Broken, ...]
    cpu: float = 0.0
    jobs: int = 0
    hours: float = 0.0
    pods: int = 0
    end: str = ""
    """A digest of all that the API server holds in the end, versions and times included."""

    @property
    def rules(self) -> set[str]:
        return {each.rule for each in self.broken}


def play(script: Script) -> Outcome:
    """Play it on a clock that jumps. The same script gives the same outcome in every process."""
    began = process_time()
    found: list[Outcome] = []
    with repeatable_scheduling(script.seed):
        try:
            trio.run(_run, script, found, clock=MockClock(autojump_threshold=0))
        except (Exception, BaseExceptionGroup) as error:
            if isinstance(error, BaseExceptionGroup) and error.subgroup(KeyboardInterrupt):
                raise
            found.append(Outcome(script.seed, (Broken("crash", _told(error), START),)))
    return _with_cpu(found[0], process_time() - began)


async def _run(script: Script, found: list[Outcome]) -> None:
    site = Site(seed=script.seed, pod_start=0.2, pod_stop=0.2)
    groups = [group(name, **spec) for name, spec in script.groups.items()]
    machines = [
        _machine(box, number, cut="remediation" in script.groups[box.group]) for number, box in enumerate(script.boxes)
    ]
    site_of: dict[str, Any] = {"groups": groups, "machines": machines, "profiles": profiles.manifests(script.boxes)}
    async with open_world(**site_of, autoscaler=None, site=site, agent=False, circuits=script.circuits) as world:
        world.agent.image = "power.example/hexa"
        world.agent.eta = script.seed % 5 == 2
        world.agent.kube_conditions = script.seed % 3 == 1
        world.agent.gauge = Devices(world.site, {box.name for box in script.boxes if box.metered})
        async with trio.open_nursery() as nursery:
            stage = Stage(world, script, nursery)
            if any(act.what == UPS for act in script.acts):
                world.agent.fed = Fed(stage.ups)
            guard = Guard(stage)
            await world.start_agent()
            await nursery.start(stage.autoscale)
            for load in script.loads:
                _add_load(world, load)
            nursery.start_soon(_look, guard)
            await _hurt(stage, script)
            profiles.back(stage)
            await mend(stage)
            await trio.sleep(CALM - QUIET)
            guard.begin_quiet()
            await trio.sleep(QUIET)
            guard.at_end()
            report = world.site.report()
            hours = trio.current_time() / 3600
            end = _digest(world.site.api.snapshot())
            found.append(Outcome(script.seed, tuple(guard.broken), 0.0, guard.jobs, hours, report.pods_run, end))
            nursery.cancel_scope.cancel()


async def _hurt(stage: Stage, script: Script) -> None:
    start = trio.current_time()
    for act in script.acts:
        await trio.sleep_until(start + act.at)
        await (odd.DO | profiles.DO).get(act.what, perform)(stage, act)
    await trio.sleep_until(start + script.hurts)


async def _look(guard: Guard) -> None:
    while True:
        await trio.sleep(LOOKS)
        guard.look()


def _machine(box: Box, number: int, *, cut: bool) -> Machine:
    """`cut`: its shutdown Job ends a system that hangs."""
    spec: dict[str, Any] = {}
    if box.power:
        spec = {"startupPodSpec": None, "shutdownPodSpec": None, "power": _filled(POWER[box.power], box.name, number)}
    if "profile" in box.more:
        del spec["power"]
    if box.metered:
        spec["power"] = spec.get("power", {}) | _filled(PLUG, box.name, number)
    if box.depends:
        spec["dependsOn"] = list(box.depends)
    if box.powered:
        spec["powerState"] = box.powered
    spec |= box.more
    hardware = {"cpu": box.cpu, "boot_seconds": box.boot, "boot_jitter": 0.2, "off_seconds": box.off}
    hardware["hard_off"] = cut
    if box.watts:
        hardware["max_watts"] = box.watts
    if box.circuit:
        spec["circuit"] = box.circuit
    return machine(box.name, group=box.group, on=box.on, sensor=box.sensor, spec=spec, **hardware)


def _filled(value: Any, name: str, number: int) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, name, number) for key, each in value.items()}
    if isinstance(value, list):
        return [each.format(number) for each in value]
    return value.format(name) if isinstance(value, str) else value


def _add_load(world: World, load: Load) -> None:
    annotations = {SAFE_TO_EVICT: "false"} if load.undisturbed else {}
    container = {"name": "main", "image": "example", "resources": {"requests": {"cpu": load.cpu, "memory": "64Mi"}}}
    metadata = {"labels": {"app": load.name}, "annotations": annotations}
    where = {"nodeSelector": {HOSTNAME_LABEL: load.pinned}} if load.pinned else {}
    template = {"metadata": metadata, "spec": {"containers": [container], **where}}
    spec = {"replicas": load.replicas, "template": template}
    world.site.api.create(REPLICA_SETS, {"metadata": {"name": load.name, "namespace": "default"}, "spec": spec})
    if load.budget is not None:
        world.add_budget(name=load.name, minAvailable=load.budget)


def _told(error: BaseException) -> str:
    """The errors at the bottom of groups."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_told(each) for each in error.exceptions)
    trace, where = error.__traceback__, ""
    while trace is not None:
        where = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} ({where})"


def _with_cpu(outcome: Outcome, cpu: float) -> Outcome:
    return structs.replace(outcome, cpu=cpu)


def _digest(site: Backup) -> str:
    held = [
        (*where, key, stored.raw) for where, objects in sorted(site.objects.items()) for key, stored in objects.items()
    ]
    return sha256(msgspec.json.encode((site.version, held))).hexdigest()
