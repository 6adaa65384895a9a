"""The Grafana dashboard: which figures of hexa, and of Cluster Autoscaler beside them, are shown how. `grafana` knows the form."""

from typing import Final

from hexa.app.manifests.dashboard_autoscaler import AUTOSCALER
from hexa.app.manifests.grafana import Choice, Json, Kind, Line, Panel, Row, board
from hexa.domain.machine.lifecycle import Phase

_COLOURS: Final = {
    Phase.UNKNOWN: "text",
    Phase.OFF: "dark-blue",
    Phase.POWERING_ON: "light-yellow",
    Phase.BOOTING: "yellow",
    Phase.READY: "green",
    Phase.DRAINING: "light-orange",
    Phase.POWERING_OFF: "orange",
    Phase.START_FAILED: "red",
    Phase.STOP_FAILED: "dark-red",
    Phase.LOST: "purple",
}
PHASES: Final = tuple(Phase)
"""In the order of the numbers that stand for them in the timeline: Prometheus has no words for values."""

_NAMESPACE: Final = 'namespace=~"$namespace"'
_GROUP: Final = f'{_NAMESPACE}, group=~"$group"'
_MACHINE: Final = f'{_NAMESPACE}, machine=~"$machine"'


_FIRING: Final = 'ALERTS{alertname=~"Hexa.+", alertstate="firing"}'


def _each(metric: str, by: str, *, within: str = _GROUP) -> str:
    """One series for each: an agent that is started anew is no second one."""
    return f"max by ({by}) ({metric}{{{within}}})"


def _total(metric: str, *more: str, within: str = _GROUP) -> str:
    return f"sum({_each(metric, ', '.join(('namespace', *more)), within=within)})"


def _share(metric: str, quantile: float, *, by: str, within: str) -> str:
    rates = f"sum by (le, {by}) (rate({metric}_bucket{{{within}}}[$__range]))"
    return f"histogram_quantile({quantile}, {rates})"


def _lately(metric: str, by: str, *, within: str = _GROUP) -> str:
    return f"sum by ({by}) (increase({metric}{{{within}}}[$__rate_interval]))"


def _timeline() -> str:
    """The number of its phase, for each machine."""
    return " or ".join(
        f'max by (namespace, machine) (hexa_machine_phase{{{_MACHINE}, phase="{phase}"}} == 1) * {number}'
        for number, phase in enumerate(PHASES)
    )


AT_A_GLANCE: Final = Row(
    "At a glance",
    (
        Panel(
            title="Machines on",
            description="Machines that are Ready.",
            unit="none",
            kind=Kind.STAT,
            width=4,
            height=4,
            lines=(Line(f"{_total('hexa_group_ready', 'group')} or vector(0)"),),
        ),
        Panel(
            title="Machines of all groups",
            description="On, off and on their way.",
            unit="none",
            kind=Kind.STAT,
            width=4,
            height=4,
            lines=(Line(_total("hexa_group_size", "group")),),
        ),
        Panel(
            title="Power now",
            description="What the machines draw: measured where something measures it, else computed from spec.energy.",
            unit="watt",
            kind=Kind.STAT,
            width=4,
            height=4,
            lines=(Line(_total("hexa_machine_power_watts", "machine", within=_MACHINE)),),
        ),
        Panel(
            title="Energy of the span",
            description="What the machines used in the span that is shown.",
            unit="joule",
            kind=Kind.STAT,
            width=4,
            height=4,
            lines=(Line(f"sum(increase(hexa_machine_energy_joules_total{{{_MACHINE}}}[$__range]))"),),
        ),
        Panel(
            title="Next change by a schedule",
            description="When the next schedule changes a group's sizes or mode.",
            unit="dateTimeFromNow",
            kind=Kind.STAT,
            width=4,
            height=4,
            lines=(Line(f"min(hexa_group_next_schedule_change_timestamp_seconds{{{_GROUP}}}) * 1000"),),
        ),
        Panel(
            title="Version",
            description="The hexa that runs, in the name of the series.",
            unit="none",
            kind=Kind.TABLE,
            width=4,
            height=4,
            lines=(Line("max by (version) (hexa_build_info)"),),
        ),
    ),
)

