"""Manifests and machines for tests and scenarios: valid as they are, with whatever matters to a test given by name."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from hexa.domain.names import API_VERSION, MEMBERSHIP_LABEL

NAMESPACE: Final = "machines"
POWER_IMAGE: Final = "power.example/switch"
"""Image of the power Jobs; at a simulated site their name says what they switch."""

Manifest = dict[str, Any]


class Machine(Struct, frozen=True, kw_only=True):
    """A physical machine and the Node resource that declares it."""

    manifest: Manifest
    hardware: dict[str, Any]
    """Fields of `hexa.adapters.memory.machine.MachineSpec`, the name apart."""
    on: bool = False
    """It runs when the world begins."""

    @property
    def name(self) -> str:
        name: str = self.manifest["metadata"]["name"]
        return name


def group(name: str, *, namespace: str = NAMESPACE, **spec: Any) -> Manifest:
    """A Group resource; `spec` in the CRD's own words (minSize=1)."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Group",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def profile(name: str, *, namespace: str = NAMESPACE, **spec: Any) -> Manifest:
    """A PowerProfile resource; `spec` in the CRD's own words."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "PowerProfile", "metadata": metadata, "spec": spec}


def machine(
    name: str,
    *,
    group: str = "",
    namespace: str = NAMESPACE,
    on: bool = False,
    spec: Mapping[str, Any] | None = None,
    declared: bool = True,
    **hardware: Any,
) -> Machine:
    """A machine with power Jobs, and its Node resource.

    `hardware` says what it is made of (cpu="8", boot_seconds=90); `spec` is more of the Node's spec in the CRD's own
    words. Its capacity and watts are declared in the Node unless `declared` is False.
    """
    pod = {"image": POWER_IMAGE}
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "Node",
        "metadata": {"name": name, "namespace": namespace, "labels": {MEMBERSHIP_LABEL: group} if group else {}},
        "spec": {
            "startupPodSpec": pod,
            "shutdownPodSpec": pod,
            **(_declared(hardware) if declared else {}),
            **(spec or {}),
        },
    }
    return Machine(manifest=manifest, hardware=hardware, on=on)


_WATTS: Final = {
    "idle_watts": "idleWatts",
    "max_watts": "maxWatts",
    "off_watts": "offWatts",
    "boot_watt_hours": "bootWattHours",
}


def _declared(hardware: Mapping[str, Any]) -> Manifest:
    capacity = {"cpu": hardware.get("cpu", "4"), "memory": hardware.get("memory", "16Gi")}
    capacity |= {"pods": str(hardware.get("pods", 110)), **hardware.get("resources", {})}
    energy = {field: hardware[name] for name, field in _WATTS.items() if name in hardware}
    template = {"capacity": capacity, "labels": dict(hardware.get("labels", {}))}
    return {"template": template, **({"energy": energy} if energy else {})}
