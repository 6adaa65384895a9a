"""Power actions that run outside the agent. Idempotent by name; it knows neither Kubernetes nor machines' phases."""

from typing import Protocol

from msgspec import Struct

from hexa.domain.machine.power_job import Action, Outcome
from hexa.domain.resources.v1alpha1 import Lookup, PowerPodSpec

__all__ = ["Action", "Jobs", "Order", "Outcome", "Seen"]


class Order(Struct, frozen=True):
    """One attempt at one action for one machine."""

    machine: Lookup
    uid: str
    """uid of the Node resource: a machine declared anew does not find the Jobs of the old one."""
    action: Action
    attempt: int
    """Value of `status.attempt`, saved before the order is given."""
    spec: PowerPodSpec
    deadline: float
    """Seconds after which the action is ended as failed."""
    kubernetes_node: str = ""
    """The machine's own Kubernetes node: the action never runs there."""


class Seen(Struct, frozen=True):
    """What became of an order."""

    name: str
    outcome: Outcome
    message: str = ""
    """In one sentence why it failed or what it waits for, from the pod where there is one."""


class Jobs(Protocol):
    """Runs orders. Every method raises `Unavailable` or `Refused`."""

    def name(self, order: Order) -> str:
        """The name of the order's Job: the same for the same machine, uid, action and attempt; at most 63 characters."""
        ...

    async def start(self, order: Order) -> Seen:
        """Start it unless it was started before; either way say how it stands. Returns once it is accepted."""
        ...

    async def observe(self, order: Order) -> Seen | None:
        """How it stands; None if it was never started, or is gone."""
        ...

    async def cancel(self, machine: Lookup, *, uid: str, keep: str = "") -> bool:
        """End and remove every order of the machine (all those of `uid`), their pods included, but for the one named `keep`.
        True: nothing of them is left, by a fresh read; False: they are ending, ask again. With nothing there it is True."""
        ...
