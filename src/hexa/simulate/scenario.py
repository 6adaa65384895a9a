"""What a scenario file says: machines, groups, workloads and faults, over a span of virtual time.

The types are the documentation: every field carries its description, and mistakes are told by the same code that
`hexa validate` uses. What the values do is in `workloads` and `runner`.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, field

from hexa.domain.duration import parse_duration
from hexa.domain.money.written_tariff import WrittenTariff
from hexa.domain.policy.circuits import WrittenCircuit
from hexa.domain.resources.core import Slice, Taint, Toleration
from hexa.domain.resources.v1alpha1 import Quantity, Time
from hexa.domain.resources.values import Duration
from hexa.simulate.calendar import Daily, parse_time

AGENT_KILLED: Final = "agentKilled"
"""A fault besides those of the site: hexa is killed, and started again after `duration`."""

MOST_PODS: Final = 100_000
"""Of one workload at one time, or in an hour."""

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
Days = Annotated[tuple[Day, ...], Meta(description="Days of the week. Default: all.")]
TimeOfDay = Annotated[str, Meta(description="A time of day such as 08:30, in the zone of the scenario's start.")]


class Watts(Slice, frozen=True, kw_only=True):
    """What a machine draws."""

    idle: Annotated[float, Meta(ge=0, description="When on and idle. Default 60.")] = 60.0
    max: Annotated[float, Meta(ge=0, description="When all its cores are requested. Default 200.")] = 200.0
    standby: Annotated[float, Meta(ge=0, description="When off, by standby or BMC. Default 3.")] = 3.0
    boot_watt_hours: Annotated[float, Meta(ge=0, description="Energy of a boot, besides idling. Default 0.")] = 0.0


class Machines(Slice, frozen=True, kw_only=True):
    """Machines of one kind."""

    name: Annotated[
        str, Meta(min_length=1, max_length=50, description="Name of each machine: it gets -1, -2 and so on.")
    ]
    count: Annotated[int, Meta(ge=1, le=1000, description="How many. Default 1.")] = 1
    group: Annotated[str, Meta(description="The group they belong to. Absent: they are always on.")] = ""
    cpu: Annotated[Quantity, Meta(description="Cores. Default 4.")] = 4
    memory: Annotated[Quantity, Meta(description="Memory. Default 16Gi.")] = "16Gi"
    resources: Annotated[dict[str, Quantity], Meta(description="More of the capacity, such as nvidia.com/gpu.")] = (
        field(default_factory=dict)
    )
    labels: Annotated[dict[str, str], Meta(description="Labels of their Kubernetes nodes.")] = field(
        default_factory=dict
    )
    taints: Annotated[tuple[Taint, ...], Meta(description="Taints of their Kubernetes nodes.")] = ()
    boot: Annotated[Duration, Meta(description='From power to Ready. Default "60s".')] = "60s"
    boot_jitter: Annotated[
        float, Meta(ge=0, le=0.9, description="A boot takes up to this share more or less. Default 0.1.")
    ] = 0.1
    shutdown: Annotated[Duration, Meta(description='From the order until the power is off. Default "10s".')] = "10s"
    watts: Annotated[Watts, Meta(description="What each draws.")] = Watts()
    sensor: Annotated[bool, Meta(description="Something reads their power. Default false.")] = False
    running: Annotated[bool, Meta(description="They are on when the scenario begins. Default false: off.")] = False
    spec: Annotated[dict[str, Any], Meta(description="More of the spec of their Node resources.")] = field(
        default_factory=dict
    )


class PodShape(Slice, frozen=True, kw_only=True):
    """What the pods of a workload ask for."""

    cpu: Annotated[Quantity, Meta(description='Requested cores. Default "1".')] = 1
    memory: Annotated[Quantity, Meta(description='Requested memory. Default "1Gi".')] = "1Gi"
    resources: Annotated[dict[str, Quantity], Meta(description="More requests, such as nvidia.com/gpu.")] = field(
        default_factory=dict
    )
    node_selector: Annotated[dict[str, str], Meta(description="Labels that their node must have.")] = field(
        default_factory=dict
    )
    tolerations: Annotated[tuple[Toleration, ...], Meta(description="Taints that they tolerate.")] = ()
    priority: Annotated[int, Meta(description="Their priority. Default 0.")] = 0


class OfficeHours(Slice, frozen=True, kw_only=True):
    """Pods that come in the morning and go in the evening."""

    replicas: Annotated[int, Meta(ge=0, le=MOST_PODS, description="Pods at the height of the day.")]
    days: Days = ()
    begin: Annotated[TimeOfDay, Meta(description="When the first come.")] = field(name="from", default="08:00")
    end: Annotated[TimeOfDay, Meta(description="When the last have gone.")] = field(name="to", default="18:00")
    ramp: Annotated[Duration, Meta(description='How long it takes them to come, and to go. Default "2h".')] = "2h"
    dip: Annotated[float, Meta(ge=0, le=1, description="Share of them that leaves for lunch, at noon. Default 0.")] = (
        0.0
    )
    noise: Annotated[int, Meta(ge=0, le=MOST_PODS, description="Pods more or less, by chance. Default 0.")] = 0
    every: Annotated[Duration, Meta(description='How often their number changes. Default "10m".')] = "10m"


class Service(Slice, frozen=True, kw_only=True):
    """Pods that run until they are not wanted any more."""

    name: Annotated[str, Meta(min_length=1, max_length=50, description="Its name.")]
    pods: Annotated[PodShape, Meta(description="What its pods ask for.")] = PodShape()
    replicas: Annotated[int, Meta(ge=0, le=MOST_PODS, description="Pods at all times. Default 0.")] = 0
    office_hours: Annotated[OfficeHours | None, Meta(description="More pods in office hours.")] = None
    max_unavailable: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="A disruption budget: pods that may be missing at a time."),
    ] = None


class Jobs(Slice, frozen=True, kw_only=True):
    """Pods that run for a while and are done. They are never evicted by the autoscaler."""

    name: Annotated[str, Meta(min_length=1, max_length=50, description="Its name.")]
    pods: Annotated[PodShape, Meta(description="What its pods ask for.")] = PodShape()
    runtime: Annotated[Duration, Meta(description="How long a job runs, as a rule.")] = "10m"
    spread: Annotated[
        float,
        Meta(ge=0, le=2, description="How unequal the runtimes are (sigma of a log-normal distribution). Default 0.3."),
    ] = 0.3
    days: Days = ()
    at: Annotated[tuple[TimeOfDay, ...], Meta(description="Times of day at which a burst of jobs comes.")] = ()
    count: Annotated[int, Meta(ge=1, le=MOST_PODS, description="Jobs of a burst. Default 1.")] = 1
    per_hour: Annotated[
        float, Meta(ge=0, le=MOST_PODS, description="Jobs that come by chance, in an hour on average.")
    ] = 0.0
    begin: Annotated[TimeOfDay, Meta(description="From when they come by chance. Default 00:00.")] = field(
        name="from", default="00:00"
    )
    end: Annotated[TimeOfDay, Meta(description="Until when they come by chance. Default 24:00.")] = field(
        name="to", default="24:00"
    )


class FaultLine(Slice, frozen=True, kw_only=True):
    """One thing that goes wrong."""

    kind: Annotated[str, Meta(description="lostWake, dead, slowBoot, noJoin, crash, outage, agentKilled and more.")]
    at: Annotated[str, Meta(description='When: "26h30m" after the start, or the first "Tue 09:30" after it.')]
    machine: Annotated[str, Meta(description="Which machine. Absent: all of them.")] = ""
    count: Annotated[int, Meta(ge=1, description="How many times it strikes. Default 1.")] = 1
    duration: Annotated[
        str | None, Meta(description='For how long, or by how much: "10m"; of clockSet also back: "-10m".')
    ] = None


class Flags(Slice, frozen=True, kw_only=True):
    """Flags of Cluster Autoscaler that differ from its defaults."""

    scan_interval: Annotated[Duration, Meta(description='Default "10s".')] = "10s"
    expander: Annotated[Literal["least-waste", "price"], Meta(description="Default least-waste.")] = "least-waste"
    scale_down_delay_after_add: Annotated[Duration, Meta(description='Default "10m".')] = "10m"
    scale_down_unneeded_time: Annotated[Duration, Meta(description='Default "10m".')] = "10m"
    unremovable_node_recheck_timeout: Annotated[Duration, Meta(description='Default "5m".')] = "5m"
    max_drain_parallelism: Annotated[int, Meta(ge=1, description="Default 1.")] = 1
    max_scale_down_parallelism: Annotated[int, Meta(ge=1, description="Default 10.")] = 10


class Scenario(Slice, frozen=True, kw_only=True):
    """A site, its load and what goes wrong, over a span of time."""

    title: Annotated[str, Meta(min_length=1, description="What it shows, in a few words.")]
    description: Annotated[str, Meta(description="What it shows, in a sentence or two.")] = ""
    start: Annotated[Time, Meta(description="Where virtual time begins, with its zone.")]
    duration: Annotated[Duration, Meta(description='How long it lasts, such as "168h".')]
    seed: Annotated[int, Meta(description="Of everything that is left to chance. Default 1.")] = 1
    groups: Annotated[tuple[dict[str, Any], ...], Meta(description="Group resources, as they would be applied.")] = ()
    machines: Annotated[tuple[Machines, ...], Meta(min_length=1, description="The machines of the site.")]
    circuits: Annotated[
        dict[str, WrittenCircuit],
        Meta(description="Circuits of hexa's configuration by name; machines name theirs as circuit in their spec."),
    ] = field(default_factory=dict)
    tariffs: Annotated[
        dict[str, WrittenTariff],
        Meta(description="Tariffs of hexa's configuration by name; groups choose theirs by cost.tariff."),
    ] = field(default_factory=dict)
    services: Annotated[tuple[Service, ...], Meta(description="Pods that run until they are not wanted.")] = ()
    jobs: Annotated[tuple[Jobs, ...], Meta(description="Pods that run for a while.")] = ()
    faults: Annotated[tuple[FaultLine, ...], Meta(description="What goes wrong.")] = ()
    autoscaler: Annotated[Flags, Meta(description="Flags of Cluster Autoscaler.")] = Flags()

    @property
    def seconds(self) -> float:
        return parse_duration(self.duration).total_seconds()


def machine_names(machines: Machines) -> list[str]:
    """NAME-1 and so on; a single machine has the name itself."""
    if machines.count == 1:
        return [machines.name]
    return [f"{machines.name}-{number}" for number in range(1, machines.count + 1)]


def workload_names(scenario: Scenario) -> list[str]:
    """Services, then jobs; each once."""
    names = [*(service.name for service in scenario.services), *(jobs.name for jobs in scenario.jobs)]
    return list(dict.fromkeys(names))


def daily(days: tuple[str, ...], begin: str, end: str) -> Daily:
    """The window of each of the days."""
    return Daily(days=frozenset(days), begin=parse_time(begin), end=parse_time(end))
