"""What rules are given of a machine. `MachineView` is one; `rules.own.Bare` another."""

from datetime import datetime
from typing import Protocol

from hexa.domain.group.watts import Place
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Veto
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Node, WishRecord
from hexa.domain.rules.dependencies import Ties
from hexa.domain.rules.proof import Claim
from hexa.domain.rules.safe_hands import SafeHands
from hexa.domain.rules.traffic import Traffic


class Alone(Protocol):
    """A machine by itself: what a rule looks at that no other machine changes."""

    @property
    def node(self) -> Node: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def control_plane(self) -> bool: ...
    @property
    def hosts(self) -> tuple[str, ...]:
        """Pods on it that hexa depends on."""

    @property
    def storage(self) -> tuple[str, ...]:
        """Pods on it that hold data for others."""

    @property
    def image_known(self) -> bool:
        """Whether there is an image for the Jobs of spec.power."""

    @property
    def name_taken(self) -> bool:
        """Another machine has the Kubernetes node that its spec names anew."""


class Waiting(Protocol):
    """A machine of which `hexa why` says what it waits for."""

    @property
    def node(self) -> Node: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def kube(self) -> KubeNode | None: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def now(self) -> datetime: ...


class Among(Alone, Protocol):
    """A machine among others, which are given as values: nobody judges them anew while this one is judged."""

    @property
    def group(self) -> object | None: ...
    @property
    def kube(self) -> KubeNode | None: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def waits_for(self) -> Claim | None:
        """Another machine of the group, which is the one without wake proof that may be off."""

    @property
    def traffic(self) -> Traffic:
        """What the machines of its group do, itself included."""

    @property
    def ties(self) -> Ties:
        """What it has to do with others by spec.dependsOn."""

    @property
    def safe_hands(self) -> SafeHands | None:
        """The site itself is in doubt."""

    @property
    def places(self) -> tuple[Place, ...]:
        """What its circuits have for it."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """What its Kubernetes node waits for until it is open to pods."""

    @property
    def set_up_until(self) -> datetime | None:
        """Until when it is waited for on that account."""

    def wish(self, now: datetime) -> WishRecord | None: ...
    def off_vetoes(self, now: datetime) -> tuple[Veto, ...]:
        """Every rule that forbids its off: for rules that tell of others, and forbid nothing."""
