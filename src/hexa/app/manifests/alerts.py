"""Alerts for Prometheus: what calls a person, each with its severity, how long it must last, and its part of docs/alerts.md.

A machine that is off because somebody or something wanted it off is in no alert. Series are aggregated down to the labels that an
alert names, so that an agent that is started anew neither doubles an alert nor begins its time again. Nothing here is evaluated.
"""

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from hexa.domain.machine.lifecycle import Phase

RUNBOOKS: Final = "docs/alerts.md"
"""Where the part of each alert is looked up: `RUNBOOKS#NAME`, in lower case. Sites put the address of their copy here."""


class Severity(StrEnum):
    """How soon somebody has to look."""

    WARNING = "warning"
    """In the next days, or the morning after: hexa goes on, with less."""
    CRITICAL = "critical"
    """Now: machines are not woken for pods that wait, or soon will not be."""


class Alert(Struct, frozen=True, kw_only=True):
    """One alert."""

    name: str
    """In CamelCase; in lower case the anchor in the docs."""
    severity: Severity = Severity.WARNING
    expr: str
    """PromQL: a series for each thing that is wrong."""
    lasts: str
    """How long it must be so before somebody is told, as Prometheus writes durations."""
    summary: str
    """Names the machine, group, certificate or tariff."""
    description: str
    """What it means, and where to look first."""


MACHINE: Final = "{{ $labels.namespace }}/{{ $labels.machine }}"
GROUP: Final = "{{ $labels.namespace }}/{{ $labels.group }}"

_IN_DOUBT: Final = 'unless on (namespace) max by (namespace) (hexa_group_condition{type="SafeHands"}) == 1'
"""While a whole site is in doubt one alert tells that, and none for each of its machines."""
_WAITS: Final = "Blackout|Hold|MaxCycles|MaxDraining|MinOnTime|NeededBy|Observe|Paused|RateLimit"
"""Rules that keep a machine on for a time, or at somebody's word: nothing is to be mended."""


_LEFT: Final = "{{ $value | humanizeDuration }}"
_NO_CERTIFICATE: Final = (
    "After its end Cluster Autoscaler and hexa refuse each other: no machine is woken for pods that wait."
)


def _machines(series: str) -> str:
    return f"max by (namespace, machine) ({series}) == 1"


def _in_phase(phases: str) -> str:
    return _machines(f'hexa_machine_phase{{phase=~"{phases}"}}')


def _with_condition(types: str) -> str:
    return _machines(f'hexa_machine_condition{{type=~"{types}"}}')


