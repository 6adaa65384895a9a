"""Health checks that run by themselves, outside the agent, again and again. It knows no machine's phase."""

from typing import Protocol

from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.rules.health_checks import Check, Run


class Checks(Protocol):
    """Keeps checks running. Every method but `name` raises `Unavailable` or `Refused`."""

    def name(self, check: Check) -> str:
        """The name under which it runs: the same for the same machine and uid; at most 52 characters."""
        ...

    async def apply(self, check: Check) -> None:
        """Let it run as it says, or stand still where it is suspended. What is so already is not written. Raises `Refused` where
        somebody else's object has its name."""
        ...

    async def remove(self, machine: Lookup, *, uid: str) -> None:
        """End the check of the machine with its runs. With nothing there it is success."""
        ...

    async def last(self, check: Check) -> Run | None:
        """The newest run that has ended, with what its pod said; None: none has, or none is known any more. Ask it also while a
        run is late: at its deadline a pod goes before anybody can ask whether it ever ran."""
        ...
