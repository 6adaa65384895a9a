"""Signs of life from Leases: only a change that we watched counts."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import trio
from tests.app.rig import at
from trio.testing import MockClock

from hexa.adapters.memory.clock import START, MemoryClock
from hexa.app.node.heartbeats import LeaseHeartbeats
from hexa.domain.resources.core import Condition, KubeNode, KubeNodeStatus, Lease, LeaseSpec, Malformed, Metadata
from hexa.domain.resources.v1alpha1 import Lookup


class Leases:
    """Heartbeats that are fed by hand, and who was notified."""

    def __init__(self) -> None:
        self.lives = LeaseHeartbeats(clock=MemoryClock())
        self.told: list[str] = []
        self.lives.subscribe(self.told.append)

    def listed(self, **renewals: datetime | None) -> None:
        self.lives.replace(tuple(lease(name, renewed) for name, renewed in renewals.items()), scope="kube-node-lease")


def lease(name: str, renewed: datetime | None, **spec: Any) -> Lease:
    """A Lease whose holder's clock says that it was renewed then."""
    return Lease(metadata=Metadata(name=name, namespace="kube-node-lease"), spec=LeaseSpec(renew_time=renewed, **spec))


WRONG = datetime(1999, 1, 1, tzinfo=START.tzinfo)
"""The clock of a machine, which is never compared with ours."""


async def test_the_first_sight_of_a_lease_says_nothing(autojump_clock: MockClock) -> None:
    """A Lease found at the start, however new it looks, is no sign of life."""
    leases = Leases()
    leases.listed(a=at(0), b=None)
    assert leases.lives.life("a") is None
    assert leases.told == []
    assert leases.lives.watching_since() == at(0)


async def test_blind_until_the_first_list(autojump_clock: MockClock) -> None:
    """Before the first list silence proves nothing."""
    assert Leases().lives.watching_since() is None


async def test_a_renewal_that_we_see_is_a_sign_of_life_for_its_period(autojump_clock: MockClock) -> None:
    """A changed renewTime counts from when we saw it, by our clock, for the Lease's own duration."""
    leases = Leases()
    leases.listed(a=WRONG)
    await trio.sleep(7)
    leases.lives.put(lease("a", WRONG + timedelta(seconds=10), lease_duration_seconds=60))
    life = leases.lives.life("a")
    assert life is not None
    assert (life.heard, life.until) == (at(7), at(67))
    assert leases.told == ["a"]


async def test_the_same_renewal_again_is_no_news(autojump_clock: MockClock) -> None:
    """A Lease that changes in anything but its renewTime shows no life."""
    leases = Leases()
    leases.listed(a=at(0))
    await trio.sleep(5)
    leases.lives.put(lease("a", at(0), holder_identity="other"))
    leases.lives.put(lease("a", None))
    assert leases.lives.life("a") is None


async def test_a_lease_that_appears_later_counts(autojump_clock: MockClock) -> None:
    """The Lease of a machine that registers while we watch is its first sign of life."""
    leases = Leases()
    leases.listed()
    await trio.sleep(3)
    leases.lives.put(lease("new", WRONG))
    life = leases.lives.life("new")
    assert life is not None
    assert life.heard == at(3)


async def test_a_late_change_found_by_a_fresh_list_counts(autojump_clock: MockClock) -> None:
    """A renewal that happened while the watch was away counts when the next list shows it."""
    leases = Leases()
    leases.listed(a=at(0), b=at(0))
    await trio.sleep(100)
    leases.listed(a=at(90), b=at(0), c=at(95))
    assert {name for name in "abc" if leases.lives.life(name) is not None} == {"a", "c"}
    assert leases.told == ["a", "c"]
    assert leases.lives.watching_since() == at(0)


async def test_a_deleted_lease_lets_the_last_sign_of_life_stand(autojump_clock: MockClock) -> None:
    """When a Lease goes, what we saw remains true; when it comes back, that is a sign of life."""
    leases = Leases()
    leases.listed(a=at(0))
    leases.lives.put(lease("a", at(1)))
    leases.lives.drop(Lookup("kube-node-lease", "a"))
    assert leases.lives.life("a") is not None
    await trio.sleep(50)
    leases.lives.put(lease("a", at(1)))
    life = leases.lives.life("a")
    assert life is not None
    assert life.heard == at(50)


async def test_an_absurd_duration_does_not_shorten_the_period(autojump_clock: MockClock) -> None:
    """A Lease that claims to last a second (or none) is believed for a kubelet's ordinary period."""
    leases = Leases()
    leases.listed(a=at(0), b=at(0))
    for name, seconds in (("a", 1), ("b", 0)):
        leases.lives.put(lease(name, at(2), lease_duration_seconds=seconds))
        life = leases.lives.life(name)
        assert life is not None
        assert life.until == at(40)


async def test_failure_44_a_lease_that_does_not_decode_is_no_silence(autojump_clock: MockClock) -> None:
    """That it was written is a sign of life, whatever it says; that it is listed again is none. It stops nobody's heartbeats."""
    leases = Leases()
    leases.listed(a=at(0), bad=at(0))
    leases.lives.put(Malformed(Metadata(name="bad", resource_version="7"), "spec.renewTime: expected str"))
    assert leases.told == ["bad"]
    leases.lives.replace((Malformed(Metadata(name="bad", resource_version="7"), "no"), lease("a", at(4))), scope=None)
    assert leases.told == ["bad", "a"]


async def test_a_renewal_is_a_mark_that_is_another_one_after_each(autojump_clock: MockClock) -> None:
    """What a Lease says is a text to compare; that there is none is known once Leases were listed."""
    leases = Leases()
    assert leases.lives.renewal("a") == ""
    leases.listed(a=WRONG, empty=None)
    first = leases.lives.renewal("a")
    assert first not in ("", "none")
    assert leases.lives.renewal("b") == leases.lives.renewal("empty") == "none"
    leases.lives.put(lease("a", WRONG - timedelta(seconds=5)))
    assert leases.lives.renewal("a") not in ("", "none", first)
    leases.lives.put(Malformed(metadata=Metadata(name="a", resource_version="7"), problem="odd"))
    assert leases.lives.renewal("a") == ""


def node(ready: str | None) -> KubeNode:
    """A Kubernetes node whose Ready condition is this."""
    conditions = () if ready is None else (Condition(type="Ready", status=ready),)
    return KubeNode(metadata=Metadata(name="a"), status=KubeNodeStatus(conditions=conditions))


@pytest.mark.parametrize(
    ("old", "new", "alive"),
    [
        (None, node(None), True),
        (None, node("False"), True),
        (node("False"), node("True"), True),
        (node("Unknown"), node("True"), True),
        (node("True"), node("False"), True),
        (node("True"), node("Unknown"), False),
        (node("True"), node("True"), False),
        (node("True"), None, False),
    ],
)
async def test_what_only_a_kubelet_says_of_its_node_is_a_sign_of_life(
    autojump_clock: MockClock, old: KubeNode | None, new: KubeNode | None, alive: bool
) -> None:
    """A registration or a Ready that we watch proves a living kubelet before its first Lease; Unknown proves nothing."""
    leases = Leases()
    leases.lives.node_changed(old, new)
    assert (leases.lives.life("a") is not None) is alive
    assert leases.told == (["a"] if alive else [])
