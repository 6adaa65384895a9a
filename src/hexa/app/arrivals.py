"""Tells pods that wait which machine boots for them (`eta`): also those that begin to wait during its boot.

Pods are listed once for machines that are woken together, and now and then until the last of them is Ready; never else.

It is told of wakes as everybody is, by news. What is not told because the API server is away is told at a later look, while the
machine still boots.
"""

import math
from typing import Final

import trio

from hexa.app.news import Newsroom
from hexa.app.store import PENDING
from hexa.app.views.views import Views
from hexa.domain.errors import HexaError
from hexa.domain.group.template import named_shape
from hexa.domain.machine.lifecycle import COMING, Phase
from hexa.domain.machine_view import MachineView
from hexa.domain.news import About, News, What, Work, failure
from hexa.domain.pods.fitting import template_node
from hexa.domain.pods.pending import waits
from hexa.domain.resources.core import PODS, Pod
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words.arrivals import Boot, arrival, recent_boots, served, set_out
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube

TOGETHER: Final = 1.0
"""Seconds in which machines that are woken one after the other count as woken together."""
AGAIN: Final = 15.0
"""Seconds between two looks at the pods while a machine boots."""


class ArrivalTeller:
    """Follows wakes, and tells pods of them."""

    def __init__(self, *, views: Views, kube: Kube, clock: Clock, news: Newsroom) -> None:
        self._views, self._kube, self._clock, self._news = views, kube, clock, news
        self._woken: dict[Lookup, None] = {}
        self._coming: dict[Lookup, None] = {}
        """Machines that were woken and are not there yet."""
        self._told: dict[str, Lookup] = {}
        """By uid of the pod the machine that it was told of."""
        self._news_came = trio.Event()
        news.subscribe(self._hears)

    def _hears(self, news: News) -> None:
        """A machine begins to be woken: once a boot, for that is when the phase is stored."""
        if news.about is About.NODE and news.change is not None and news.change.phase == Phase.POWERING_ON:
            self._woken[news.of] = None
            self._news_came.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            with trio.move_on_after(AGAIN if self._coming else math.inf):
                await self._news_came.wait()
                await trio.sleep(TOGETHER)
            self._news_came = trio.Event()
            woken, self._woken = self._woken, {}
            try:
                await self._tell(woken)
            except HexaError as error:
                self._news.tell(failure(Work.PENDING, Lookup("", ""), error, about=About.POD))

    async def _tell(self, woken: dict[Lookup, None]) -> None:
        boots = {key: boot for key in self._coming | woken if (boot := self._boot(key)) is not None}
        self._coming = dict.fromkeys(boots)
        if not boots:
            return
        found = (await self._kube.list(PODS, PENDING)).items
        waiting = {pod.metadata.uid: pod for pod in found if isinstance(pod, Pod) and waits(pod)}
        self._told = {
            uid: key for uid, key in self._told.items() if uid in waiting and key in boots and key not in woken
        }
        placed = [(waiting[uid], boots[key]) for uid, key in self._told.items()]
        untold = [pod for uid, pod in waiting.items() if uid not in self._told]
        keys = {boot.name: key for key, boot in boots.items()}
        for pod, boot in served(boots.values(), untold, placed=placed):
            self._told[pod.metadata.uid] = keys[boot.name]
            self._news.tell(_news(pod, arrival(boot)))

    def _boot(self, key: Lookup) -> Boot | None:
        view = self._views.machine(key)
        if view is None or view.phase not in COMING or view.shape is None:
            return None
        status, node = view.node.status, template_node(view.kube_name, named_shape(view.kube_name, view.shape))
        since = set_out(status) or self._clock.now()
        return Boot(name=key.name, node=node, since=since, boot_seconds=self._boots(view))

    def _boots(self, view: MachineView) -> tuple[float, ...]:
        """Its own recent boots; of a machine without any, those of its group."""
        kin = self._views.members(view.group.key) if view.group is not None else ()
        return recent_boots(view.node.status.boot_seconds, (each.node.status.boot_seconds for each in kin))


def _news(pod: Pod, text: str) -> News:
    metadata = pod.metadata
    of = Lookup(metadata.namespace, metadata.name)
    return News(of=of, about=About.POD, uid=metadata.uid, what=What.MACHINE_BOOTS, why=text)
