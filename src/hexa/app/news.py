"""Tells what happened to whoever subscribes: Kubernetes Events and logs are the first two. It decides nothing."""

from collections.abc import Callable
from typing import Any, Final

from hexa.app.references import group_reference, machine_reference
from hexa.domain.news import About, News
from hexa.ports.journal import Journal

PUT_OFF: Final = {About.NODE: "machine", About.GROUP: "group"}

Told = Callable[[News], None]


class Newsroom:
    """Where everything that is told passes."""

    def __init__(self, *subscribers: Told) -> None:
        self._subscribers: Final = list(subscribers)

    def subscribe(self, told: Told) -> None:
        """Call `told(news)` for each thing that happens, in the order in which it happened."""
        self._subscribers.append(told)

    def tell(self, *news: News) -> None:
        """Tell everybody. Returns at once."""
        for each in news:
            for told in self._subscribers:
                told(each)


def events(journal: Journal) -> Told:
    """A subscriber that records Kubernetes Events on the objects."""
    references: Final[dict[About, Any]] = {About.NODE: machine_reference, About.GROUP: group_reference}

    def told(news: News) -> None:
        if news.quiet:
            return
        about = references[news.about](news.of, news.uid)
        journal.event(about, reason=news.what, message=news.why, severity=news.severity)

    return told


def logs(journal: Journal) -> Told:
    """A subscriber that logs each step in a machine's life, and work that is put off."""

    def told(news: News) -> None:
        if news.put_off:
            what = PUT_OFF[news.about]
            journal.log(f"{what} put off", **{what: str(news.of)}, reason=news.what, error=news.why)
        if (change := news.change) is not None:
            journal.log("phase", machine=str(news.of), was=change.was, phase=change.phase, noticed=change.noticed)

    return told
