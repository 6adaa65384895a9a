"""grpc.health.v1 beside CloudProvider, and alone on a listener for kubelet."""

import functools
from typing import Any

import grpc
import pytest
import trio

from hexa.adapters.externalgrpc import adapter
from hexa.adapters.externalgrpc.adapter import run_health

SERVICE = b"clusterautoscaler.cloudprovider.v1.externalgrpc.CloudProvider"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


async def check(client: Any, service: bytes = b"") -> bytes:
    """The answer of Check, as bytes."""
    request = b"\x0a" + bytes([len(service)]) + service if service else b""
    ask = functools.partial(client.channel.unary_unary("/grpc.health.v1.Health/Check"), request, timeout=5)
    return bytes(await trio.to_thread.run_sync(ask))


async def test_health_is_answered_beside_the_calls(client: Any) -> None:
    """Where CloudProvider is served, the process and the service are SERVING, and other names are NOT_FOUND."""
    assert await check(client) == SERVING
    assert await check(client, SERVICE) == SERVING
    with pytest.raises(grpc.RpcError) as failure:
        await check(client, b"database")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_listener_for_probes_tells_alive_from_ready(nursery: trio.Nursery, connect: Any) -> None:
    """kubelet asks in plain text: alive from the first moment, ready once the snapshot was complete; nothing else is served."""
    ready = trio.Event()
    client = connect(await nursery.start(functools.partial(run_health, ready.is_set, address="127.0.0.1:0")))
    assert await check(client) == SERVING
    assert await check(client, SERVICE) == NOT_SERVING
    ready.set()
    assert await check(client, SERVICE) == SERVING
    status, _ = await client.refused("NodeGroups", b"")
    assert status is grpc.StatusCode.UNIMPLEMENTED


async def test_who_stays_on_the_listener_for_probes_keeps_no_probe_out(
    nursery: trio.Nursery, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any pod may reach it: connections that have asked something and stay are the first to go when another comes."""
    monkeypatch.setattr(adapter, "MAX_CONNECTIONS", 2)
    address = await nursery.start(functools.partial(run_health, lambda: True, address="127.0.0.1:0"))
    for _ in range(4):
        assert await check(connect(address)) == SERVING


@pytest.mark.parametrize("request_", [b"\x0a\x05ab", b"\x0a\x01\xff"], ids=["cut off", "no UTF-8"])
async def test_broken_request_is_refused(client: Any, request_: bytes) -> None:
    """What does not parse is INVALID_ARGUMENT."""
    ask = functools.partial(client.channel.unary_unary("/grpc.health.v1.Health/Check"), request_, timeout=5)
    with pytest.raises(grpc.RpcError) as failure:
        await trio.to_thread.run_sync(ask)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
