"""Pods of a machine, read fresh from the API server, and what a drain would do with them.

Its own pods are asked for at each look, by node name. Whether they fit elsewhere takes a list of all pods of the cluster, so that
is asked once for each set of pods, and seldom while it stands; what is kept of the list is the sum of each node.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import trio
from msgspec import Struct, structs

from hexa.app.cache import Cache
from hexa.domain.machine_view import MachineView, ready
from hexa.domain.pods.drain import FINISHED, Plan, claims_of, homeless, plan, room_beside, with_homeless
from hexa.domain.pods.pending import keeping_pinned
from hexa.domain.pods.places import asked_of_node
from hexa.domain.pods.volumes import tied
from hexa.domain.policy.policy import DrainRules
from hexa.domain.quantity import total
from hexa.domain.resources.core import CLAIMS, NODES, PODS, VOLUMES, KubeNode, Malformed, PersistentVolume, Pod
from hexa.domain.resources.v1alpha1 import Asker, Lookup
from hexa.ports.kube import Kube, Selector

KEPT: Final = 30.0
"""Seconds that an answer about the rest of the cluster stands while the drain still asks about the same pods."""
KEPT_AT_LEAST: Final = 10.0
"""The same where meanwhile a node came, went, or was cordoned."""
SHARED: Final = 15.0
"""How old a list may be, in seconds, that one more look at the same pods goes by. Pods that are looked at first get a fresh one."""
RUNNING: Final = Selector(fields="spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed")
"""Pods that take room."""


async def pods_on(kube: Kube, node: str) -> tuple[Pod | Malformed, ...]:
    """Every pod bound to the Kubernetes node, read fresh; those that do not decode are there all the same."""
    return (await kube.list(PODS, Selector(fields=f"spec.nodeName={node}"))).items


def rules_of(view: MachineView, *, by: Asker | None) -> DrainRules:
    """What the drain may do. Cluster Autoscaler judged emptyDir data by its own flags before it asked."""
    rules = view.policy.drain
    if by is not Asker.CLUSTER_AUTOSCALER:
        return rules
    return structs.replace(rules, empty_dir=True)


class Answer(Struct, frozen=True):
    """What was found out about some things, by name."""

    at: float
    asked: frozenset[str]
    found: frozenset[str]
    """Those of them that it is true of."""
    hosts: int
    """How often nodes had come, gone, or been cordoned by then."""


class Used(Struct, frozen=True):
    """What pods ask of each node."""

    asked_at: float
    amounts: Mapping[str, Mapping[str, Decimal]]
    unknown: frozenset[str]
    """Nodes with a pod that does not decode: what is free there, nobody knows."""


class Drains:
    """What drains would do. `nodes`: the snapshot's; None: each question lists them."""

    def __init__(self, kube: Kube, nodes: Cache[KubeNode] | None = None) -> None:
        self._kube, self._nodes = kube, nodes
        self._fits: dict[Lookup, Answer] = {}
        self._pinned: dict[Lookup, Answer] = {}
        self._used: Used | None = None
        self._listing = trio.Lock()
        self._hosts = 0
        if nodes is not None:
            nodes.subscribe(self._node_changed)

    def _node_changed(self, _key: Lookup, old: KubeNode | None, new: KubeNode | None) -> None:
        self._hosts += _hospitable(old) != _hospitable(new)

    async def plan(self, view: MachineView, pods: Iterable[Pod | Malformed], *, by: Asker | None, forced: bool) -> Plan:
        """What to evict, what blocks. For drains that hexa starts, pods that fit nowhere else block too."""
        pods, rules = tuple(pods), rules_of(view, by=by)
        pinned = frozenset[str]() if rules.pinned else await self._pinned_claims(view, pods)
        planned = plan(pods, rules=rules, pinned_claims=pinned, forced=forced)
        if view.policy.wake_for_pinned and view.kube is not None and not forced:
            planned = keeping_pinned(planned, view.kube)
        if forced or by is Asker.CLUSTER_AUTOSCALER or not planned.evict or planned.blockers:
            return planned
        return with_homeless(planned, await self._homeless(view, planned.evict, moves_without_volumes=rules.pinned))

    # --- volumes ---

    async def _pinned_claims(self, view: MachineView, pods: Sequence[Pod | Malformed]) -> frozenset[str]:
        """NAMESPACE/NAME of the pods' claims whose volume no other node can have, or which, or whose volume, does not decode."""
        wanted = frozenset(
            f"{pod.metadata.namespace}/{claim}" for pod in pods if isinstance(pod, Pod) for claim in claims_of(pod)
        )
        known = self._pinned.get(view.key)
        if wanted and (known is None or not wanted <= known.asked or _age(known) >= KEPT):
            others = await self._others(view.kube_name)
            found = frozenset([claim for claim in sorted(wanted) if await self._is_pinned(claim, others)])
            known = _keep(self._pinned, view.key, Answer(trio.current_time(), wanted, found, 0))
        return known.found if wanted and known is not None else frozenset()

    async def _is_pinned(self, claim_key: str, others: Sequence[KubeNode]) -> bool:
        namespace, _, name = claim_key.partition("/")
        return any(each is None or tied(each, others) for each in await self._volumes(namespace, name))

    async def _tied(self, pod: Pod) -> list[Mapping[str, Any]]:
        """Node selectors of the pod's volumes: where they can be had."""
        return await tied_to(self._kube, pod)

    async def _volumes(self, namespace: str, name: str) -> list[PersistentVolume | Malformed | None]:
        return await volumes_of(self._kube, namespace, name)

    # --- room ---

    async def _homeless(
        self, view: MachineView, pods: tuple[Pod, ...], *, moves_without_volumes: bool
    ) -> frozenset[str]:
        """Uids of the pods that fit on no other node, or on none that can have their volumes."""
        asked = frozenset(pod.metadata.uid for pod in pods)
        known = self._fits.get(view.key)
        asked_before = known is not None and asked <= known.asked
        if known is not None and asked_before and _age(known) < (KEPT if known.hosts == self._hosts else KEPT_AT_LEAST):
            return known.found & asked
        hosts = self._hosts
        same = known is not None and asked_before and known.hosts == hosts
        used = await self._usage(since=trio.current_time() - (SHARED if same else 0.0))
        nodes = [node for node in await self._others(view.kube_name) if node.metadata.name not in used.unknown]
        rooms = [room_beside(node, used.amounts.get(node.metadata.name, {})) for node in nodes]
        selectors = (
            {} if moves_without_volumes else {pod.metadata.uid: await self._tied(pod) for pod in pods if claims_of(pod)}
        )
        stuck = frozenset(pod.metadata.uid for pod in homeless(pods, rooms, tied=selectors))
        return _keep(self._fits, view.key, Answer(trio.current_time(), asked, stuck, hosts)).found

    async def _others(self, leaving: str) -> list[KubeNode]:
        found: Iterable[KubeNode | Malformed]
        found = self._nodes.objects.values() if self._nodes is not None else (await self._kube.list(NODES)).items
        return [
            node for node in found if isinstance(node, KubeNode) and node.metadata.name != leaving and _hospitable(node)
        ]

    async def _usage(self, *, since: float) -> Used:
        """What pods ask of each node, by a list no older than `since`."""
        async with self._listing:
            if self._used is None or self._used.asked_at < since:
                asked_at = trio.current_time()
                self._used = _used((await self._kube.list(PODS, RUNNING)).items, asked_at)
            return self._used


