"""Who simulates by the name of before goes on working for one minor release."""

import pytest

import hexa.simulate
import hexa.testing.simulate


@pytest.mark.parametrize("name", ["read_scenario", "simulate", "Scenario", "ScenarioError", "Report", "Progress"])
def test_simulator_by_its_name_of_before(name: str) -> None:
    """`hexa.testing.simulate` hands on what is `hexa.simulate` now, with a warning that names it."""
    with pytest.warns(DeprecationWarning, match=f"is hexa.simulate.{name} now"):
        assert getattr(hexa.testing.simulate, name) is getattr(hexa.simulate, name)
