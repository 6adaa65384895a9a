"""Where the configuration comes from: a kubeconfig, or the pod that we run in. It opens no connection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hexa.adapters.kube_http.cluster import DEFAULT_TUNING, Cluster, Pem, TokenFile, Tuning
from hexa.adapters.kube_http.kubeconfig import from_kubeconfig
from hexa.domain.errors import Refused

__all__ = ["DEFAULT_TUNING", "SERVICE_ACCOUNT", "Cluster", "Tuning", "from_pod", "load"]

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def load(
    path: str = "", *, context: str = "", environment: Mapping[str, str], account: Path = SERVICE_ACCOUNT
) -> Cluster:
    """The cluster to talk to: `path`, else KUBECONFIG, else the pod's ServiceAccount, else ~/.kube/config."""
    if path:
        return from_kubeconfig([Path(path)], context=context)
    if listed := environment.get("KUBECONFIG", ""):
        return from_kubeconfig(_existing(listed), context=context)
    if environment.get("KUBERNETES_SERVICE_HOST"):
        return from_pod(environment, account=account)
    usual = Path(environment.get("HOME", "/root"), ".kube", "config")
    if usual.exists():
        return from_kubeconfig([usual], context=context)
    raise Refused(
        f"no cluster to talk to: no KUBECONFIG, not inside a pod, and no {usual}; name a file with --kubeconfig",
        reason="NoKubeconfig",
    )


def _existing(listed: str) -> list[Path]:
    paths = [Path(part) for part in listed.split(":") if part]
    found = [path for path in paths if path.exists()]
    return found or paths[:1]


def from_pod(environment: Mapping[str, str], *, account: Path = SERVICE_ACCOUNT) -> Cluster:
    """The cluster that the pod runs in, as its ServiceAccount."""
    host = environment["KUBERNETES_SERVICE_HOST"]
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    token, authority, namespace = account / "token", account / "ca.crt", account / "namespace"
    if not token.exists():
        raise Refused(
            f"{token} is missing: the pod has no ServiceAccount token; set automountServiceAccountToken: true",
            reason="NoServiceAccount",
        )
    return Cluster(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        origin="the pod's ServiceAccount",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        authority=Pem(authority.read_bytes(), str(authority)) if authority.exists() else None,
        credentials=TokenFile(token),
    )
