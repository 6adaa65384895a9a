"""The newsroom: everybody hears everything in order, and nobody who fails harms who tells."""

from datetime import datetime
from typing import Any

import pytest

from hexa.adapters.memory.clock import START
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.app.causes import Causes
from hexa.app.news import FAILED, Newsroom, events, logs
from hexa.domain.errors import Unavailable
from hexa.domain.news import About, Change, News, OpenReason, Severity, What, Work, failure
from hexa.domain.resources.v1alpha1 import Asker, Lookup
from hexa.domain.words.actions import ACTIONS, BY_ACTION

BOX, RACK = Lookup("d", "box"), Lookup("d", "rack")


class StillClock:
    """It is always the same moment."""

    def now(self) -> datetime:
        return START


def news(what: What = What.WAKE_AGAIN, **more: Any) -> News:
    """Something that happened to the box."""
    return News(**{"of": BOX, "what": what, "why": "no sign of life", **more})


def step(was: str, phase: What, noticed: str = "Started") -> News:
    """It came into the phase."""
    return news(phase, change=Change(was, phase, noticed))


def told(*all_news: News) -> MemoryJournal:
    """What Events and logs say of it."""
    journal = MemoryJournal(StillClock())
    Newsroom(logs(journal), events(journal)).tell(*all_news)
    return journal


def lines(journal: MemoryJournal) -> list[tuple[str, dict[str, Any]]]:
    """The log lines."""
    return [(line.message, line.fields) for line in journal.lines]


# --- subscribers --------------------------------------------------------------------------------------


def test_everybody_hears_everything_in_order() -> None:
    """A subscriber hears each thing once, in the order in which it happened, whoever else subscribes."""
    first, second = list[News](), list[News]()
    room = Newsroom(first.append)
    room.subscribe(second.append)
    room.tell(news(), news(What.RETURNED))
    assert [each.what for each in first] == [What.WAKE_AGAIN, What.RETURNED]
    assert first == second


def test_a_subscriber_that_fails_harms_nobody() -> None:
    """Who decides goes on, the others hear all of it, and that one fails is logged once, with its traceback."""
    heard, journal = list[News](), MemoryJournal(StillClock())

    def fails(_: News) -> None:
        raise ZeroDivisionError("odd")

    room = Newsroom(fails, logs(journal), heard.append)
    room.tell(news(), news(What.RETURNED))
    assert [each.what for each in heard] == [What.NOT_TOLD, What.WAKE_AGAIN, What.RETURNED]
    [(message, fields)] = lines(journal)
    assert (message, fields["error"]) == ("news not told", "WakeAgain: ZeroDivisionError: odd")
    assert fields["object"] == "Node of infra.homecluster.dev/v1alpha1 d/box"
    assert "in fails" in fields["traceback"]


# --- Events and logs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("about", "kind"), [(About.NODE, "Node"), (About.GROUP, "Group"), (About.KUBE_NODE, "Node")])
def test_an_event_is_on_the_object(about: About, kind: str) -> None:
    """An Event is recorded on the object that something happened to, with reason, text and severity as they were told."""
    journal = told(news(about=about, uid="u-1", severity=Severity.WARNING))
    [event] = journal.events
    assert (event.about.kind, event.about.name, event.about.namespace, event.about.uid) == (kind, "box", "d", "u-1")
    assert (event.reason, event.message, event.severity) == ("WakeAgain", "no sign of life", Severity.WARNING)
    assert type(event.reason) is str


def test_an_event_says_what_hexa_was_about() -> None:
    """Each reason that hexa tells by itself has an action; that of work which failed, and of a rule, are told apart."""
    assert set(ACTIONS) == set(What)
    assert sum(map(len, BY_ACTION.values())) == len(ACTIONS)
    [wake, failed, ruled] = told(
        news(), failure(Work.MACHINE, BOX, Unavailable("away"), quiet=False), news(OpenReason("DuplicateAddress"))
    ).events
    assert (wake.action, failed.action, ruled.action) == ("Wake", "Work", "Guard")
    assert type(wake.action) is str


def test_a_step_is_logged_with_its_cause() -> None:
    """Each step in a machine's life is a log line; one that a call began has the id of the call."""
    room, journal = Newsroom(), MemoryJournal(StillClock())
    room.subscribe(logs(journal))
    room.causes.began("IncreaseSize-1", [BOX])
    room.tell(step("Off", What.POWERING_ON, "Wanted"), news())
    where = {"machine": "d/box", "was": "Off", "phase": "PoweringOn", "noticed": "Wanted"}
    assert lines(journal) == [("phase", where | {"cause": "IncreaseSize-1"})]
    assert lines(told(step("Off", What.POWERING_ON, "Wanted"))) == [("phase", where)]


