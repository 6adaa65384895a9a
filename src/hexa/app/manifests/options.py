"""What may differ between two installations, and how objects are written."""

from enum import StrEnum
from importlib.metadata import version
from typing import Any, Final

from msgspec import Struct

from hexa import DISTRIBUTION
from hexa.domain.policy.conventions import STARTUP_TAINTS

Object = dict[str, Any]

HEXA: Final = "hexa"
AUTOSCALER: Final = "cluster-autoscaler"
GRPC_PORT: Final = 50051
HEALTH_PORT: Final = 50052
HTTP_PORT: Final = 8443
LOOPBACK_HTTP_PORT: Final = 8080
"""Where nobody but the pod itself, and `kubectl port-forward`, reaches it."""
READINESS: Final = "clusterautoscaler.cloudprovider.v1.externalgrpc.CloudProvider"
"""What readiness is asked of; without a name, probes ask for life alone (docs/tls.md)."""
AUTOSCALER_PORT: Final = 8085
"""Metrics and health of Cluster Autoscaler."""

STARTUP_TAINTS_VARIABLE: Final = "HEXA_STARTUP_TAINTS"

RBAC: Final = "rbac.authorization.k8s.io"


class Overlay(StrEnum):
    """How hexa is installed."""

    MINIMAL = "minimal"
    """Cluster Autoscaler as second container of hexa's pod, gRPC over the loopback, no certificates."""
    PRODUCTION = "production"
    """Cluster Autoscaler apart, mutual TLS."""
    TENANT = "tenant"
    """As production; hexa evicts and deletes pods in the tenant's namespaces alone."""


class Monitor(StrEnum):
    """By what a Prometheus Operator is told of hexa's metrics."""

    SERVICE = "ServiceMonitor"
    POD = "PodMonitor"


class Options(Struct, frozen=True, kw_only=True):
    """One installation."""

    overlay: Overlay
    namespace: str = "hexa-system"
    """Where hexa and Cluster Autoscaler run."""
    machines: tuple[str, ...] = ("hexa-machines",)
    """Where Groups and Nodes are, and so the power Jobs."""
    tenants: tuple[str, ...] = ()
    """Where a tenant's pods are, beside `machines`; overlay tenant only."""
    image: str = f"hexa:{version(DISTRIBUTION)}"
    autoscaler_image: str = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.1"

    autoscaler_flags: tuple[str, ...] = ()
    """Added to Cluster Autoscaler's own."""
    sensors: bool = False
    """Whether hexa may reach management controllers and plugs, to read the power of machines with `spec.power`."""
    secrets: tuple[str, ...] = ()
    """Secrets of `machines` that it may get for that, by name."""
    prices: tuple[str, ...] = ()
    """ConfigMaps of `namespace` that it may read the prices of tariffs from, by name."""
    eta: bool = False
    """Whether pods that wait are told when their machine is Ready: Events in every namespace."""
    http: bool | None = None
    """Whether hexa serves metrics, page and API over HTTP; None: in the overlay production."""
    notify_secret: str = ""
    """A Secret of `namespace` that hexa's pod mounts for receivers of notifications; empty: none."""
    monitor: Monitor | None = None
    """By what the Prometheus Operator reads hexa's metrics; None: it does not."""
    alerts: bool = False
    """Whether a PrometheusRule with hexa's alerts is made; it takes the Prometheus Operator."""
    runbooks: str = ""
    """The address of docs/alerts.md as people read it, for the links of alerts; empty: its path in the project."""
    dashboard: bool = False
    """Whether a ConfigMap with the dashboard is made, for the sidecar of Grafana."""
    settings: tuple[tuple[str, str], ...] = ()
    """Variables added to hexa's, see docs/configuration.md."""

    @property
    def startup_taints(self) -> tuple[str, ...]:
        """What hexa waits for on a new node: Cluster Autoscaler is told the same."""
        given = dict(self.settings).get(STARTUP_TAINTS_VARIABLE)
        return STARTUP_TAINTS if given is None else tuple(part.strip() for part in given.split(",") if part.strip())

    @property
    def apart(self) -> bool:
        """Whether Cluster Autoscaler has a pod of its own."""
        return self.overlay is not Overlay.MINIMAL

    @property
    def serves_http(self) -> bool:
        """Whether there is an HTTP port."""
        return self.overlay is Overlay.PRODUCTION if self.http is None else self.http

    @property
    def autoscaler_account(self) -> str:
        """The ServiceAccount that Cluster Autoscaler runs as."""
        return AUTOSCALER if self.apart else HEXA

    def wide(self, name: str) -> str:
        """A name in no namespace: tenants must not write each other's."""
        return f"{name}-{self.namespace}" if self.overlay is Overlay.TENANT else name


def labels(name: str) -> dict[str, str]:
    """On everything of one part."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": HEXA}


def thing(api_version: str, kind: str, name: str, *, namespace: str = "", part: str = HEXA, **body: Any) -> Object:
    """An object in the order in which people write one."""
    metadata: Object = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels(part)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}
