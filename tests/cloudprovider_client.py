"""A gRPC client that shares nothing with the server: grpcio, and protobuf's own messages made from the .proto files."""

import functools
from pathlib import Path
from typing import Any

import grpc
import grpc_tools
import trio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

PROTO = Path(__file__).parents[1] / "proto"
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

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        if credentials is None:
            self.channel = grpc.insecure_channel(address, options=OPTIONS)
        else:
            self.channel = grpc.secure_channel(address, credentials, options=OPTIONS)

    async def call(self, rpc: str, request: Any, answer: Any) -> Any:
        """`request` and `answer` are a message and a class, or bytes and None."""
        stub = self.channel.unary_unary(
            f"/{PACKAGE}.CloudProvider/{rpc}",
            request_serializer=None if isinstance(request, bytes) else lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString if answer is not None else None,
        )
        return await trio.to_thread.run_sync(functools.partial(stub, request, timeout=SECONDS, wait_for_ready=True))
