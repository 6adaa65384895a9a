"""What the timeline of the page is drawn from: phases of machines, out of their status and of Events."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import trio
from msgspec import to_builtins
from trio.testing import MockClock

from hexa.adapters.memory.clock import START, MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.system.clock import SystemClock
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.questions.history import Remembered, history, needs_events, told_history
from hexa.app.questions.live import FRESH_HISTORY, Live
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.errors import Refused
from hexa.domain.machine.lifecycle import HISTORY_LENGTH
from hexa.domain.news import About, Change, News, What
from hexa.domain.resources.core import EVENTS, KubeEvent, Malformed, decode
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup
from hexa.domain.words.history import Stretch

NOW = START + timedelta(hours=24)
OFF, WAKING, BOOTING, READY, DRAINING = "Off", "PoweringOn", "Booting", "Ready", "Draining"


def at(minutes: float) -> datetime:
    """So many minutes after the day began that is asked for."""
    return START + timedelta(minutes=minutes)


def machine(name: str, *steps: tuple[float, str], phase: str | None = None, namespace: str = "rack") -> dict[str, Any]:
    """A Node that came into these phases, each at so many minutes; it still is in the last one, unless `phase` says other."""
    entries = [{"at": at(minutes).isoformat(), "action": step} for minutes, step in steps]
    status = {"history": entries, "phase": phase or (steps[-1][1] if steps else "")}
    if steps:
        status["since"] = at(steps[-1][0]).isoformat()
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"}, "status": status}


def snapshot(*machines: dict[str, Any], now: datetime = NOW) -> Snapshot:
    """A snapshot of these machines."""
    store = Store(clock=SystemClock())
    store.machines.replace(tuple(decode(MACHINES, each) for each in machines), scope=None)
    return Snapshot(store, Views(store), now=now, notes=())


def event(name: str, reason: str, minutes: float, *, uid: str = "", namespace: str = "rack") -> KubeEvent:
    """What hexa told of a machine."""
    about = {"apiVersion": MACHINES.api_version, "kind": "Node", "name": name, "namespace": namespace, "uid": uid}
    metadata = {"name": "e", "namespace": namespace, "creationTimestamp": at(minutes).isoformat()}
    found = decode(EVENTS, {"metadata": metadata, "involvedObject": about, "reason": reason})
    assert not isinstance(found, Malformed)
    return found


def drawn(found: tuple[Stretch, ...]) -> list[tuple[str, float, float | None, str]]:
    """Stretches in minutes."""
    return [
        (each.name, minutes(each.start), None if each.end is None else minutes(each.end), each.phase) for each in found
    ]


def minutes(moment: datetime) -> float:
    """After the day began that is asked for."""
    return (moment - START) / timedelta(minutes=1)


def test_each_phase_lasts_until_the_next_and_the_last_one_goes_on() -> None:
    """The day of a machine is one stretch for each phase, without a gap, from its status alone."""
    day = machine("a", (-60, OFF), (480, WAKING), (481, BOOTING), (482, READY))
    assert drawn(history(snapshot(day), (), START)) == [
        ("a", 0, 480, OFF),
        ("a", 480, 481, WAKING),
        ("a", 481, 482, BOOTING),
        ("a", 482, None, READY),
    ]


def test_what_was_before_the_first_known_phase_is_left_out() -> None:
    """A machine that was enrolled today has no line before."""
    assert drawn(history(snapshot(machine("a", (600, READY))), (), START)) == [("a", 600, None, READY)]


def test_events_tell_what_the_status_has_forgotten() -> None:
    """A machine with more phases than its status keeps is drawn further back by the Events of that time."""
    told = [event("a", READY, 10), event("a", "WakeAgain", 20), event("a", OFF, 30), event("a", DRAINING, 101)]
    day = machine("a", (100, READY), (200, OFF))
    assert drawn(history(snapshot(day), told, START)) == [
        ("a", 10, 30, READY),
        ("a", 30, 100, OFF),
        ("a", 100, 200, READY),
        ("a", 200, None, OFF),
    ]


def test_events_of_others_draw_nothing() -> None:
    """An Event of a Kubernetes node of that name, of another namespace, or of a machine that was deleted, is not the machine's."""
    others = [event("a", READY, 10, namespace="other"), event("a", READY, 10, uid="uid-of-a-deleted-one")]
    assert drawn(history(snapshot(machine("a", (100, OFF))), others, START)) == [("a", 100, None, OFF)]


def test_events_are_asked_for_only_where_the_status_is_too_short() -> None:
    """The API server is asked for Events only of namespaces with a machine that had more phases than its status keeps."""
    many = [(60.0 + number, (OFF, READY)[number % 2]) for number in range(HISTORY_LENGTH)]
    busy, calm = machine("b", *many, namespace="busy"), machine("a", (-60, OFF), (480, READY))
    assert needs_events(snapshot(busy, calm), START) == {"busy"}
    assert needs_events(snapshot(busy), at(60)) == frozenset()


