"""What all tests share. Virtual time is pytest-trio's `autojump_clock` fixture; ask for it by name."""

from hypothesis import HealthCheck, settings

# A test machine may be slow or busy; a property that needs a deadline says so itself.
settings.register_profile("hexa", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hexa")
