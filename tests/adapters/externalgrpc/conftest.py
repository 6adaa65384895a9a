"""A gRPC client that shares nothing with the server: grpcio, and protobuf's own messages made from the .proto files."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc_tools
import pytest
import trio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

from hexa.adapters.externalgrpc.adapter import run_server
from hexa.testing.fake_cloud import FakeCloud

HERE = Path(__file__).parent
PROTO = Path(__file__).parents[3] / "proto"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
PACKAGE = "clusterautoscaler.cloudprovider.v1.externalgrpc"
SECONDS = 20
OPTIONS = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
"""A client of its own, with a connection of its own."""


class Messages:
    """The message classes of one .proto file: `messages.NodeGroup`; `messages.k8s("Node")` for those that it imports."""

    def __init__(self, proto: Path, folder: Path) -> None:
        target = folder / f"{proto.stem}.pb"
        paths = [f"--proto_path={path}" for path in (proto.parent, PROTO, WELL_KNOWN)]
        assert protoc.main(["", *paths, "--include_imports", f"--descriptor_set_out={target}", str(proto)]) == 0
        self._pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file:
            self._pool.Add(file)

    def k8s(self, name: str) -> Any:
        """A class of the package k8s."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"k8s.{name}"))

    def rpcs(self) -> dict[str, tuple[Any, Any]]:
        """Request and response classes by the name of the RPC."""
        methods = self._pool.FindServiceByName(f"{PACKAGE}.CloudProvider").methods
        make = message_factory.GetMessageClass
        return {method.name: (make(method.input_type), make(method.output_type)) for method in methods}

    def __getattr__(self, name: str) -> Any:
        try:
            return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        except KeyError as error:
            raise AttributeError(name) from error


class Client:
    """Calls in a worker thread. An answer is a message; a status other than OK raises `grpc.RpcError`."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address, options=OPTIONS)

    async def call(self, rpc: str, request: Any, answer: Any) -> Any:
        """`request` and `answer` are a message and a class, or bytes and None."""
        stub = self.channel.unary_unary(
            f"/{PACKAGE}.CloudProvider/{rpc}",
            request_serializer=None if isinstance(request, bytes) else lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString if answer is not None else None,
        )
        return await trio.to_thread.run_sync(functools.partial(stub, request, timeout=SECONDS, wait_for_ready=True))

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
    def __call__(self, address: str) -> Client: ...


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients, and closes them."""
    clients: list[Client] = []

    def make(address: str) -> Client:
        clients.append(Client(address))
        return clients[-1]

    yield make
    for client in clients:
        client.channel.close()


@pytest.fixture
async def client(address: str, connect: Connect) -> Client:
    """A client of the served `cloud`."""
    return connect(address)
