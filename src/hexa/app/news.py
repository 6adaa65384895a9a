"""Tells what happened to whoever subscribes: Kubernetes Events and logs are the first two. It decides nothing."""

import traceback
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from hexa.app.causes import Causes
from hexa.app.references import KINDS, reference
from hexa.domain.news import News, Severity, What, Work
from hexa.domain.words.actions import action_of
from hexa.ports.journal import Journal

Told = Callable[[News], None]


class Newsroom:
    """Where everything that is told passes. There is one for each life of the agent."""

    def __init__(self, *subscribers: Told) -> None:
        self._subscribers: Final = list(subscribers)
        self._failed: Final[list[Told]] = []
        """Subscribers of which it was told that they fail."""
        self.causes: Final = Causes()

    def subscribe(self, told: Told) -> None:
        """Call `told(news)` for each thing that happens, in the order in which it happened. What it raises harms nobody else."""
        self._subscribers.append(told)

    def tell(self, *news: News) -> None:
        """Tell everybody. Returns at once and raises nothing."""
        for named in self.causes.named(*news):
            for told in tuple(self._subscribers):
                self._tell(told, named)

    def _tell(self, told: Told, news: News) -> None:
        try:
            told(news)
        except Exception as error:
            if told not in self._failed:
                self._failed.append(told)
                self.tell(_not_told(news, error))


def _not_told(news: News, error: Exception) -> News:
    return News(
        of=news.of,
        about=news.about,
        what=What.NOT_TOLD,
        why=f"{news.what}: {type(error).__name__}: {error}",
        severity=Severity.WARNING,
        failed=Work.NEWS,
        trace="".join(traceback.format_exception(error)),
        quiet=True,
    )


def events(journal: Journal) -> Told:
    """A subscriber that records Kubernetes Events on the objects."""

    def told(news: News) -> None:
        if not news.quiet:
            about = reference(news.about, news.of, news.uid)
            what = {"reason": str(news.what), "message": news.why, "action": str(action_of(news))}
            journal.event(about, **what, severity=news.severity)

    return told


class Line(Struct, frozen=True):
    """How a log line begins."""

    message: str
    field: str
    """What the object is called."""
    name: Callable[[News], str] = lambda news: str(news.of)


def _name(news: News) -> str:
    return news.of.name


def _kind(news: News) -> str:
    return KINDS[news.about].name


def _object(news: News) -> str:
    kind = KINDS[news.about]
    return f"{kind.name} of {kind.api_version} {news.of}"


FAILED: Final = {
    Work.MACHINE: Line("machine put off", "machine"),
    Work.GROUP: Line("group put off", "group"),
    Work.KUBE_NODE: Line("Kubernetes node put off", "node", _name),
    Work.CHECK: Line("health check put off", "machine"),
    Work.READING: Line("power not read", "machine"),
    Work.WATCH: Line("watch failed", "kind", _kind),
    Work.PENDING: Line("pending pod put off", "pod"),
    Work.CONDITION: Line("condition not written", "object", _object),
    Work.OBJECT: Line("contained", "object", _object),
    Work.NEWS: Line("news not told", "object", _object),
}


def logs(journal: Journal) -> Told:
    """A subscriber that logs each step in a machine's life, work that failed, and what no Event tells; each with its cause.
    (Whoever records an Event logs it too.)"""

    def told(news: News) -> None:
        cause = {"cause": news.cause} if news.cause else {}
        if news.failed is not None:
            line, trace = FAILED[news.failed], {"traceback": news.trace} if news.trace else {}
            who = {line.field: line.name(news)}
            journal.log(line.message, **who, reason=str(news.what), error=news.why, **trace, **cause)
        if (change := news.change) is not None:
            step = {"was": change.was, "phase": change.phase, "noticed": change.noticed}
            journal.log("phase", machine=str(news.of), **step, **cause)
        elif news.what is What.READ_AGAIN:
            journal.log("power read again", machine=str(news.of), power=news.why, **cause)
        elif news.quiet and news.failed is None:
            journal.log(news.why, reason=str(news.what), kind=_kind(news), object=str(news.of), **cause)

    return told
