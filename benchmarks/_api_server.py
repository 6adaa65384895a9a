"""The API server in RAM behind HTTP, in a process of its own: what an agent costs is the agent's alone. It knows the verbs that the
agent uses, no rights and no pages."""

import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec
import trio

from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.selectors import object_test
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.system.clock import SystemClock
from hexa.domain.errors import HexaError
from hexa.domain.resources import cluster, core
from hexa.domain.resources.core import LEASES, NODES, Kind
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Change, Patch, PatchStyle

KINDS: dict[tuple[str, str], Kind[Any]] = {
    (kind.api_version, kind.plural): kind
    for kind in (*vars(core).values(), *vars(cluster).values(), GROUPS, MACHINES)
    if isinstance(kind, Kind)
}
SPACE, LEASE_SPACE = "bench", "kube-node-lease"
CODES = {"NotFound": 404, "AlreadyExists": 409, "Conflict": 409, "Expired": 410}
BEAT = 10.0


class Site:
    """Machines in groups, each with a Kubernetes node."""

    def __init__(self, count: int, groups: int, *, live: bool) -> None:
        self.api = MemoryApi(SystemClock(), history=50_000)
        self.kube = MemoryKube(self.api)
        self.count, self.live = count, live
        capacity = {"cpu": "8", "memory": "32Gi", "pods": "110"}
        pod = {"image": "example.org/power:1", "command": ["wake"]}
        for number in range(groups):
            metadata = {"name": f"g{number}", "namespace": SPACE}
            self.api.create(GROUPS, {"metadata": metadata, "spec": {"maxSize": count}})
        for number in range(count):
            name = f"m{number}"
            metadata = {"name": name, "namespace": SPACE, "labels": {"group": f"g{number % groups}"}}
            spec = {"startupPodSpec": pod, "shutdownPodSpec": pod, "template": {"capacity": capacity}}
            self.api.create(MACHINES, {"metadata": metadata, "spec": spec})
            labels = {f"example.org/label-{n}": f"value-{n}" for n in range(30)}
            ready = {"type": "Ready", "status": "True" if live else "Unknown"}
            status = {"conditions": [ready], "capacity": capacity, "allocatable": capacity}
            self.api.create(NODES, {"metadata": {"name": name, "labels": labels}, "status": status}, keep_status=True)
            lease = {"metadata": {"name": name, "namespace": LEASE_SPACE}, "spec": {"holderIdentity": name}}
            self.api.create(LEASES, lease)

    async def renew(self) -> None:
        """Each kubelet renews its Lease once in `BEAT` seconds; never returns."""
        begun, number = trio.current_time(), 0
        while self.live:
            await trio.sleep_until(begun + number * BEAT / self.count)
            patch = Patch({"spec": {"renewTime": f"{SystemClock().now():%Y-%m-%dT%H:%M:%S.%fZ}"}})
            self.api.patch(LEASES, (LEASE_SPACE, f"m{number % self.count}"), patch, manager="kubelet")
            number += 1

    def phases(self) -> dict[str, int]:
        """How many machines are in which phase."""
        found: dict[str, int] = {}
        for stored in self.api.find(MACHINES):
            phase = stored.raw.get("status", {}).get("phase", "")
            found[phase] = found.get(phase, 0) + 1
        return found


