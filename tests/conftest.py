"""What all tests share. Virtual time is pytest-trio's `autojump_clock` fixture; ask for it by name."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A test machine may be slow or busy; a property that needs a deadline says so itself.
settings.register_profile("hexa", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hexa")


COVERED = ("domain", "app", "cli")
"""Folders whose tests alone must reach the floor of coverage. Tracing makes the others two to three times slower."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of other folders run untraced."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] not in COVERED:
            item.add_marker("no_cover")
