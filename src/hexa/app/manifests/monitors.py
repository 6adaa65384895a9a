"""What a Prometheus Operator takes to read hexa's metrics: a ServiceMonitor or a PodMonitor, and an account whose token may `get`
/metrics and nothing else. Off until asked for."""

from collections.abc import Iterator
from typing import Any, Final

from hexa.app.manifests.deployments import SERVER_SECRET
from hexa.app.manifests.options import HEXA, RBAC, Monitor, Object, Options, Overlay, thing

PROMETHEUS: Final = "monitoring.coreos.com/v1"
METRICS: Final = f"{HEXA}-metrics"
PATH: Final = "/metrics"
ENDPOINTS: Final = {Monitor.SERVICE: "endpoints", Monitor.POD: "podMetricsEndpoints"}


def lacking(options: Options) -> str:
    """Why nothing could be read with these options; empty: it can."""
    if options.overlay is Overlay.MINIMAL:
        return "the overlay minimal serves metrics on its own loopback alone: take production or tenant"
    if not options.serves_http:
        return "metrics are served over HTTP, which is off: add --http"
    return ""


def monitors(options: Options) -> Iterator[Object]:
    """The monitor that is asked for, with what it shows hexa."""
    if options.monitor is None:
        return
    namespace, name = options.namespace, options.wide(METRICS)
    yield thing("v1", "ServiceAccount", METRICS, namespace=namespace, automountServiceAccountToken=False)
    token = thing("v1", "Secret", METRICS, namespace=namespace, type="kubernetes.io/service-account-token")
    token["metadata"]["annotations"] = {"kubernetes.io/service-account.name": METRICS}
    yield token
    yield thing(f"{RBAC}/v1", "ClusterRole", name, rules=[{"nonResourceURLs": [PATH], "verbs": ["get"]}])
    yield thing(
        f"{RBAC}/v1",
        "ClusterRoleBinding",
        name,
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        subjects=[{"kind": "ServiceAccount", "name": METRICS, "namespace": namespace}],
    )
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app.kubernetes.io/name": HEXA}}}
    spec[ENDPOINTS[options.monitor]] = [_endpoint(namespace)]
    yield thing(PROMETHEUS, str(options.monitor), HEXA, namespace=namespace, spec=spec)


def _endpoint(namespace: str) -> dict[str, Any]:
    """The certificate is that of the Service; its CA is in the same Secret."""
    return {
        "port": "http",
        "path": PATH,
        "scheme": "https",
        "honorLabels": True,  # namespace is that of the machine or the group
        "authorization": {"credentials": {"name": METRICS, "key": "token"}},
        "tlsConfig": {
            "ca": {"secret": {"name": SERVER_SECRET, "key": "ca.crt"}},
            "serverName": f"{HEXA}.{namespace}.svc",
        },
    }
