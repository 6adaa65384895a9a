"""Short ways to say a status, the facts, a machine and its view, a pod or a node; times are seconds after `T0`."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import structs

from hexa.domain.decide.facts import with_status
from hexa.domain.decide.observed import Observed
from hexa.domain.decide.saved import completed
from hexa.domain.group_view import GroupView
from hexa.domain.machine.facts import LEASE_PERIOD, Facts
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.trust import Sample
from hexa.domain.machine.wish import wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import (
    Condition,
    Container,
    KubeNode,
    KubeNodeStatus,
    Metadata,
    OwnerReference,
    Pod,
    PodSpec,
    ResourceRequirements,
)
from hexa.domain.resources.v1alpha1 import (
    Asker,
    Group,
    Lookup,
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
NO_GROUP: Final = Policy()
NO_RATES: Final = Rates()


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


def wanting(node: Node, record: WishRecord) -> Node:
    """The machine with that wish stored on it."""
    patch = wish_patch(node, record)
    metadata = structs.replace(node.metadata, annotations=node.metadata.annotations | patch["metadata"]["annotations"])
    power = patch.get("spec", {}).get("powerState", node.spec.power_state)
    return structs.replace(node, metadata=metadata, spec=structs.replace(node.spec, power_state=power))


def rack(**policy: Any) -> GroupView:
    """The group of the machines, with that policy."""
    group = Group(metadata=OwnedMetadata(name="rack", namespace="site"))
    told = Policy(**{"namespace": "site", "name": "rack", **policy})
    return GroupView(key=Lookup("site", "rack"), group=group, policy=told, problems=())


def view(node: Node, *, group: GroupView | None = None, kube: KubeNode | None = None, **known: Any) -> MachineView:
    """The machine as decisions see it: in the group, with that Kubernetes node, and nothing against it."""
    policy = NO_GROUP if group is None else group.policy
    return MachineView(
        **{
            "key": Lookup(node.metadata.namespace, node.metadata.name),
            "node": node,
            "group": group,
            "policy": policy,
            "limits": policy.limits,
            "rates": NO_RATES,
            "kube": kube,
            "problems": (),
            "control_plane": False,
            "hosts": (),
            "shape": None,
            "node_exists": kube is not None,
            **known,
        }
    )


def standing(phase: Phase, *, spec: dict[str, Any] | None = None, **known: Any) -> Node:
    """A machine in the phase since T0, with that status."""
    return structs.replace(machine(**(spec or {})), status=status(phase, **known))


def observed(now: float, **known: Any) -> Observed:
    """What is observed of a machine at `now` by an agent that has seen everything since long ago, and read nothing for this yet."""
    long_ago = at(LONG_AGO)
    seen = {"born": long_ago, "first_seen": long_ago, "seeing_since": long_ago, "hearing_since": long_ago}
    return Observed(now=at(now), **{**seen, **known})


def pod(name: str = "web", *, kind: str = "ReplicaSet", requests: dict[str, str] | None = None, **spec: Any) -> Pod:
    """A pod of a controller of that kind; kind "" has none."""
    owners = (OwnerReference(kind=kind, name="owner", controller=True),) if kind else ()
    container = Container(name="main", resources=ResourceRequirements(requests=requests or {}))
    metadata = Metadata(name=name, namespace="apps", owner_references=owners)
    return Pod(metadata=metadata, spec=PodSpec(**{"containers": (container,), **spec}))


def kube_node(name: str = "k1", **parts: Any) -> KubeNode:
    """A Kubernetes node; `labels`, `annotations` and `created` (seconds) go to its metadata, `ready` says what its kubelet says."""
    created, ready = parts.pop("created", None), parts.pop("ready", None)
    metadata = Metadata(
        name=name,
        uid=parts.pop("uid", ""),
        labels=parts.pop("labels", {}),
        annotations=parts.pop("annotations", {}),
        creation_timestamp=None if created is None else at(created),
    )
    if ready is not None:
        parts["status"] = KubeNodeStatus(conditions=(Condition(type="Ready", status=str(ready)),))
    return KubeNode(metadata=metadata, **parts)


def settled(of: MachineView, seen: Observed) -> MachineView:
    """The machine once all that follows from its status is stored with it."""
    return with_status(of, completed(of, seen, of.node.status))
