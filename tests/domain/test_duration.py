"""Durations mean what they mean to Go."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexa.domain.duration import DURATION_PATTERN, format_duration, parse_duration
from hexa.domain.power.claims import IPV6
from hexa.domain.quantity import parse_quantity

# What Go's time.ParseDuration makes of them.
READ_BY_GO = {
    "0": timedelta(0),
    "0s": timedelta(0),
    "+0": timedelta(0),
    "10m": timedelta(minutes=10),
    "1h30m": timedelta(minutes=90),
    "1.5h": timedelta(minutes=90),
    "+5s": timedelta(seconds=5),
    ".5s": timedelta(milliseconds=500),
    "5.s": timedelta(seconds=5),
    "300ms": timedelta(milliseconds=300),
    "10µs": timedelta(microseconds=10),
    "10μs": timedelta(microseconds=10),
    "10us": timedelta(microseconds=10),
    "1999ns": timedelta(microseconds=1),
    "3m3s3h": timedelta(hours=3, minutes=3, seconds=3),
    "9223372036.854775807s": timedelta(seconds=9223372036, microseconds=854775),
    "0.100000000000000000000h": timedelta(minutes=6),
}
NONE_FOR_GO = ["", "5", "s", "10 m", " 10m", "10m\n", "1d", "1h30", "10M", "e3s", "1e3s", "10m,5s", ".s"]
NONE_FOR_GO += ["++1s", "1..5s", "٣s"]


@pytest.mark.parametrize("text", READ_BY_GO)
def test_durations_read_as_in_go(text: str) -> None:
    """What Go reads, hexa reads alike, to the microsecond."""
    assert parse_duration(text) == READ_BY_GO[text]


@pytest.mark.parametrize("text", NONE_FOR_GO)
def test_what_go_refuses_is_refused(text: str) -> None:
    """What is no duration to Go raises ValueError and shows the text in the message."""
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_duration(text)


def test_negative_duration_is_refused() -> None:
    """Go reads negative durations; hexa says that there are none."""
    with pytest.raises(ValueError, match="negative"):
        parse_duration("-5m")


def test_number_without_unit_is_told_the_unit() -> None:
    """A bare number is the most common slip: the message shows how to write it."""
    with pytest.raises(ValueError, match='write "300s" for seconds'):
        parse_duration("300")


def test_duration_beyond_go_is_refused() -> None:
    """A duration that Go cannot hold is refused, not wrapped around, however many digits it has."""
    with pytest.raises(ValueError, match="292 years"):
        parse_duration("9223372036.854775808s")
    with pytest.raises(ValueError, match="292 years"):
        parse_duration("9" * 5000 + "h")


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=100_000)))
def test_written_durations_read_back(duration: timedelta) -> None:
    """What format_duration writes is read back as the same duration, and is valid by the schema's pattern."""
    text = format_duration(duration)
    assert parse_duration(text) == duration
    assert re.search(DURATION_PATTERN, text)


def test_durations_are_written_as_people_write_them() -> None:
    """No zero parts and no fractions."""
    assert format_duration(timedelta(minutes=90)) == "1h30m"
    assert format_duration(timedelta(milliseconds=1500)) == "1s500ms"
    assert format_duration(timedelta(0)) == "0s"


@pytest.mark.parametrize(
    "read", [parse_duration, parse_quantity, IPV6.fullmatch], ids=["duration", "quantity", "IPv6 address"]
)
@pytest.mark.parametrize("text", ["9" * 20_000 + "?", ":" * 20_000 + "?", "1h" * 10_000 + "?"], ids=["9", ":", "1h"])
def test_failure_51_a_long_text_is_refused_at_once(read: Callable[[str], object], text: str) -> None:
    """A text of 20,000 characters in one object holds up no other: it is looked through once, not once for each character."""
    began = process_time()
    with suppress(ValueError):
        assert read(text) is None
    assert process_time() - began < 1
