"""What the scheduler counts for a pod, and so what must fit on another node before hexa drains this one."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import pod

from hexa.domain.pods.requests import requests
from hexa.domain.resources.core import Condition, Container, ContainerStatus, Pod, PodStatus, ResourceRequirements

GIB = Decimal(2**30)


def asks(name: str = "main", restart: str = "", **amounts: str) -> Container:
    """A container with these requests."""
    return Container(name=name, resources=whole(**amounts), restart_policy=restart)


def sidecar(**amounts: str) -> Container:
    """An init container that stays."""
    return asks("sidecar", "Always", **amounts)


def whole(**amounts: str) -> ResourceRequirements:
    """Requests."""
    return ResourceRequirements(requests={name.replace("__", "/"): amount for name, amount in amounts.items()})


COUNTED: dict[str, tuple[dict[str, Any], dict[str, Decimal]]] = {
    "containers run together, beside the overhead": (
        {"containers": (asks(cpu="500m", memory="1Gi"), asks(cpu="250m")), "overhead": {"cpu": "50m"}},
        {"cpu": Decimal("0.8"), "memory": GIB},
    ),
    "init containers run alone, one after another": (
        {"init_containers": (asks(cpu="2"), asks(memory="2Gi")), "containers": (asks(cpu="1", memory="1Gi"),)},
        {"cpu": Decimal(2), "memory": 2 * GIB},
    ),
    "sidecars run beside the containers": (
        {"init_containers": (sidecar(cpu="1"), sidecar(cpu="1")), "containers": (asks(cpu="750m"),)},
        {"cpu": Decimal("2.75")},
    ),
    "an init container runs beside the sidecars before it": (
        {"init_containers": (sidecar(cpu="2"), asks(cpu="4")), "containers": (asks(cpu="1"),)},
        {"cpu": Decimal(6)},
    ),
    "and not beside those after it": (
        {"init_containers": (asks(cpu="4"), sidecar(cpu="2")), "containers": (asks(cpu="1"),)},
        {"cpu": Decimal(4)},
    ),
    "the overhead comes on top of a large start too": (
        {
            "init_containers": (asks(cpu="4"),),
            "containers": (asks(cpu="1"),),
            "overhead": {"cpu": "1", "memory": "1Gi"},
        },
        {"cpu": Decimal(5), "memory": GIB},
    ),
    "what the pod asks as a whole stands in place of its containers'": (
        {"resources": whole(cpu="8"), "containers": (asks(cpu="1", memory="1Gi"),), "overhead": {"cpu": "1"}},
        {"cpu": Decimal(9), "memory": GIB},
    ),
    "also where that is less than its start": (
        {"resources": whole(memory="1Gi"), "init_containers": (asks(memory="4Gi"),), "containers": (asks(),)},
        {"memory": GIB},
    ),
    "a whole pod asks for no devices": (
        {"resources": whole(cpu="1", nvidia__com="1"), "containers": (asks(),)},
        {"cpu": Decimal(1)},
    ),
    "huge pages are asked for by the whole pod too": (
        {"resources": ResourceRequirements(requests={"hugepages-2Mi": "4Mi"}), "containers": (asks(),)},
        {"hugepages-2Mi": Decimal(4 * 2**20)},
    ),
    "a pod without requests takes its place": ({"containers": ()}, {}),
    "what is no quantity counts for nothing": ({"containers": (asks(cpu="a lot"),)}, {}),
}


@pytest.mark.parametrize("case", COUNTED)
def test_requests_are_what_the_scheduler_counts(case: str) -> None:
    """Whether a pod fits elsewhere is judged by the same sum as the scheduler's."""
    spec, expected = COUNTED[case]
    assert requests(pod(**spec)) == {**expected, "pods": Decimal(1)}


def resized(**status: Any) -> Pod:
    """A pod that asked for one core, whose container has two and was promised three."""
    has = ContainerStatus(name="main", resources=whole(cpu="2"), allocated_resources={"cpu": "3"})
    return structs.replace(pod(containers=(asks(cpu="1"),)), status=PodStatus(container_statuses=(has,), **status))


def test_resize_counts_from_both_ends_until_it_is_over() -> None:
    """A container that is made smaller holds what it has until its kubelet lets go; one that is made larger counts at once."""
    assert requests(resized())["cpu"] == Decimal(3)
    larger = structs.replace(resized(), spec=pod(containers=(asks(cpu="9"),)).spec)
    assert requests(larger)["cpu"] == Decimal(9)


def test_resize_that_its_node_can_never_grant_does_not_count() -> None:
    """A pod that asks for more than its node has keeps what it has."""
    refused = Condition(type="PodResizePending", status="True", reason="Infeasible")
    larger = structs.replace(resized(conditions=(refused,)), spec=pod(containers=(asks(cpu="9"),)).spec)
    assert requests(larger)["cpu"] == Decimal(3)


def test_resized_sidecar_counts_as_it_is() -> None:
    """Sidecars are resized like other containers."""
    has = ContainerStatus(name="sidecar", resources=whole(cpu="2"))
    small = pod(containers=(asks(cpu="1"),), init_containers=(sidecar(cpu="1"),))
    assert requests(structs.replace(small, status=PodStatus(init_container_statuses=(has,))))["cpu"] == Decimal(3)
