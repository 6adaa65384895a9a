"""The overlays as folders for kustomize: `base` holds what all have in common, each overlay the rest; and the cert-manager
component. It writes no file."""

from typing import Any, Final

from hexa.app.manifests.deployments import (
    CLIENT,
    CLOUD_CONFIG,
    CLOUD_FILE,
    CLOUD_FOLDER,
    NOTIFY_MOUNT,
    SERVER_SECRET,
    notify_volume,
)
from hexa.app.manifests.monitoring import monitoring
from hexa.app.manifests.monitors import monitors
from hexa.app.manifests.options import AUTOSCALER, GRPC_PORT, HEXA, Monitor, Object, Options, Overlay, thing
from hexa.app.manifests.policies import policies
from hexa.app.manifests.rbac import ETA, PRICES, SENSORS, roles
from hexa.app.manifests.render import by_file

CERT_MANAGER: Final = "cert-manager.io/v1"
CLIENT_SECRET: Final = "cluster-autoscaler-grpc-client"  # a name
RENEW: Final = {"duration": "2160h", "renewBefore": "720h", "privateKey": {"algorithm": "ECDSA", "size": 256}}

ROLES: Final = ("Role", "RoleBinding")

Tree = dict[str, list[Any]]
"""Path below the folder -> documents."""


def tree() -> Tree:
    """Every file there is."""
    overlays = {overlay: by_file(Options(overlay=overlay)) for overlay in Overlay}
    common = [each for each in _all(overlays[Overlay.MINIMAL]) if all(each in _all(o) for o in overlays.values())]
    files: Tree = {}
    for name, objects in overlays[Overlay.MINIMAL].items():
        _put(files, f"base/{name}", [each for each in objects if each in common])
    for overlay, own in overlays.items():
        for name, objects in own.items():
            _put(files, f"{overlay}/{name}", [each for each in objects if each not in common])
    for folder in ("base", *Overlay):
        names = sorted(path.partition("/")[2] for path in files if path.startswith(f"{folder}/"))
        files[f"{folder}/kustomization.yaml"] = [_kustomization([] if folder == "base" else ["../base"], names)]
    return files | _cert_manager() | _eta() | _reads() | _notify() | _monitoring()


def _put(files: Tree, path: str, objects: list[Object]) -> None:
    if objects:
        files[path] = objects


def _all(files: dict[str, list[Object]]) -> list[Object]:
    return [each for objects in files.values() for each in objects]


def _kustomization(folders: list[str], files: list[str]) -> Object:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [*folders, *files]}


# --- Events on pods that wait ---


def _eta() -> Tree:
    """What `eta` takes where hexa serves every namespace; a tenant's is printed by `hexa manifests tenant --eta`."""
    options, folder = Options(overlay=Overlay.PRODUCTION, eta=True), "components/eta"
    container = {"name": HEXA, "env": [{"name": "HEXA_ETA", "value": "true"}]}
    setting = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": HEXA},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    return {
        f"{folder}/kustomization.yaml": [
            {
                "apiVersion": "kustomize.config.k8s.io/v1alpha1",
                "kind": "Component",
                "resources": ["rbac.yaml"],
                "patches": [{"path": "setting.yaml", "target": {"kind": "Deployment", "name": HEXA}}],
            }
        ],
        f"{folder}/rbac.yaml": [each for each in roles(options) if each["metadata"]["name"] == ETA],
        f"{folder}/setting.yaml": [setting],
    }


# --- what hexa may read beside the table ---


def _reads() -> Tree:
    """The way to BMCs, PDUs and plugs; the Secret bmc of the machines' namespace; the ConfigMap prices beside hexa. Other names are
    a patch (docs/manifests.md)."""
    options = Options(overlay=Overlay.PRODUCTION, sensors=True, secrets=("bmc",), prices=("prices",))
    made = [*roles(options), *policies(options)]
    parts = {
        "sensors": [each for each in made if (each["kind"], each["metadata"]["name"]) == ("NetworkPolicy", SENSORS)],
        "read-secret": [each for each in made if each["kind"] in ROLES and each["metadata"]["name"] == SENSORS],
        "read-prices": [each for each in made if each["metadata"]["name"] == PRICES],
    }
    files: Tree = {}
    for name, objects in parts.items():
        folder = f"components/{name}"
        files[f"{folder}/kustomization.yaml"] = [
            {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "resources": [f"{name}.yaml"]}
        ]
        files[f"{folder}/{name}.yaml"] = objects
    return files


# --- notifications ---


