"""The API over a cluster in RAM without an agent, asked without a socket; callers are told what they may do by hand."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import trio
from msgspec import Struct
from tests.cli.sites import NOW, Clock, cluster

from hexa.adapters.http.api import Api
from hexa.adapters.http.app import Parts, make_app
from hexa.adapters.http.auth import Caller
from hexa.adapters.http.errors import forbidden, unauthorized
from hexa.adapters.http.limits import Limits
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.commands.shared.snapshot import take
from hexa.app.questions.live import Live
from hexa.app.questions.orders import HoldOrders
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch


class Guest(Caller):
    """Somebody who may see and do what is written here, and nothing else."""

    def __init__(
        self,
        name: str,
        *,
        spaces: frozenset[str] | None = frozenset(),
        sees: tuple[str, ...] = (),
        does: tuple[str, ...] = (),
    ) -> None:
        self._called, self.spaces, self.sees, self.does = name, spaces, sees, does

    @property
    def name(self) -> str:
        return self._called

    async def namespaces(self) -> frozenset[str] | None:
        if self.spaces is not None and not self.spaces:
            raise forbidden(f"{self.name} may list nothing")
        return self.spaces

    def there(self, namespace: str) -> bool:
        return namespace in ("a", "b")

    async def may_read(self, namespace: str, machine: str) -> bool:
        return self.spaces is None or namespace in self.spaces or f"{namespace}/{machine}" in self.sees

    async def may_update(self, namespace: str, machine: str, act: str = "") -> bool:
        return f"{namespace}/{machine}" in self.does or "*" in self.does


class GuestDoor:
    """Lets in whose token is a name that is known."""

    def __init__(self, *guests: Guest) -> None:
        self.guests = {guest.name: guest for guest in guests}

    async def admit(self, authorization: str | None, method: str) -> Caller:
        guest = self.guests.get((authorization or "").removeprefix("Bearer "))
        if guest is None:
            raise unauthorized("who is that?")
        return guest


class Answer(Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


async def ask(
    app: Any, method: str, path: str, *, body: Any = None, token: str = "root", accept: str = "", size: int = 1_000
) -> Answer:
    """An answer of an application; the body comes in pieces."""
    path, _, query = path.partition("?")
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
    }
    sent: list[Any] = []
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    pieces = [content[at : at + size] for at in range(0, len(content), size)] or [b""]

    async def receive() -> Any:
        if not pieces:
            await trio.sleep_forever()  # it stays and listens
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(each.get("body", b"") for each in sent[1:]))


class Desk:
    """The API, and what is behind it."""

    def __init__(self, kube: MemoryKube, live: Live, clock: Clock, door: GuestDoor) -> None:
        self.kube, self.live, self.clock, self.door = kube, live, clock, door
        self.journal = MemoryJournal(clock)
        self.api = Api(live, HoldOrders(kube, lambda: live.snapshot, self.journal))
        parts = Parts(
            door=door,  # type: ignore[arg-type]
            ready=lambda: True,
            open=self.api.open(),
            guarded=self.api.guarded(),
        )
        self.app = Limits(make_app(parts))

    async def get(self, path: str, **more: Any) -> Answer:
        """The answer to a GET under /api/v1."""
        return await ask(self.app, "GET", f"/api/v1/{path}", **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        """The answer to a POST under /api/v1/machines."""
        return await ask(self.app, "POST", f"/api/v1/machines/{path}", body=body, **more)

    def hold(self, name: str, namespace: str = "a") -> dict[str, Any] | None:
        """The hold that is stored on a machine."""
        found = self.kube.api.get(MACHINES, name, namespace)
        assert found is not None
        hold: dict[str, Any] | None = found.raw.get("spec", {}).get("hold")
        return hold

    def change(self, name: str, namespace: str = "a", **status: Any) -> None:
        """Another status of a machine, as the watch would bring it."""
        self.kube.api.patch(MACHINES, (namespace, name), Patch({"status": status}, subresource="status"))
        self.seen(name, namespace)

    def seen(self, name: str, namespace: str = "a") -> None:
        """What is stored of a machine is in the snapshot."""
        stored = self.kube.api.get(MACHINES, name, namespace)
        assert stored is not None
        self.live.snapshot.store.machines.put(stored.decoded(MACHINES))


Objects = Mapping[tuple[Any, str, str], Mapping[str, Any]]


@asynccontextmanager
async def open_desk(objects: Objects, *guests: Guest, now: datetime = NOW) -> AsyncIterator[Desk]:
    """The API over these objects: {(kind, namespace, name): {spec, status, labels}}. Token root may do everything."""
    kube, clock = cluster(now=now), Clock(now)
    for (kind, space, name), each in objects.items():
        meta = {"name": name, "namespace": space, "labels": each.get("labels", {})}
        manifest = {"metadata": meta, "spec": each.get("spec", {}), "status": each.get("status", {})}
        kube.api.create(kind, manifest, keep_status=True)
    snapshot = await take(kube, clock=clock, namespace=None)
    root = Guest("root", spaces=None, does=("*",))
    live = Live(snapshot.store, snapshot.views, kube)
    yield Desk(kube, live, clock, GuestDoor(root, *guests))


RACK: Objects = {
    (GROUPS, "a", "rack"): {},
    (MACHINES, "a", "box-1"): {"labels": {"group": "rack"}, "status": {"phase": "Ready", "powerState": "on"}},
    (MACHINES, "a", "box-2"): {
        "labels": {"group": "rack"},
        "status": {"phase": "Off", "powerState": "off", "bootSeconds": [60.0]},
    },
    (MACHINES, "b", "lone"): {"status": {"phase": "Off", "powerState": "off"}},
}
"""Two machines of a group, and one elsewhere."""
