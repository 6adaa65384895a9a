"""Scenarios in virtual time: hexa's own controllers on machines in memory, driven by a reference autoscaler.

report = simulate(read_scenario(path.read_text(), source=str(path)))
print(report.text())
"""

from hexa.testing.simulate.reading import ScenarioError, read_scenario
from hexa.testing.simulate.report import Report
from hexa.testing.simulate.runner import Progress, simulate
from hexa.testing.simulate.scenario import Scenario

__all__ = ["Progress", "Report", "Scenario", "ScenarioError", "read_scenario", "simulate"]