SAID = {
    Work.MACHINE: ("machine put off", {"machine": "d/box"}),
    Work.GROUP: ("group put off", {"group": "d/box"}),
    Work.KUBE_NODE: ("Kubernetes node put off", {"node": "box"}),
    Work.CHECK: ("health check put off", {"machine": "d/box"}),
    Work.READING: ("power not read", {"machine": "d/box"}),
    Work.WATCH: ("watch failed", {"kind": "Node"}),
    Work.PENDING: ("pending pod put off", {"pod": "d/box"}),
    Work.CONDITION: ("condition not written", {"object": "Node of infra.homecluster.dev/v1alpha1 d/box"}),
    Work.OBJECT: ("contained", {"object": "Node of infra.homecluster.dev/v1alpha1 d/box"}),
    Work.NEWS: ("news not told", {"object": "Node of infra.homecluster.dev/v1alpha1 d/box"}),
}


@pytest.mark.parametrize("work", Work)
def test_work_that_failed_is_a_log_line(work: Work) -> None:
    """Who filters logs finds each kind of failure by its message and field; it is no Event where nobody could mend it."""
    assert set(FAILED) == set(SAID) == set(Work)
    message, subject = SAID[work]
    journal = told(failure(work, BOX, Unavailable("away", reason="NoAnswer")))
    assert lines(journal) == [(message, subject | {"reason": "NoAnswer", "error": "away"})]
    assert not journal.events
    assert told(failure(work, BOX, Unavailable("away"), quiet=False)).events


def test_what_no_event_tells_is_a_log_line() -> None:
    """A call of Cluster Autoscaler that is granted is logged as an Event would be, and is none."""
    journal = told(news(What.SCALE_UP, of=RACK, about=About.GROUP, quiet=True, why="wanted on: box", cause="A-1"))
    fields = {"reason": "ScaleUp", "kind": "Group", "object": "d/rack", "cause": "A-1"}
    assert (lines(journal), list(journal.events)) == ([("wanted on: box", fields)], [])
    again = told(news(What.READ_AGAIN, quiet=True, why="On"))
    assert lines(again) == [("power read again", {"machine": "d/box", "power": "On"})]


# --- causes -------------------------------------------------------------------------------------------


def names(causes: Causes, *all_news: News) -> list[str]:
    """The cause of each."""
    return [each.cause for each in causes.named(*all_news)]


def test_a_cause_counts_from_the_start_of_the_agent() -> None:
    """Ids of calls and decisions are short, and differ within a life of the agent."""
    causes = Causes()
    assert [causes.next(name) for name in ("IncreaseSize", "MinSize")] == ["IncreaseSize-1", "MinSize-2"]


def test_a_cause_ends_where_the_machine_rests() -> None:
    """What a call began has its id up to Ready, with what is told there; a machine that is lost later is not the call's doing."""
    causes = Causes()
    causes.began("IncreaseSize-1", [BOX])
    up = [step("Off", What.POWERING_ON, "Wanted"), step("Booting", What.READY, "NodeReady"), news(What.RETURNED)]
    assert names(causes, *up) == ["IncreaseSize-1"] * 3
    assert names(causes, step("Ready", What.LOST, "NodeLost")) == [""]
    assert names(causes, step("Lost", What.READY, "NodeReady")) == [""]


def test_a_step_that_was_not_asked_for_has_no_cause() -> None:
    """A call that asked a machine to stay as it is did not begin its failure."""
    causes = Causes()
    causes.began("MinSize-1", [BOX])
    assert names(causes, step("Ready", What.LOST, "PowerGone")) == [""]


def test_a_cause_is_over_at_the_next_step() -> None:
    """A machine that a call woke, and that is held off later, is not drained by the call."""
    causes = Causes()
    causes.began("IncreaseSize-1", [BOX])
    names(causes, step("Booting", What.READY, "NodeReady"))
    assert names(causes, step("Ready", What.DRAINING, "Unwanted")) == [""]


def test_another_wish_is_another_cause() -> None:
    """From the wish of somebody else on, what happens is its doing; one decision about several machines is one cause."""
    causes = Causes()
    causes.began(causes.next("IncreaseSize"), [BOX])
    changed = news(What.WISH_CHANGED, by=Asker.USER)
    assert names(causes, changed) == ["WishChanged-2"]
    assert names(causes, step("Booting", What.DRAINING, "Unwanted")) == ["WishChanged-2"]
    both = [news(What.MAX_SIZE, of=each, by=Asker.RECOVERY) for each in (BOX, RACK)]
    assert names(causes, *both) == ["MaxSize-3"] * 2
    assert names(causes, news(What.MIN_SIZE, by=Asker.RECOVERY, cause="MinSize-9")) == ["MinSize-9"]
    assert names(causes, step("Draining", What.READY, "Kept")) == ["MinSize-9"]
    causes.forget(BOX)
    assert names(causes, news()) == [""]


def test_what_a_group_is_told_of_begins_nothing() -> None:
    """News of a group that has the name of a machine is not about the machine."""
    causes = Causes()
    names(causes, news(What.SCALE_UP, about=About.GROUP, by=Asker.CLUSTER_AUTOSCALER, cause="IncreaseSize-1"))
    assert names(causes, news()) == [""]
