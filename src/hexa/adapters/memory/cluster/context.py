"""What the kubelets of a site work with."""

import random
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from hexa.adapters.memory.clock import MemoryClock, Timers
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.pods import PodsByNode
from hexa.adapters.memory.cluster.store import Builtins, Stored
from hexa.adapters.memory.settings import Settings


class Speaker(Protocol):
    """A kubelet, as far as others hear it."""

    @property
    def node(self) -> str: ...

    @property
    def speaking(self) -> bool: ...

    def heard(self, at: float) -> float | None: ...


class Behaviour(Struct, frozen=True):
    """What the containers of a pod do once they are started."""

    seconds: float | None = None
    """They end after so long; None: when they are stopped."""
    fails: bool = False
    image_missing: bool = False
    effect: Callable[[], None] | None = None
    """What happens in the world when they end by themselves."""


class Context(Struct, frozen=True):
    """One for the whole site."""

    api: MemoryApi
    clock: MemoryClock
    timers: Timers
    settings: Settings
    rng: random.Random
    pods: PodsByNode
    behaviour: Callable[[Builtins], Behaviour]
    """What a pod will do, asked when it starts."""
    attached: Callable[[Stored, Callable[[], object]], None]
    """Calls back once a pod's volumes are at its node."""
    running: Callable[[Stored], None]
    """Told of each pod that starts to run."""
    spoke: Callable[[Speaker], None]
    """Told when a silent kubelet is heard again."""
    silent: Callable[[Speaker], None]
    """Told when a kubelet falls silent."""
