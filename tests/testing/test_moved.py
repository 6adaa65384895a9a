"""Who simulates by the name of before goes on working for one minor release."""

import pytest

import hexa.ports.checks
import hexa.ports.health_checks
import hexa.simulate
import hexa.testing.simulate


@pytest.mark.parametrize("name", ["read_scenario", "simulate", "Scenario", "ScenarioError", "Report", "Progress"])
def test_simulator_by_its_name_of_before(name: str) -> None:
    """`hexa.testing.simulate` hands on what is `hexa.simulate` now, with a warning that names it."""
    with pytest.warns(DeprecationWarning, match=f"is hexa.simulate.{name} now"):
        assert getattr(hexa.testing.simulate, name) is getattr(hexa.simulate, name)


def test_port_of_health_checks_by_its_name_of_before() -> None:
    """`hexa.ports.checks` hands on the port, with a warning that names where it is."""
    with pytest.warns(DeprecationWarning, match=r"is hexa.ports.health_checks.Checks now"):
        assert hexa.ports.checks.Checks is hexa.ports.health_checks.Checks
