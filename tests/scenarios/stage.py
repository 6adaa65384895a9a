"""What the scenarios share: a rack of machines that boot in 8 s, and short ways to say what is waited for."""

from collections.abc import Callable
from typing import Any, Final

from hexa.adapters.memory.settings import Settings as Site
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.names import API_GROUP
from hexa.domain.resources.core import JOBS
from hexa.testing.world import Machine, World, group, machine
from hexa.testing.world.agent import MortalKube

ID: Final = "machines/rack"
QUICK: Final = Site(pod_start=0.2, pod_stop=0.2)
"""Containers that start and stop as fast as real ones."""
PROVISION: Final = "2m"
"""With it a wake is sent again after 12 s, and a boot is given up after 72 s."""


def rack(**spec: Any) -> Any:
    """The group."""
    return group("rack", maxNodeProvisionTime=PROVISION, **spec)


def boxes(count: int = 1, **more: Any) -> list[Machine]:
    """So many machines."""
    return [machine(f"box-{number}", group="rack", **{"boot_seconds": 8.0, **more}) for number in range(1, count + 1)]


def kube_of(world: World) -> MortalKube:
    """The client of the agent that runs."""
    life = world.agent.life
    assert life is not None
    return life.kube


def at(world: World, phase: Phase, name: str = "box-1") -> Callable[[], bool]:
    """Whether hexa says that the machine is there."""
    return lambda: world.phase(name) is phase


async def reach(world: World, phase: Phase, name: str = "box-1", *, within: float = 120) -> float:
    """Wait until the machine is there."""
    return await world.until(at(world, phase, name), within=within, every=0.1)


async def switch(world: World, power: str, *names: str) -> None:
    """A person switches machines by spec.powerState."""
    for name in names or ("box-1",):
        world.edit(name, {"powerState": power})


async def up(world: World, *names: str) -> None:
    """Switch them on and wait until pods may land."""
    names = names or ("box-1",)
    await switch(world, "on", *names)
    await world.until(lambda: all(world.node(name).status.welcomed for name in names), within=60)


async def loaded(world: World, *, budget: dict[str, Any] | None = None, **pod: Any) -> None:
    """The first machine is up and runs a pod; with `budget`, one that a disruption budget guards."""
    await up(world)
    world.add_pods(1, cpu="1", **pod)
    if budget is not None:
        world.add_budget(**budget)
    await world.until(lambda: world.waiting == 0, within=20)


def arrows(world: World, name: str = "box-1") -> list[tuple[str, str]]:
    """The arrows of the lifecycle that the machine took: (phase, event)."""
    lines = [line.fields for line in world.journal.lines if line.message == "phase"]
    return [(line["was"], line["noticed"]) for line in lines if line["machine"] == f"machines/{name}"]


class JobWatch:
    """Every power Job that is ever made, and the most that one machine had at once."""

    def __init__(self, world: World) -> None:
        self.made: list[tuple[str, str, str]] = []
        """(machine, action, attempt), oldest first."""
        self.most = 0
        self._alive: dict[str, set[str]] = {}
        world.site.api.listen(JOBS, self._changed)

    def _changed(self, event: Any) -> None:
        labels = event.stored.raw["metadata"].get("labels", {})
        machine = labels.get(f"{API_GROUP}/machine")
        if machine is None:
            return
        alive = self._alive.setdefault(machine, set())
        ended = any(c["status"] == "True" for c in (event.stored.raw.get("status") or {}).get("conditions", ()))
        if event.type == "ADDED":
            self.made.append((machine, labels[f"{API_GROUP}/action"], labels[f"{API_GROUP}/attempt"]))
            alive.add(event.stored.uid)
        elif event.type == "DELETED" or ended:
            alive.discard(event.stored.uid)
        self.most = max(self.most, len(alive))

    def of(self, name: str) -> list[str]:
        """Actions of one machine in order."""
        return [action for machine, action, _ in self.made if machine == name]
