"""A small client of the Kubernetes API for tests.

Owns requests and their errors; refuses to retry, to cache and to know hexa's own client, which it judges.
Kinds are written as in `v1/pods`, `batch/v1/jobs`, `apps/v1/deployments`.
"""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio

Resource = dict[str, Any]

_POOL = httpx.Limits(max_connections=64, max_keepalive_connections=64)
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
MANAGER = "e2e"


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
        self._paths: dict[tuple[str, str], tuple[str, bool]] = {}

    async def request(self, method: str, path: str, **request: Any) -> Any:
        """The decoded answer to a request."""
        answer = await self.client.request(method, path, **request)
        if answer.is_error:
            raise _error(answer.status_code, answer.content)
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    async def create(self, resource: Resource) -> Resource:
        """Makes what the manifest says."""
        return await self.request("POST", await self._path_of(resource), json=resource)

    async def apply(self, *resources: Resource) -> None:
        """Makes or changes what the manifests say, in this order."""
        for resource in resources:
            path = f"{await self._path_of(resource)}/{resource['metadata']['name']}"
            await self._patch(path, resource, "apply", fieldManager=MANAGER, force="true")

    async def read(self, kind: str, name: str, *, namespace: str | None = None) -> Resource:
        """One object."""
        return await self.request("GET", path(kind, name, namespace=namespace))

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
    ) -> AsyncIterator[AsyncIterator[Resource]]:
        """Events since `resource_version`; iterating raises ApiError 410 where that is forgotten."""
        query |= {"watch": "true", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        request = self.client.stream("GET", path(kind, namespace=namespace), params=query, timeout=None)
        async with request as answer:
            if answer.is_error:
                raise _error(answer.status_code, await answer.aread())
            yield _events(answer)

    async def _patch(self, where: str, change: Resource, how: str, **query: str) -> Resource:
        headers = {"content-type": _PATCHES[how]}
        answer = await self.request("PATCH", where, content=json.dumps(change), headers=headers, params=query)
        assert isinstance(answer, dict)
        return answer

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


@asynccontextmanager
async def open_api(
    url: str, trust: ssl.SSLContext, *, headers: dict[str, str] | None = None
) -> AsyncIterator[Api]:
    """A client for the API server at `url`."""
    async with httpx.AsyncClient(
        base_url=url, verify=trust, headers=headers, timeout=30.0, limits=_POOL
    ) as client:
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


async def _events(answer: httpx.Response) -> AsyncIterator[Resource]:
    async for line in answer.aiter_lines():
        event = json.loads(line)
        if event["type"] == "ERROR":
            status = event["object"]
            raise ApiError(status["code"], status.get("reason", ""), status.get("message", ""))
        yield event


async def wait_for_namespace(api: Api, name: str) -> None:
    """Returns once pods can be made in a new namespace: its service account and CA bundle exist."""
    for kind, wanted in (("v1/serviceaccounts", "default"), ("v1/configmaps", "kube-root-ca.crt")):
        while await api.find(kind, wanted, namespace=name) is None:
            await trio.sleep(0.02)
