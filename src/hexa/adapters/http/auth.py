"""Who asks, and what they may see: tokens of Kubernetes, judged by its API server.

A token is in no log line, no error and no key of what is kept: that is a hash of it with a key of this process, so nobody learns
from the time of an answer how much of a token was right.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import trio

from hexa.adapters.http.errors import HttpError, bad_request, forbidden, too_many, unauthorized, unavailable
from hexa.adapters.http.kept import Bucket, Kept
from hexa.domain.errors import HexaError, Refused
from hexa.domain.resources.cluster import REVIEWS, TOKEN_REVIEWS, TokenOwner
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Kube

TOKEN_KEPT: Final = 10.0
"""Seconds for which the API server's word over a token counts: as long a deleted token still reads."""
ACCESS_KEPT: Final = 30.0
"""The same for what somebody may do."""
TOLD_EVERY: Final = 60.0
"""Seconds between two log lines of one kind of trouble with the API server."""
MOST_KEPT: Final = 2_000
MOST_NAMESPACES: Final = 200
"""Namespaces that are asked for one by one, of a caller who may not list all."""
LONGEST_TOKEN: Final = 8_192
READS: Final = frozenset({"GET", "HEAD"})
TRIES: Final = 40, 5.0
"""Tokens that nobody knows yet: how many at once, and a second. More would be a load on the API server."""

T = TypeVar("T")
Tell = Callable[[str], None]


class Caller:
    """Somebody whom the API server knows; or anybody, where `anonymousRead` is set. Its methods raise `HttpError` (503) where
    the API server cannot be asked."""

    def __init__(self, judge: "Judge", owner: TokenOwner | None) -> None:
        self._judge = judge
        self._owner = owner

    @property
    def name(self) -> str:
        """As Kubernetes calls them: for example system:serviceaccount:home:assistant."""
        return self._owner.username if self._owner else "anonymous"

    async def namespaces(self) -> frozenset[str] | None:
        """Whose machines and groups they may list; None: all. Raises `HttpError` (403) where it would be none."""
        if self._owner is None or await self._may("list", "", ""):
            return None
        places = sorted(set(self._judge.places()))[:MOST_NAMESPACES]
        seen = frozenset([place for place in places if await self._may("list", place, "")])
        if not seen:
            raise forbidden(f"{self.name[:200]} may list {MACHINES.plural}.{GROUP} in no namespace that has machines")
        return seen

    def there(self, namespace: str) -> bool:
        """Whether the namespace has machines or groups; for who may list all."""
        return namespace in self._judge.places()

    async def may_read(self, namespace: str, machine: str) -> bool:
        """Whether they may see this machine: all of its namespace, or just this one by its name."""
        if self._owner is None:
            return True
        return await self._may("list", namespace, "") or await self._may("get", namespace, machine)

    async def may_update(self, namespace: str, machine: str, act: str = "") -> bool:
        """Whether they may change this machine. `act` (hold, wake): or have hexa do just that, which a Role allows as `nodes/hold`.
        Never without a token."""
        if self._owner is None:
            return False
        if act and await self._may("update", namespace, machine, act):
            return True
        return await self._may("update", namespace, machine)

    async def must_get(self, path: str) -> None:
        """Raises `HttpError` (403) unless they may `get` the path, which a ClusterRole allows by nonResourceURLs."""
        if self._owner is None:
            return
        asked = {"nonResourceAttributes": {"verb": "get", "path": path}}
        if not await self._judge.allowed(self._owner, asked, key=("get", path, "")):
            raise forbidden(f"{self.name[:200]} may not get {path}: a ClusterRole allows it by nonResourceURLs")

    async def _may(self, verb: str, namespace: str, machine: str, act: str = "") -> bool:
        assert self._owner is not None
        wanted = {"verb": verb, "group": GROUP, "resource": MACHINES.plural, "namespace": namespace, "name": machine}
        asked = {"resourceAttributes": {key: value for key, value in {**wanted, "subresource": act}.items() if value}}
        return await self._judge.allowed(self._owner, asked, key=(verb, namespace, machine, act))


