"""Where contract checks work: names of their own, objects that are gone afterwards, waiting that says what for.

Free of pytest. Time is Trio's: in RAM it may jump, against a real API server it passes.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from enum import StrEnum
from typing import Any, TypeVar

import trio
from msgspec import Struct

from hexa.domain.errors import HexaError
from hexa.domain.resources.core import Kind
from hexa.domain.resources.v1alpha1 import PowerPodSpec
from hexa.ports.health_checks import Checks
from hexa.ports.jobs import Jobs
from hexa.ports.kube import Kube, Selector

T = TypeVar("T")

_PAUSE = 0.05
_TIDY = 10.0


class Bench(Struct, kw_only=True):
    """An API server to check, and a namespace that exists on it."""

    kube: Kube
    namespace: str = "default"
    patience: float = 30.0
    """Seconds that controllers may take."""

    def name(self, word: str = "check") -> str:
        """A name that nothing else has."""
        return f"{word}-{secrets.token_hex(4)}"

    def one(self, name: str) -> Selector:
        """The object of this name in the namespace."""
        return Selector(namespace=self.namespace, fields=f"metadata.name={name}")

    def manifest(
        self, word: str = "check", *, metadata: Mapping[str, Any] | None = None, **parts: Any
    ) -> dict[str, Any]:
        """A manifest in the namespace under a new name."""
        return {"metadata": {"name": self.name(word), "namespace": self.namespace, **(metadata or {})}, **parts}

    @asynccontextmanager
    async def made(self, kind: Kind[T], manifest: Mapping[str, Any]) -> AsyncIterator[T]:
        """Create an object, and delete it in the end if it is still there."""
        name, namespace = manifest["metadata"]["name"], manifest["metadata"].get("namespace")
        made = await self.kube.create(kind, manifest)
        try:
            yield made
        finally:
            with trio.move_on_after(_TIDY, shield=True), suppress(HexaError):
                await self.kube.delete(kind, name, namespace=namespace, grace=0)

    async def until(self, what: str, check: Callable[[], Awaitable[T | None]]) -> T:
        """The first result of `check` that is neither None nor False."""
        with trio.move_on_after(self.patience):
            while True:
                found = await check()
                if found is not None and found is not False:
                    return found
                await trio.sleep(_PAUSE)
        raise AssertionError(f"within {self.patience:g} s it should have come true that {what}")


def expect(condition: object, said: str) -> None:
    """Raise AssertionError unless the condition holds, whatever Python's -O leaves out."""
    if not condition:
        raise AssertionError(said)


@asynccontextmanager
async def refused(error: type[HexaError], doing: str) -> AsyncIterator[None]:
    """The block must raise exactly this error."""
    try:
        yield
    except HexaError as raised:
        if type(raised) is error:
            return
        raise AssertionError(f"{doing} should raise {error.__name__}, not {raised!r}") from raised
    raise AssertionError(f"{doing} should raise {error.__name__}, and nothing was raised")


class KubeBench(Bench, kw_only=True):
    """An API server to check, and what it takes to make it do what it seldom does."""

    forget: Callable[[], Awaitable[str]] | None = None
    """Make the server forget its history; the answer is a resourceVersion from before that."""
    brief: Callable[[], AbstractAsyncContextManager[Kube]] | None = None
    """A client whose watches the server soon ends, with a bookmark before. None: `kube` is one."""
    nobody: Kube | None = None
    """A client that is allowed nothing."""


class Does(StrEnum):
    """What the container of an order shall do."""

    FINISH = "finish"
    FAIL = "fail"
    HANG = "hang"
    LACK_ITS_IMAGE = "lack its image"


class JobsBench(Bench, kw_only=True):
    """A runner of orders to check, and a cluster with one node that may run them."""

    jobs: Jobs
    spec: Callable[[Does, str], PowerPodSpec]
    """A spec for the machine of this name whose container does that."""
    worker: str
    """The Kubernetes node that runs power Jobs; it is in no group."""


class ChecksBench(Bench, kw_only=True):
    """What runs health checks, and a cluster with one node that may run them."""

    checks: Checks
    spec: Callable[[Does, str], PowerPodSpec]
    """A spec for the machine of this name whose container does that."""
    worker: str
    """The Kubernetes node that runs them; it is in no group."""
