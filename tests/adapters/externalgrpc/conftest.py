"""A gRPC client that shares nothing with the server: grpcio, and protobuf's own messages made from the .proto files."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
import trio
from tests import cloudprovider_client
from tests.cloudprovider_client import PROTO, Messages

from hexa.adapters.externalgrpc.adapter import run_server
from hexa.testing.fake_cloud import FakeCloud

HERE = Path(__file__).parent


class Client(cloudprovider_client.Client):
    """A client that also says how it was refused."""

    async def refused(self, rpc: str, request: Any, answer: Any = None) -> tuple[grpc.StatusCode, str]:
        """Status and message of a call that must fail."""
        with pytest.raises(grpc.RpcError) as failure:
            await self.call(rpc, request, answer)
        return failure.value.code(), failure.value.details()


@pytest.fixture(scope="session")
def compile_messages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Messages]:
    """Messages of a .proto file, compiled once."""
    folder = tmp_path_factory.mktemp("protos")
    return functools.cache(lambda proto: Messages(proto, folder))


@pytest.fixture
def messages(compile_messages: Callable[[Path], Messages]) -> Messages:
    """The messages of proto/externalgrpc.proto: both generations in one."""
    return compile_messages(PROTO / "externalgrpc.proto")


@pytest.fixture
def earlier(compile_messages: Callable[[Path], Messages]) -> Messages:
    """What Cluster Autoscaler up to 1.34 speaks."""
    return compile_messages(HERE / "earlier.proto")


@pytest.fixture
def later(compile_messages: Callable[[Path], Messages]) -> Messages:
    """What Cluster Autoscaler speaks since 1.35."""
    return compile_messages(HERE / "later.proto")


@pytest.fixture
def cloud() -> FakeCloud:
    """Two groups of three machines, all off."""
    return FakeCloud(groups=2, machines=3)


@pytest.fixture
async def address(cloud: FakeCloud, nursery: trio.Nursery) -> str:
    """Where `cloud` is served."""
    return await nursery.start(functools.partial(run_server, cloud, address="127.0.0.1:0"))


class Connect(Protocol):
    def __call__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> Client: ...


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients, and closes them."""
    clients: list[Client] = []

    def make(address: str, credentials: grpc.ChannelCredentials | None = None) -> Client:
        clients.append(Client(address, credentials))
        return clients[-1]

    yield make
    for client in clients:
        client.channel.close()


@pytest.fixture
async def client(address: str, connect: Connect) -> Client:
    """A client of the served `cloud`."""
    return connect(address)