class Door:
    """Lets callers in by their token."""

    def __init__(self, judge: "Judge", *, anonymous_read: bool = False) -> None:
        self._judge = judge
        self._anonymous_read = anonymous_read

    async def admit(self, authorization: str | None, method: str) -> Caller:
        """Who this is, by the header Authorization. Raises `HttpError`: 401, or 429 and 503 where it cannot be told now."""
        if authorization is None and self._anonymous_read and method in READS:
            return Caller(self._judge, None)
        if authorization is None:
            raise unauthorized("this needs a token of Kubernetes: Authorization: Bearer TOKEN (docs/http.md)")
        owner = await self._judge.owner(_token(authorization))
        if owner is None:
            raise unauthorized("the API server does not know this token, or it has ended")
        return Caller(self._judge, owner)


class Judge:
    """Asks the API server whose a token is and what they may do, and keeps its answers for some seconds.

    `places`: namespaces that have machines or groups. `tell`: a line for the log where it cannot be asked."""

    def __init__(self, kube: Kube, *, places: Callable[[], Iterable[str]], tell: Tell) -> None:
        self.places = places
        self._kube = kube
        self._tell = tell
        self._told: dict[str, float] = {}
        self._pepper = secrets.token_bytes(32)
        self._owners: Kept[bytes, TokenOwner | None] = Kept(seconds=TOKEN_KEPT, most=MOST_KEPT)
        self._access: Kept[tuple[Any, ...], bool] = Kept(seconds=ACCESS_KEPT, most=MOST_KEPT)
        self._known: dict[bytes, None] = {}
        """Tokens that were good once: they are asked for again even while somebody tries many others."""
        burst, a_second = TRIES
        self._tries = Bucket(burst=burst, a_second=a_second)

    async def owner(self, token: str) -> TokenOwner | None:
        """Whose it is; None: nobody's."""
        digest = hashlib.blake2b(token.encode(), key=self._pepper, digest_size=32).digest()

        async def ask() -> TokenOwner | None:
            if digest not in self._known and (wait := self._tries.take()):
                raise too_many("too many tokens are tried that nobody knows", retry_after=wait)
            manifest = {"apiVersion": TOKEN_REVIEWS.api_version, "kind": TOKEN_REVIEWS.name, "metadata": {}}
            review = await self._asked(self._kube.create(TOKEN_REVIEWS, {**manifest, "spec": {"token": token}}))
            status = review.status
            if not (status.authenticated and status.user.username):
                self._known.pop(digest, None)
                return None
            self._remember(digest)
            return status.user

        return await self._owners.get(digest, ask)

    async def allowed(self, owner: TokenOwner, asked: Mapping[str, Any], *, key: tuple[str, ...]) -> bool:
        """Whether the API server allows it. `key` says the same as `asked`."""
        who = owner.username, owner.uid, owner.groups, tuple(sorted(owner.extra.items()))

        async def ask() -> bool:
            spec = {"user": owner.username, "uid": owner.uid, "groups": owner.groups, "extra": owner.extra, **asked}
            manifest = {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.name, "metadata": {}, "spec": spec}
            return (await self._asked(self._kube.create(REVIEWS, manifest))).status.allowed

        return await self._access.get((who, *key), ask)

    async def _asked(self, question: Awaitable[T]) -> T:
        try:
            return await question
        except HexaError as error:
            self._complain(f"{type(error).__name__} {error.reason}")  # not its text, which may quote what was sent
            if isinstance(error, Refused):
                raise _unasked("hexa may not ask the API server who callers are: see its log") from None
            raise _unasked("the API server does not say now whose this token is") from None

    def _complain(self, why: str) -> None:
        now = trio.current_time()
        if now >= self._told.get(why, now - TOLD_EVERY) + TOLD_EVERY:
            self._told[why] = now
            self._tell(why)

    def _remember(self, digest: bytes) -> None:
        self._known.pop(digest, None)
        if len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known[digest] = None


GROUP: Final = MACHINES.api_version.partition("/")[0]


def _token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise unauthorized("the header Authorization is not of the form: Bearer TOKEN")
    if len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise bad_request("what stands in the header Authorization is no token of Kubernetes")
    return token


def _unasked(message: str) -> HttpError:
    return unavailable(message, retry_after=5)
