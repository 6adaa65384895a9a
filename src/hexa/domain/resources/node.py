"""Node: a machine and its spec. What the fields mean is decided in `hexa.domain.machine` and `hexa.domain.power`."""

from typing import Annotated, ClassVar, Final

from msgspec import Meta, field

from hexa.domain.resources.core import Kind, Slice, Taint
from hexa.domain.resources.limits import Retries, Timeouts
from hexa.domain.resources.pod_spec import PowerPodSpec
from hexa.domain.resources.power_spec import POWER_DRIVERS, PowerSpec
from hexa.domain.resources.status import NodeStatus
from hexa.domain.resources.values import (
    INT32_MAX,
    Duration,
    Number,
    OnOff,
    OwnedMetadata,
    Period,
    Quantity,
    Rule,
    Rules,
    Time,
)
from hexa.domain.resources.wish import Hold


class Pricing(Slice, frozen=True, kw_only=True):
    hourly_rate: Annotated[Number | None, Meta(description="Cost of an hour on.")] = None
    pod_rate: Annotated[Number | None, Meta(description="Additional cost of a pod and hour.")] = None
    monthly_rate: Annotated[
        Number | None, Meta(description="Fixed cost of a month, on or off; for reports, never for decisions.")
    ] = None


class Energy(Slice, frozen=True, kw_only=True):
    idle_watts: Annotated[Number | None, Meta(description="Draw when on and idle, in watts.")] = None
    max_watts: Annotated[Number | None, Meta(description="Draw at full load, in watts.")] = None
    off_watts: Annotated[Number | None, Meta(description="Draw when off (standby, BMC), in watts.")] = None
    boot_watt_hours: Annotated[Number | None, Meta(description="Energy of one boot, in watt-hours.")] = None


class TemplateSpec(Slice, frozen=True, kw_only=True):
    capacity: Annotated[
        dict[str, Quantity],
        Meta(
            description="Resources of the machine, such as cpu, memory, pods, nvidia.com/gpu. Default: "
            "the last shape seen. Once it was seen, a declaration may lower what its kubelet offered, and not raise it. Of a "
            "machine never seen, pods are 110 and ephemeral-storage is more than anybody asks for, where they are not declared."
        ),
    ] = field(default_factory=dict)
    labels: Annotated[dict[str, str], Meta(description="Labels that the Kubernetes node will carry.")] = field(
        default_factory=dict
    )
    taints: Annotated[
        tuple[Taint, ...], Meta(description="Taints that the Kubernetes node will carry once it is up.")
    ] = ()


class Paused(Slice, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(description="Why.")] = ""
    until: Annotated[Time | None, Meta(description="When the pause ends (RFC 3339); absent: until it is removed.")] = (
        None
    )


_ANY_DRIVER: Final = " || ".join(f"has(self.power.{driver})" for driver in POWER_DRIVERS)


def _power_rules(but: str = "") -> Rules:
    """Rules over spec.power. `but`: CEL that sets them aside."""
    return (
        Rule(f"{but}!has(self.power) || {_ANY_DRIVER}", "power needs one of its drivers"),
        *(
            Rule(
                f"{but}!has(self.power) || !has(self.power.{field}) || "
                + " || ".join(
                    f"(self.power.{field} == '{driver}' && has(self.power.{driver}))" for driver in POWER_DRIVERS
                ),
                f"power.{field} names a driver that has no settings there",
            )
            for field in ("turnOn", "turnOnElse", "turnOff", "sense")
        ),
    )


POWER_RULES: Final = _power_rules()


