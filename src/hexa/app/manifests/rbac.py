"""ServiceAccounts and roles. hexa's rules are those of `domain.people.rights`; Cluster Autoscaler's are here, with reasons."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from hexa.app.manifests.options import AUTOSCALER, HEXA, RBAC, Object, Options, Overlay, thing
from hexa.domain.people.rights import (
    RIGHTS,
    Right,
    Scope,
    for_eta,
    for_http,
    for_prices,
    for_sensors,
    for_tenant,
    rules,
)

Rule = dict[str, list[str]]

READ: Final = ["get", "list", "watch"]
ETA: Final = f"{HEXA}-eta"
"""The role by which pods are told when their machine is Ready."""
PRICES: Final = f"{HEXA}-prices"
"""The role by which prices of tariffs are read."""
SENSORS: Final = f"{HEXA}-sensors"
"""The role by which Secrets are read to read power, and the policy by which that is reached."""
HTTP: Final = f"{HEXA}-http"
"""The role by which it is asked who calls over HTTP and what they may see."""


def _rule(group: str, resources: list[str], verbs: list[str], *names: str) -> Rule:
    rule = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return {**rule, "resourceNames": list(names)} if names else rule


AUTOSCALER_EVERYWHERE: Final = (
    # taints and cordons, before it drains
    _rule("", ["nodes"], [*READ, "update"]),
    _rule("", ["pods/eviction"], ["create"]),
    _rule("", ["events"], ["create", "patch"]),
    # what the scheduler would look at: Cluster Autoscaler runs its code
    _rule(
        "",
        ["namespaces", "persistentvolumeclaims", "persistentvolumes", "pods", "replicationcontrollers", "services"],
        READ,
    ),
    _rule("apps", ["daemonsets", "replicasets", "statefulsets"], READ),
    _rule("batch", ["jobs"], READ),
    _rule("policy", ["poddisruptionbudgets"], READ),
    _rule(
        "storage.k8s.io",
        ["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"],
        READ,
    ),
    _rule("resource.k8s.io", ["deviceclasses", "resourceclaims", "resourceslices"], READ),
)

AUTOSCALER_AT_HOME: Final = (
    # its status, and the lock by which one of several leads; a create knows no names
    _rule("", ["configmaps"], ["create"]),
    _rule("", ["configmaps"], ["get", "update", "delete"], "cluster-autoscaler-status"),
    _rule("coordination.k8s.io", ["leases"], ["create"]),
    _rule("coordination.k8s.io", ["leases"], ["get", "update"], AUTOSCALER),
)


def accounts(options: Options) -> Iterator[Object]:
    """Who hexa and Cluster Autoscaler are."""
    for name in dict.fromkeys((HEXA, options.autoscaler_account)):
        # Tokens reach the pods that name them in spec, and no other that runs as this account.
        yield thing(
            "v1", "ServiceAccount", name, namespace=options.namespace, part=name, automountServiceAccountToken=False
        )


def roles(options: Options) -> Iterator[Object]:
    """What they may do."""
    rights = for_tenant() if options.overlay is Overlay.TENANT else RIGHTS
    yield from _bound(options, HEXA, HEXA, rules(_in_cluster(rights)))
    yield from _bound(options, AUTOSCALER, options.autoscaler_account, AUTOSCALER_EVERYWHERE)
    for namespace in options.machines:
        yield from _bound(options, HEXA, HEXA, rules(_watched(rights)), namespace)
        yield from _bound(options, SENSORS, HEXA, rules(for_sensors(options.secrets)), namespace)
    for namespace in options.tenants:
        yield from _bound(options, f"{HEXA}-tenant", HEXA, rules(_moved(rights)), namespace)
    yield from _bound(options, PRICES, HEXA, rules(for_prices(options.prices)), options.namespace)
    if options.eta:
        everywhere = options.overlay is not Overlay.TENANT
        for namespace in ("",) if everywhere else options.tenants:  # Events beside the machines are told anyway
            yield from _bound(options, ETA, HEXA, rules(for_eta()), namespace)
    if options.serves_http:
        yield from _bound(options, HTTP, HEXA, rules(for_http()))
    for namespace in dict.fromkeys(right.namespace for right in rights if right.namespace):
        fixed = [right for right in rights if right.namespace == namespace]
        yield from _bound(options, options.wide(HEXA), HEXA, rules(fixed), namespace)
    yield from _bound(options, AUTOSCALER, options.autoscaler_account, AUTOSCALER_AT_HOME, options.namespace)


def _in_cluster(rights: Iterable[Right]) -> list[Right]:
    return [right for right in rights if right.scope is Scope.CLUSTER]


def _watched(rights: Iterable[Right]) -> list[Right]:
    return [right for right in rights if right.scope is Scope.NAMESPACE and not right.namespace]


def _moved(rights: Iterable[Right]) -> list[Right]:
    """What hexa does to a tenant's pods, wherever they are."""
    everywhere = {(right.group, right.resource, right.verbs) for right in _in_cluster(RIGHTS)}
    return [right for right in _watched(rights) if (right.group, right.resource, right.verbs) in everywhere]


def _bound(options: Options, name: str, account: str, allowed: Iterable[Rule], namespace: str = "") -> Iterator[Object]:
    """A Role in the namespace, or a ClusterRole, and the account bound to it."""
    allowed = list(allowed)
    if not allowed:
        return
    kind = "Role" if namespace else "ClusterRole"
    part = AUTOSCALER if name == AUTOSCALER else HEXA
    if not namespace:
        name = options.wide(f"{HEXA}-{AUTOSCALER}" if name == AUTOSCALER else name)
    where: dict[str, Any] = {"namespace": namespace, "part": part}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": options.namespace}
    version = f"{RBAC}/v1"
    yield thing(version, kind, name, **where, rules=allowed)
    yield thing(
        version,
        f"{kind}Binding",
        name,
        **where,
        roleRef={"apiGroup": RBAC, "kind": kind, "name": name},
        subjects=[subject],
    )
