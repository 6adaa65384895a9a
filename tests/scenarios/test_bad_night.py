"""The bad night (examples/scenarios/bad-night.yaml, docs/bad-night.md): whatever tells people something tells them the same."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import pytest
from msgspec import Struct
from tests.scenarios.bad_night import Night, open_night
from trio.testing import MockClock

from hexa.app.manifests.alerts import ALERTS
from hexa.cli.screen.state import UiState
from hexa.cli.screen.view import Frame, lines
from hexa.domain.words.overview import Hand, Overview

Samples = Mapping[str, Mapping[tuple[str, ...], float]]


class Cause(Struct, frozen=True, kw_only=True):
    """Something that goes wrong that night, in the words of each surface."""

    name: str
    reason: str
    """Of the hand in page, API and `hexa top`."""
    metric: str
    """What the alert asks for."""
    fires: Callable[[Samples, float], bool]
    """The alert's condition, at so many seconds since 1970."""
    alert: str
    event: str
    """Of the notification."""
    agent_only: bool = False
    """It is in no object: a command, which asks no agent, can't see it."""


def one(metric: str, *labels: str, is_: float) -> Callable[[Samples, float], bool]:
    """The series of these labels has the value."""
    return lambda samples, _: samples[metric].get(labels) == is_


def ends_within(metric: str, label: str, seconds: float) -> Callable[[Samples, float], bool]:
    """The moment of the series is less than so many seconds away."""
    return lambda samples, now: samples[metric][(label,)] - now < seconds


def short(samples: Samples, _: float) -> bool:
    """The group db has fewer Ready machines than its minimum."""
    db = ("machines", "db")
    return samples["hexa_group_ready"][db] < samples["hexa_group_min_size"][db]


def silent(samples: Samples, now: float) -> bool:
    """Cluster Autoscaler has not called for five minutes."""
    return now - samples["hexa_autoscaler_last_call_timestamp_seconds"][()] > 300


CAUSES: Final = (
    Cause(
        name="a BMC does not answer",
        reason="NotRead",
        event="PowerUnavailable",
        metric="hexa_machine_power_known",
        fires=one("hexa_machine_power_known", "machines", "rack-2", is_=0.0),
        alert="HexaBmcUnreachable",
    ),
    Cause(
        name="a machine does not wake",
        reason="StartFailed",
        event="MachineDoesNotWake",
        metric="hexa_machine_wake_failed",
        fires=one("hexa_machine_wake_failed", "machines", "db-2", is_=1.0),
        alert="HexaMachineDoesNotWake",
    ),
    Cause(
        name="its group is short of machines",
        reason="GroupShort",
        event="GroupShort",
        metric="hexa_group_ready",
        fires=short,
        alert="HexaGroupBelowMinimum",
    ),
    Cause(
        name="a certificate ends",
        reason="CertificateEnds",
        event="CertificateEnds",
        metric="hexa_certificate_expiry_timestamp_seconds",
        fires=ends_within("hexa_certificate_expiry_timestamp_seconds", "grpc", 14 * 86_400),
        alert="HexaCertificateEnds",
        agent_only=True,
    ),
    Cause(
        name="Cluster Autoscaler is silent",
        reason="AutoscalerSilent",
        event="AutoscalerSilent",
        metric="hexa_autoscaler_last_call_timestamp_seconds",
        fires=silent,
        alert="HexaAutoscalerSilent",
        agent_only=True,
    ),
    Cause(
        name="prices end",
        reason="PricesEnd",
        event="PricesEnd",
        metric="hexa_tariff_prices_end_timestamp_seconds",
        fires=ends_within("hexa_tariff_prices_end_timestamp_seconds", "house", 6 * 3600),
        alert="HexaTariffEnds",
    ),
    Cause(
        name="a drain is blocked",
        reason="DrainBlocked",
        event="DrainBlocked",
        metric="hexa_machine_condition",
        fires=one("hexa_machine_condition", "machines", "rack-1", "Blocked", is_=1.0),
        alert="HexaDrainBlocked",
    ),
)
"""In the order of the night."""

Surface = Callable[[Night], Awaitable[set[str]]]


async def api(night: Night) -> set[str]:
    """What the API answers, of which the page is drawn."""
    told = msgspec.json.decode(msgspec.json.encode(night.overview()), type=Overview)
    return _reasons(told.hands)


async def top(night: Night) -> set[str]:
    """What stands on the screen of `hexa top`."""
    seen = await night.seen()
    text = "\n".join(line.plain for line in lines(seen, UiState(), Frame(now=night.world.now, width=250, height=60)))
    return {reason for reason in _reasons(seen.hands) if reason in text}


async def alerts(night: Night) -> set[str]:
    """Alerts whose condition holds; how long it must hold is Prometheus' part."""
    samples, now = night.samples(), night.world.now.timestamp()
    return {cause.reason for cause in CAUSES if cause.fires(samples, now)}


async def notifications(night: Night) -> set[str]:
    """What a person was sent."""
    sent = {letter.body.partition("|")[0] for letter in night.letters.taken}
    return {cause.reason for cause in CAUSES if cause.event in sent}


def _reasons(hands: tuple[Hand, ...]) -> set[str]:
    return {hand.reason for hand in hands}


SURFACES: Final[dict[str, tuple[Surface, Callable[[Cause], bool]]]] = {
    "page and API": (api, lambda cause: True),
    "hexa top": (top, lambda cause: not cause.agent_only),
    "metrics and alerts": (alerts, lambda cause: True),
    "notifications": (notifications, lambda cause: True),
}
"""Each with what it can know."""
QUIET: Final = frozenset({"WakeFailed"})
"""Told beside another hand of the same machine."""


async def test_everything_that_tells_tells_one_story(autojump_clock: MockClock) -> None:
    """Page, API, hexa top, alerts and notifications name the same causes in the same order, and no other; nothing is told of as
    over that is not."""
    told: dict[str, list[str]] = {name: [] for name in SURFACES}
    async with open_night() as (night, passes):
        async for _ in passes():
            for name, (surface, _) in SURFACES.items():
                known = [cause.reason for cause in CAUSES]
                fresh = await surface(night) - set(told[name]) - QUIET
                told[name] += sorted(fresh, key=lambda reason: known.index(reason) if reason in known else len(known))
        assert told == {
            name: [cause.reason for cause in CAUSES if knows(cause)] for name, (_, knows) in SURFACES.items()
        }
        assert [letter.body for letter in night.letters.taken if letter.body.endswith("over")] == []


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_each_alert_asks_for_the_metric_of_its_cause(cause: Cause) -> None:
    """The rule that Prometheus is given is about the series by which this test judges it."""
    rules = [alert for alert in ALERTS if alert.name == cause.alert]
    assert rules
    assert all(cause.metric in rule.expr for rule in rules)