ALERTS: Final[tuple[Alert, ...]] = (
    Alert(
        name="HexaAbsent",
        severity=Severity.CRITICAL,
        expr="absent(hexa_build_info)",
        lasts="5m",
        summary="hexa is not scraped",
        description="No hexa has been scraped for five minutes: it does not run, or Prometheus does not reach it. Without it no "
        "machine is woken, and none of the other alerts of hexa can fire. Look at the Deployment hexa and its log.",
    ),
    Alert(
        name="HexaAutoscalerSilent",
        severity=Severity.CRITICAL,
        expr="time() - max by (namespace, job) (max_over_time(hexa_autoscaler_last_call_timestamp_seconds[1d])) > 300\n"
        "and on (namespace, job) max by (namespace, job) (hexa_build_info)",
        lasts="5m",
        summary="Cluster Autoscaler has been silent for {{ $value | humanizeDuration }}",
        description="Cluster Autoscaler called hexa before, and does not any more: pods that wait wake no machine, and idle "
        "machines stay on. Look at Cluster Autoscaler's pod and log, and at the certificates between the two.",
    ),
    Alert(
        name="HexaSafeHands",
        severity=Severity.CRITICAL,
        expr='max by (namespace) (hexa_group_condition{type="SafeHands"}) == 1',
        lasts="1m",
        summary="The site of namespace {{ $labels.namespace }} is in doubt",
        description="Most machines fell silent at once, the API server comes and goes, or the clock was set: hexa switches nothing "
        "off until the site is calm. Look for what the machines share: network, mains, the API server.",
    ),
    Alert(
        name="HexaMachineDoesNotWake",
        expr=_machines("hexa_machine_wake_failed"),
        lasts="1m",
        summary=f"{MACHINE} does not wake",
        description=f"hexa woke {MACHINE}, and it did not become Ready within its limits; another machine of its group takes its "
        "place if there is one. Look at its screen, its cable and its wake flag.",
    ),
    Alert(
        name="HexaMachineQuarantined",
        expr=f"{_machines('hexa_machine_wake_failed')}\nunless on (namespace, machine) {_in_phase(Phase.READY)}",
        lasts="1h",
        summary=f"{MACHINE} is in quarantine",
        description=f"{MACHINE} failed to start and has not come up for an hour. It is chosen last, and its next tries get rarer: "
        "its group has one machine less until somebody mends it.",
    ),
    Alert(
        name="HexaMachineLost",
        expr=f"{_in_phase(Phase.LOST)}\n{_IN_DOUBT}",
        lasts="3m",
        summary=f"{MACHINE} has fallen silent",
        description=f"{MACHINE} was up, nobody wanted it off, and its kubelet is silent: it crashed, hangs, lost its network or "
        "its mains. Its condition Reachable says what its readings tell.",
    ),
    Alert(
        name="HexaMachineStaysOn",
        expr="max by (namespace, machine) "
        f'(max_over_time(hexa_machine_phase{{phase="{Phase.STOP_FAILED}"}}[15m])) == 1\n'
        f"unless on (namespace, machine) {_in_phase('Off|Ready')}",
        lasts="5m",
        summary=f"{MACHINE} does not go off",
        description=f"{MACHINE} was drained and its shutdown Job ran, and it is still on: it draws power and serves nobody. Look "
        "at the Job's message in its condition PowerJobFailed, and at its screen.",
    ),
    Alert(
        name="HexaDrainBlocked",
        expr=f"{_with_condition('Blocked')}\nunless on (namespace, machine) {_with_condition(_WAITS)}\n"
        f"unless on (namespace, machine) {_in_phase(Phase.LOST)}\n{_IN_DOUBT}",
        lasts="15m",
        summary=f"{MACHINE} cannot be switched off: its drain is blocked",
        description=f"{MACHINE} is wanted off, and pods or volumes keep it on; its condition Blocked names them. "
        "`hexa drain-check` says what would have to change.",
    ),
    Alert(
        name="HexaGroupBelowMinimum",
        expr="max by (namespace, group) (hexa_group_ready) < max by (namespace, group) (hexa_group_min_size)\n"
        'unless on (namespace, group) max by (namespace, group) (hexa_group_condition{type=~"OnBattery|Released|SafeHands"}) == 1\n'
        "unless on (namespace, group) max by (namespace, group) (hexa_group_ready) "
        ">= (max by (namespace, group) (hexa_group_size) - max by (namespace, group) (hexa_group_held_off))",
        lasts="20m",
        summary=f"{GROUP} has fewer Ready machines than its minSize",
        description=f"{GROUP} has had {{{{ $value }}}} Ready machines for longer than a boot takes, and its minSize is above that: "
        "machines fail to start, or wait for watts. `hexa why` says what stands against each.",
    ),
    Alert(
        name="HexaBmcUnreachable",
        expr=f"min by (namespace, machine) (hexa_machine_power_known) == 0\n{_IN_DOUBT}",
        lasts="15m",
        summary=f"The power of {MACHINE} cannot be read",
        description=f"What reads the power of {MACHINE} (its BMC, PDU or plug) gives no answer that can be trusted. hexa goes on "
        "by its kubelet's word alone: it is slower to see that the machine is off, and may be unable to wake it. The condition "
        "PowerKnown has the error.",
    ),
    Alert(
        name="HexaCertificateEnds",
        expr="min by (namespace, job, certificate) (hexa_certificate_expiry_timestamp_seconds) - time() < 14 * 86400",
        lasts="1h",
        summary="Certificate {{ $labels.certificate }} of hexa ends within two weeks",
        description=f"It is left for {_LEFT}, and nothing has renewed it. {_NO_CERTIFICATE}",
    ),
    Alert(
        name="HexaCertificateEnds",
        severity=Severity.CRITICAL,
        expr="min by (namespace, job, certificate) (hexa_certificate_expiry_timestamp_seconds) - time() < 2 * 86400",
        lasts="15m",
        summary="Certificate {{ $labels.certificate }} of hexa ends within two days, or has ended",
        description=f"It is left for {_LEFT}, and nothing has renewed it. {_NO_CERTIFICATE}",
    ),
    Alert(
        name="HexaTariffEnds",
        expr="min by (namespace, job, tariff) (hexa_tariff_prices_end_timestamp_seconds) - time() < 6 * 3600",
        lasts="15m",
        summary="The prices of tariff {{ $labels.tariff }} end within six hours, or have ended",
        description=f"They are left for {_LEFT}, and no newer ones have come. "
        "hexa goes on with the shape of the last day, and after a day with its mean: order by "
        "cost, and the account of money, get worse. Look at the CronJob or the file that brings them.",
    ),
)
"""Every alert, in the order of the docs."""


def anchor(alert: Alert) -> str:
    """The part of docs/alerts.md that says what to do."""
    return alert.name.lower()


def groups(runbooks: str = RUNBOOKS) -> dict[str, Any]:
    """The file that Prometheus reads, and the spec of a PrometheusRule."""
    return {"groups": [{"name": "hexa", "rules": [_rule(alert, runbooks) for alert in ALERTS]}]}


def _rule(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasts,
        "labels": {"severity": str(alert.severity)},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbooks}#{anchor(alert)}",
        },
    }
