"""The end of a drain: pods are gone, and volumes may still be unmounted and detached. They are waited for, with a limit. It writes
nothing.

From when the pods are gone is remembered here; a life of hexa that begins meanwhile counts anew, within the drain's deadline.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from hexa.app.news import Newsroom
from hexa.domain.decide.saved import about
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.news import Severity, What
from hexa.domain.pods.drain import FINISHED, Plan, claims_of, stays
from hexa.domain.pods.volumes import left_attached, on_node, still_there, unique_name, waited_until
from hexa.domain.resources.core import CLAIMS, VOLUMES, Malformed, PersistentVolume, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.ports.kube import Kube, Selector


class Emptied(Struct, frozen=True):
    """A drain whose pods are gone."""

    drain: datetime | None
    """When it began: another drain waits anew."""
    at: datetime
    still: timedelta
    """How long limits had stood still in this drain by then."""
    told: bool = False
    """That it waited in vain."""


class Detaching:
    """What drains wait for when their pods are gone."""

    def __init__(self, kube: Kube, *, news: Newsroom) -> None:
        """`news`: told once of each drain that goes on without its volumes being detached."""
        self._kube, self._news = kube, news
        self._emptied: Final[dict[Lookup, Emptied]] = {}

    def forget(self, key: Lookup) -> None:
        """The machine is gone."""
        self._emptied.pop(key, None)

    async def waits(
        self, view: MachineView, plan: Plan, pods: Iterable[Pod | Malformed], *, now: datetime, still: timedelta
    ) -> Plan:
        """The plan, and in it what is waited for: only while a kubelet that is Ready may still unmount it. `still`: how long limits
        stood still in this drain."""
        limit, kube = view.policy.drain.volume_detach, view.kube
        if view.phase is not Phase.DRAINING or plan.left or kube is None:
            self.forget(view.key)
            return plan
        if view.node.status.forced or not limit or not view.node_ready or not (there := on_node(kube)):
            return plan
        if not (there := there - await self._staying(pods)):
            return plan
        until = self._until(view, limit, now, still)
        if now < until:
            return structs.replace(plan, volumes=still_there(there, until))
        if not (known := self._emptied[view.key]).told:
            self._emptied[view.key] = structs.replace(known, told=True)
            self._news.tell(about(view, What.VOLUMES_LEFT, left_attached(there), severity=Severity.WARNING))
        return plan

    def _until(self, view: MachineView, limit: timedelta, now: datetime, still: timedelta) -> datetime:
        since, known = view.node.status.since, self._emptied.get(view.key)
        if known is None or known.drain != since:
            known = self._emptied[view.key] = Emptied(since, now, still)
        emptied = known.at + (still - known.still)
        return waited_until(emptied, limit=limit, since=since, drain=view.limits.drain + still)

    async def _staying(self, pods: Iterable[Pod | Malformed]) -> frozenset[str]:
        """Volumes of pods that a drain leaves alone: theirs stay too."""
        kept = [pod for pod in pods if isinstance(pod, Pod) and stays(pod) and pod.status.phase not in FINISHED]
        claims = [(pod.metadata.namespace, name) for pod in kept for name in claims_of(pod)]
        names: set[str] = set()
        for namespace, name in claims:
            for claim in (await self._kube.list(CLAIMS, _named(name, namespace))).items:
                if not isinstance(claim, Malformed) and claim.spec.volume_name:
                    found = (await self._kube.list(VOLUMES, _named(claim.spec.volume_name))).items
                    names |= {unique_name(volume) for volume in found if isinstance(volume, PersistentVolume)}
        return frozenset(names)


def _named(name: str, namespace: str | None = None) -> Selector:
    return Selector(namespace=namespace, fields=f"metadata.name={name}")
