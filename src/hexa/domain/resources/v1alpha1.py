"""Group and Node of infra.homecluster.dev/v1alpha1: the types that CRDs, validation and status come from, by their public name.

Every field carries its description where it is declared, and `hexa crds` copies it into the schema. Where the schema says more than
the type, it is in `Meta(extra={"x-crd": ...})` and in `RULES`. This module hands on what the others of the room declare.
"""

from hexa.domain.resources.boot import FirstWake
from hexa.domain.resources.core import Condition, Metadata, Taint, Toleration
from hexa.domain.resources.energy import Counter, EnergyAccount, Sums
from hexa.domain.resources.group import GROUPS, Group, GroupSpec, GroupStatus
from hexa.domain.resources.group_values import (
    Cost,
    DrainPolicy,
    HardOff,
    LeavePolicy,
    OnUnexpectedPower,
    OrderBy,
    QuarantineProbe,
    Storage,
    WakeProof,
)
from hexa.domain.resources.health import Availability, CheckRecord, GroupHealth, NodeHealth
from hexa.domain.resources.identity import Identity
from hexa.domain.resources.limits import Retries, Timeouts
from hexa.domain.resources.node import MACHINES, Energy, Node, NodeSpec, Paused, Pricing, TemplateSpec
from hexa.domain.resources.pod_spec import (
    EnvVar,
    EnvVarSource,
    FieldSelector,
    KeySelector,
    PodResources,
    PowerPodSpec,
    VolumeMount,
)
from hexa.domain.resources.power_spec import POWER_DRIVERS, PowerSpec
from hexa.domain.resources.profile import PROFILES, PowerProfile, PowerProfileSpec
from hexa.domain.resources.remediation import Remediation, RemediationStatus
from hexa.domain.resources.status import (
    HistoryEntry,
    JobRecord,
    NodeStatus,
    Registration,
    Shape,
    Switched,
)
from hexa.domain.resources.values import (
    INT32_MAX,
    NUMBER_PATTERN,
    QUANTITY_PATTERN,
    THRESHOLD_PATTERN,
    Conditions,
    Duration,
    Lookup,
    Number,
    OnOff,
    OwnedMetadata,
    Period,
    Quantity,
    Rule,
    Rules,
    Threshold,
    Time,
)
from hexa.domain.resources.wish import Asker, Hold, Power, PowerReading, Reading, Request, WishRecord

__all__ = [
    "GROUPS",
    "INT32_MAX",
    "MACHINES",
    "NUMBER_PATTERN",
    "POWER_DRIVERS",
    "PROFILES",
    "QUANTITY_PATTERN",
    "THRESHOLD_PATTERN",
    "Asker",
    "Availability",
    "CheckRecord",
    "Condition",
    "Conditions",
    "Cost",
    "Counter",
    "DrainPolicy",
    "Duration",
    "Energy",
    "EnergyAccount",
    "EnvVar",
    "EnvVarSource",
    "FieldSelector",
    "FirstWake",
    "Group",
    "GroupHealth",
    "GroupSpec",
    "GroupStatus",
    "HardOff",
    "HistoryEntry",
    "Hold",
    "Identity",
    "JobRecord",
    "KeySelector",
    "LeavePolicy",
    "Lookup",
    "Metadata",
    "Node",
    "NodeHealth",
    "NodeSpec",
    "NodeStatus",
    "Number",
    "OnOff",
    "OnUnexpectedPower",
    "OrderBy",
    "OwnedMetadata",
    "Paused",
    "Period",
    "PodResources",
    "Power",
    "PowerPodSpec",
    "PowerProfile",
    "PowerProfileSpec",
    "PowerReading",
    "PowerSpec",
    "Pricing",
    "Quantity",
    "QuarantineProbe",
    "Reading",
    "Registration",
    "Remediation",
    "RemediationStatus",
    "Request",
    "Retries",
    "Rule",
    "Rules",
    "Shape",
    "Storage",
    "Sums",
    "Switched",
    "Taint",
    "TemplateSpec",
    "Threshold",
    "Time",
    "Timeouts",
    "Toleration",
    "VolumeMount",
    "WakeProof",
    "WishRecord",
]