class Connection:
    """One client."""

    def __init__(self, site: Site, stream: trio.SocketStream) -> None:
        self.site, self.stream, self.http = site, stream, h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        """Answer until it goes."""
        while True:
            event = await self._next()
            if not isinstance(event, h11.Request):
                return
            body = b""
            while not isinstance(part := await self._next(), h11.EndOfMessage):
                body += bytes(part.data)  # type: ignore[union-attr]
            try:
                await self._answer(event, body)
            except HexaError as error:
                told = {"kind": "Status", "status": "Failure", "reason": error.reason, "message": str(error)}
                await self._send(CODES.get(type(error).__name__, 400), told)
            if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
                return
            self.http.start_next_cycle()

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(await self.stream.receive_some(65536))
        return event  # type: ignore[return-value]

    async def _send(self, code: int, body: Mapping[str, Any]) -> None:
        data = msgspec.json.encode(body)
        headers = [("content-type", "application/json"), ("content-length", str(len(data)))]
        out = self.http.send(h11.Response(status_code=code, headers=headers)) or b""
        out += self.http.send(h11.Data(data=data)) or b""
        await self.stream.send_all(out + (self.http.send(h11.EndOfMessage()) or b""))

    async def _answer(self, request: h11.Request, body: bytes) -> None:
        url = urlsplit(request.target.decode())
        if url.path == "/phases":
            await self._send(200, {"phases": self.site.phases()})
            return
        kind, namespace, name, subresource = place(url.path)
        query, api = dict(parse_qsl(url.query)), self.site.api
        given: Any = msgspec.json.decode(body) if body else {}
        match request.method:
            case b"GET" if query.get("watch"):
                await self._watch(kind, namespace, query)
            case b"GET":
                test = selected(namespace, query)
                items = [stored.raw for stored in api.find(kind, test)]
                await self._send(200, {"metadata": {"resourceVersion": api.version}, "items": items})
            case b"POST" if kind.plural in cluster.ANSWERED:
                await self._send(201, {**given, "status": {"allowed": True}})
            case b"POST":
                await self._send(201, api.create(kind, given, manager="hexa").raw)
            case b"PATCH":
                media = dict(request.headers)[b"content-type"].decode()
                version = given.get("metadata", {}).pop("resourceVersion", "")
                patch = Patch(given, PatchStyle(media), subresource or "", version)  # type: ignore[arg-type]
                await self._send(200, api.patch(kind, (namespace or "", name), patch, manager="hexa").raw)
            case _:
                api.delete(kind, (namespace or "", name))
                await self._send(200, {"kind": "Status"})

    async def _watch(self, kind: Kind[Any], namespace: str | None, query: dict[str, str]) -> None:
        stream = self.site.api.open_stream(kind, selected(namespace, query), query["resourceVersion"])
        headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")]
        await self.stream.send_all(self.http.send(h11.Response(status_code=200, headers=headers)) or b"")
        with trio.move_on_after(float(query["timeoutSeconds"])):
            async for change in stream.changes:
                await self._change(kind, change)
        await self.stream.send_all(self.http.send(h11.EndOfMessage()) or b"")

    async def _change(self, kind: Kind[Any], change: Change[Any]) -> None:
        if change.object is None:
            return
        meta = change.object.metadata
        stored = self.site.api.get(kind, meta.name, meta.namespace)
        raw = stored.raw if stored is not None else {"metadata": msgspec.to_builtins(meta)}
        line = msgspec.json.encode({"type": str(change.type), "object": raw}) + b"\n"
        with trio.CancelScope(shield=True):  # a line that has begun is sent whole
            await self.stream.send_all(self.http.send(h11.Data(data=line)) or b"")


def selected(namespace: str | None, query: Mapping[str, str]) -> Any:
    return object_test(
        namespace=namespace, labels=query.get("labelSelector", ""), fields=query.get("fieldSelector", "")
    )


def place(path: str) -> tuple[Kind[Any], str | None, str, str]:
    """Kind, namespace, name and subresource of a path."""
    parts = path.strip("/").split("/")
    version, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return KINDS[version, rest[0]], namespace, *(*rest[1:3], "", "")[:2]


async def main(count: int, groups: int, live: bool) -> None:
    site = Site(count, groups, live=live)

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await Connection(site, stream).serve()
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        nursery.start_soon(site.renew)
        port = listeners[0].socket.getsockname()[1]
        print(msgspec.json.encode({"server": f"http://127.0.0.1:{port}"}).decode(), flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "live")
