"""What the kubelets of a site work with."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from hexa.adapters.memory.api import MemoryApi
from hexa.adapters.memory.clock import MemoryClock, Timers
from hexa.adapters.memory.pods import PodsByNode
from hexa.adapters.memory.settings import Settings
from hexa.adapters.memory.store import Builtins, Stored

if TYPE_CHECKING:
    from hexa.adapters.memory.kubelet import Kubelet


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
    spoke: "Callable[[Kubelet], None]"
    """Told when a silent kubelet is heard again."""
    silent: "Callable[[Kubelet], None]"
    """Told when a kubelet falls silent."""
