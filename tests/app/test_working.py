"""Which Kubernetes nodes run pods that a drain would move: told when it changes, for few bytes a pod, watched only on demand."""

import tracemalloc
from collections.abc import Iterable

from msgspec import structs
from tests.domain.builders import pod
from tests.scenarios.stage import QUICK, boxes, rack
from trio.testing import MockClock

from hexa.app.working import WorkingPods
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.names import MIRROR_ANNOTATION
from hexa.domain.resources.core import PODS, Malformed, Metadata, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.testing.world import open_world


class Heard:
    """What a subscriber was told."""

    def __init__(self, pods: WorkingPods) -> None:
        self.told: list[list[str] | None] = []
        pods.subscribe(self._hear)

    def _hear(self, nodes: Iterable[str] | None) -> None:
        self.told.append(None if nodes is None else list(nodes))


def on(node: str, name: str = "web", **more: str) -> Pod:
    """A pod that is bound to the node."""
    return pod(name, node_name=node, **more)  # type: ignore[arg-type]


def seen(*pods: Pod | Malformed) -> WorkingPods:
    """After the first list."""
    working = WorkingPods()
    working.asks(None)
    working.replace(pods, scope=None)
    working.sees(None)
    return working


def test_pods_that_a_drain_would_move_are_work() -> None:
    """Those of DaemonSets, mirrors of static pods and finished ones are none; one that does not decode is."""
    mirror = on("n3", "static")
    mirror = structs.replace(mirror, metadata=structs.replace(mirror.metadata, annotations={MIRROR_ANNOTATION: "x"}))
    odd = Malformed(Metadata(name="odd", namespace="apps"), "no pod", node_name="n4")
    working = seen(on("n1"), on("n2", "agent", kind="DaemonSet"), mirror, odd)
    assert [working.works(name) for name in ("n1", "n2", "n3", "n4", "n5")] == [True, False, False, True, False]


def test_only_the_first_and_the_last_pod_are_told() -> None:
    """What is between them changes nothing for a machine."""
    working = seen()
    heard = Heard(working)
    working.put(on("n1", "a"))
    working.put(on("n1", "b"))
    working.put(on("n1", "b"))
    working.drop(Lookup("apps", "a"))
    assert heard.told == [["n1"]]
    working.drop(Lookup("apps", "b"))
    working.drop(Lookup("apps", "b"))
    assert heard.told == [["n1"], ["n1"]]
    working.put(on("n1", "a"))
    working.put(on("n2", "a"))
    assert heard.told[2:] == [["n1"], ["n1", "n2"]]
    working.replace([on("n3", "c")], scope=None)
    assert heard.told[4:] == [["n2"], ["n3"]]


def test_nobody_knows_before_the_first_list() -> None:
    """After the watch has failed what was last seen counts; why is known where the right is missing."""
    working = WorkingPods()
    heard = Heard(working)
    working.replace([on("n1")], scope=None)
    assert (working.works("n1"), heard.told) == (None, [])
    working.sees(None)
    assert (working.works("n1"), heard.told) == (True, [None])
    working.lost(None, Refused("pods is forbidden", reason="Forbidden"))
    assert (working.works("n1"), working.trouble) == (True, "pods is forbidden")
    working.lost(None, Unavailable("away"))
    working.replace([], scope=None)
    working.sees(None)
    assert (working.works("n1"), working.trouble, heard.told) == (False, "", [None, ["n1"]])


def test_a_pod_costs_few_bytes() -> None:
    """Five thousand of them less than two megabytes, whatever is in them."""
    working = seen()
    tracemalloc.start()
    try:
        for number in range(5000):
            working.put(on(f"node-{number // 50}", f"web-7d4b9c6f5-{number:05}"))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2_000_000


async def test_pods_are_watched_only_where_a_group_keeps_spares(autojump_clock: MockClock) -> None:
    """Without one there is no watch of all pods, nor a list; with one there is one watch."""
    for spec, more in (({}, 0), ({"spares": 1}, 1)):
        async with open_world(groups=[rack(**spec)], machines=boxes(1), autoscaler=None, site=QUICK) as world:
            life = world.agent.life
            assert life is not None
            await world.settle(quiet=30, within=300)
            guards = len(life.core.store.guarding_pods)
            assert life.kube.count("watch", PODS) == guards + more
