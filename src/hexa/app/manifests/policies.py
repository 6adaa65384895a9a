"""Namespaces with their Pod Security level, and who may talk to whom."""

from collections.abc import Iterator
from typing import Any, Final

from hexa.app.manifests.options import AUTOSCALER, GRPC_PORT, HEXA, HTTP_PORT, Object, Options, thing
from hexa.domain.names import MACHINE_LABEL

API_SERVER_PORTS: Final = (443, 6443)
DNS_PORT: Final = 53
SENSED: Final[list[Object]] = [
    {"protocol": "TCP", "port": 80},  # smart plugs; Redfish has 443
    {"protocol": "UDP", "port": 161},  # SNMP
    {"protocol": "UDP", "port": 623},  # IPMI
]
"""Where the agent reads power."""


def namespaces(options: Options) -> Iterator[Object]:
    """hexa's namespace, restricted; and those of machines, where power Jobs run."""
    yield _namespace(options.namespace, "restricted")
    for name in options.machines:
        if name != options.namespace:
            yield _namespace(name, "privileged")  # Wake-on-LAN broadcasts from the host's network


def _namespace(name: str, level: str) -> Object:
    modes = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}
    made = thing("v1", "Namespace", name)
    made["metadata"]["labels"] |= modes
    return made


def policies(options: Options) -> Iterator[Object]:
    """Nothing comes in but Cluster Autoscaler to hexa, and pods of the cluster to its HTTP port where there is one; nothing goes
    out but to the API server, DNS, and hexa's port."""
    namespace = options.namespace
    # The API server's address is not known here, its usual ports are. Kubelets reach their pods whatever stands here.
    out: list[Object] = [{"ports": [_tcp(port) for port in API_SERVER_PORTS]}, {"ports": _dns()}]
    of_hexa: dict[str, Any] = {"policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": out}
    if options.apart:
        of_hexa["ingress"] = [{"from": [{"podSelector": _named(AUTOSCALER)}], "ports": [_tcp(GRPC_PORT)]}]
        if options.serves_http:
            of_hexa["ingress"].append({"from": [{"namespaceSelector": {}}], "ports": [_tcp(HTTP_PORT)]})
        to_hexa = {"to": [{"podSelector": _named(HEXA)}], "ports": [_tcp(GRPC_PORT)]}
        yield _policy(
            AUTOSCALER,
            namespace,
            _named(AUTOSCALER),
            part=AUTOSCALER,
            policyTypes=["Ingress", "Egress"],
            ingress=[],
            egress=[to_hexa, *out],
        )
    yield _policy(HEXA, namespace, _named(HEXA), **of_hexa)
    if options.sensors or options.secrets:
        reads: dict[str, Any] = {"policyTypes": ["Egress"], "egress": [{"ports": SENSED}]}
        yield _policy(f"{HEXA}-sensors", namespace, _named(HEXA), **reads)
    for name in options.machines:
        jobs = {"matchExpressions": [{"key": MACHINE_LABEL, "operator": "Exists"}]}
        # Where they go to is the site's own: management controllers, PDUs, machines.
        yield _policy("hexa-power-jobs", name, jobs, policyTypes=["Ingress"], ingress=[])


def _policy(name: str, namespace: str, pods: Object, *, part: str = HEXA, **spec: Any) -> Object:
    body = {"podSelector": pods, **spec}
    return thing("networking.k8s.io/v1", "NetworkPolicy", name, namespace=namespace, part=part, spec=body)


def _named(part: str) -> Object:
    return {"matchLabels": {"app.kubernetes.io/name": part}}


def _tcp(port: int) -> Object:
    return {"protocol": "TCP", "port": port}


def _dns() -> list[Object]:
    return [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
