"""A Cloud in a few dictionaries, for tests and benchmarks of what calls ports.cloud. It switches nothing.

Machines come when `arrive` says so. `fail_next` makes the next call raise; `calls` tells what was asked.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import trio
from msgspec import Struct

from hexa.domain.names import GROUP_LABEL, provider_id
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Shape
from hexa.ports.cloud import (
    Denied,
    Done,
    ExternalNode,
    Instance,
    InstanceState,
    NodeGroup,
    NodeTemplate,
    Options,
    UnknownGroup,
)


class FakeMachine(Struct):
    name: str
    provider_id: str
    group: str
    wished: bool = False
    here: bool = False
    """The Kubernetes node is there."""


class FakeGroup(Struct):
    id: str
    min_size: int
    max_size: int
    machines: list[FakeMachine]
    options: Options = Options()
    shape: Shape | None = None
    hourly_rate: float = 1.0


class FakeCloud:
    """Groups `default/group-N` of machines `group-N-M`, all off."""

    def __init__(self, *, groups: int = 2, machines: int = 3) -> None:
        self.fake_groups = {group.id: group for group in (_group(number, machines) for number in range(groups))}
        self.calls: list[tuple[Any, ...]] = []
        self.complete = True
        """What `refresh` answers."""
        self.write_seconds = 0.0
        """How long a write takes."""
        self._version = 1
        self._failures: list[Exception] = []
        self._by_name = {m.name: m for group in self.fake_groups.values() for m in group.machines}
        self._by_provider_id = {m.provider_id: m for m in self._by_name.values()}

    def fail_next(self, error: Exception) -> None:
        """The next call raises `error`."""
        self._failures.append(error)

    def arrive(self, name: str) -> None:
        """The machine is up and its Kubernetes node is there."""
        self._by_name[name].wished = self._by_name[name].here = True
        self.changed()

    def changed(self) -> None:
        """Something was set from outside."""
        self._version += 1

    def _note(self, *call: object) -> None:
        self.calls.append(call)
        if self._failures:
            raise self._failures.pop()

    # --- reads ---

    def version(self) -> int:
        return self._version

    def groups(self) -> Sequence[NodeGroup]:
        self._note("groups")
        return [_node_group(group) for group in self.fake_groups.values()]

    def group_for_node(self, name: str, provider_id: str) -> NodeGroup | None:
        self._note("group_for_node", name, provider_id)
        machine = self._by_provider_id.get(provider_id) or self._by_name.get(name)
        return None if machine is None else _node_group(self.fake_groups[machine.group])

    def target_size(self, group: str) -> int | UnknownGroup:
        self._note("target_size", group)
        found = self.fake_groups.get(group)
        return UnknownGroup(group) if found is None else _target(found)

    def instances(self, group: str) -> Sequence[Instance] | UnknownGroup:
        self._note("instances", group)
        if (found := self.fake_groups.get(group)) is None:
            return UnknownGroup(group)
        return [_instance(machine) for machine in found.machines if machine.wished or machine.here]

    def template(self, group: str) -> NodeTemplate | UnknownGroup | Denied:
        self._note("template", group)
        if (found := self.fake_groups.get(group)) is None:
            return UnknownGroup(group)
        if found.shape is None:
            return Denied("NoShape", f"no machine of {group} was ever seen")
        return NodeTemplate(f"{found.id.partition('/')[2]}-template", found.shape)

    def options(self, group: str) -> Options | UnknownGroup:
        self._note("options", group)
        found = self.fake_groups.get(group)
        return UnknownGroup(group) if found is None else found.options

    def node_price(self, node: ExternalNode, start: datetime, end: datetime) -> float | None:
        self._note("node_price", node, start, end)
        machine = self._by_provider_id.get(node.provider_id) or self._by_name.get(node.name)
        group = machine.group if machine is not None else f"default/{node.labels.get(GROUP_LABEL)}"
        if (found := self.fake_groups.get(group)) is None:
            return None
        return found.hourly_rate * (end - start).total_seconds() / 3600

    def pod_price(self, pod: Pod, start: datetime, end: datetime) -> float:
        self._note("pod_price", pod, start, end)
        return len(pod.spec.containers) * (end - start).total_seconds() / 3600

    def gpu_label(self) -> str:
        self._note("gpu_label")
        return "hexa.test/gpu"

    def gpu_types(self) -> Sequence[str]:
        self._note("gpu_types")
        return ["blue", "red"]

    def refresh(self) -> bool:
        self._note("refresh")
        return self.complete

    # --- writes ---

    async def increase_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        self._note("increase_size", group, delta)

        def change(found: FakeGroup) -> Done | Denied:
            off = [machine for machine in found.machines if not machine.wished]
            if _target(found) + delta > found.max_size or delta > len(off):
                return Denied("MaxSizeReached", f"{group} has no room for {delta} more")
            for machine in off[:delta]:
                machine.wished = True
            return Done()

        return await self._write(group, change)

    async def delete_nodes(self, group: str, *, nodes: Sequence[ExternalNode]) -> Done | UnknownGroup | Denied:
        self._note("delete_nodes", group, tuple(nodes))

        def change(found: FakeGroup) -> Done | Denied:
            machines = [self._by_provider_id.get(n.provider_id) or self._by_name.get(n.name) for n in nodes]
            if any(machine is None or machine.group != found.id for machine in machines):
                return Denied("NotAMember", f"a node does not belong to {group}")
            for machine in machines:
                if machine is not None:
                    machine.wished = machine.here = False
            return Done()

        return await self._write(group, change)

    async def decrease_target_size(self, group: str, *, delta: int) -> Done | UnknownGroup | Denied:
        self._note("decrease_target_size", group, delta)

        def change(found: FakeGroup) -> Done | Denied:
            for machine in [machine for machine in found.machines if machine.wished and not machine.here][delta:]:
                machine.wished = False
            return Done()

        return await self._write(group, change)

    async def _write(self, group: str, change: Callable[[FakeGroup], Done | Denied]) -> Done | UnknownGroup | Denied:
        await trio.sleep(self.write_seconds)
        if (found := self.fake_groups.get(group)) is None:
            return UnknownGroup(group)
        answer = change(found)
        self._version += 1
        return answer


def _group(number: int, machines: int) -> FakeGroup:
    name = f"group-{number}"
    group = f"default/{name}"
    capacity = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    return FakeGroup(
        id=group,
        min_size=0,
        max_size=machines,
        machines=[FakeMachine(f"{name}-{m}", provider_id("default", f"{name}-{m}"), group) for m in range(machines)],
        shape=Shape(capacity=capacity, labels={GROUP_LABEL: name, "kubernetes.io/arch": "amd64"}),
    )


def _node_group(group: FakeGroup) -> NodeGroup:
    return NodeGroup(group.id, group.min_size, group.max_size, f"{len(group.machines)} machines")


def _target(group: FakeGroup) -> int:
    return sum(machine.wished for machine in group.machines)


def _instance(machine: FakeMachine) -> Instance:
    return Instance(machine.provider_id, InstanceState.RUNNING if machine.here else InstanceState.CREATING)