def _notify() -> Tree:
    """The Secret hexa-notify, mounted where receivers name its keys as files."""
    container = {"name": HEXA, "volumeMounts": [NOTIFY_MOUNT]}
    pod = {"containers": [container], "volumes": [notify_volume("hexa-notify")]}
    return {
        "components/notify/kustomization.yaml": [
            {
                "apiVersion": "kustomize.config.k8s.io/v1alpha1",
                "kind": "Component",
                "patches": [{"path": "mount.yaml", "target": {"kind": "Deployment", "name": HEXA}}],
            }
        ],
        "components/notify/mount.yaml": [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": HEXA},
                "spec": {"template": {"spec": pod}},
            }
        ],
    }


# --- alerts and dashboard ---


def _monitoring() -> Tree:
    """A component each, so that a site takes what it has the means for."""
    parts = {
        "alerts": Options(overlay=Overlay.PRODUCTION, alerts=True),
        "dashboard": Options(overlay=Overlay.PRODUCTION, dashboard=True),
        "service-monitor": Options(overlay=Overlay.PRODUCTION, monitor=Monitor.SERVICE),
        "pod-monitor": Options(overlay=Overlay.PRODUCTION, monitor=Monitor.POD),
    }
    files: Tree = {}
    for name, options in parts.items():
        files[f"components/{name}/kustomization.yaml"] = [
            {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "resources": [f"{name}.yaml"]}
        ]
        files[f"components/{name}/{name}.yaml"] = [*monitors(options), *monitoring(options)]
    return files


# --- certificates that cert-manager makes and renews ---


def _cert_manager() -> Tree:
    namespace = Options(overlay=Overlay.PRODUCTION).namespace
    folder = "components/cert-manager"
    return {
        f"{folder}/kustomization.yaml": [
            {
                "apiVersion": "kustomize.config.k8s.io/v1alpha1",
                "kind": "Component",
                "resources": ["certificates.yaml"],
                "patches": [{"path": "mount.yaml", "target": {"kind": "Deployment", "name": AUTOSCALER}}],
            }
        ],
        f"{folder}/certificates.yaml": _certificates(namespace),
        f"{folder}/mount.yaml": [_mount()],
    }


def _certificates(namespace: str) -> list[Object]:
    server = [HEXA, f"{HEXA}.{namespace}", f"{HEXA}.{namespace}.svc", f"{HEXA}.{namespace}.svc.cluster.local"]
    return [
        thing(CERT_MANAGER, "Issuer", "hexa-self-signed", namespace=namespace, spec={"selfSigned": {}}),
        _certificate(namespace, "hexa-ca", "hexa-ca", "hexa-self-signed", commonName=HEXA, isCA=True),
        thing(CERT_MANAGER, "Issuer", "hexa-ca", namespace=namespace, spec={"ca": {"secretName": "hexa-ca"}}),
        _certificate(namespace, SERVER_SECRET, SERVER_SECRET, "hexa-ca", dnsNames=server, usages=["server auth"]),
        _certificate(
            namespace,
            CLIENT_SECRET,
            CLIENT_SECRET,
            "hexa-ca",
            commonName=CLIENT,
            dnsNames=[CLIENT],
            usages=["client auth"],
        ),
        thing(
            "v1",
            "ConfigMap",
            CLOUD_CONFIG,
            namespace=namespace,
            part=AUTOSCALER,
            data={CLOUD_FILE: _cloud_config(namespace)},
        ),
    ]


def _certificate(namespace: str, name: str, secret: str, issuer: str, **spec: Any) -> Object:
    body = {"secretName": secret, "issuerRef": {"name": issuer}, **RENEW, **spec}
    return thing(CERT_MANAGER, "Certificate", name, namespace=namespace, spec=body)


def _cloud_config(namespace: str) -> str:
    values = {
        "address": f"{HEXA}.{namespace}.svc:{GRPC_PORT}",
        "key": f"{CLOUD_FOLDER}/tls.key",
        "cert": f"{CLOUD_FOLDER}/tls.crt",
        "cacert": f"{CLOUD_FOLDER}/ca.crt",
    }
    return "".join(f'{key}: "{value}"\n' for key, value in values.items())


def _mount() -> Object:
    """Cluster Autoscaler's folder made of the two instead of one Secret."""
    sources = [{"configMap": {"name": CLOUD_CONFIG}}, {"secret": {"name": CLIENT_SECRET}}]
    volume = {"name": "cloud-config", "secret": None, "projected": {"defaultMode": 0o440, "sources": sources}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": AUTOSCALER},
        "spec": {"template": {"spec": {"volumes": [volume]}}},
    }
