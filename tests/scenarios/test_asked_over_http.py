"""A machine that somebody asks for over HTTP: woken, told of while it comes, and off again when the time is over."""

from datetime import timedelta
from typing import Any

import trio
from tests.adapters.http.desk import Guest, GuestDoor, ask
from tests.scenarios.stage import QUICK, boxes, rack, reach
from trio.testing import MockClock

from hexa.adapters.http.app import Parts, make_app
from hexa.app.questions.live import Live
from hexa.app.questions.overview import NOTHING, Looks, overview
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.words.overview import same_story
from hexa.testing.world import World, open_world
from hexa.wiring_http import open_api


def served(world: World) -> Any:
    """The API of the agent as it is wired."""
    life = world.agent.life
    assert life is not None
    api = open_api(core=life.core, kube=life.kube, journal=world.journal, beside=NOTHING)
    door: Any = GuestDoor(Guest("proxy", sees=("machines/box-1",), does=("machines/box-1",)))
    return make_app(Parts(door=door, ready=lambda: True, open=api.open(), guarded=api.guarded()))


async def test_what_is_asked_for_comes_is_told_of_and_goes_again(autojump_clock: MockClock) -> None:
    """A reverse proxy wakes a machine and asks until it is Ready; what it is told comes true; after the time it is off."""
    async with open_world(groups=[rack(wakeProof="Ignore")], machines=boxes(1), site=QUICK, autoscaler=None) as world:
        await reach(world, Phase.OFF)
        app, box = served(world), "/api/v1/machines/machines/box-1"

        async def woken() -> float:
            answer = await ask(app, "POST", f"{box}/wake", body={"for": "2m"}, token="proxy")
            assert answer.status == 200, answer.body
            begun = trio.current_time()
            while not (eta := (await ask(app, "GET", f"{box}/eta", token="proxy")).json)["ready"]:
                told.append((trio.current_time() - begun, eta["etaSeconds"]))
                await trio.sleep(1)
            return trio.current_time() - begun

        told: list[tuple[float, int | None]] = []
        await woken()
        assert {seconds for _, seconds in told} == {None}
        await reach(world, Phase.OFF, within=400)
        told.clear()
        took = await woken()
        known = [(at, seconds) for at, seconds in told if seconds is not None]
        assert known
        assert all(abs(at + seconds - took) <= 3 for at, seconds in known)
        (line,) = {each.fields["by"] for each in world.journal.lines if each.message == "asked over HTTP"}
        assert line == "proxy"


async def test_event_and_api_say_the_same(autojump_clock: MockClock) -> None:
    """The sentence in the Event of a pod that waits is the one that the API answers, until the machine is Ready."""
    group = rack(wakeProof="Ignore", scaleDownUnneededTime="1m")
    async with open_world(groups=[group], machines=boxes(1), site=QUICK, agent=False) as world:
        world.agent.eta = True
        await world.start_agent()
        await reach(world, Phase.OFF)
        app = served(world)
        for boot in (1, 2):
            world.add_pods(1, name=f"job-{boot}", cpu="1")
            await world.until(lambda: len(texts(world)) == boot, within=60, every=0.1)  # noqa: B023
            for phase in (Phase.POWERING_ON, Phase.BOOTING):
                await reach(world, phase)
                said = (await ask(app, "GET", "/api/v1/machines/machines/box-1/eta", token="proxy")).json["arrival"]
                assert said == texts(world)[-1]
            await reach(world, Phase.READY)
            if boot == 1:
                world.scale(0, name="job-1")
                await reach(world, Phase.OFF, within=900)
        assert "Ready about" in texts(world)[-1]


def texts(world: World) -> list[str]:
    """Of Events of pods that wait."""
    return [event.message for event in world.journal.events if event.reason == "MachineBoots"]


async def test_what_is_kept_is_what_would_be_told_anew(autojump_clock: MockClock) -> None:
    """While machines come and go, an answer for which only the changes were looked at is the same as one from nothing."""
    async with open_world(groups=[rack(minSize=1)], machines=boxes(3), site=QUICK) as world:
        life = world.agent.life
        assert life is not None
        live, looks = Live(life.core.store, life.core.views, life.kube), Looks()
        for step in range(120):
            if step == 10:
                world.add_pods(5, cpu="3")
            if step == 70:
                world.scale(0)
            snapshot = live.snapshot
            kept, anew = overview(snapshot, looks=looks), overview(snapshot)
            assert same_story(kept, anew)
            assert [each.eta_seconds for each in kept.machines] == [each.eta_seconds for each in anew.machines]
            await trio.sleep(timedelta(seconds=7).total_seconds())


async def test_a_deployment_scaled_from_zero_wakes_a_machine_and_the_wait_is_counted_down(
    autojump_clock: MockClock,
) -> None:
    """A door in the cluster scales a Deployment from 0 to 1: its pod makes Cluster Autoscaler ask, hexa wakes a machine, and the
    number of the waiting page falls until the pod runs. Scaled to zero, the machine rests."""
    group = rack(wakeProof="Ignore", scaleDownUnneededTime="60s")
    async with open_world(groups=[group], machines=boxes(1, boot_seconds=40.0), site=QUICK) as world:
        await reach(world, Phase.OFF)
        app, box = served(world), "/api/v1/machines/machines/box-1"
        world.add_pods(1, cpu="1")
        await reach(world, Phase.READY, within=300)
        world.scale(0)
        await reach(world, Phase.OFF, within=1800)
        world.scale(1)
        await world.until(lambda: world.waiting, within=10, every=0.1)
        begun, told = trio.current_time(), list[int]()
        while world.waiting:
            eta = (await ask(app, "GET", f"{box}/eta", token="proxy")).json
            if eta["etaSeconds"] is not None:
                told.append(eta["etaSeconds"])
            await trio.sleep(1)
        took = trio.current_time() - begun
        assert len(told) > 20
        assert told == sorted(told, reverse=True)
        assert told[0] > 30
        assert told[-1] <= 5
        assert took < 60
        page = await ask(app, "GET", f"{box}/eta.html", token="proxy")
        assert (page.status, b"is ready" in page.body) == (200, True)
