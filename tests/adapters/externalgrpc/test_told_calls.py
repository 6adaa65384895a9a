"""Who counts calls is told of each one that the CloudProvider answers or refuses, and of nothing else."""

import functools
from contextlib import suppress
from typing import Any

import grpc
import trio

from hexa.adapters.externalgrpc.adapter import run_server
from hexa.testing.fake_cloud import FakeCloud


class Heard:
    """What was told."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, float]] = []
        self.refusals: list[tuple[str, float, str]] = []

    def answered(self, method: str, seconds: float) -> None:
        self.answers.append((method, seconds))

    def refused(self, method: str, seconds: float, code: str) -> None:
        self.refusals.append((method, seconds, code))


async def test_calls_are_told_with_their_names_and_times(nursery: trio.Nursery, connect: Any, messages: Any) -> None:
    """Reads, writes and refusals are told by their method; one that nobody serves has no name, and a probe of health is no call."""
    heard, cloud = Heard(), FakeCloud(groups=1, machines=2)
    client = connect(await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0", calls=heard)))
    await client.call("Refresh", b"", None)
    increase = messages.NodeGroupIncreaseSizeRequest(id=next(iter(cloud.fake_groups)), delta=1)
    await client.call("NodeGroupIncreaseSize", increase, None)
    assert [method for method, _ in heard.answers] == ["Refresh", "NodeGroupIncreaseSize"]
    assert all(0 < seconds < 5 for _, seconds in heard.answers)
    code, _ = await client.refused("NodeGroupTargetSize", messages.NodeGroupTargetSizeRequest(id="none"))
    assert code is grpc.StatusCode.NOT_FOUND
    await client.refused("OddMethod", b"")
    for path in ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Odd"):
        with suppress(grpc.RpcError):
            await trio.to_thread.run_sync(functools.partial(client.channel.unary_unary(path), b"", timeout=5))
    assert [(method, code) for method, _, code in heard.refusals] == [
        ("NodeGroupTargetSize", "NOT_FOUND"),
        ("", "UNIMPLEMENTED"),
        ("", "UNIMPLEMENTED"),
    ]
    assert len(heard.answers) == 2
