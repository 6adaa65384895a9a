"""The night of examples/scenarios/bad-night.yaml, with all of hexa that tells people something: metrics, overview, the screen of
`hexa top`, alerts and notifications. What goes wrong at hexa itself, which no scenario has, comes beside it: its certificate is
near its end, Cluster Autoscaler falls silent, and the prices of its tariff end."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct, structs

from hexa.app.commands.shared.snapshot import Snapshot, take
from hexa.app.core import Core
from hexa.app.metrics.metrics import Metrics
from hexa.app.notifier import Notifier, Post
from hexa.app.questions.overview import Beside, overview
from hexa.app.tariffs import Tariffs
from hexa.domain.money.series import Row
from hexa.domain.money.tariff import Tariff
from hexa.domain.notify.letter import Letter
from hexa.domain.notify.written import WrittenReceiver, receivers_of
from hexa.domain.policy.conventions import DEFAULTS
from hexa.domain.words.overview import Overview
from hexa.simulate import read_scenario
from hexa.simulate.runner import open_scenario, run_scenario
from hexa.simulate.scenario import Scenario
from hexa.testing.world import World
from hexa.wiring_notify import follow

FILE: Final = Path(__file__).parent.parent.parent / "examples" / "scenarios" / "bad-night.yaml"
TARIFF: Final = "house"
CERTIFICATE_SOON_AT: Final = timedelta(minutes=58)
"""After the start: fourteen days before the certificate's end."""
SILENT_FROM: Final = timedelta(minutes=61)
PRICES_SOON_AT: Final = timedelta(minutes=73)
"""Six hours before the last price ends."""
LOOK: Final = 300.0
"""Seconds between two looks at all that is told."""


class Letters:
    """A courier that keeps what it is given."""

    def __init__(self) -> None:
        self.taken: Final[list[Letter]] = []

    async def deliver(self, letter: Letter) -> str:
        """Always works."""
        self.taken.append(letter)
        return "taken"


class Night(Struct, frozen=True):
    """The night at one moment."""

    world: World
    metrics: Metrics
    letters: Letters
    beside: Beside

    @property
    def core(self) -> Core:
        """hexa at work."""
        life = self.world.agent.life
        assert life is not None
        return life.core

    def overview(self) -> Overview:
        """What page and API show."""
        core = self.core
        return overview(Snapshot(core.store, core.views, now=self.world.now, notes=()), beside=self.beside)

    async def seen(self) -> Overview:
        """What a person at a terminal sees, who has no agent to ask."""
        return overview(await take(self.world.kube, clock=self.world.site.clock, namespace=None))

    def samples(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        """Metrics by name and labels, without histograms."""
        return {
            family.name: {labels: value for labels, value in family.samples if isinstance(value, float | int)}
            for family in self.metrics.families()
        }


@asynccontextmanager
async def open_night() -> AsyncIterator[tuple[Night, Callable[[], AsyncIterator[Night]]]]:
    """The night before it begins, and what lets it pass, look by look."""
    scenario = read_scenario(FILE.read_text(encoding="utf-8"), source=FILE.name)
    async with open_scenario(scenario, 0) as world, trio.open_nursery() as nursery:
        _prepare(world, scenario.start)
        await world.start_agent()
        night = await _begun(world)

        async def passes() -> AsyncIterator[Night]:
            nursery.start_soon(run_scenario, world, scenario, 0)
            nursery.start_soon(_calls, night, scenario.start + SILENT_FROM)
            while world.now < _end(scenario):
                await trio.sleep(LOOK)
                yield night

        yield night, passes
        nursery.cancel_scope.cancel()


def _end(scenario: Scenario) -> datetime:
    return scenario.start + timedelta(seconds=scenario.seconds)


def _prepare(world: World, start: datetime) -> None:
    """The groups have a tariff, which ends six hours after people are to be told."""
    prices = Row(start - timedelta(days=1), start + PRICES_SOON_AT + timedelta(hours=6), 0.32)
    world.agent.tariffs = Tariffs({TARIFF: Tariff(rows=(prices,))})
    world.agent.conventions = structs.replace(DEFAULTS, tariffs=(TARIFF,))
    world.agent.metered = True
    world.agent.certificates.loaded("grpc")((start + CERTIFICATE_SOON_AT + timedelta(days=14)).timestamp())
    for group in ("db", "rack"):
        world.edit_group(group, {"cost": {"tariff": TARIFF}})


async def _begun(world: World) -> Night:
    """With what follows the agent."""
    life = world.agent.life
    assert life is not None
    assert life.metrics is not None
    letters, certificates = Letters(), world.agent.certificates
    notifier = _notifier(world, letters)
    follow(notifier, life.core)
    certificates.subscribe(notifier.certificate)
    await life.nursery.start(notifier.run)
    called = life.metrics.calls.ago
    beside = Beside(tariffs=world.agent.tariffs or Tariffs(), certificates=lambda: certificates.ends, called=called)
    return Night(world, life.metrics, letters, beside)


def _notifier(world: World, letters: Letters) -> Notifier:
    life, clock = world.agent.life, world.site.clock
    assert life is not None
    body = "{what}|{machine}|{group}|{state}"
    [receiver], _ = receivers_of([WrittenReceiver(name="me", url="https://x/", body=body, content_type="text/plain")])
    posts = [Post(receiver, letters)]
    core, metrics = life.core, life.metrics
    assert metrics is not None
    called, journal, born = metrics.calls.ago, world.journal, clock.now()
    return Notifier(posts, store=core.store, views=core.views, clock=clock, journal=journal, born=born, called=called)


async def _calls(night: Night, until: datetime) -> None:
    """What the gRPC service tells of Cluster Autoscaler's calls."""
    while night.world.now < until:
        night.metrics.calls.answered("Refresh", 0.001)
        await trio.sleep(60)
