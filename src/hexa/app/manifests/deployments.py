"""Pods: hexa's and Cluster Autoscaler's, as restricted as Pod Security knows."""

from collections.abc import Iterator
from typing import Any, Final

from hexa.app.manifests.options import (
    AUTOSCALER,
    AUTOSCALER_PORT,
    GRPC_PORT,
    HEALTH_PORT,
    HEXA,
    HTTP_PORT,
    LOOPBACK_HTTP_PORT,
    READINESS,
    Object,
    Options,
    labels,
    thing,
)
from hexa.domain.names import CONTROL_PLANE_TAINTS, GROUP_LABEL, SAFE_TO_EVICT
from hexa.domain.policy.conventions import told_to_autoscaler

USER: Final = 65532
SERVER_SECRET: Final = "hexa-grpc-server"  # a name; `hexa certs` makes it
CLOUD_CONFIG: Final = "cluster-autoscaler-cloud-config"
SCAN_INTERVAL: Final = "2s"
"""Cluster Autoscaler passes over pods younger than 2 s for one loop: a longer interval is paid at each scale-up."""

DELAY_AFTER_ADD: Final = "1m"
"""Cluster Autoscaler gives up no machine for so long after it has added one, of whatever group; its default of 10 min would be the
least idle time of all of them."""
RECHECK: Final = "1m"
"""For so long it does not look again at a machine whose pods fitted nowhere else; its default of 5 min adds to idle times."""

CLIENT: Final = AUTOSCALER
"""The name in the certificate of the client that may call."""

SERVER_FOLDER: Final = "/etc/hexa/tls"
NOTIFY_FOLDER: Final = "/etc/hexa/notify"
CLOUD_FOLDER: Final = "/etc/cluster-autoscaler"
CLOUD_FILE: Final = "cloud-config.yaml"


def workloads(options: Options) -> Iterator[Object]:
    """Deployments and what they mount."""
    if options.apart:
        yield thing(
            "v1",
            "Service",
            HEXA,
            namespace=options.namespace,
            spec={
                "selector": {"app.kubernetes.io/name": HEXA},
                "ports": [{"name": name, "port": port, "targetPort": name} for name, port in _served(options)],
            },
        )
        yield _deployment(options, HEXA, HEXA, [hexa(options)], [_secret("tls", SERVER_SECRET), *_of_notify(options)])
        yield _deployment(
            options, AUTOSCALER, AUTOSCALER, [autoscaler(options)], [_secret("cloud-config", CLOUD_CONFIG)]
        )
        return
    yield thing(
        "v1",
        "ConfigMap",
        CLOUD_CONFIG,
        namespace=options.namespace,
        data={CLOUD_FILE: f"address: 127.0.0.1:{GRPC_PORT}\n"},
    )
    volume = {"name": "cloud-config", "configMap": {"name": CLOUD_CONFIG}}
    yield _deployment(options, HEXA, HEXA, [hexa(options), autoscaler(options)], [volume, *_of_notify(options)])


