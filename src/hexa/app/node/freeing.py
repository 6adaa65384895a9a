"""Lets go of what is stuck on the Kubernetes node of a machine that is proven to be off, by the out-of-service taint. When and
why is `hexa.domain.rules.out_of_service`'s.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct

from hexa.app.node.power_jobs import current
from hexa.app.pods import pods_on
from hexa.app.store import Store
from hexa.domain.machine.facts import Facts
from hexa.domain.machine_view import MachineView
from hexa.domain.power.sensor import off_is_told_apart
from hexa.domain.resources.core import NODES
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.out_of_service import (
    Evidence,
    clear_patch,
    freeing_until,
    must_clear,
    proof_due,
    stuck,
    taint_patch,
    wants_look,
)
from hexa.ports.jobs import Action, Outcome
from hexa.ports.kube import Kube, Patch


class Done(Struct, frozen=True):
    """What came of a look."""

    told: str = ""
    """What was written, for people; empty: nothing."""
    tainted: bool = False
    again: datetime | None = None
    """When to look again by time alone."""


class Freeing:
    """The taint of each machine's node, put on and taken off."""

    def __init__(self, kube: Kube, store: Store) -> None:
        self._kube, self._store = kube, store
        self._free: dict[Lookup, datetime | None] = {}
        """Machines on which nothing was stuck, by the phase's begin: nothing comes to a node that is off."""

    async def settle(self, view: MachineView, facts: Facts) -> Done:
        """Taint the node, or take our taint off; repeated, it writes nothing more."""
        node, allowed = view.kube, view.policy.out_of_service and not view.control_plane
        if node is None:
            return Done()
        if must_clear(node, view.phase, facts, allowed=allowed):
            await self._patch(view, clear_patch(node))
            return Done("the machine is woken, or seen: its node is in service again")
        if wants_look(node, view.phase, self._evidence(view, facts), allowed=allowed):
            return await self._look(view, facts)
        return Done(again=proof_due(view.phase, facts, allowed=allowed))

    async def _look(self, view: MachineView, facts: Facts) -> Done:
        since = view.node.status.since
        if view.kube is None or (view.key in self._free and self._free[view.key] == since):
            return Done()
        found = stuck(await pods_on(self._kube, view.kube_name), view.kube)
        if not found:
            self._free[view.key] = since
            return Done()
        self._free.pop(view.key, None)
        await self._patch(view, taint_patch(view.kube, facts.now))
        proofs = " and ".join(sorted(self._evidence(view, facts).found))
        return Done(f"it is off, by {proofs}: Kubernetes lets go of {_few(found)}", tainted=True)

    async def holds_node(self, view: MachineView, facts: Facts) -> datetime | None:
        """Until when the node must stay so that what is stuck on it goes first; None: it may be deleted."""
        node = view.kube
        if node is None or not view.policy.out_of_service:
            return None
        until = freeing_until(node, now=facts.now) or proof_due(view.phase, facts, allowed=True)
        if until is None or facts.now >= until:
            return None
        return until if stuck(await pods_on(self._kube, view.kube_name), node) else None

    def _evidence(self, view: MachineView, facts: Facts) -> Evidence:
        record = current(view.node.status)
        done = record is not None and record.action == Action.SHUTDOWN and record.outcome == Outcome.DONE
        return Evidence(facts=facts, ordered=done, apart=off_is_told_apart(view.node))

    async def _patch(self, view: MachineView, body: dict[str, Any]) -> None:
        assert view.kube is not None
        patch = Patch(body, resource_version=view.kube.metadata.resource_version)
        self._store.nodes.put(await self._kube.patch(NODES, view.kube.metadata.name, patch))


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
