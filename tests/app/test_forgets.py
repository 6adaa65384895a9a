"""An agent that runs for a year remembers nothing of objects that are long gone."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

import trio
from tests.app.rig import POD, SPACE, stamp
from tests.fuzz.pipeline import Pipeline, open_pipeline
from trio.testing import MockClock

from hexa.adapters.memory.clock import START
from hexa.app.cache import DELETIONS_KEPT
from hexa.domain.names import CHECK_LABEL, MEMBERSHIP_LABEL
from hexa.domain.resources.core import JOBS, LEASES, NODES, decode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Lookup

MANY = 200
"""Of each of five kinds: a thousand objects."""
NAME = "gone-"


def objects(number: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A group with a machine, its Kubernetes node, its Lease and a Job of it. The machine shares its address and its node's name
    with the next one, and depends on it."""
    name, after = f"{NAME}{number}", f"{NAME}{number + number % 2}"
    labels = {MEMBERSHIP_LABEL: name}
    power = {"ipmi": {"address": f"{after}.lan", "secretName": "bmc"}}
    spec = {"power": power, "healthcheckPodSpec": POD, "dependsOn": [after], "kubernetesNodeName": after}
    status = {"phase": "Off", "since": stamp(0), "attempt": 3, "check": {"name": "c"}}
    owner = {"apiVersion": MACHINES.api_version, "kind": "Node", "name": name, "uid": name}
    meta = {"name": name, "namespace": SPACE, "uid": name, "resourceVersion": str(number + 1)}
    yield GROUPS, {"metadata": meta, "spec": {"wakeProof": "Require"}}
    yield MACHINES, {"metadata": {**meta, "labels": labels}, "spec": spec, "status": status}
    yield NODES, {"metadata": {**meta, "namespace": ""}}
    yield JOBS, {"metadata": {**meta, "labels": {CHECK_LABEL: name}, "ownerReferences": [owner]}}
    yield LEASES, {"metadata": {**meta, "namespace": "kube-node-lease"}, "spec": {"renewTime": stamp(number)}}


def remembered(root: Any, seen: set[int], path: str) -> Iterator[str]:
    """Places that remember an object by its name: keys of mappings, members of sets, entries of lists."""
    if id(root) in seen or isinstance(root, str | bytes | int | float | type | WeakValueDictionary):
        return
    seen.add(id(root))
    if isinstance(root, dict | set | frozenset | list | tuple):
        yield from (f"{path}: {key}"[:160] for key in root if NAME in str(key)[:200])
    parts = getattr(root, "__dict__", {}) if type(root).__module__.startswith("hexa.app") else {}
    inner = root.items() if isinstance(root, dict) else parts.items()
    for name, part in inner:
        yield from remembered(part, seen, f"{path}.{name}")


async def come_and_go(pipeline: Pipeline, leases: Any) -> None:
    """They come, are asked for, and go."""
    store, cloud = pipeline.rig.store, pipeline.rig.cloud
    caches: dict[Any, Any] = {
        GROUPS: store.groups,
        MACHINES: store.machines,
        NODES: store.nodes,
        JOBS: store.jobs,
        LEASES: leases,
    }
    made = [(kind, decode(kind, raw)) for number in range(MANY) for kind, raw in objects(number)]
    for kind, each in made:
        caches[kind].put(each)
    for number in range(0, MANY, 10):
        cloud.target_size(f"{SPACE}/{NAME}{number}")
        pipeline.rig.groups._locks.of(Lookup(SPACE, f"{NAME}{number}"))
    for kind, each in made:
        meta = each.metadata
        caches[kind].drop(Lookup(meta.namespace, meta.name), version=int(meta.resource_version) + MANY)


async def test_small_dictionaries_forget_what_is_deleted(autojump_clock: MockClock) -> None:
    """A thousand objects (groups, machines, nodes, Leases, Jobs) that came and went leave no trace but a bounded list."""
    async with open_pipeline() as pipeline, trio.open_nursery() as nursery:
        leases = pipeline.nodes.lease_watch._heartbeats
        parts = [pipeline.nodes, pipeline.readings, pipeline.checks, pipeline.rig.groups, pipeline.rig.kube_nodes]
        await come_and_go(pipeline, leases)
        for part in parts:
            nursery.start_soon(part.queue.run)
        await trio.sleep(timedelta(hours=2).total_seconds())
        assert pipeline.rig.clock.now() > START
        leases.put(decode(LEASES, {"metadata": {"name": "other"}, "spec": {"renewTime": stamp(1)}}))
        leases.drop(Lookup("kube-node-lease", "other"))
        nursery.cancel_scope.cancel()
        store = pipeline.rig.store
        caches = (store.groups, store.machines, store.nodes, store.jobs)
        assert all(len(cache._gone) <= DELETIONS_KEPT for cache in caches)
        for cache in caches:
            cache._gone.clear()
        seen: set[int] = {id(pipeline.rig.kube), id(pipeline.rig.journal)}
        found = [line for part in (*parts, pipeline.rig.cloud) for line in remembered(part, seen, type(part).__name__)]
        assert found == []
