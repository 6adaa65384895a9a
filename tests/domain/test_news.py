"""The vocabulary of what hexa tells: whoever subscribes can rely on it."""

import re
from pathlib import Path

import pytest

import hexa
from hexa.app.references import KINDS, about_kind
from hexa.app.store import Store
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import UNEXPECTED
from hexa.domain.news import About, What
from hexa.domain.resources.core import LEASES

SOURCES = Path(hexa.__file__).parent
NEWS = SOURCES / "domain" / "news.py"


def test_each_reason_is_one_that_an_event_may_have() -> None:
    """A reason is CamelCase, at most 128 characters, and stands in the list once."""
    assert all(re.fullmatch(r"([A-Z][a-z]*)+", what) and len(what) <= 128 for what in What)
    assert len(set(What)) == len(What.__members__)


@pytest.mark.parametrize("reason", [*Phase, *sorted(UNEXPECTED)])
def test_phases_and_unexpected_power_are_told_by_their_names(reason: str) -> None:
    """Each phase, and each wish that follows from power that somebody else switched, is a reason."""
    assert What(reason) == reason


def test_no_reason_of_the_list_is_without_use() -> None:
    """A reason that nothing tells any more leaves the list."""
    code = "\n".join(path.read_text() for path in SOURCES.rglob("*.py") if path != NEWS)
    of_groups = "".join((SOURCES / "domain" / "decide" / name).read_text() for name in ("group.py", "waiting_pods.py"))
    wishes = {
        reason for reason in Reason if f"Reason.{reason.name}" in of_groups
    }  # a group's wishes are told by their reason
    computed = {*Phase, *UNEXPECTED, *wishes}
    assert [what.name for what in What if what not in computed and f"What.{what.name}" not in code] == []


def test_news_can_be_about_whatever_the_agent_watches() -> None:
    """A watch that fails, and an object that is contained, have a name in the news, whatever its kind."""
    assert set(KINDS) == set(About)
    store = Store(clock=None)  # type: ignore[arg-type]
    kinds = [LEASES, *(source.kind for source in (*store.sources(), *store.optional_sources()))]
    assert [KINDS[about_kind(kind)] for kind in kinds] == kinds