class NodeSpec(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = _power_rules(but="has(self.profile) || ")

    kubernetes_node_name: Annotated[
        str, Meta(description="Name that the machine's kubelet registers. Default: metadata.name.")
    ] = ""
    power_state: Annotated[
        OnOff | None,
        Meta(
            description="on or off: what is wanted. Absent: as found. Cluster Autoscaler's wishes are written here too."
        ),
    ] = None
    startup_pod_spec: Annotated[
        PowerPodSpec | None,
        Meta(description="The Job that switches the machine on. It goes before power, which then does the rest."),
    ] = None
    shutdown_pod_spec: Annotated[
        PowerPodSpec | None,
        Meta(
            description="The Job that switches the machine off. It goes before power. Without either the machine is never "
            "chosen to rest."
        ),
    ] = None
    healthcheck_pod_spec: Annotated[
        PowerPodSpec | None,
        Meta(
            description="A check of the machine's health, run by a CronJob while the machine is up or has failed. It passes with exit "
            "code 0. What it says is shown in the status and in the health; it switches nothing."
        ),
    ] = None
    healthcheck_period: Annotated[
        Period | None,
        Meta(
            description="How often the health check runs, such as 10m; a bare number is minutes. Default 5m. Of what cron cannot say the next shorter period is taken, with "
            "a condition: 1 to 6, 10, 12, 15, 20 or 30 minutes, 1 to 4, 6, 8, 12, 24 or 168 hours."
        ),
    ] = None
    power: Annotated[
        PowerSpec | None,
        Meta(
            description="How hexa's own drivers switch the machine, by Jobs of hexa's image, and read its power, in the agent. "
            "Credentials are named Secrets of the machine's namespace."
        ),
    ] = None
    profile: Annotated[
        str,
        Meta(
            max_length=253,
            description="Name of a PowerProfile of the same namespace, which says what this Node does not: power and its Secrets, pod "
            "specs, timeouts, retries, energy, template. What the Node says itself outranks it.",
        ),
    ] = ""
    parameters: Annotated[
        dict[str, Annotated[str, Meta(min_length=1, max_length=1024)]],
        Meta(description="What the profile has in braces, such as {bmc}. {machine} is always the name of the Node."),
    ] = field(default_factory=dict)
    depends_on: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=253)], ...],
        Meta(
            max_length=32,
            description="Machines of the same namespace that must be Ready before this one is woken, such as a storage box. They are "
            "woken for it, and do not rest while it is on or wanted on.",
            extra={"x-crd": {"x-kubernetes-list-type": "set"}},
        ),
    ] = ()
    index: Annotated[
        Annotated[int, Meta(ge=0, le=INT32_MAX)] | None,
        Meta(
            description="Its place where the group's order says index, or nothing else tells two machines apart: the lowest is woken "
            "first and rested last, those without one come after, by name."
        ),
    ] = None
    circuit: Annotated[
        str,
        Meta(
            max_length=63,
            description="Name of a circuit of hexa's configuration that the machine draws its power from. With energy.maxWatts it is "
            "not woken while the circuit has no watts left for it, and its wakes begin as far from others as the circuit says.",
        ),
    ] = ""
    pricing: Annotated[Pricing, Meta(description="What the machine costs.")] = Pricing()
    energy: Annotated[Energy, Meta(description="What the machine draws.")] = Energy()
    template: Annotated[
        TemplateSpec, Meta(description="Shape of the machine while it is off; overrides the last shape seen.")
    ] = TemplateSpec()
    taints_to_remove: Annotated[
        tuple[Taint, ...],
        Meta(description="Taints stripped from the Kubernetes node once for each boot, and from the template."),
    ] = ()
    timeouts: Annotated[Timeouts, Meta(description="Overrides the group's, field by field.")] = Timeouts()
    retries: Annotated[Retries, Meta(description="Overrides the group's, field by field.")] = Retries()
    min_on_time: Annotated[
        Duration | None,
        Meta(
            description="A machine that came up stays up so long: Cluster Autoscaler, hexa and schedules wait for it, a person's off "
            "and hold pass. Overrides the group's."
        ),
    ] = None
    min_off_time: Annotated[
        Duration | None,
        Meta(
            description="A machine that went dark within this is the last of the group to be woken; pods that wait get it all the "
            "same. Overrides the group's."
        ),
    ] = None
    max_cycles_per_day: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(
            description="After so many offs within 24 hours the machine stays on until the first of them is a day old: Cluster "
            "Autoscaler, hexa and schedules wait for it, a person's off and hold pass. Overrides the group's."
        ),
    ] = None
    hold: Annotated[
        Hold | None, Meta(description="A person's word over this machine; beats everything but safety.")
    ] = None
    paused: Annotated[Paused | None, Meta(description="Only watch this machine: no wake, no drain, no power-off.")] = (
        None
    )


class Node(Slice, frozen=True, kw_only=True):
    """A machine: a physical box that is switched by Jobs."""

    RULES: ClassVar[Rules] = (
        Rule(
            "!has(self.spec) || !has(self.spec.dependsOn) || !self.spec.dependsOn.exists(name, name == self.metadata.name)",
            "a machine cannot depend on itself",
        ),
    )

    metadata: OwnedMetadata = OwnedMetadata()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


MACHINES: Final = Kind("infra.homecluster.dev/v1alpha1", "Node", "nodes", Node)
