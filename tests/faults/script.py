"""One run as data: a site, its load, and what goes wrong when. It can be written down, cut shorter and played again."""

from typing import Any

import msgspec
from msgspec import Struct


class Box(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A machine."""

    name: str
    group: str
    on: bool = False
    sensor: bool = False
    """Something reads its power all the time."""
    power: str = ""
    """By which of POWER hexa switches it; empty: by pod specs."""
    cpu: str = "4"
    boot: float = 20.0
    off: float = 5.0
    depends: tuple[str, ...] = ()
    """spec.dependsOn."""
    powered: str = ""
    """spec.powerState from the start."""
    metered: bool = False
    """The watts of a plug tell its power."""
    more: dict[str, Any] = {}
    """More of its spec."""
    watts: float = 0.0
    """spec.energy.maxWatts; 0: it does not say."""
    circuit: str = ""


ON_WATTS = 20.0
PLUG: dict[str, Any] = {
    "http": {"address": "{}-plug.lan", "device": "shelly", "outlets": ["0"], "onWatts": ON_WATTS},
    "sense": "http",
}
"""What reads a machine that is metered, however it is switched."""
POWER: dict[str, dict[str, Any]] = {
    "bmc": {"ipmi": {"address": "{}-bmc.lan", "secretName": "bmc"}},
    "lan": {"wakeOnLan": {"macs": ["52:54:00:12:34:{:02x}"]}, "ssh": {"address": "{}.lan", "secretName": "ssh"}},
}


class Load(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Pods that a controller keeps, and a disruption budget over them."""

    name: str
    replicas: int = 1
    cpu: str = "1"
    budget: int | None = None
    """minAvailable."""
    undisturbed: bool = False
    """Not safe to evict."""
    pinned: str = ""
    """The machine that its pods name, by kubernetes.io/hostname."""


class Act(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that happens."""

    at: float
    """Seconds after the start."""
    what: str
    """A fault of the site, or one of `acts.DO`."""
    of: str = ""
    """Which machine, group or load."""
    value: Any = None
    count: int = 1
    duration: float | None = None


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run."""

    seed: int
    """Of the order in which tasks run, and of the site."""
    groups: dict[str, dict[str, Any]]
    """Specs by name."""
    boxes: tuple[Box, ...]
    loads: tuple[Load, ...] = ()
    acts: tuple[Act, ...] = ()
    """In order of time."""
    circuits: dict[str, dict[str, Any]] = {}
    """Of hexa's configuration, by name."""
    hurts: float = 7200.0
    """Seconds after which all faults are mended."""

    def written(self) -> str:
        """As JSON."""
        return msgspec.json.encode(self).decode()


def read(text: str) -> Script:
    """The reverse of `written`."""
    return msgspec.json.decode(text, type=Script)
