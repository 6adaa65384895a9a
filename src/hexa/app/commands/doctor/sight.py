"""What the checks look at: each list is read once, whoever asks first."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import trio
from msgspec import Struct

from hexa.app.commands.shared.agents import agents, autoscalers, watched
from hexa.domain.errors import Refused
from hexa.domain.names import API_VERSION, GROUP_LABEL
from hexa.domain.people.doctor.rights import ACCOUNT
from hexa.domain.power.profile import FilledIn, needs_profile
from hexa.domain.resources.cluster import DetailedPod
from hexa.domain.resources.core import NODES, Kind, KubeNode, Malformed
from hexa.domain.resources.v1alpha1 import MACHINES, PROFILES, Lookup, Node, PowerProfile
from hexa.domain.written.validation import filled
from hexa.ports.certificates import Issuer
from hexa.ports.kube import EVERYTHING, Kube, Selector

T = TypeVar("T")


class Asked(Struct, frozen=True, kw_only=True):
    """What the doctor was asked to look at."""

    namespaces: tuple[str, ...] = ()
    """Whose Groups and Nodes; empty: those that the agent watches, as far as its pod says."""
    user: str = ""
    """Whose rights; empty: those of the account that hexa's pod has, else one's own."""


class Sight:
    """The cluster, as the checks see it."""

    def __init__(
        self, kube: Kube, asked: Asked, *, now: Callable[[], datetime], certificates: Issuer | None = None
    ) -> None:
        self.kube = kube
        self.asked = asked
        self.now = now
        self.certificates = certificates
        self._seen: dict[tuple[str, Selector], tuple[Any, ...]] = {}
        self._pods: dict[str, list[DetailedPod]] = {}
        self._turn = trio.Lock()

    def __repr__(self) -> str:
        return f"<Sight {len(self._seen)} lists>"

    async def reached(self) -> None:
        """Raises `Unavailable` where nothing can be asked, before check after check waits for that."""
        with suppress(Refused):
            await self.all(NODES)

    async def all(self, kind: Kind[T], selector: Selector = EVERYTHING) -> tuple[T | Malformed, ...]:
        """Every object, those that do not decode included. Raises as `Kube.list`."""
        key = f"{kind.api_version}/{kind.plural}/{kind.type.__name__}", selector
        async with self._turn:
            if key not in self._seen:
                self._seen[key] = await self._listed(kind, selector)
        return self._seen[key]

    async def _listed(self, kind: Kind[T], selector: Selector) -> tuple[T | Malformed, ...]:
        """Where our definitions are missing there are no Groups and Nodes: the check of the definitions says why, once."""
        try:
            return (await self.kube.list(kind, selector)).items
        except Refused as error:
            if error.reason == "KindNotServed" and kind.api_version == API_VERSION:
                return ()
            raise

    async def good(self, kind: Kind[T], selector: Selector = EVERYTHING) -> list[T]:
        """Every object that decodes."""
        return [each for each in await self.all(kind, selector) if not isinstance(each, Malformed)]

    async def one(self, kind: Kind[T], name: str, namespace: str | None = None) -> T | None:
        """The object of that name."""
        return next(iter(await self.good(kind, Selector(namespace=namespace, fields=f"metadata.name={name}"))), None)

    async def agents(self) -> list[DetailedPod]:
        """hexa's pods."""
        async with self._turn:
            if "hexa" not in self._pods:
                self._pods["hexa"] = await agents(self.kube)
        return self._pods["hexa"]

    async def autoscalers(self) -> list[DetailedPod]:
        """Pods of Cluster Autoscaler that use an external provider."""
        async with self._turn:
            if "autoscaler" not in self._pods:
                self._pods["autoscaler"] = await autoscalers(self.kube)
        return self._pods["autoscaler"]

    async def namespaces(self) -> tuple[str, ...]:
        """Namespaces whose Groups and Nodes count; empty: all."""
        if self.asked.namespaces:
            return self.asked.namespaces
        return next((watched(pod) for pod in await self.agents()), ())

    async def ours(self, kind: Kind[T]) -> list[T]:
        """Groups or Nodes that count."""
        namespaces = await self.namespaces()
        return [each for each in await self.good(kind) if not namespaces or each.metadata.namespace in namespaces]  # type: ignore[attr-defined]

    async def machines(self) -> list[FilledIn]:
        """Nodes that count, with their profiles."""
        found: list[Node] = await self.ours(MACHINES)
        if not any(map(needs_profile, found)):
            return [FilledIn(each) for each in found]
        profiles: list[PowerProfile] = []
        with suppress(Refused):
            profiles = await self.good(PROFILES)
        known = {Lookup(each.metadata.namespace, each.metadata.name): each for each in profiles}
        return filled(found, known)

    async def account(self) -> str:
        """The user whose rights count; empty: one's own."""
        if self.asked.user:
            return self.asked.user
        for pod in await self.agents():
            return f"{ACCOUNT}{pod.metadata.namespace}:{pod.spec.service_account_name or 'default'}"
        return ""

    async def members(self) -> frozenset[str]:
        """Kubernetes nodes of machines."""
        machines: list[Node] = await self.good(MACHINES)
        nodes: list[KubeNode] = await self.good(NODES)
        declared = {each.spec.kubernetes_node_name or each.metadata.name for each in machines}
        return frozenset(declared | {node.metadata.name for node in nodes if GROUP_LABEL in node.metadata.labels})
