"""Carries out acts on a machine's Jobs, pods and Kubernetes node, and says what came of them. Every act may be repeated."""

from typing import assert_never

from msgspec import structs

from hexa.app.node.draining import evict
from hexa.app.node.duties import NodeDuties
from hexa.app.node.make_room import RoomMaker
from hexa.app.node.power_jobs import PowerJobs
from hexa.app.pods import pods_on
from hexa.app.saving import Writer
from hexa.app.store import Store
from hexa.domain.decide.decision import Act, EndJobs, Evict, MakeRoom, OnNode, Start, Sweep, Touch, Welcome
from hexa.domain.decide.observed import Observed, Read, Swept
from hexa.domain.errors import Refused
from hexa.domain.machine_view import MachineView
from hexa.domain.pods.drain import undecided
from hexa.ports.kube import Kube


class Actor:
    """Acts on one machine at a time."""

    def __init__(
        self, *, store: Store, kube: Kube, jobs: PowerJobs, nodes: NodeDuties, writer: Writer, room: RoomMaker
    ) -> None:
        self._store, self._kube, self._jobs = store, kube, jobs
        self._nodes, self._writer, self._room = nodes, writer, room

    async def act(self, act: Act, machine: MachineView, observed: Observed) -> Read:
        """What is known after it."""
        read = observed.read
        match act:
            case Start():
                return await self._start(act, machine, read)
            case EndJobs(keep):
                return structs.replace(_done(read, act), ended=await self._jobs.clean(machine, keep=keep))
            case Evict(grace):
                return structs.replace(read, evicted=await evict(self._kube, observed.plan, grace=grace))
            case MakeRoom():
                return structs.replace(read, room=await self._room.make(machine, observed.plan.homeless))
            case Welcome(ready_since):
                uid = machine.kube.metadata.uid if machine.kube is not None else ""
                await self._nodes.welcome(machine, ready_since=ready_since)
                return structs.replace(read, welcomed=uid)
            case Sweep(boot):
                gone, kept = await self._nodes.sweep(await pods_on(self._kube, machine.kube_name), boot=boot)
                return structs.replace(read, swept=Swept(gone, kept))
            case OnNode(touch):
                return await self._on_node(touch, machine, observed)
            case _:
                assert_never(act)

    async def _start(self, act: Start, machine: MachineView, read: Read) -> Read:
        """We may have stalled since it was decided: released meanwhile, the machine is not ours."""
        order = self._jobs.order(machine, machine.node.status, act.action)
        confirmed = await self._writer.confirm(machine.node)
        read = structs.replace(_done(read, act), confirmed=confirmed.metadata.resource_version)
        return structs.replace(read, started=await self._jobs.start(order) if order is not None else None)

    async def _on_node(self, touch: Touch, machine: MachineView, observed: Observed) -> Read:
        """A node that may not be cordoned takes pods still: that blocks, and the drain ends at its deadline like any other."""
        read = structs.replace(observed.read, done=observed.read.done | {touch})
        try:
            await self._touch(touch, machine, observed)
        except Refused as error:
            if touch is not Touch.CORDON:
                raise
            return structs.replace(read, plan=undecided(machine.kube_name, str(error)))
        return read

    async def _touch(self, touch: Touch, machine: MachineView, observed: Observed) -> None:
        match touch:
            case Touch.CORDON:
                await self._nodes.cordon(machine, observed.now)
            case Touch.UNCORDON:
                await self._nodes.uncordon(machine)
            case Touch.UNMARK:
                await self._nodes.unmark(machine)
            case Touch.SUSPEND:
                await self._nodes.suspend(machine, observed.now)
            case Touch.DELETE:
                await self._nodes.delete(machine)
            case Touch.TAINT:
                await self._nodes.taint(machine, observed.now)
            case Touch.CLEAR:
                await self._nodes.clear(machine)
            case _:
                assert_never(touch)


def _done(read: Read, act: Act) -> Read:
    return structs.replace(read, done=read.done | {type(act).__name__})
