"""A physical machine of a small site, its kubelet with its pods, and the power Jobs that switch it."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct, field, structs
from tests.domain import builders
from tests.domain.builders import at

from hexa.domain.pods.drain import Plan
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeStatus, Metadata, Pod

BEAT: Final = 10.0
READY_FADES: Final = 40.0
"""After this silence the control plane takes Ready=True back."""
POD_GOES: Final = 1.0
"""How long a pod takes to end where its kubelet lives."""
LEFT_BEHIND: Final = 30.0
"""How long a kubelet takes after its boot to end what was ending before it."""


class PodInSite(Struct):
    """A pod that a drain must evict."""

    stuck: bool = False
    """A disruption budget holds it."""
    going_since: float | None = None
    """Since when it is terminating."""
    gone_at: float | None = None


class Box(Struct):
    """A physical machine, its kubelet, and what the API shows of it."""

    name: str
    sensor: bool
    boot: float = 20.0
    power: bool = False
    boots_at: float | None = None
    beats_from: float | None = None
    last_beat: float | None = None
    partitioned: bool = False
    dead: bool = False
    lost_wakes: int = 0
    ignores_shutdown: bool = False
    registrations: int = 0
    node_ready: bool = False
    kube: KubeNode | None = None
    """Its Kubernetes node."""
    pods: dict[str, PodInSite] = field(default_factory=dict)

    @property
    def node_exists(self) -> bool:
        return self.kube is not None

    @property
    def cordoned(self) -> bool:
        return self.kube is not None and self.kube.spec.unschedulable

    def register(self, now: float) -> None:
        """Its kubelet has come up: there is a Kubernetes node, and it is not Ready yet."""
        if self.kube is None:
            self.registrations += 1
            uid = f"{self.name}-{self.registrations}"
            self.kube = KubeNode(metadata=Metadata(name=self.name, uid=uid, creation_timestamp=at(now)))
        self.turn(now, ready=False)

    def turn(self, now: float, *, ready: bool) -> None:
        """The API shows whether the kubelet is Ready."""
        self.node_ready = ready
        self.say(Condition(type="Ready", status=str(ready), last_transition_time=at(now)))

    def say(self, condition: Condition) -> None:
        """A condition of the Kubernetes node has changed."""
        assert self.kube is not None
        others = [each for each in self.kube.status.conditions if each.type != condition.type]
        self.kube = structs.replace(self.kube, status=KubeNodeStatus(conditions=(*others, condition)))

    def plan(self) -> Plan:
        """What a drain would do with its pods."""
        evict = tuple(_pod(name) for name, each in sorted(self.pods.items()) if each.going_since is None)
        leaving = tuple(_pod(name) for name, each in sorted(self.pods.items()) if each.going_since is not None)
        return Plan(evict, leaving)

    def beats(self, now: float) -> int:
        """How often its kubelet has renewed its lease in this boot."""
        return 0 if self.beats_from is None or now < self.beats_from else int((now - self.beats_from) // BEAT) + 1

    def instants(self, now: float) -> Iterator[float]:
        """When something happens to it by itself, but for beats."""
        if self.boots_at is not None:
            yield self.boots_at
        if self.node_ready and self.last_beat is not None:
            yield self.last_beat + READY_FADES
        yield from (pod.gone_at for pod in self.pods.values() if pod.gone_at is not None)

    def lose_power(self) -> None:
        """Dark at once."""
        self.power, self.boots_at, self.beats_from = False, None, None
        for pod in self.pods.values():
            pod.gone_at = None  # nobody ends it any more

    def gain_power(self, now: float) -> None:
        """On, and the kubelet comes up after the boot."""
        if not self.power and not self.dead:
            self.power, self.boots_at = True, now + self.boot


class JobInSite(Struct):
    """A power Job."""

    machine: str
    action: str
    attempt: int
    ends_at: float
    fails: bool = False
    outcome: str = "running"
    removed: bool = False

    @property
    def name(self) -> str:
        return f"{self.machine}-{self.attempt}"


@lru_cache(maxsize=1024)
def _pod(name: str) -> Pod:
    return builders.pod(name)
