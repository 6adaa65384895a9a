"""The 15 answers: which call of ports.cloud belongs to which RPC, what is kept as bytes, which status an error becomes.

It knows neither sockets nor asyncio. Reads are plain functions from bytes to bytes; writes are coroutines for Trio.
What Cluster Autoscaler does with each status: docs/cluster-autoscaler.md.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeVar, assert_never

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from hexa.adapters.externalgrpc import wire
from hexa.adapters.externalgrpc.scan import Malformed
from hexa.domain.errors import Conflict, HexaError, Refused, Unavailable
from hexa.ports.cloud import Cloud, Denied, Done, UnknownGroup

T = TypeVar("T")
Read = Callable[[bytes], bytes]
Write = Callable[[bytes], Awaitable[bytes]]

log = logging.getLogger(__name__)

PREFIX: Final = "/clusterautoscaler.cloudprovider.v1.externalgrpc.CloudProvider/"

KEPT_ANSWERS: Final = 10_000
KEPT_LENGTH: Final = 1_000
"""Bounds of the answers that are kept: how many, and bytes of the request."""

_STATUS: Final = {
    Unavailable: Status.UNAVAILABLE,
    Refused: Status.FAILED_PRECONDITION,
    Conflict: Status.ABORTED,
}
"""Our errors as gRPC names them; of those that derive from one another the first match counts."""


def refusal(error: Exception) -> GRPCError:
    """What a caller is told about an error. Defects of ours are logged, and told without their innards."""
    if isinstance(error, GRPCError):
        return error
    if isinstance(error, Malformed):
        return GRPCError(Status.INVALID_ARGUMENT, f"Malformed: {error}")
    if isinstance(error, HexaError):
        for kind, status in _STATUS.items():
            if isinstance(error, kind):
                return GRPCError(status, f"{error.reason}: {error}")
    log.error("a CloudProvider call failed", exc_info=error)
    return GRPCError(Status.INTERNAL, f"Internal: {type(error).__name__}, the log of hexa says more")


class Service:
    """The answers of one Cloud. `reads` and `writes` are keyed by the path of the RPC."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._version = cloud.version()
        self._kept: dict[tuple[Read, bytes], bytes] = {}
        self._groups_of_nodes: dict[tuple[str, str], bytes] = {}
        reads: dict[str, Read] = {
            "NodeGroups": partial(self._keep, self._groups),
            "NodeGroupForNode": self._group_for_node,
            "PricingNodePrice": self._node_price,
            "PricingPodPrice": self._pod_price,
            "GPULabel": self._gpu_label,
            "GetAvailableGPUTypes": self._gpu_types,
            "Cleanup": self._cleanup,
            "Refresh": self._refresh,
            "NodeGroupTargetSize": partial(self._keep, self._target_size),
            "NodeGroupNodes": partial(self._keep, self._instances),
            "NodeGroupTemplateNodeInfo": partial(self._keep, self._template),
            "NodeGroupGetOptions": partial(self._keep, self._options),
        }
        writes: dict[str, Write] = {
            "NodeGroupIncreaseSize": self._increase_size,
            "NodeGroupDeleteNodes": self._delete_nodes,
            "NodeGroupDecreaseTargetSize": self._decrease_target_size,
        }
        self.reads: Mapping[str, Read] = {PREFIX + name: read for name, read in reads.items()}
        self.writes: Mapping[str, Write] = {PREFIX + name: write for name, write in writes.items()}

    def _keep(self, make: Read, request: bytes) -> bytes:
        """`make(request)`, made once while the snapshot stands. Callers repeat themselves to the byte."""
        self._drop_if_stale()
        key = (make, request)
        answer = self._kept.get(key)
        if answer is None:
            answer = make(request)
            if len(request) <= KEPT_LENGTH and len(self._kept) < KEPT_ANSWERS:
                self._kept[key] = answer
        return answer

    def _drop_if_stale(self) -> None:
        version = self._cloud.version()
        if version != self._version:
            self._drop()
            self._version = version

    def _drop(self) -> None:
        self._kept.clear()
        self._groups_of_nodes.clear()

    # --- reads ---

    def _group_for_node(self, request: bytes) -> bytes:
        self._drop_if_stale()
        names = wire.read_node_names(request)
        answer = self._groups_of_nodes.get(names)
        if answer is None:
            group = self._cloud.group_for_node(*names)
            answer = wire.EMPTY if group is None else wire.group_for_node(group)
            if len(self._groups_of_nodes) < KEPT_ANSWERS:
                self._groups_of_nodes[names] = answer
        return answer

    def _groups(self, _: bytes) -> bytes:
        return wire.groups(self._cloud.groups())

    def _target_size(self, request: bytes) -> bytes:
        return wire.target_size(_known(self._cloud.target_size(wire.read_group(request))))

    def _instances(self, request: bytes) -> bytes:
        return wire.instances(_known(self._cloud.instances(wire.read_group(request))))

    def _template(self, request: bytes) -> bytes:
        answer = self._cloud.template(wire.read_group(request))
        if isinstance(answer, Denied):  # up to 1.33 any other status ends the loop for every group
            raise GRPCError(Status.UNIMPLEMENTED, _told(answer))
        return wire.template(_known(answer))

    def _options(self, request: bytes) -> bytes:
        group, defaults = wire.read_options(request)
        return wire.options(_known(self._cloud.options(group)), defaults)

    def _node_price(self, request: bytes) -> bytes:
        node, start, end = wire.read_node_price(request)
        price = self._cloud.node_price(node, start, end)
        if price is None:  # the price expander passes over an option whose price call fails
            raise GRPCError(Status.NOT_FOUND, f"UnknownNode: {node.name or node.provider_id} belongs to no group")
        return wire.price(price)

    def _pod_price(self, request: bytes) -> bytes:
        return wire.price(self._cloud.pod_price(*wire.read_pod_price(request)))

    def _gpu_label(self, _: bytes) -> bytes:
        return wire.gpu_label(self._cloud.gpu_label())

    def _gpu_types(self, _: bytes) -> bytes:
        return wire.gpu_types(self._cloud.gpu_types())

    def _cleanup(self, _: bytes) -> bytes:
        return wire.EMPTY  # Cluster Autoscaler ends; machines stay as they are

    def _refresh(self, _: bytes) -> bytes:
        if not self._cloud.refresh():
            raise GRPCError(Status.UNAVAILABLE, "SnapshotIncomplete: the API server was not read completely yet")
        self._drop()  # what depends on the clock, such as a hold that ends, is as old as one loop at most
        return wire.EMPTY

    # --- writes ---

    async def _increase_size(self, request: bytes) -> bytes:
        group, delta = wire.read_increase(request)
        return _done(await self._cloud.increase_size(group, delta=delta))

    async def _delete_nodes(self, request: bytes) -> bytes:
        group, nodes = wire.read_delete(request)
        return _done(await self._cloud.delete_nodes(group, nodes=nodes))

    async def _decrease_target_size(self, request: bytes) -> bytes:
        group, delta = wire.read_decrease(request)
        return _done(await self._cloud.decrease_target_size(group, delta=delta))


def _known(answer: T | UnknownGroup) -> T:
    if isinstance(answer, UnknownGroup):
        raise _unknown(answer)
    return answer


def _done(answer: Done | UnknownGroup | Denied) -> bytes:
    match answer:
        case Done():
            return wire.EMPTY
        case UnknownGroup():
            raise _unknown(answer)
        case Denied():
            raise GRPCError(Status.FAILED_PRECONDITION, _told(answer))
        case _:
            assert_never(answer)


def _unknown(answer: UnknownGroup) -> GRPCError:
    return GRPCError(Status.NOT_FOUND, f"UnknownGroup: there is no group {answer.id!r}")


def _told(answer: Denied) -> str:
    return f"{answer.reason}: {answer.message}"
