"""Everything that hexa needs of the API server, right by right, with its reason: the one table.

The roles in `deploy/`, the table in docs/security.md and what `hexa doctor` asks come from here, and a test holds it to what the
agent really calls. It knows no manifest and no call.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from hexa.domain.names import API_GROUP, LEASE_NAMESPACE


class Scope(StrEnum):
    """Where a right holds."""

    CLUSTER = "cluster"
    """In every namespace, or for objects that are in none."""
    NAMESPACE = "namespace"
    """In one namespace: `Right.namespace`, or each one whose Groups and Nodes count."""


class Right(Struct, frozen=True, kw_only=True):
    """Some verbs on one resource, for one reason."""

    group: str
    """API group; empty for core."""
    resource: str
    """Plural, with the subresource behind a slash."""
    verbs: tuple[str, ...]
    scope: Scope
    namespace: str = ""
    """A namespace of this name, whatever hexa watches; empty: the watched ones."""
    names: tuple[str, ...] = ()
    """Of these objects only; empty: of all. Verbs on collections (list, watch, create) know no names, unless one is asked for by
    its name."""
    tenant: Scope
    """Where it holds if hexa serves one tenant's namespaces."""
    used_by: str
    """The part of hexa that needs it."""
    reason: str
    """What for, in a sentence."""
    optional: bool = False
    """Without it the rest of hexa goes on."""

    @property
    def subresource(self) -> str:
        """What is behind the slash."""
        return self.resource.partition("/")[2]

    @property
    def plural(self) -> str:
        """What is before the slash."""
        return self.resource.partition("/")[0]

    def __str__(self) -> str:
        """As people say it: `patch nodes/status (core)`."""
        return f"{','.join(self.verbs)} {self.resource} ({self.group or 'core'})"


CLUSTER, NAMESPACE = Scope.CLUSTER, Scope.NAMESPACE

RIGHTS: Final = (
    # --- our resources, where they are ---
    Right(
        group=API_GROUP,
        resource="groups",
        verbs=("list", "watch"),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Groups are what people want; answers to Cluster Autoscaler come from them.",
    ),
    Right(
        group=API_GROUP,
        resource="groups/status",
        verbs=("patch",),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Sizes, health and conditions of a group, and requests that its machines have not written down yet.",
    ),
    Right(
        group=API_GROUP,
        resource="nodes",
        verbs=("list", "watch", "patch"),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Machines; the wish is stored in spec.powerState and an annotation, by one patch. A finalizer stands while one"
        " is off.",
    ),
    Right(
        group=API_GROUP,
        resource="nodes/status",
        verbs=("patch",),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="The phase of a machine and all that must outlive a restart: hexa has no other store.",
    ),
    Right(
        group=API_GROUP,
        resource="powerprofiles",
        verbs=("list", "watch"),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="What machines that name a PowerProfile have in common. Nothing is asked of them where no machine names one, and"
        " without this right those machines alone are neither woken nor switched off.",
        optional=True,
    ),
    # --- power actions and what is told about them, in the same namespaces ---
    Right(
        group="batch",
        resource="jobs",
        verbs=("list", "watch", "create", "delete"),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Power is switched by Jobs in the namespace of the machine; one that is over or superseded is deleted.",
    ),
    Right(
        group="batch",
        resource="cronjobs",
        verbs=("list", "watch", "create", "patch", "delete"),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Health checks (spec.healthcheckPodSpec) are CronJobs in the namespace of the machine, suspended while it is off."
        " Nothing is asked of them where no machine declares one, and without this right the rest goes on.",
        optional=True,
    ),
    Right(
        group="",
        resource="events",
        verbs=("create",),
        scope=NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Each decision is told as an Event on the Group or Node that it is about.",
    ),
    # --- Kubernetes nodes and their pods ---
    Right(
        group="",
        resource="nodes",
        verbs=("list", "watch", "patch", "delete"),
        scope=CLUSTER,
        tenant=CLUSTER,
        used_by="agent",
        reason="Kubernetes nodes are in no namespace: a machine's is cordoned, given back its labels and taints, tainted out of"
        " service where its group says so, and deleted when the machine is off.",
    ),
    Right(
        group="",
        resource="nodes/status",
        verbs=("patch",),
        scope=CLUSTER,
        tenant=CLUSTER,
        used_by="agent",
        reason="The condition Suspended on the node of a machine that is off, which keeps it out of the count of unready nodes; and"
        " what kubeConditions says of drains and holds.",
    ),
    Right(
        group="",
        resource="pods",
        verbs=("list", "watch"),
        scope=CLUSTER,
        tenant=CLUSTER,
        used_by="agent",
        reason="A machine is switched off only when no pod is left on it, of whatever namespace; one that runs hexa, Cluster"
        " Autoscaler, the API server or a storage system is never rested; why a power Job fails is said by its pod; and where a"
        " group keeps spares, pods tell which machines are idle.",
    ),
    Right(
        group="",
        resource="pods",
        verbs=("list", "watch"),
        scope=CLUSTER,
        tenant=CLUSTER,
        used_by="agent",
        reason="Pods that wait for a place are watched where a Group says wakeForPinned or learnShape, and not before: it wakes a"
        " machine for some of them.",
        optional=True,
    ),
    Right(
        group="",
        resource="pods/eviction",
        verbs=("create",),
        scope=CLUSTER,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Pods leave by the Eviction API, which keeps to disruption budgets.",
    ),
    Right(
        group="",
        resource="pods",
        verbs=("delete",),
        scope=CLUSTER,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Removes what no kubelet will end: pods that the last power-off left behind, and a power Job's pod that hangs on"
        " a dead node.",
    ),
    Right(
        group="",
        resource="persistentvolumeclaims",
        verbs=("list",),
        scope=CLUSTER,
        tenant=CLUSTER,
        used_by="agent",
        reason="Finds the volume behind a pod's claim: a pod whose data is on the machine's own disk is not evicted.",
    ),
    Right(
        group="",
        resource="persistentvolumes",
        verbs=("list",),
        scope=CLUSTER,
        tenant=CLUSTER,
        used_by="agent",
        reason="Tells whether that volume is local to the machine. Volumes are in no namespace.",
    ),
    Right(
        group="coordination.k8s.io",
        resource="leases",
        verbs=("list", "watch"),
        scope=NAMESPACE,
        namespace=LEASE_NAMESPACE,
        tenant=NAMESPACE,
        used_by="agent",
        reason="A renewed Lease is a kubelet's sign of life: a machine that has one is not taken for off.",
    ),
)


