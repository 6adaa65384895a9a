"""How commands print: plain in pipes, coloured on terminals, never steered by what is in a cluster."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec import Struct

from hexa.cli.shared.output import Column, Format, Tone, ago, clock, dump, paint, plain, span, table
from hexa.yaml import read_document

COLUMNS = (
    Column[str]("NAME", lambda row: row),
    Column[str]("LENGTH", lambda row: str(len(row)) if row else "", wide=True),
    Column[str]("UPPER", str.upper, tone=lambda row: Tone.BAD),
)


def terminal(monkeypatch: pytest.MonkeyPatch, *, colour: bool) -> None:
    """Standard output is a terminal, of somebody who wants colours or not."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")


def test_tables_are_aligned_and_wide_shows_more() -> None:
    """Columns start below their titles, empty texts are dashes, and no line ends in blanks."""
    assert table(COLUMNS, ["a", "long-name"]) == "NAME       UPPER\na          A\nlong-name  LONG-NAME"
    assert table(COLUMNS, ["", "bb"], wide=True) == "NAME  LENGTH  UPPER\n-     -       -\nbb    2       BB"


def test_tables_count_what_a_terminal_shows() -> None:
    """Wide characters and combining ones do not shift the columns after them."""
    assert table(COLUMNS, ["机", "e\u0301"]).splitlines()[1:] == ["机    机", "e\u0301     E\u0301"]


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets none, a terminal does, and NO_COLOR is respected."""
    assert paint("x", Tone.BAD) == "x"
    terminal(monkeypatch, colour=True)
    assert paint("x", Tone.BAD) == "\x1b[31mx\x1b[0m"
    assert "\x1b[31mA\x1b[0m" in table(COLUMNS, ["a"])
    terminal(monkeypatch, colour=False)
    assert paint("x", Tone.BAD) == "x"


def test_texts_of_a_cluster_steer_no_terminal() -> None:
    """Escape sequences and line breaks in a reason are shown, not obeyed."""
    assert plain("rack\x1b[2J\r is\nfine\u202e") == "rack\\x1b[2J\\r is fine\\u202e"


class Row(Struct, rename="camel"):
    first_name: str
    at: datetime


@pytest.mark.parametrize("form", [Format.JSON, Format.YAML])
def test_programs_get_json_or_yaml(form: Format) -> None:
    """Both say the same, moments as RFC 3339."""
    text = dump([Row("a: b", datetime(2026, 1, 2, tzinfo=UTC))], form)
    document = read_document(text, source="x")
    value = json.loads(text) if form is Format.JSON else document and document.value
    assert value == [{"firstName": "a: b", "at": "2026-01-02T00:00:00Z"}]
    assert not text.endswith("\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.4, "0s"),
        (59, "59s"),
        (90, "1m30s"),
        (720, "12m"),
        (5400, "1h30m"),
        (90_000, "1d1h"),
        (9e6, "104d"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    """Two units at most, and one where the larger is large."""
    assert span(timedelta(seconds=seconds)) == text


def test_what_never_was_has_no_age() -> None:
    """Ages of moments that are not known are empty."""
    assert ago(None, datetime(2026, 1, 1, tzinfo=UTC)) == ""


@pytest.mark.parametrize("moment", [(1, 1, 1), (1, 1, 2), (9999, 12, 31, 23)], ids=str)
def test_every_moment_can_be_shown(moment: tuple[int, int, int]) -> None:
    """The first and last day of the calendar too, in every time zone, with four digits of the year."""
    for zone in (UTC, timezone(timedelta(hours=-9)), timezone(timedelta(hours=9))):
        assert re.fullmatch(r"(0001|9999)-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", clock(datetime(*moment, tzinfo=zone)))
