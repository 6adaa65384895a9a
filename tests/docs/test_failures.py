"""The page of failures: each has tests, the tests are there, and what a test says that it shows of a failure stands on the page."""

import re
from functools import cache

from tests.docs.pages import DOCS, ROOT

ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.M)
TEST = re.compile(r"^ *(?:async )?def (test_\w+)", re.M)
BY_NUMBER = re.compile(r"test_(?:failures?|row)_(\d+)_(?:and_(\d+)_)?")


@cache
def rows() -> dict[int, list[str]]:
    """Names of tests by number of the failure."""
    found = ROW.findall((DOCS / "failures.md").read_text(encoding="utf-8"))
    return {int(number): re.findall(r"`(test_\w+)`", tests) for number, _, _, tests in found}


@cache
def all_tests() -> set[str]:
    """Names of all tests that there are."""
    return {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in TEST.findall(path.read_text(encoding="utf-8"))
    }


def test_each_failure_on_the_page_has_its_tests() -> None:
    """Every row names tests, and each of them is there."""
    assert len(rows()) > 30
    assert [number for number, named in rows().items() if not named] == []
    assert sorted(name for named in rows().values() for name in named if name not in all_tests()) == []


def test_failures_are_found_by_number() -> None:
    """Every row has a test whose name carries its number, and every test that carries a number is of a row."""
    numbers = {
        number for name in all_tests() for match in [BY_NUMBER.match(name)] if match for number in match.groups()
    }
    carried = {int(number) for number in numbers if number is not None}
    assert carried == set(rows())
