"""What all tests share. Virtual time is pytest-trio's `autojump_clock` fixture; ask for it by name."""

import gc

import pytest
from hypothesis import HealthCheck, settings

from tests import probes

if probes.WANTED:
    probes.install()

# A test machine may be slow or busy; a property that needs a deadline says so itself.
settings.register_profile("hexa", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hexa")

# Thousands of tests and modules live for the whole run. Looking through them for garbage after each 700 new objects
# took a seventh of the time. pytest collects once more at the end and reports what an object warns of as it goes.
gc.set_threshold(100_000, 20, 100)


def pytest_configure(config: pytest.Config) -> None:
    """Measures where that is asked for: tests/probes.py."""
    if probes.WANTED:
        config.pluginmanager.register(probes.Measuring(config))


def pytest_collection_finish() -> None:
    """Leaves what collection made out of every later search for garbage."""
    gc.freeze()
