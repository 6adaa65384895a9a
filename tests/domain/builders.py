"""Short ways to say a status, the facts, a machine, a pod or a node; times are seconds after `T0`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hexa.domain.machine.facts import LEASE_PERIOD, Facts
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.trust import Sample
from hexa.domain.policy.limits import Limits
from hexa.domain.resources.core import Container, KubeNode, Metadata, OwnerReference, Pod, PodSpec, ResourceRequirements
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Node,
    NodeSpec,
    NodeStatus,
    OwnedMetadata,
    Power,
    PowerPodSpec,
    PowerReading,
    Reading,
    WishRecord,
)

T0 = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LONG_AGO = -86_400.0
LIMITS = Limits()
ON, OFF = Power.ON, Power.OFF
JOB = PowerPodSpec(image="registry.example/power")


def at(seconds: float) -> datetime:
    """The moment so many seconds after T0."""
    return T0 + timedelta(seconds=seconds)


def status(phase: Phase, **changes: Any) -> NodeStatus:
    """The status of a machine that entered `phase` at T0."""
    return NodeStatus(**{"phase": str(phase), "since": T0, **changes})


def facts(now: float, **known: Any) -> Facts:
    """Facts at `now`, seen without a gap since long ago. `heard`, `until`: seconds; `reading`: (Reading, seconds)."""
    heard, until, reading = known.pop("heard", None), known.pop("until", None), known.pop("reading", None)
    if heard is not None:
        known["heard"] = at(heard)
        known["heard_until"] = at(heard) + LEASE_PERIOD if until is None else at(until)
    if reading is not None:
        known["reading"] = read(*reading)
    if "watching_since" not in known:
        known["watching_since"] = at(LONG_AGO)
    elif known["watching_since"] is not None:
        known["watching_since"] = at(known["watching_since"])
    return Facts(now=at(now), **known)


def read(power: Reading, seconds: float, *, first: float | None = None) -> PowerReading:
    """A reading of a sensor, that has been saying so for long unless told since when."""
    began = at(LONG_AGO) if first is None else at(first)
    return Sample(power=power, source="pdu", at=at(seconds), first=began)


def wish(power: Power, by: Asker = Asker.USER, **changes: Any) -> WishRecord:
    """A wish since T0."""
    return WishRecord(**{"power": power, "by": by, "reason": "Test", "since": T0, **changes})


def machine(name: str = "m1", *, phase: Phase | None = None, **spec: Any) -> Node:
    """A machine that Jobs can switch on and off."""
    told = {"startup_pod_spec": JOB, "shutdown_pod_spec": JOB, **spec}
    metadata = OwnedMetadata(name=name, namespace="site", labels={"group": "rack"})
    return Node(metadata=metadata, spec=NodeSpec(**told), status=status(phase) if phase else NodeStatus())


def pod(name: str = "web", *, kind: str = "ReplicaSet", requests: dict[str, str] | None = None, **spec: Any) -> Pod:
    """A pod of a controller of that kind; kind "" has none."""
    owners = (OwnerReference(kind=kind, name="owner", controller=True),) if kind else ()
    container = Container(name="main", resources=ResourceRequirements(requests=requests or {}))
    metadata = Metadata(name=name, namespace="apps", owner_references=owners)
    return Pod(metadata=metadata, spec=PodSpec(**{"containers": (container,), **spec}))


def kube_node(name: str = "k1", **parts: Any) -> KubeNode:
    """A Kubernetes node; `labels` and `annotations` go to its metadata."""
    metadata = Metadata(name=name, labels=parts.pop("labels", {}), annotations=parts.pop("annotations", {}))
    return KubeNode(metadata=metadata, **parts)
