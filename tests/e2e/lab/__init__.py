"""The lab of the end-to-end tests: a real control plane and machines that are switched off and woken.

README.md beside this folder says how a test uses it. Nothing in here imports hexa.
"""

from .api import Api, ApiError, Resource, node_is_ready, open_namespace
from .binaries import HELM, BuildError, Say, build, version
from .borrowed import Borrowed
from .controlplane import ControlPlane, Options, open_control_plane
from .image import NAME as TOOLS_IMAGE
from .lab import KIND, CannotBeReal, Kind, Lab, choose_kind
from .machine import Faults, Machine, magic_packet
from .machines import MACHINE_LABEL, Machines, open_machines
from .run import open_run
from .waiting import eventually

__all__ = [
    "HELM",
    "KIND",
    "MACHINE_LABEL",
    "TOOLS_IMAGE",
    "Api",
    "ApiError",
    "Borrowed",
    "BuildError",
    "CannotBeReal",
    "ControlPlane",
    "Faults",
    "Kind",
    "Lab",
    "Machine",
    "Machines",
    "Options",
    "Resource",
    "Say",
    "build",
    "choose_kind",
    "eventually",
    "magic_packet",
    "node_is_ready",
    "open_control_plane",
    "open_machines",
    "open_namespace",
    "open_run",
    "version",
]
