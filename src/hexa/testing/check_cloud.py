"""What Cluster Autoscaler relies on, checked on anybody's implementation of ports.cloud. Free of pytest, and of clocks.

It knows no implementation. It asks for machines and gives them back, so it belongs on a test site.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from msgspec import structs

from hexa.domain.resources.core import Container, Pod, PodSpec, ResourceRequirements
from hexa.ports.cloud import Cloud, Denied, Done, ExternalNode, Instance, InstanceState, NodeTemplate, UnknownGroup

STRANGER: Final = ExternalNode("hexa-check-stranger", "hexa-check://stranger")
NOWHERE: Final = "hexa-check/no-such-group"
_REASON: Final = re.compile(r"^[A-Z][A-Za-z0-9]+$")
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)
_WEB: Final = Pod(
    spec=PodSpec(
        containers=(Container(resources=ResourceRequirements(requests={"cpu": "500m", "memory": "512Mi"})),),
    )
)


async def check_cloud(cloud: Cloud, *, group: str) -> None:
    """Raise AssertionError, with a sentence, where `cloud` breaks a rule.

    `group` has a minimum of 0 and room for one machine at least, and all of its machines are off, can come and
    may be given back at once (hexa: wakeProof Ignore, or a machine that was taken back keeps the next one on). Nothing may change
    it meanwhile but this check, which leaves it as it was.
    """
    _ensure(cloud.refresh(), "the snapshot is complete")
    _check_groups(cloud, group)
    await _check_unknown_group(cloud, group)
    _check_options(cloud, group)
    _check_template(cloud, group)
    _check_prices(cloud)
    await _check_growth(cloud, group)
    await _check_taking_back(cloud, group)
    await _check_deletion(cloud, group)


def _ensure(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(f"not so: {sentence}")


def _check_groups(cloud: Cloud, group: str) -> None:
    version, groups = cloud.version(), cloud.groups()
    ids = [shown.id for shown in groups]
    _ensure(len(ids) == len(set(ids)) and all(ids), "every group has an id of its own")
    _ensure(group in ids, f"{group} is listed")
    _ensure(all(0 <= shown.min_size <= shown.max_size for shown in groups), "0 <= min_size <= max_size")
    again = cloud.groups()
    _ensure(cloud.version() != version or list(again) == list(groups), "answers are the same while the version is")
    _ensure(cloud.group_for_node(STRANGER.name, STRANGER.provider_id) is None, "a stranger belongs to no group")
    types = list(cloud.gpu_types())
    _ensure(bool(cloud.gpu_label()) and len(types) == len(set(types)), "there is a GPU label, and each type once")


async def _check_unknown_group(cloud: Cloud, group: str) -> None:
    before = _target(cloud, group)
    answers: Mapping[str, Any] = {
        "target_size": cloud.target_size(NOWHERE),
        "instances": cloud.instances(NOWHERE),
        "template": cloud.template(NOWHERE),
        "options": cloud.options(NOWHERE),
        "increase_size": await cloud.increase_size(NOWHERE, delta=1),
        "delete_nodes": await cloud.delete_nodes(NOWHERE, nodes=[STRANGER]),
        "decrease_target_size": await cloud.decrease_target_size(NOWHERE, delta=-1),
    }
    for method, answer in answers.items():
        _ensure(answer == UnknownGroup(NOWHERE), f"{method} of an unknown group is UnknownGroup, not {answer!r}")
    _ensure(_target(cloud, group) == before, "calls for an unknown group change no other")


def _check_options(cloud: Cloud, group: str) -> None:
    options = cloud.options(group)
    if isinstance(options, UnknownGroup):
        _lost(group)
    for name, value in structs.asdict(options).items():
        if value is None or isinstance(value, bool):
            continue
        most = 1.0 if name.endswith("threshold") else float("inf")
        _ensure(0 <= value <= most, f"{name} is {value}: a share of 1, or seconds")


def _check_template(cloud: Cloud, group: str) -> None:
    match cloud.template(group):
        case UnknownGroup():
            _lost(group)
        case Denied(reason=reason):
            _ensure(_REASON.match(reason) is not None, f"{reason!r} is CamelCase")
        case NodeTemplate(name=name, shape=shape):
            _ensure(bool(name), "a template has a name")
            _ensure(
                {"cpu", "memory"} <= shape.capacity.keys(), "a template has cpu and memory: else nothing fits on it"
            )
            node = ExternalNode(f"template-node-for-{group}", labels=shape.labels)
            price = cloud.node_price(node, _START, _START + _HOUR)
            _ensure(price is not None, "a node made from the template has a price: the price expander asks for it")


def _check_prices(cloud: Cloud) -> None:
    _ensure(cloud.node_price(STRANGER, _START, _START + _HOUR) is None, "a stranger has no price, not 0")
    short, long = (cloud.pod_price(_WEB, _START, _START + hours * _HOUR) for hours in (1, 2))
    _ensure(0 <= short <= long, f"a pod costs at least 0 and no less for longer: {short}, {long}")


async def _check_growth(cloud: Cloud, group: str) -> None:
    before, version = _target(cloud, group), cloud.version()
    _ensure(before == 0, f"{group} is at rest when the check begins")
    _ensure(await cloud.increase_size(group, delta=1) == Done(), f"{group} has room for one machine")
    _ensure(_target(cloud, group) == 1, "the target has grown when increase_size returns")
    _ensure(cloud.version() != version, "a change of the target changes the version")
    coming = _instances(cloud, group)
    _ensure(len(coming) == 1 and bool(coming[0].id), "a machine on its way is an instance with an id")
    _ensure(coming[0].state is InstanceState.CREATING and coming[0].error is None, "it is being created")
    _ensure(_instances(cloud, group)[0].id == coming[0].id, "an instance keeps its id")
    most = next(shown.max_size for shown in cloud.groups() if shown.id == group)
    answer = await cloud.increase_size(group, delta=most)
    _check_denial(answer, "increase_size beyond max_size")
    _ensure(_target(cloud, group) == 1, "a denied increase changes nothing")


async def _check_taking_back(cloud: Cloud, group: str) -> None:
    _ensure(await cloud.decrease_target_size(group, delta=-1) == Done(), "a request can be taken back")
    _ensure(_target(cloud, group) == 0, "the target has shrunk when decrease_target_size returns")
    _ensure(await cloud.decrease_target_size(group, delta=-1) == Done(), "taking back nothing is a success")
    _ensure(_target(cloud, group) == 0, "the target never falls below 0")


async def _check_deletion(cloud: Cloud, group: str) -> None:
    _ensure(await cloud.increase_size(group, delta=1) == Done(), "a machine that was taken back can come again")
    coming = [shown.id for shown in _instances(cloud, group) if shown.state is InstanceState.CREATING]
    nodes = [ExternalNode("", provider_id) for provider_id in coming]  # one that was taken back may be among them
    for turn in ("once", "twice"):
        _ensure(await cloud.delete_nodes(group, nodes=nodes) == Done(), f"a node can be deleted {turn}")
        _ensure(_target(cloud, group) == 0, "the target counts a node that is deleted twice once")
    _check_denial(await cloud.delete_nodes(group, nodes=[STRANGER]), "deleting a stranger")


def _check_denial(answer: Done | UnknownGroup | Denied, what: str) -> None:
    _ensure(isinstance(answer, Denied), f"{what} is denied, not {answer!r}")
    if isinstance(answer, Denied):
        _ensure(_REASON.match(answer.reason) is not None and bool(answer.message), "a denial says why")


def _target(cloud: Cloud, group: str) -> int:
    size = cloud.target_size(group)
    if isinstance(size, UnknownGroup):
        _lost(group)
    return size


def _instances(cloud: Cloud, group: str) -> list[Instance]:
    instances = cloud.instances(group)
    if isinstance(instances, UnknownGroup):
        _lost(group)
    return list(instances)


def _lost(group: str) -> NoReturn:
    raise AssertionError(f"not so: {group} is known, since it is listed")