MACHINES: Final = Row(
    "Machines",
    (
        Panel(
            title="Phases",
            description="What each machine did when.",
            unit="none",
            kind=Kind.STATES,
            width=24,
            height=10,
            lines=(Line(_timeline(), "{{namespace}}/{{machine}}"),),
            names=tuple((number, str(phase), _COLOURS[phase]) for number, phase in enumerate(PHASES)),
        ),
        Panel(
            title="Machines by phase",
            description="How many machines are in which phase.",
            unit="none",
            stacked=True,
            lines=(Line(f"sum by (phase) ({_each('hexa_machines', 'namespace, group, phase')})", "{{phase}}"),),
        ),
        Panel(
            title="Power of each machine",
            description="Measured where something measures it, else computed from spec.energy.",
            unit="watt",
            stacked=True,
            lines=(
                Line(
                    _each("hexa_machine_power_watts", "namespace, machine", within=_MACHINE),
                    "{{namespace}}/{{machine}}",
                ),
            ),
        ),
        Panel(
            title="Off and on again",
            description="How often each machine was switched off and on again: what wears disks and power supplies.",
            unit="none",
            lines=(
                Line(
                    f"sum by (namespace, machine) (increase(hexa_machine_cycles_total{{{_MACHINE}}}[1d]))",
                    "{{namespace}}/{{machine}}",
                ),
            ),
        ),
        Panel(
            title="Conditions of machines",
            description="What holds of machines now. Not each of them wants something "
            "mended: docs/troubleshooting.md has a row for each.",
            unit="none",
            kind=Kind.TABLE,
            width=12,
            lines=(Line(f"{_each('hexa_machine_condition', 'namespace, machine, type', within=_MACHINE)} == 1"),),
        ),
        Panel(
            title="Held by a person",
            description="Machines over which spec.hold stands.",
            unit="none",
            kind=Kind.TABLE,
            width=6,
            lines=(Line(f"{_each('hexa_machine_held', 'namespace, machine', within=_MACHINE)} == 1"),),
        ),
        Panel(
            title="Alerts of hexa",
            description="What fires now: docs/alerts.md says what to do.",
            unit="none",
            kind=Kind.TABLE,
            width=6,
            lines=(Line(f"max by (alertname, severity, namespace, machine, group) ({_FIRING})"),),
        ),
    ),
)

GROUPS: Final = Row(
    "Groups",
    (
        Panel(
            title="Ready and target",
            description="Machines that serve, and machines that are wanted on and can come.",
            unit="none",
            lines=(
                Line(_each("hexa_group_ready", "namespace, group"), "{{namespace}}/{{group}} ready"),
                Line(_each("hexa_group_target", "namespace, group"), "{{namespace}}/{{group}} target"),
            ),
        ),
        Panel(
            title="Limits",
            description="minSize and maxSize as schedules leave them now.",
            unit="none",
            lines=(
                Line(_each("hexa_group_min_size", "namespace, group"), "{{namespace}}/{{group}} least"),
                Line(_each("hexa_group_max_size", "namespace, group"), "{{namespace}}/{{group}} most"),
            ),
        ),
        Panel(
            title="Conditions of groups",
            description="What holds of groups now.",
            unit="none",
            kind=Kind.TABLE,
            lines=(Line(f"{_each('hexa_group_condition', 'namespace, group, type')} == 1"),),
        ),
    ),
)

WORK: Final = Row(
    "What hexa did",
    (
        Panel(
            title="Wakes and rests",
            description="Machines that were woken, and machines that went off by hexa.",
            unit="none",
            lines=(
                Line(_lately("hexa_wakes_total", "namespace, group"), "{{namespace}}/{{group}} wakes"),
                Line(_lately("hexa_rests_total", "namespace, group"), "{{namespace}}/{{group}} rests"),
            ),
        ),
        Panel(
            title="Failures",
            description="Failures by reason: starts that failed, drains that were given up, machines that were lost, errors.",
            unit="none",
            lines=(Line(_lately("hexa_failures_total", "reason"), "{{reason}}"),),
        ),
        Panel(
            title="Evictions and decisions",
            description="Pods that were asked to leave, and decisions by kind.",
            unit="none",
            lines=(
                Line("sum(increase(hexa_evictions_total[$__rate_interval]))", "evictions"),
                Line("sum by (what) (increase(hexa_decisions_total[$__rate_interval]))", "{{what}}"),
            ),
        ),
        Panel(
            title="Boots",
            description="From the first wake of a boot to Ready: median, and 9 of 10, of the span that is shown.",
            unit="s",
            lines=(
                Line(
                    _share("hexa_boot_duration_seconds", 0.5, by="namespace, group", within=_GROUP),
                    "{{namespace}}/{{group}} median",
                ),
                Line(
                    _share("hexa_boot_duration_seconds", 0.9, by="namespace, group", within=_GROUP),
                    "{{namespace}}/{{group}} 9 of 10",
                ),
            ),
        ),
        Panel(
            title="Drains",
            description="From the cordon until nothing is left to evict: 9 of 10, of the span that is shown.",
            unit="s",
            lines=(
                Line(
                    _share("hexa_drain_duration_seconds", 0.9, by="namespace, group", within=_GROUP),
                    "{{namespace}}/{{group}}",
                ),
            ),
        ),
        Panel(
            title="Switching off",
            description="From the shutdown Job until the machine is seen to be off: 9 of 10, of the span that is shown.",
            unit="s",
            lines=(
                Line(
                    _share("hexa_off_duration_seconds", 0.9, by="namespace, group", within=_GROUP),
                    "{{namespace}}/{{group}}",
                ),
            ),
        ),
    ),
)