def for_sensors(secrets: Iterable[str]) -> tuple[Right, ...]:
    """What reading the power of machines needs beside the table: these Secrets, by name and no other; nothing lists them."""
    names = tuple(secrets)
    if not names:
        return ()
    right = Right(
        group="",
        resource="secrets",
        verbs=("get",),
        scope=NAMESPACE,
        names=names,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Credentials of management controllers, by which the agent reads the power of machines with spec.power.",
    )
    return (right,)


def for_prices(maps: Iterable[str]) -> tuple[Right, ...]:
    """What tariffs whose prices stand in ConfigMaps need beside the table: these, by name and no other, in hexa's own namespace."""
    names = tuple(maps)
    if not names:
        return ()
    right = Right(
        group="",
        resource="configmaps",
        verbs=("list", "watch"),
        scope=NAMESPACE,
        names=names,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Prices of a tariff whose configMap names it; each is listed and watched by its name.",
        optional=True,
    )
    return (right,)


def for_eta() -> tuple[Right, ...]:
    """What Events on pods that a waking machine will serve need beside the table: off until asked for (eta)."""
    right = Right(
        group="",
        resource="events",
        verbs=("create",),
        scope=CLUSTER,
        tenant=NAMESPACE,
        used_by="agent",
        reason="Pods that wait are told which machine boots for them, and when it is Ready (eta): pods are in any namespace.",
        optional=True,
    )
    return (right,)


def for_http() -> tuple[Right, ...]:
    """What the HTTP port needs beside the table: off in the overlay minimal until asked for (http.address)."""
    group = "authentication.k8s.io"
    whose = Right(
        group=group,
        resource="tokenreviews",
        verbs=("create",),
        scope=CLUSTER,
        tenant=CLUSTER,
        used_by="agent",
        reason="Whose token it is that comes with a request over HTTP. Reviews are in no namespace.",
        optional=True,
    )
    may = structs.replace(
        whose,
        group="authorization.k8s.io",
        resource="subjectaccessreviews",
        reason="Which machines its owner may see and change: what Kubernetes would let them do, hexa does for them and no more.",
    )
    return whose, may


def for_tenant(rights: Iterable[Right] = RIGHTS) -> tuple[Right, ...]:
    """The same rights, each where a tenant's hexa has it."""
    return tuple(structs.replace(right, scope=right.tenant) for right in rights)


def granted(verb: str, *, group: str, resource: str) -> bool:
    """Whether the table has this verb, wherever it holds."""
    return (verb, group, resource) in _GRANTED


_GRANTED: Final = frozenset((verb, right.group, right.resource) for right in RIGHTS for verb in right.verbs)


def rules(rights: Iterable[Right]) -> list[dict[str, list[str]]]:
    """Rules of a Role or ClusterRole: one for each resource and set of names, verbs joined, in the order of the table."""
    joined: dict[tuple[str, str, tuple[str, ...]], dict[str, None]] = {}
    for right in rights:
        joined.setdefault((right.group, right.resource, right.names), {}).update(dict.fromkeys(right.verbs))
    return [_rule(group, resource, names, verbs) for (group, resource, names), verbs in joined.items()]


def _rule(group: str, resource: str, names: tuple[str, ...], verbs: Mapping[str, None]) -> dict[str, list[str]]:
    rule = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule
