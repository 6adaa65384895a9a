"""What page and API ask of hexa at work, and what they may have it do. Driving ports: `app.questions` answers."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from hexa.domain.errors import Refused
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.v1alpha1 import Lookup
from hexa.domain.words.history import Stretch
from hexa.domain.words.orders import HoldBody, Ordered, WakeBody
from hexa.domain.words.overview import MachineState, Overview


class Unfit(Refused):
    """What was asked makes no sense; `problem` names the field and the remedy."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem), reason=problem.reason)
        self.problem = problem


class Questions(Protocol):
    """Reads, which cost nobody else anything."""

    async def prepare(self) -> None:
        """Work out piece by piece what `overview` needs, so that it returns at once; others run in between."""
        ...

    def overview(self, namespaces: Collection[str] | None = None) -> Overview:
        """Everything at this moment, a second old at most. `namespaces`: what is in these alone; None: in all."""
        ...

    def stamped(self, namespaces: Collection[str] | None = None) -> tuple[int, Overview]:
        """The same, with the `version` of which it is."""
        ...

    def there(self, key: Lookup) -> bool:
        """Whether there is a machine of that name."""
        ...

    def machine(self, key: Lookup) -> MachineState | None:
        """One machine at this moment; None: there is none of that name."""
        ...

    async def history(self, since: timedelta, namespaces: Collection[str] | None = None) -> Sequence[Stretch]:
        """In which phase machines were, from so long ago on. Raises `Unavailable` or `Refused`, where Events cannot be read."""
        ...

    @property
    def version(self) -> int:
        """Another one wherever an answer may have changed by more than time."""
        ...


class Orders(Protocol):
    """A person's word over machines. Who asks is known, and may do it: that is for the caller to make sure. Each raises `Unfit`,
    `NotFound` (there is no such machine), `Conflict` (another word stands against it, which the text names), `Refused` or
    `Unavailable` (the API server)."""

    async def hold(self, machine: Lookup, body: HoldBody, *, by: str) -> Ordered:
        """Hold the machine on or off, or let go of it. Repeating it is safe."""
        ...

    async def wake(self, machine: Lookup, body: WakeBody, *, by: str) -> Ordered:
        """Have the machine on for a time: a hold, which another wake only extends. Repeating it is safe, and writes nothing where
        little would change."""
        ...

    def awake(self, machine: Lookup, body: WakeBody) -> Ordered | None:
        """The answer to `wake` where nothing is to be written; None: something is."""
        ...