ITSELF: Final = Row(
    "hexa itself",
    (
        Panel(
            title="Calls of Cluster Autoscaler",
            description="How long 99 of 100 calls take, by method.",
            unit="s",
            lines=(
                Line(
                    "histogram_quantile(0.99, sum by (le, method) (rate(hexa_rpc_duration_seconds_bucket[$__rate_interval])))",
                    "{{method}}",
                ),
            ),
        ),
        Panel(
            title="Refused calls",
            description="Calls that were answered with an error, by method and code.",
            unit="none",
            lines=(
                Line(
                    "sum by (method, code) (increase(hexa_rpc_errors_total[$__rate_interval]))", "{{method}} {{code}}"
                ),
            ),
        ),
        Panel(
            title="Silence of Cluster Autoscaler",
            description="Time since its last call. It should stay near its scan interval.",
            unit="s",
            lines=(Line("time() - max(hexa_autoscaler_last_call_timestamp_seconds)", "since its last call"),),
        ),
        Panel(
            title="Lag of watches",
            description="How old the API server's news are when hexa sees them, by kind.",
            unit="s",
            lines=(Line("max by (kind) (hexa_watch_lag_seconds)", "{{kind}}"),),
        ),
        Panel(
            title="Errors of the API server",
            description="Requests to the API server that failed, by reason.",
            unit="none",
            lines=(Line("sum by (reason) (increase(hexa_api_errors_total[$__rate_interval]))", "{{reason}}"),),
        ),
        Panel(
            title="Notifications",
            description="Notifications by receiver, and whether they were taken.",
            unit="none",
            lines=(
                Line(
                    "sum by (receiver, outcome) (increase(hexa_notifications_total[$__rate_interval]))",
                    "{{receiver}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Certificates",
            description="Time until each certificate of hexa ends.",
            unit="s",
            lines=(
                Line("min by (certificate) (hexa_certificate_expiry_timestamp_seconds) - time()", "{{certificate}}"),
            ),
        ),
        Panel(
            title="Prices of tariffs",
            description="Time until the prices of each tariff end.",
            unit="s",
            lines=(Line("min by (tariff) (hexa_tariff_prices_end_timestamp_seconds) - time()", "{{tariff}}"),),
        ),
        Panel(
            title="Machines that need a hand",
            description="Machines whose last wake by hexa failed, and machines whose power cannot be read.",
            unit="none",
            lines=(
                Line(
                    f"count({_each('hexa_machine_wake_failed', 'namespace, machine', within=_MACHINE)} == 1)",
                    "do not wake",
                ),
                Line(
                    f"count(min by (namespace, machine) (hexa_machine_power_known{{{_MACHINE}}}) == 0)",
                    "power not read",
                ),
            ),
        ),
    ),
)

ROWS: Final = (AT_A_GLANCE, MACHINES, GROUPS, WORK, ITSELF, AUTOSCALER)

CHOICES: Final = (
    Choice("namespace", "hexa_group_size"),
    Choice("group", "hexa_group_size"),
    Choice("machine", "hexa_machine_phase"),
)


def dashboard() -> Json:
    """The dashboard, as Grafana imports it."""
    about = "Machines that hexa powers on and off. Generated by `./dev manifests`; docs/alerts.md says more."
    return board("hexa", "hexa-machines", about, rows=ROWS, choices=CHOICES)
