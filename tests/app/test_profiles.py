"""The snapshot fills profiles in, and what a machine says of its own follows what is known of it."""

from typing import Any

from trio.testing import MockClock

from hexa.adapters.memory.clock import MemoryClock
from hexa.app.profiles import NO_DEFINITION
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.core import decode
from hexa.domain.resources.v1alpha1 import MACHINES, PROFILES, Lookup

KEY = Lookup("site", "rack-1")


def profile(version: int, **spec: Any) -> Any:
    """A state of the profile."""
    metadata = {"name": "bmc", "namespace": "site", "resourceVersion": str(version)}
    return decode(PROFILES, {"metadata": metadata, "spec": spec})


def machine(version: int, **parameters: str) -> Any:
    """A state of a machine that names it."""
    metadata = {"name": "rack-1", "namespace": "site", "resourceVersion": str(version)}
    return decode(MACHINES, {"metadata": metadata, "spec": {"profile": "bmc", "parameters": parameters}})


async def test_what_is_said_follows_what_is_known(autojump_clock: MockClock) -> None:
    """Not read yet, not there, not to be read for this reason or that, not to be understood, and there: the view of the machine
    says each as it comes, though nothing of the machine itself has changed."""
    store = Store(clock=MemoryClock())
    views, profiles = Views(store), store.profiles
    changes: list[bool] = []
    store.machines.subscribe(lambda _key, _old, new: changes.append(new is not None and new.spec.power is not None))

    def says() -> str:
        view = views.machine(KEY)
        assert view is not None
        return next((each.text for each in view.problems if each.reason.startswith("Profile")), "")

    profiles.expect(None)
    assert not profiles.wanted.is_set()
    store.machines.put(machine(1, bmc="10.0.0.7"))
    assert profiles.wanted.is_set()
    assert says() == "PowerProfile bmc is not read yet"
    profiles.replace((), scope=None)
    profiles.sees(None)
    assert says() == "there is no PowerProfile bmc in namespace site"
    profiles.lost(None, Refused("you may not list powerprofiles", reason="Forbidden"))
    assert says() == "PowerProfiles can't be read: you may not list powerprofiles"
    profiles.lost(None, Refused("the API server does not serve it", reason="KindNotServed"))
    assert says() == f"PowerProfiles can't be read: {NO_DEFINITION}"
    profiles.sees(None)
    profiles.put(decode(PROFILES, {"metadata": {"name": "bmc", "namespace": "site"}, "spec": {"power": 3}}))
    assert says().startswith("PowerProfile bmc does not decode")
    profiles.put(profile(5, power={"ipmi": {"address": "{bmc}", "secretName": "s"}}))
    assert says() == ""
    assert changes[-1]
    profiles.lost(None, Unavailable("away"))  # what is known of it still counts
    assert says() == ""
    store.machines.put(machine(6))
    assert says() == "has no bmc, which PowerProfile bmc needs"
    store.machines.drop(KEY)
    assert store.machines.problems(KEY) == ()