def hexa(options: Options) -> Object:
    """hexa's container."""
    ports = [{"name": name, "containerPort": port} for name, port in (*_served(options), ("health", HEALTH_PORT))]
    container: Object = {
        "name": HEXA,
        "image": options.image,
        "args": ["run"],
        "env": [{"name": name, "value": value} for name, value in _settings(options).items()],
        "ports": ports,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "livenessProbe": {
            "grpc": {"port": HEALTH_PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "readinessProbe": {
            "grpc": {"port": HEALTH_PORT, "service": READINESS},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
        },
        "securityContext": container_security(),
    }
    mounts = [{"name": "tls", "mountPath": SERVER_FOLDER, "readOnly": True}] if options.apart else []
    mounts += [NOTIFY_MOUNT] if options.notify_secret else []
    return {**container, "volumeMounts": mounts} if mounts else container


NOTIFY_MOUNT: Final[Object] = {"name": "notify", "mountPath": NOTIFY_FOLDER, "readOnly": True}


def notify_volume(secret: str) -> Object:
    """Secrets of receivers of notifications. hexa starts without them too."""
    return {"name": "notify", "secret": {"secretName": secret, "defaultMode": 0o440, "optional": True}}


def _of_notify(options: Options) -> list[Object]:
    return [notify_volume(options.notify_secret)] if options.notify_secret else []


def _served(options: Options) -> list[tuple[str, int]]:
    """Ports that others than kubelet reach, by their names."""
    if not options.apart:
        return []
    return [("grpc", GRPC_PORT), *([("http", HTTP_PORT)] if options.serves_http else [])]


def _settings(options: Options) -> dict[str, str]:
    settings = {
        "HEXA_NAMESPACES": ",".join(options.machines),
        "HEXA_GRPC_ADDRESS": f"0.0.0.0:{GRPC_PORT}" if options.apart else f"127.0.0.1:{GRPC_PORT}",
        "HEXA_GRPC_HEALTH_ADDRESS": f"0.0.0.0:{HEALTH_PORT}",
        "HEXA_JOBS_IMAGE": options.image,
    }
    if options.apart:
        settings |= {
            "HEXA_GRPC_TLS_CERTIFICATE": f"{SERVER_FOLDER}/tls.crt",
            "HEXA_GRPC_TLS_KEY": f"{SERVER_FOLDER}/tls.key",
            "HEXA_GRPC_TLS_CLIENT_CA": f"{SERVER_FOLDER}/ca.crt",
            "HEXA_GRPC_TLS_CLIENTS": CLIENT,
        }
    if options.serves_http:
        settings |= _http(options)
    if options.eta:
        settings["HEXA_ETA"] = "true"
    return {**settings, **dict(options.settings)}


def _http(options: Options) -> dict[str, str]:
    """By the certificate of the gRPC service, whose names are those of the Service; without certificates on the pod's loopback."""
    if not options.apart:
        return {"HEXA_HTTP_ADDRESS": f"127.0.0.1:{LOOPBACK_HTTP_PORT}"}
    return {
        "HEXA_HTTP_ADDRESS": f"0.0.0.0:{HTTP_PORT}",
        "HEXA_HTTP_TLS_CERTIFICATE": f"{SERVER_FOLDER}/tls.crt",
        "HEXA_HTTP_TLS_KEY": f"{SERVER_FOLDER}/tls.key",
    }


def autoscaler(options: Options) -> Object:
    """Cluster Autoscaler's container."""
    return {
        "name": AUTOSCALER,
        "image": options.autoscaler_image,
        "command": [
            "/cluster-autoscaler",
            "--cloud-provider=externalgrpc",
            f"--cloud-config={CLOUD_FOLDER}/{CLOUD_FILE}",
            f"--namespace={options.namespace}",
            *_flags(options),
        ],
        "ports": [{"name": "metrics", "containerPort": AUTOSCALER_PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "livenessProbe": {
            "httpGet": {"path": "/health-check", "port": "metrics"},
            "initialDelaySeconds": 30,
            "periodSeconds": 30,
        },
        "securityContext": container_security(),
        "volumeMounts": [{"name": "cloud-config", "mountPath": CLOUD_FOLDER, "readOnly": True}],
    }


def _flags(options: Options) -> list[str]:
    """What goes with hexa (docs/cluster-autoscaler.md), then the site's own, which win: Cluster Autoscaler takes the last."""
    flags = [f"--scan-interval={SCAN_INTERVAL}", f"--scale-down-delay-after-add={DELAY_AFTER_ADD}"]
    flags.append(f"--unremovable-node-recheck-timeout={RECHECK}")
    if not any(flag.startswith("--balancing-label=") for flag in options.autoscaler_flags):  # the two don't go together
        flags.append(f"--balancing-ignore-label={GROUP_LABEL}")
    flags += [f"--startup-taint={key}" for key in told_to_autoscaler(options.startup_taints)]
    return [*flags, *options.autoscaler_flags]


def container_security() -> Object:
    """What Pod Security `restricted` asks of a container, and a root file system that nobody writes."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _secret(volume: str, name: str) -> Object:
    return {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440}}


def _deployment(
    options: Options, name: str, account: str, containers: list[Object], volumes: list[dict[str, Any]]
) -> Object:
    spec = {
        "replicas": 1,
        "revisionHistoryLimit": 3,
        "strategy": {"type": "Recreate"},  # two of them would act against each other
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "template": {
            "metadata": {"labels": labels(name), "annotations": {SAFE_TO_EVICT: "false"}},
            "spec": _pod(account, containers, volumes),
        },
    }
    return thing("apps/v1", "Deployment", name, namespace=options.namespace, part=name, spec=spec)


def _pod(account: str, containers: list[Object], volumes: list[dict[str, Any]]) -> Object:
    outside = {"key": GROUP_LABEL, "operator": "DoesNotExist"}
    required = {"nodeSelectorTerms": [{"matchExpressions": [outside]}]}
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "priorityClassName": "system-cluster-critical",
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        "tolerations": [{"key": key, "operator": "Exists"} for key in CONTROL_PLANE_TAINTS],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
        "volumes": volumes,
    }
