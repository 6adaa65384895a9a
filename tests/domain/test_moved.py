"""Who embeds the domain by its names of before goes on working for one minor release, and is told the new ones."""

import importlib
import subprocess
import sys

import pytest

from hexa.domain.group import sizing, template
from hexa.domain.machine import acts, dues, facts, lifecycle, reason, sensing, wish
from hexa.domain.money import account, rates
from hexa.domain.pods import drain
from hexa.domain.policy import limits, policy, problem, values
from hexa.domain.resources import v1alpha1
from hexa.domain.rules import acted, own

NAMES = {
    "hexa.domain.cost": [(account, "bill"), (rates, "hourly_price"), (rates, "rates_of")],
    "hexa.domain.group": [
        (policy, "Policy"),
        (policy, "policy_of"),
        (limits, "Limits"),
        (problem, "Problem"),
        (values, "is_on"),
    ],
    "hexa.domain.lifecycle": [
        (lifecycle, name) for name in ("TRANSITIONS", "Event", "Phase", "count_energy", "enter", "phase_of", "step")
    ],
    "hexa.domain.sensing": [(sensing, "sense"), (facts, "Facts"), (dues, "next_due"), (acts, "may_leave")],
    "hexa.domain.sizing": [(sizing, name) for name in ("Member", "candidates", "resters", "target", "to_wake")],
    "hexa.domain.drain": [(drain, "plan")],
    "hexa.domain.wish": [(own, "off_vetoes"), (acted, "acted_power"), (reason, "Veto"), (wish, "wish_patch")],
    "hexa.domain.template": [(template, "shape_of")],
}


@pytest.mark.parametrize(
    ("old", "module", "name"),
    [(old, module, name) for old, names in NAMES.items() for module, name in names],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_name_of_before_works_and_warns(old: str, module: object, name: str) -> None:
    """An import by the old name gives the very same object, and names the new module."""
    with pytest.warns(DeprecationWarning, match=f"{old}.{name} is {module.__name__}.{name} now"):
        assert getattr(importlib.import_module(old), name) is getattr(module, name)


def test_resources_keep_their_public_name() -> None:
    """`resources.v1alpha1` stays what programs import the types of Group and Node from, without a warning."""
    for name in ("Asker", "Group", "Lookup", "Node", "NodeStatus", "Power", "WishRecord", "Reading"):
        assert getattr(v1alpha1, name).__name__ == name


def test_warning_points_at_the_caller() -> None:
    """The warning names the line of the program that imports, not one of hexa's."""
    code = "\nfrom hexa.domain.group import Policy\nprint(Policy().max_size)"
    run = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "None"
    assert (
        "<string>:2: DeprecationWarning: hexa.domain.group.Policy is hexa.domain.policy.policy.Policy now" in run.stderr
    )


def test_a_name_that_never_was_is_an_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'polcy_of'"):
        getattr(importlib.import_module("hexa.domain.group"), "polcy_of")  # noqa: B009
