"""What is read from the API: lenient where it may be, and never stopped by one bad object; errors and names that are API."""

import pytest

from hexa.domain.errors import AlreadyExists, Conflict, Expired, HexaError, NotFound, Refused, Unavailable
from hexa.domain.names import group_id, provider_id
from hexa.domain.resources.core import JOBS, NODES, PODS, KubeNode, Malformed, Metadata, decode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, Group, Lookup, Node


def test_object_is_read_and_what_is_not_known_is_passed_over() -> None:
    """Fields of later versions of Kubernetes disturb nobody."""
    node = decode(
        NODES, {"metadata": {"name": "k1", "new": 1}, "spec": {"unschedulable": True, "later": []}, "x": None}
    )
    assert isinstance(node, KubeNode)
    assert (node.metadata.name, node.spec.unschedulable) == ("k1", True)


@pytest.mark.parametrize(
    ("obj", "named"),
    [
        (
            {"metadata": {"name": "p", "namespace": "apps"}, "spec": {"priority": "high"}},
            Metadata(name="p", namespace="apps"),
        ),
        ({"metadata": {"name": "p", "generation": "x"}}, Metadata(name="p")),
        ({"metadata": {"name": 3, "generation": "x"}}, Metadata(name="3")),
        ({"metadata": "p"}, Metadata()),
        ({"metadata": None}, Metadata()),
    ],
    ids=str,
)
def test_object_that_does_not_fit_is_known_by_name(obj: dict[str, object], named: Metadata) -> None:
    """One bad object is told with its name and the reason, as far as it has them, and the others go on."""
    found = decode(PODS, obj)
    assert isinstance(found, Malformed)
    assert found.metadata == named
    assert "Expected" in found.problem


@pytest.mark.parametrize("value", ["sometimes", 3, None, []])
def test_power_state_in_no_known_spelling_is_malformed(value: object) -> None:
    """A wish that can't be read is not guessed at; absent is as found."""
    assert isinstance(decode(MACHINES, {"spec": {"powerState": value}}), Node if value is None else Malformed)


def test_empty_objects_are_valid() -> None:
    """Everything in our resources is optional."""
    assert decode(MACHINES, {}) == Node()
    assert decode(GROUPS, {"spec": {}}) == Group()
    assert not isinstance(decode(JOBS, {}), Malformed)


def test_errors_tell_their_reason() -> None:
    """An error shows message and reason, and its reason is its class unless it says more."""
    assert repr(Refused("no", reason="Forbidden")) == "Refused('no', reason='Forbidden')"
    assert Unavailable("later").reason == "Unavailable"


def test_caller_that_re_reads_at_a_conflict_catches_all_of_them() -> None:
    """Gone, there already, and too old are conflicts; every error of ours has one base."""
    assert all(issubclass(kind, Conflict) for kind in (NotFound, AlreadyExists, Expired))
    assert all(issubclass(kind, HexaError) for kind in (Unavailable, Refused, Conflict))
    assert not issubclass(Refused, Conflict)


def test_ids_are_what_they_always_were() -> None:
    """Cluster Autoscaler matches groups and machines by these texts."""
    assert group_id("site", "rack") == "site/rack"
    assert provider_id("site", "m1") == "hexa://site/m1"
    assert str(Lookup("site", "m1")) == "site/m1"