@pytest.mark.parametrize(
    "steps", [((5000.0, READY),), ((-900000.0, OFF), (5000.0, READY)), ((60.0, READY), (-60.0, OFF))]
)
def test_clocks_that_were_set_draw_nothing_after_now(steps: tuple[tuple[float, str], ...]) -> None:
    """Stamps of the future, or out of order, end at now; none is drawn with an end before its start."""
    found = history(snapshot(machine("a", *steps)), (), START)
    assert all(START <= each.start <= NOW and (each.end is None or each.start < each.end <= NOW) for each in found)
    assert found[-1].phase == steps[-1][1]


def test_the_same_phase_again_goes_on_and_odd_ones_are_unknown() -> None:
    """A phase that a later version wrote is drawn as Unknown, and two entries of the same phase as one."""
    day = machine("a", (10, READY), (20, READY), (30, "Dreaming"))
    assert drawn(history(snapshot(day), (), START)) == [("a", 10, 30, READY), ("a", 30, None, "Unknown")]


def test_only_the_namespaces_that_one_may_read() -> None:
    """Whoever may read one namespace is told of that one only; a machine without status, or that does not decode, is left out."""
    broken = {"metadata": {"name": "x", "namespace": "rack"}, "status": {"history": "none"}}
    site = snapshot(machine("a", (1, OFF)), machine("b", (1, OFF), namespace="other"), machine("c"), broken)
    assert drawn(history(site, (), START, namespaces={"rack"})) == [("a", 1, None, OFF)]


async def test_events_are_read_where_they_are_needed_and_may_be() -> None:
    """The history reads Events of one namespace where one of its machines was busy, and none elsewhere; where hexa may not read
    them, it goes by the status alone."""
    kube = MemoryKube(MemoryApi(MemoryClock()))
    for name, body in {"e1": event("b", OFF, 0), "e2": event("c", READY, 0)}.items():
        told = {"metadata": {"name": name, "namespace": "busy"}, "reason": body.reason}
        await kube.create(EVENTS, told | {"involvedObject": {**to_builtins(body.involved_object), "namespace": "busy"}})
    many = [(1500.0 + number, (OFF, READY)[number % 2]) for number in range(HISTORY_LENGTH)]
    site = snapshot(machine("b", *many, namespace="busy"), machine("a", (-60, OFF)), now=at(1600))

    async def first() -> datetime:
        found = await told_history(site, kube, timedelta(hours=48))
        return next(each.start for each in found if each.name == "b")

    assert await first() == START
    assert kube.count("list", EVENTS) == 1
    kube.fail_next(Refused("may not list events"), kind=EVENTS)
    assert await first() == at(1500)
    assert await told_history(site, kube, timedelta(minutes=1)) == history(site, (), at(1599))
    assert kube.count("list", EVENTS) == 2


async def test_many_who_ask_for_other_spans_read_events_once(autojump_clock: MockClock) -> None:
    """Events are a load on the API server: whoever asks for ever other spans, many at once, has them read once in ten seconds."""
    kube = MemoryKube(MemoryApi(MemoryClock()))
    many = [(1500.0 + number, (OFF, READY)[number % 2]) for number in range(HISTORY_LENGTH)]
    site = snapshot(machine("b", *many), now=at(1600))
    live = Live(site.store, site.views, kube)
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for days in range(20):
                nursery.start_soon(live.history, timedelta(days=18_000 + days))
        await trio.sleep(FRESH_HISTORY)
    assert kube.count("list", EVENTS) == 2


def test_what_the_agent_saw_fills_the_day_of_a_busy_machine() -> None:
    """A machine of many short boots has its whole day since the agent's start, without Events; what was told of another machine of
    that name, or of a Kubernetes node, is not its."""
    times = iter([at(-5), *(at(minutes) for minutes in range(10, 40, 10)), at(45), at(50)])
    remembered = Remembered(lambda: next(times))
    for number in range(4):
        remembered.told(step("b", (READY, OFF)[number % 2]))
    remembered.told(step("b", BOOTING, uid="uid-of-a-deleted-one"))
    remembered.told(step("other", BOOTING))
    remembered.told(News(of=Lookup("rack", "b"), what=What.WAKE_AGAIN, why=""))
    remembered.told(step("b", DRAINING, about=About.KUBE_NODE))
    many = [(60.0 + number, (OFF, READY)[number % 2]) for number in range(HISTORY_LENGTH)]
    site = snapshot(machine("b", *many))
    found = drawn(history(site, (), START, past=remembered.past))
    assert [(start, phase) for _, start, _, phase in found[:5]] == [
        (0, READY),
        (10, OFF),
        (20, READY),
        (30, OFF),
        (61, READY),
    ]
    assert needs_events(site, START) == {"rack"}
    assert needs_events(site, START, past=remembered.past) == frozenset()


def step(name: str, phase: str, *, uid: str = "", about: About = About.NODE) -> News:
    """A machine came into a phase."""
    change = Change(was="", phase=phase, noticed="")
    return News(of=Lookup("rack", name), about=about, uid=uid or f"uid-{name}", what=What(phase), why="", change=change)
