"""What a machine of the site is made of, and how it behaves."""

from msgspec import Struct


class MachineSpec(Struct, frozen=True, kw_only=True):
    """What a machine is made of and how it behaves."""

    name: str
    node_name: str = ""
    """Name that its kubelet registers; empty: `name`."""
    labels: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()
    """What its kubelet registers a new Node with."""
    cpu: str = "4"
    memory: str = "16Gi"
    pods: int = 110
    resources: dict[str, str] = {}
    """More of its capacity, such as nvidia.com/gpu."""
    allocatable: dict[str, str] = {}
    """What pods may request, where it differs from the capacity."""
    arch: str = "amd64"
    provider_id: str = ""
    boot_seconds: float | tuple[float, ...] = 60.0
    """From power to Ready; of several, one for each boot, and the last for all after."""
    boot_jitter: float = 0.0
    """A boot takes up to this share more or less."""
    off_seconds: float | None = None
    sensor: bool = False
    """Something reads its power."""
    hard_off: bool = False
    """Its shutdown Job cuts the power of a system that does not run."""
    idle_watts: float = 60.0
    max_watts: float = 200.0
    off_watts: float = 3.0
    boot_watt_hours: float = 0.0

    @property
    def node(self) -> str:
        return self.node_name or self.name