async def volumes_of(kube: Kube, namespace: str, name: str) -> list[PersistentVolume | Malformed | None]:
    """The volume of a claim, if it has one; None for a claim that does not decode."""
    found: list[PersistentVolume | Malformed | None] = []
    for claim in (await kube.list(CLAIMS, Selector(namespace=namespace, fields=f"metadata.name={name}"))).items:
        if isinstance(claim, Malformed):
            found.append(None)
        elif volume := claim.spec.volume_name:
            found += (await kube.list(VOLUMES, Selector(fields=f"metadata.name={volume}"))).items
    return found


async def tied_to(kube: Kube, pod: Pod) -> list[Mapping[str, Any]]:
    """Node selectors of the pod's volumes: where they can be had."""
    found = [each for claim in claims_of(pod) for each in await volumes_of(kube, pod.metadata.namespace, claim)]
    volumes = (each for each in found if isinstance(each, PersistentVolume))
    return [required for each in volumes if (required := each.spec.node_affinity.get("required"))]


def planned_drain(
    view: MachineView,
    pods: Sequence[Pod | Malformed],
    *,
    pinned: frozenset[str],
    nodes: Iterable[KubeNode],
    every: Iterable[Pod | Malformed],
    tied: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Plan:
    """What a drain that hexa begins would do, by what was read before. `pinned`: NAMESPACE/NAME of claims whose volume is tied to
    the machine; `nodes`, `every`: all nodes of the cluster, and all pods that take room; `tied`: by uid the node selectors of a
    pod's volumes."""
    rules = rules_of(view, by=None)
    planned = plan(pods, rules=rules, pinned_claims=pinned)
    if view.policy.wake_for_pinned and view.kube is not None:
        planned = keeping_pinned(planned, view.kube)
    if not planned.evict or planned.blockers:
        return planned
    used = _used(every, 0.0)
    others = [n for n in nodes if n.metadata.name not in used.unknown | {view.kube_name} and _hospitable(n)]
    rooms = [room_beside(node, used.amounts.get(node.metadata.name, {})) for node in others]
    stuck = homeless(planned.evict, rooms, tied={} if rules.pinned else tied)
    return with_homeless(planned, {pod.metadata.uid for pod in stuck})


async def drain_plan(
    kube: Kube, view: MachineView, pods: Iterable[Pod | Malformed], *, by: Asker | None, forced: bool
) -> Plan:
    """What a drain would do, asked once."""
    return await Drains(kube).plan(view, pods, by=by, forced=forced)


def _age(answer: Answer) -> float:
    return trio.current_time() - answer.at


def _keep(answers: dict[Lookup, Answer], key: Lookup, answer: Answer) -> Answer:
    """Keep it, and forget what no drain asks for any more."""
    for old in [old for old, each in answers.items() if _age(each) >= 2 * KEPT]:
        del answers[old]
    answers[key] = answer
    return answer


def _used(pods: Iterable[Pod | Malformed], asked_at: float) -> Used:
    unknown: set[str] = set()
    by_node: dict[str, list[Mapping[str, Decimal]]] = {}
    for pod in pods:
        if isinstance(pod, Malformed):
            unknown.add(pod.node_name)
        elif pod.status.phase not in FINISHED:
            by_node.setdefault(pod.spec.node_name, []).append(asked_of_node(pod))
    return Used(asked_at, {name: total(asked) for name, asked in by_node.items()}, frozenset(unknown))


def _hospitable(node: KubeNode | None) -> bool:
    return node is not None and ready(node) and not node.spec.unschedulable
