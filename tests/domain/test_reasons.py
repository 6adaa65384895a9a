"""Reasons and types of conditions that hexa writes are all known by name: labels of metrics are made of nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import hexa
from hexa.domain.words.reasons import CONDITIONS, OF_CONDITIONS, OTHER, REASONS, bounded

SOURCES = Path(hexa.__file__).parent
ERRORS = frozenset(
    {"Unavailable", "Refused", "Conflict", "NotFound", "AlreadyExists", "Expired", "refused", "unavailable"}
)
APART = frozenset({"testing", "simulate", "memory", "cli", "commands"})
PAGE = SOURCES.parents[1] / "docs" / "troubleshooting.md"


def raised() -> Iterator[str]:
    """Reasons that errors are given where they are raised."""
    for path in SOURCES.rglob("*.py"):
        if APART.isdisjoint(path.relative_to(SOURCES).parts):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in ERRORS:
                    values = (each.value for each in call.keywords if each.arg == "reason")
                    yield from (value.value for value in values if isinstance(value, ast.Constant))


def documented() -> Iterator[str]:
    """Types of conditions on the page that says what to do about them."""
    sections = PAGE.read_text().split("\n## ")
    text = "".join(section for section in sections if section.startswith("Conditions of "))
    for line in re.findall(r"^\| ([^|]+) \|", text, re.M):
        yield from (name for name in re.findall(r"\w+", line) if name[0].isupper())


def test_reasons_of_errors_are_known() -> None:
    """Whoever counts failures by reason tells all of ours apart."""
    found = set(raised())
    assert len(found) > 40
    assert sorted(found - REASONS) == []


def test_conditions_are_known() -> None:
    """Each condition that people are told about can be alerted on."""
    assert len(set(documented())) > 70
    assert sorted(set(documented()) - CONDITIONS) == []


def test_conditions_are_documented() -> None:
    """What hexa says as a condition has its row on the page that says what to do about it."""
    told_as_others = {"DependencyMissing", "NoGroup", "NoTime", "RequestAboveLimit"}
    assert sorted(OF_CONDITIONS - set(documented()) - told_as_others) == []


def test_what_is_not_ours_is_other() -> None:
    """A reason of another program, or of a later version, is none of ours."""
    assert [bounded(text) for text in ("Lost", "Odd1", "", "lost")] == ["Lost", OTHER, OTHER, OTHER]
