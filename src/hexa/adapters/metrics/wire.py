"""A family of metrics as text, and as prometheus_client has it: both say the same, to the byte."""

from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from typing import Final, cast

from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString  # its own way to write numbers: bytes are to be the same

from hexa.ports.metrics import Family, Histogram, Kind, Labels

PIECE: Final = 1_000
TOTAL: Final = "_total"
ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


def family_text(family: Family) -> str:
    """The family in the text format, version 0.0.4."""
    return "".join(family_pieces(family))


def family_pieces(family: Family) -> Iterator[str]:
    """The same in pieces of at most `PIECE` lines, each of some milliseconds, and its head."""
    yield f"# HELP {family.name} {family.meaning.translate(HELP_ESCAPES)}\n# TYPE {family.name} {family.kind}\n"
    lines = _histograms(family) if family.kind is Kind.HISTOGRAM else _lines(family)
    while piece := "".join(islice(lines, PIECE)):
        yield piece


def _lines(family: Family) -> Iterator[str]:
    """Labels are sorted by name, as prometheus_client does. One look at a line tells faster than three at its labels whether
    anything is to be escaped."""
    order = sorted(range(len(family.labels)), key=lambda index: family.labels[index])
    inner = ",".join(f'{family.labels[index]}="{{{index}}}"' for index in order)
    write = (f"{family.name}{{{{{inner}}}}} {{{len(order)}}}\n" if inner else f"{family.name} {{0}}\n").format
    quotes = 2 * len(order)
    for labels, value in cast(Iterable[tuple[Labels, float]], family.samples):
        number = "1.0" if value == 1 else _number(value)
        line = write(*labels, number)
        odd = line.count('"') != quotes or "\\" in line or line.count("\n") != 1
        yield write(*map(_escaped, labels), number) if odd else line


def _histograms(family: Family) -> Iterator[str]:
    for labels, value in family.samples:
        assert isinstance(value, Histogram)
        for suffix, more, number in _parts(value):
            pairs = sorted([*zip(family.labels, labels, strict=True), *more])
            inner = ",".join(f'{name}="{_escaped(text)}"' for name, text in pairs)
            yield f"{family.name}{suffix}{f'{{{inner}}}' if inner else ''} {_number(number)}\n"


def _parts(histogram: Histogram) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
    """Suffix, further labels and value of each of its lines."""
    bounds = (*histogram.bounds, float("inf"))
    below = list(accumulate(histogram.counts))
    for bound, count in zip(bounds, below, strict=True):
        yield "_bucket", (("le", _number(bound)),), float(count)
    yield "_count", (), float(below[-1])
    yield "_sum", (), histogram.sum


def _escaped(text: str) -> str:
    return text.translate(ESCAPES)


def _number(value: float) -> str:
    return "0.0" if value == 0 else str(floatToGoString(value))  # type: ignore[no-untyped-call]


def metric_of(family: Family) -> Metric:
    """The family as prometheus_client has it."""
    name = family.name.removesuffix(TOTAL) if family.kind is Kind.COUNTER else family.name
    metric = Metric(name, family.meaning, str(family.kind))
    for labels, value in family.samples:
        named = _named(family.labels, labels)
        if isinstance(value, Histogram):
            for suffix, more, number in _parts(value):
                metric.add_sample(family.name + suffix, {**named, **dict(more)}, number)
        else:
            metric.add_sample(family.name, named, value)
    return metric


def _named(names: Labels, values: Labels) -> dict[str, str]:
    return dict(zip(names, values, strict=True))
