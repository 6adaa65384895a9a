"""What is on a machine's disk before its first boot: the settings of kubelet, containerd and CNI.

Owns these files and the shape of the Kubernetes node that follows from them; refuses to run anything.
The disk becomes the machine's /var, so every path in here begins with that.
"""

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .image import NAME as IMAGE

CNI_BINARIES = "/usr/lib/cni"
_EVICTION_SIGNALS = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "pid.available")
_CONTAINERD = f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true  # a box without CAP_SYS_RESOURCE may not lower it
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_BINARIES}"
    conf_dir = "/var/etc/cni"
"""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the Kubernetes node of a machine looks like."""

    cpu: float | None = None  # allocatable cores; all of the box where None
    memory: int | None = None  # allocatable bytes; all of the box where None
    pods: int = 110
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()  # KEY=VALUE:EFFECT
    provider_id: str = ""


def write_disk(
    disk: Path,
    *,
    number: int,
    name: str,
    address: str,
    cgroup: str,
    shape: Shape,
    kubeconfig: Path,
    api_server: tuple[str, int],
    images: Iterable[Path],
) -> None:
    """Makes the disk in a folder that does not exist yet."""
    settings = disk / "etc"
    (settings / "cni").mkdir(parents=True)
    (disk / "log").mkdir()
    (disk / "images").mkdir()
    (disk / "run").symlink_to("/run")
    for image in images:
        (disk / "images" / image.name).hardlink_to(image)
    (settings / "containerd.toml").write_text(_CONTAINERD)
    (settings / "cni" / "pods.conflist").write_text(json.dumps(_cni(number)))
    (settings / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (settings / "api-server").write_text(" ".join(map(str, api_server)))
    (settings / "kubelet.json").write_text(json.dumps(_kubelet(address, cgroup, shape), indent=1))
    (settings / "kubelet.flags").write_text("\n".join(_kubelet_flags(name, address, shape)))
    shutil.copy(kubeconfig, settings / "kubeconfig")


def _kubelet(address: str, cgroup: str, shape: Shape) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "enforceNodeAllocatable": [],
        "evictionHard": dict.fromkeys(_EVICTION_SIGNALS, "0%"),  # the box's worries are not the test's
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzPort": 0,
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "maxPods": shape.pods,
        "providerID": shape.provider_id,
        "readOnlyPort": 0,
        "registerWithTaints": [taint(text) for text in shape.taints],
        "resolvConf": "/var/etc/resolv.conf",
        "systemReserved": _reserved(shape),
        "volumePluginDir": "/var/lib/kubelet/plugins",
    }


def _kubelet_flags(name: str, address: str, shape: Shape) -> list[str]:
    labels = ",".join(f"{key}={value}" for key, value in shape.labels.items())
    return [
        "--config=/var/etc/kubelet.json",
        "--kubeconfig=/var/etc/kubeconfig",
        f"--hostname-override={name}",
        f"--node-ip={address}",
        f"--node-labels={labels}",
        "--v=2",
    ]


def _reserved(shape: Shape) -> dict[str, str]:
    """What the kubelet has to keep for itself, so that of the box's capacity the wanted part is left."""
    reserved = {}
    if shape.cpu is not None:
        reserved["cpu"] = f"{_left(os.cpu_count() or 1, shape.cpu, 'cores') * 1000:.0f}m"
    if shape.memory is not None:
        reserved["memory"] = str(int(_left(box_memory(), shape.memory, "bytes of memory")))
    return reserved


def _left(have: float, wanted: float, what: str) -> float:
    if wanted > have:
        raise ValueError(f"a machine of {wanted:g} {what} does not fit in this box of {have:g}")
    return have - wanted


def box_memory() -> int:
    """The memory of this box in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def taint(text: str) -> dict[str, str]:
    """KEY=VALUE:EFFECT as the API has it."""
    rest, _, effect = text.rpartition(":")
    key, _, value = rest.partition("=")
    return {"key": key, "value": value, "effect": effect}


def _cni(number: int) -> dict[str, Any]:
    """Pods on a bridge inside the machine; what they send leaves under the machine's address."""
    subnet = f"10.88.{number % 256}.0/24"
    ranges = {"ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "ipam": {"type": "host-local", "dataDir": "/run/cni", **ranges},
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}
