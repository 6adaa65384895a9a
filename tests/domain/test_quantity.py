"""Quantities mean what they mean to Kubernetes, exactly, and no text of a person breaks a sum."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexa.domain.quantity import amounts, least, parse_quantity, total
from hexa.domain.resources.v1alpha1 import QUANTITY_PATTERN

READ = {
    "0": "0",
    "8": "8",
    "500m": "0.5",
    "1.5": "1.5",
    ".5": "0.5",
    "5.": "5",
    "+3": "3",
    "-3": "-3",
    "1n": "0.000000001",
    "1u": "0.000001",
    "2k": "2000",
    "3M": "3000000",
    "4G": "4000000000",
    "1T": "1000000000000",
    "1P": "1000000000000000",
    "1E": "1000000000000000000",
    "1Ki": "1024",
    "64Gi": str(64 * 2**30),
    "1Mi": str(2**20),
    "1Ti": str(2**40),
    "1Pi": str(2**50),
    "1Ei": str(2**60),
    "1e3": "1000",
    "1E3": "1000",
    "12e-1": "1.2",
    "0.1Gi": "107374182.4",
}
UNREADABLE = [
    "",
    "lots",
    "m",
    "Gi",
    "1 Gi",
    " 1",
    "1GiB",
    "1K",
    "1mi",
    "0x10",
    "1_000",
    "nan",
    "Infinity",
    "1,5",
    "1e",
    "--1",
]


@pytest.mark.parametrize("text", READ)
def test_quantity_reads_as_in_kubernetes(text: str) -> None:
    """Every suffix, decimal and binary, and exponents, to the last digit."""
    assert parse_quantity(text) == Decimal(READ[text])


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_quantity_is_refused_with_examples(text: str) -> None:
    """The text that is wrong is shown, and how to write it."""
    with pytest.raises(ValueError, match=re.escape(repr(text))) as caught:
        parse_quantity(text)
    assert "64Gi" in str(caught.value)


@pytest.mark.parametrize("text", ["9e99", "9" * 60, "16Ei", "1e999999999"])
def test_quantity_is_capped_as_in_kubernetes(text: str) -> None:
    """More than 63 bits hold is cut down to that: no text makes a number that nothing can be added to."""
    assert parse_quantity(text) == 2**63 - 1
    assert total([{"cpu": parse_quantity(text)}, {"cpu": Decimal(1)}]) == {"cpu": Decimal(2**63)}


@given(st.text(alphabet="0123456789.+-eEmkMGTPKiun_ ", max_size=8) | st.text(max_size=5))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    """A text is a finite number or a ValueError; what the schema takes is always a number."""
    try:
        assert parse_quantity(text).is_finite()
    except ValueError:
        assert not re.fullmatch(QUANTITY_PATTERN, text, re.ASCII)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_suffixes_are_factors(one: int, other: int) -> None:
    """1000m is 1, 1024Ki is 1Mi, and order is kept whatever the suffix."""
    assert parse_quantity(f"{one}m") * 1000 == parse_quantity(str(one))
    assert parse_quantity(f"{one * 1024}Ki") == parse_quantity(f"{one}Mi")
    assert (parse_quantity(f"{one}Mi") < parse_quantity(f"{other}Mi")) == (one < other)


def test_unreadable_amounts_are_left_out() -> None:
    """One bad entry of a node's capacity does not hide the others."""
    assert amounts({"cpu": "4", "memory": "plenty", "pods": "110"}) == {"cpu": Decimal(4), "pods": Decimal(110)}


def test_total_is_the_sum_by_resource() -> None:
    """What one part lacks counts as nothing."""
    parts = [{"cpu": Decimal(1)}, {"cpu": Decimal("0.5"), "memory": Decimal(10)}, {}]
    assert total(parts) == {"cpu": Decimal("1.5"), "memory": Decimal(10)}
    assert total([]) == {}


def test_least_is_the_smallest_text_of_each_resource_that_all_have() -> None:
    """The texts stay as they were written; a resource that one lacks is not promised."""
    rows = [{"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "1"}, {"cpu": "4000m", "memory": "17000Mi"}]
    assert least(rows) == {"cpu": "4000m", "memory": "16Gi"}
    assert least([]) == {}
    assert least([{"cpu": "8"}]) == {"cpu": "8"}


def test_unreadable_text_is_the_least() -> None:
    """What can't be read promises nothing: the template must not show more than there is."""
    assert least([{"cpu": "8"}, {"cpu": "many"}]) == {"cpu": "many"}
