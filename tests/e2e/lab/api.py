"""A small client of the Kubernetes API for tests.

Owns requests and their errors; refuses to retry, to cache and to know hexa's own client, which it judges.
Kinds are written as in `v1/pods`, `batch/v1/jobs`, `apps/v1/deployments`.
"""

import json
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, cast

import httpx
import trio

from .waiting import eventually

Resource = dict[str, Any]

_POOL = httpx.Limits(max_connections=64, max_keepalive_connections=64)
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
LOST_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
MANAGER: Final = "e2e"
FINALIZED: Final = "infra.homecluster.dev/v1alpha1/nodes"
AT_ONCE: Final = 32
NAMESPACE_SECONDS: Final = 30.0
CLEANUP_SECONDS: Final = 10.0


class ApiError(Exception):
    """The API server's refusal: its HTTP code, reason and message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason


class Api:
    """Requests to one API server as one user; every method raises ApiError on a refusal."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self._turns = trio.CapacityLimiter(AT_ONCE)  # httpx's own queue takes time in proportion to its length
        self._paths: dict[tuple[str, str], tuple[str, bool]] = {}

    async def request(self, method: str, path: str, **request: Any) -> Any:
        """The decoded answer to a request."""
        whole = self.client.build_request(method, path, **request)
        whole.stream = _Body(whole.content)
        async with self._turns:
            answer = await self.client.send(whole)
        if answer.is_error:
            raise _error(answer.status_code, answer.content)
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    async def create(self, resource: Resource) -> Resource:
        """Makes what the manifest says."""
        return cast("Resource", await self.request("POST", await self._path_of(resource), json=resource))

    async def apply(self, *resources: Resource) -> None:
        """Makes or changes what the manifests say, in this order."""
        for resource in resources:
            path = f"{await self._path_of(resource)}/{resource['metadata']['name']}"
            await self._patch(path, resource, "apply", fieldManager=MANAGER, force="true")

    async def read(self, kind: str, name: str, *, namespace: str | None = None) -> Resource:
        """One object."""
        return cast("Resource", await self.request("GET", path(kind, name, namespace=namespace)))

    async def find(self, kind: str, name: str, *, namespace: str | None = None) -> Resource | None:
        """One object, or None where there is none."""
        try:
            return await self.read(kind, name, namespace=namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def list(self, kind: str, *, namespace: str | None = None, **query: Any) -> list[Resource]:
        """All objects, or those that the query (labelSelector, fieldSelector, ...) picks."""
        answer = await self.request("GET", path(kind, namespace=namespace), params=query)
        return list(answer["items"])

    async def patch(
        self,
        kind: str,
        name: str,
        change: Resource,
        *,
        namespace: str | None = None,
        subresource: str = "",
        how: str = "merge",
    ) -> Resource:
        """The object after the change; `how` is merge or strategic."""
        return await self._patch(path(kind, name, subresource, namespace=namespace), change, how)

    async def delete(self, kind: str, name: str, *, namespace: str | None = None, **options: Any) -> None:
        """Asks for the object's deletion; an object that is gone is fine. Options: gracePeriodSeconds, ..."""
        try:
            await self.request("DELETE", path(kind, name, namespace=namespace), json=options)
        except ApiError as error:
            if error.code != 404:
                raise

    @asynccontextmanager
    async def watch(
        self, kind: str, *, resource_version: str, namespace: str | None = None, **query: Any
    ) -> AsyncIterator["Events"]:
        """Events since `resource_version`; iterating raises ApiError 410 where that is forgotten."""
        query |= {"watch": "true", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        request = self.client.stream("GET", path(kind, namespace=namespace), params=query, timeout=None)
        async with request as answer:
            if answer.is_error:
                raise _error(answer.status_code, await answer.aread())
            events = Events()
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(events.read, answer)
                    yield events
                    nursery.cancel_scope.cancel()
            except ExceptionGroup as group:  # of one: `read` raises nothing
                raise group.exceptions[0] from None

    async def _patch(self, where: str, change: Resource, how: str, **query: str) -> Resource:
        headers = {"content-type": _PATCHES[how]}
        answer = await self.request("PATCH", where, content=json.dumps(change), headers=headers, params=query)
        return cast("Resource", answer)

    async def _path_of(self, resource: Resource) -> str:
        """The collection that a manifest belongs to, as the API server's discovery has it."""
        key = resource["apiVersion"], resource["kind"]
        if key not in self._paths:
            answer = await self.request("GET", _root(key[0]))
            for one in answer["resources"]:
                if "/" not in one["name"]:
                    self._paths[key[0], one["kind"]] = f"{key[0]}/{one['name']}", one["namespaced"]
        kind, namespaced = self._paths[key]
        return path(kind, namespace=resource["metadata"].get("namespace", "default") if namespaced else None)


class _Body(httpx.AsyncByteStream):
    """A request's body in one piece.

    httpx has a generator for it, which stays half way where a request is cancelled as it is sent; Trio warns.
    """

    def __init__(self, content: bytes) -> None:
        self._parts = [content]

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        if not self._parts:
            raise StopAsyncIteration
        return self._parts.pop()


class Events:
    """The events of a watch, until it ends; an error of the server or the connection is raised in turn.

    A task reads ahead of whoever iterates: so leaving the watch interrupts a read, which closes all of httpx's
    generators, and never leaves one half way.
    """

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Resource | Exception](math.inf)

    async def read(self, answer: httpx.Response) -> None:
        """Reads an answer to its end."""
        with self._send:
            try:
                async for line in answer.aiter_lines():
                    self._send.send_nowait(json.loads(line))
            except httpx.TransportError as error:
                self._send.send_nowait(error)

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Resource:
        try:
            event = await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        if isinstance(event, Exception):
            raise event
        if event["type"] == "ERROR":
            status = event["object"]
            raise ApiError(status["code"], status.get("reason", ""), status.get("message", ""))
        return event


@asynccontextmanager
async def open_api(url: str, trust: ssl.SSLContext | bool = False) -> AsyncIterator[Api]:
    """A client for the API server at `url`."""
    async with httpx.AsyncClient(base_url=url, verify=trust, timeout=30.0, limits=_POOL) as client:
        yield Api(client)


def path(kind: str, name: str = "", subresource: str = "", *, namespace: str | None = None) -> str:
    """The path of a collection, an object or a subresource."""
    version, _, plural = kind.rpartition("/")
    parts = [_root(version)]
    parts += [f"namespaces/{namespace}"] if namespace else []
    return "/".join([*parts, plural, *filter(None, (name, subresource))])


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _error(code: int, body: bytes) -> ApiError:
    try:
        status = json.loads(body)
        return ApiError(code, status.get("reason", ""), status.get("message", ""))
    except ValueError:
        return ApiError(code, "", body.decode(errors="replace"))


def is_ready(node: Resource) -> bool:
    """Whether a Kubernetes node says that it is ready."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


async def node_is_ready(api: Api, name: str) -> bool:
    """Whether a Kubernetes node exists and is ready."""
    node = await api.find("v1/nodes", name)
    return node is not None and is_ready(node)


async def node_takes_pods(api: Api, name: str) -> bool:
    """Whether a Kubernetes node is ready, and the controller manager has seen that."""
    node = await api.find("v1/nodes", name)
    taints = node["spec"].get("taints", []) if node else []
    return node is not None and is_ready(node) and all(taint["key"] not in LOST_TAINTS for taint in taints)


async def wait_for_namespace(api: Api, name: str) -> None:
    """Returns once pods can be made in a new namespace: its service account and CA bundle exist."""
    for kind, wanted in (("v1/serviceaccounts", "default"), ("v1/configmaps", "kube-root-ca.crt")):
        await eventually(partial(api.find, kind, wanted, namespace=name), within=NAMESPACE_SECONDS)


@asynccontextmanager
async def open_namespace(api: Api, name: str) -> AsyncIterator[str]:
    """A namespace in which pods can be made; its objects are going when the block ends."""
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        await wait_for_namespace(api, name)
        yield name
    finally:
        with trio.move_on_after(CLEANUP_SECONDS, shield=True):
            with suppress(ApiError, httpx.TransportError):
                await _clear_namespace(api, name)


async def _clear_namespace(api: Api, name: str) -> None:
    """Doesn't wait for the end. Pods go at once, since the machine of one may be off and never answer; so does what a finalizer
    of hexa's holds, since the agent is gone."""
    await api.delete("v1/namespaces", name)
    for pod in await api.list("v1/pods", namespace=name):
        await api.delete("v1/pods", pod["metadata"]["name"], namespace=name, gracePeriodSeconds=0)
    for held in await api.list(FINALIZED, namespace=name):
        if held["metadata"].get("finalizers"):
            await api.patch(FINALIZED, held["metadata"]["name"], {"metadata": {"finalizers": None}}, namespace=name)
