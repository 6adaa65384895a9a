"""Scenarios in virtual time: hexa's own controllers on machines in memory, driven by a reference autoscaler.

report = simulate(read_scenario(path.read_text(), source=str(path)))
print(report.text())
"""

from hexa.simulate.reading import ScenarioError, read_scenario
from hexa.simulate.report import Report
from hexa.simulate.runner import Progress, simulate
from hexa.simulate.scenario import Scenario

__all__ = ["Progress", "Report", "Scenario", "ScenarioError", "read_scenario", "simulate"]
