"""What a user may rely on of Events and logs: every decision is told once, and telling never gets in the way."""

import io
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
import trio

from hexa.adapters.kube_journal import wire
from hexa.adapters.kube_journal.adapter import QUEUE, KubeJournal, open_journal
from hexa.adapters.kube_journal.config import Logs
from hexa.adapters.kube_journal.logs import writer
from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.core import EVENTS, KubeEvent, ObjectReference
from hexa.ports.journal import Severity

MACHINE = ObjectReference(
    api_version="infra.homecluster.dev/v1alpha1", kind="Node", name="a", namespace="site", uid="u-1"
)
NODE = ObjectReference(api_version="v1", kind="Node", name="a")


@pytest.fixture
async def kube() -> MemoryKube:
    """An API server in RAM."""
    return MemoryKube(MemoryApi(MemoryClock()))


def opened(kube: MemoryKube, **options: Any) -> Any:
    """A journal on it that logs JSON to nowhere."""
    return open_journal(kube, clock=kube.api.clock, **{"stream": io.StringIO(), **options})


async def events(kube: MemoryKube) -> list[KubeEvent]:
    """What the API server has."""
    return [event for event in (await kube.list(EVENTS)).items if isinstance(event, KubeEvent)]


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """The JSON lines of a log."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_decision_is_an_event_on_its_object(kube: MemoryKube) -> None:
    """kubectl describe shows it."""
    async with opened(kube) as journal:
        journal.event(MACHINE, reason="Woken", message="sent a wake", severity=Severity.WARNING)
    (event,) = await events(kube)
    assert event.metadata.namespace == "site"
    assert (event.involved_object, event.reason, event.message) == (MACHINE, "Woken", "sent a wake")
    assert (event.type, event.count) == ("Warning", 1)


def test_an_event_of_a_clock_that_is_far_off_is_taken() -> None:
    """Its times have four digits of the year: the API server refuses others."""
    told = wire.event(MACHINE, wire.Told("Woken", "sent a wake", Severity.NORMAL), now=datetime(1, 1, 2, tzinfo=UTC))
    assert told["firstTimestamp"] == told["lastTimestamp"] == "0001-01-02T00:00:00Z"


async def test_an_event_says_who_reports_it_and_what_was_done(kube: MemoryKube) -> None:
    """Programs that read events.k8s.io/v1 find the reporting controller, its instance and the action, never empty."""
    async with opened(kube, instance="hexa-7d4f-x") as journal:
        journal.event(MACHINE, reason="Woken", message="one", action="Wake")
    async with opened(kube) as journal:
        journal.event(MACHINE, reason="Woken", message="two")
    stored = [each.raw for each in kube.api.find(EVENTS)]
    said = {each["message"]: (each["reportingComponent"], each["reportingInstance"], each["action"]) for each in stored}
    assert said["one"] == ("hexa", "hexa-7d4f-x", "Wake")
    controller, instance, action = said["two"]
    assert (controller, action) == ("hexa", "Woken")
    assert instance


async def test_what_adapters_and_libraries_log_looks_the_same(kube: MemoryKube) -> None:
    """A refused gRPC client, or the complaint of a library, is a line like all others, for as long as the journal is open."""
    stream = io.StringIO()
    async with opened(kube, stream=stream):
        logging.getLogger("hexa.adapters.externalgrpc").info("certificates were read again")
        logging.getLogger("library").warning("%s failed", "it")
        logging.getLogger("library").info("idle talk")
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            logging.getLogger("hexa").exception("defect")
    logging.getLogger("hexa").error("too late")
    told = [(line["level"], line["event"], line["logger"]) for line in lines(stream)]
    assert told == [
        ("info", "certificates were read again", "hexa.adapters.externalgrpc"),
        ("warning", "it failed", "library"),
        ("error", "defect", "hexa"),
    ]
    assert "ZeroDivisionError" in lines(stream)[2]["error"]


async def test_events_on_kubernetes_nodes_are_in_the_default_namespace(kube: MemoryKube) -> None:
    """The API server wants them there."""
    async with opened(kube) as journal:
        journal.event(NODE, reason="Drained", message="empty")
    assert [event.metadata.namespace for event in await events(kube)] == ["default"]


async def test_the_same_news_is_told_once_in_ten_minutes(kube: MemoryKube, autojump_clock: object) -> None:
    """A duty that is repeated each second does not flood the cluster; other news passes."""
    async with opened(kube) as journal:
        for _ in range(3):
            journal.event(MACHINE, reason="Woken", message="one")
            await trio.sleep(199)
        journal.event(MACHINE, reason="Woken", message="two")
        journal.event(NODE, reason="Woken", message="one")
        await trio.sleep(4)
        journal.event(MACHINE, reason="Woken", message="one")
    told = [(event.involved_object.kind, event.message) for event in await events(kube)]
    assert sorted(told) == [("Node", "one"), ("Node", "one"), ("Node", "one"), ("Node", "two")]


async def test_a_restart_does_not_tell_again(kube: MemoryKube) -> None:
    """The same news within the same ten minutes has the same name."""
    for _ in range(2):
        async with opened(kube) as journal:
            journal.event(MACHINE, reason="Woken", message="one")
    assert len(await events(kube)) == 1
    assert journal.dropped == 0


async def test_nobody_waits_for_the_api_server(kube: MemoryKube, autojump_clock: object) -> None:
    """Events wait while it is away and are written when it is back; beyond a thousand they are counted and dropped."""
    async with opened(kube) as journal:
        kube.api.outage(5)
        for number in range(QUEUE + 11):
            journal.event(MACHINE, reason="Woken", message=str(number))
        await trio.sleep(60)
        assert len(await events(kube)) == QUEUE
        assert journal.dropped == 11
        assert repr(journal) == "<KubeJournal 0 events waiting, 11 dropped>"


async def test_what_is_forbidden_is_logged_and_does_not_stop_the_rest(kube: MemoryKube) -> None:
    """A missing permission for Events costs Events only, and the log names it."""
    log = io.StringIO()
    async with opened(kube, stream=log, logs=Logs(format="json")) as journal:
        kube.fail_next(Refused("cannot create events: needs verb create", reason="Forbidden"))
        journal.event(MACHINE, reason="Woken", message="one")
        journal.event(MACHINE, reason="Woken", message="two")
    assert [event.message for event in await events(kube)] == ["two"]
    assert journal.dropped == 1
    assert {"level": "warning", "event": "event not recorded", "reason": "Forbidden"}.items() <= lines(log)[-1].items()


async def test_who_is_cancelled_while_it_is_open_stays_cancelled(kube: MemoryKube) -> None:
    """A signal ends hexa in order while it starts, too; and what it has told before that is still written."""
    went_on = False
    with trio.CancelScope() as scope:
        async with opened(kube) as journal:
            journal.event(MACHINE, reason="Woken", message="sent a wake")
            scope.cancel()
            await trio.sleep_forever()
        went_on = True
    assert not went_on
    assert len(await events(kube)) == 1


async def test_the_end_does_not_wait_long(kube: MemoryKube, autojump_clock: object) -> None:
    """Stopping takes a second at most, however many Events wait, and an Event after the end is dropped."""
    began = trio.current_time()
    kube.fail_next(Unavailable("away"), times=1000)
    with trio.CancelScope() as scope:
        async with opened(kube) as journal:
            journal.event(MACHINE, reason="Woken", message="one")
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert trio.current_time() - began <= 1.5
    journal.event(MACHINE, reason="Woken", message="two")
    assert journal.dropped == 1


def test_a_long_name_and_a_long_message_are_cut() -> None:
    """Limits of the API lose no Event."""
    about = ObjectReference(name="x" * 253, namespace="site")
    told = wire.Told("R", "m" * 3000, Severity.NORMAL, action="a" * 200, instance="i" * 200)
    event = wire.event(about, told, now=datetime(2026, 1, 5, tzinfo=UTC))
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["message"]) == 1024
    assert (len(event["action"]), len(event["reportingInstance"])) == (128, 128)


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


def logged(logs: Logs, stream: io.StringIO) -> str:
    """Write a line, a warning and an Event."""
    journal = KubeJournal(None, clock=FixedClock(), write=writer(logs, clock=FixedClock(), stream=stream))  # type: ignore[arg-type]
    journal.log("phase", machine="site/a", was=timedelta(seconds=1))
    journal.log("put off", error="away")
    journal.event(MACHINE, reason="Woken", message="sent a wake")
    return stream.getvalue()


class FixedClock:
    """Always the same moment."""

    def now(self) -> datetime:
        return datetime(2026, 1, 5, 12, 0, 0, 5000, tzinfo=UTC)

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


def test_logs_are_json_where_a_program_reads_them() -> None:
    """One object a line, time first, in UTC; values of any kind."""
    stream = io.StringIO()
    logged(Logs(), stream)
    time = "2026-01-05T12:00:00.005Z"
    assert lines(stream) == [
        {"time": time, "level": "info", "event": "phase", "machine": "site/a", "was": "PT1S"},
        {"time": time, "level": "warning", "event": "put off", "error": "away"},
        {"time": time, "level": "info", "event": "sent a wake", "reason": "Woken", "kind": "Node", "object": "site/a"},
    ]


def test_logs_are_text_where_a_person_reads_them() -> None:
    """On a terminal in colours, and plain when asked for."""
    assert "\x1b[" in logged(Logs(), Terminal())
    plain = logged(Logs(format="text"), io.StringIO())
    assert plain.splitlines()[0].split() == [
        "2026-01-05T12:00:00.005Z",
        "[info",
        "]",
        "phase",
        "machine=site/a",
        "was=datetime.timedelta(seconds=1)",
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_texts_of_the_cluster_steer_no_terminal(form: Literal["json", "text"]) -> None:
    """A message or a field that holds escapes and line ends is one line, and clears nobody's screen."""
    stream, evil = io.StringIO(), "pod \x1b[2J\x07\nlevel=error forged"
    writer(Logs(format=form), clock=FixedClock(), stream=stream)("info", evil, {"by": evil})
    assert stream.getvalue().count("\n") == 1
    assert not {"\x1b", "\x07"} & set(stream.getvalue())
    assert "forged" in stream.getvalue()


def test_lines_below_the_level_are_left_out() -> None:
    """At level warning only warnings are written."""
    stream = io.StringIO()
    logged(Logs(level="warning"), stream)
    assert [line["event"] for line in lines(stream)] == ["put off"]


def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    """A closed stream loses lines, and that is all."""
    stream = io.StringIO()
    write = writer(Logs(format="json"), clock=FixedClock(), stream=stream)
    stream.close()
    write("error", "nobody hears", {})
