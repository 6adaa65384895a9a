"""The table of metrics keeps what `promtool check metrics` asks for, and what Prometheus' own advice on names says."""

import re
from itertools import pairwise
from typing import Final

from hexa.app.metrics.table import ROWS
from hexa.ports.metrics import Histogram, Kind

UNITS: Final = frozenset("amperes bytes celsius grams joules meters ratio seconds volts watts".split())  # noqa: SIM905
"""Base units."""
NO_UNITS: Final = frozenset(
    "bits days feet gigabytes hours kelvins kilobytes kilowatts kwh litres megabytes microseconds miles milliseconds minutes "  # noqa: SIM905
    "months nanoseconds percent petabytes terabytes weeks years wh".split()
)
ABBREVIATED: Final = frozenset("s ms us ns sec b kb mb gb tb pb m h d j w".split())  # noqa: SIM905
TYPES: Final = frozenset("counter gauge histogram summary untyped".split())  # noqa: SIM905


def test_each_metric_is_told_once() -> None:
    """No name stands in the table twice, not even with the suffixes of a histogram."""
    names = [row.name for row in ROWS]
    parts = [f"{row.name}{end}" for row in ROWS if row.kind is Kind.HISTOGRAM for end in ("_bucket", "_sum", "_count")]
    assert len({*names, *parts}) == len(names) + len(parts)


def test_names_are_as_promtool_wants_them() -> None:
    """Small letters, ours by the first word, one base unit at most and at the end, and `_total` for counters alone."""
    for row in ROWS:
        assert re.fullmatch(r"hexa(_[a-z]+)+", row.name), row.name
        words = row.name.removesuffix("_total").split("_")
        assert row.name.endswith("_total") is (row.kind is Kind.COUNTER), row.name
        assert not {"total", *ABBREVIATED, *NO_UNITS, *TYPES} & set(words), row.name
        assert not row.name.endswith(("_count", "_sum", "_bucket", "_created")), row.name
        units = [word for word in words if word in UNITS]
        assert len(units) <= 1, row.name
        assert not units or words[-1] == units[0], row.name
        assert row.kind is not Kind.HISTOGRAM or units == ["seconds"], row.name


def test_labels_are_few_and_named_alike() -> None:
    """Labels are plain words, none is reserved, and none repeats what the name says; what is told of a machine or a group names its
    namespace first."""
    for row in ROWS:
        for label in row.labels:
            assert re.fullmatch(r"[a-z]+", label), row.name
            assert label not in ("le", "quantile", "job", "instance"), row.name
        assert len(set(row.labels)) == len(row.labels) <= 3, row.name
        for kind in ("machine", "group"):
            assert kind not in row.labels or row.labels[:2] == ("namespace", kind), row.name


def test_each_metric_is_read_or_counted_in_one_way() -> None:
    """A row says what it means in whole sentences, and where it comes from."""
    for row in ROWS:
        assert re.fullmatch(r"[A-Z0-9a-z].*\.", row.meaning), row.name
        assert sum(way is not None for way in (row.read, row.counts, row.measures)) <= 1, row.name
        assert row.measures is None or row.kind is Kind.HISTOGRAM, row.name
        assert row.counts is None or row.kind is Kind.COUNTER, row.name
        assert all(low < high for low, high in pairwise(row.buckets)), row.name


def test_a_value_is_in_the_bucket_that_it_does_not_exceed() -> None:
    """An upper end belongs to its bucket, and what is larger than all of them is counted too."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 3.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 7.5)
