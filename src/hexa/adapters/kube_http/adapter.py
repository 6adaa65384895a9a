"""The six verbs of `ports.kube` as HTTP requests. It decides nothing and repeats nothing: retries are the app's."""

import random
import re
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Literal, TypeVar

import httpcore
import msgspec
import trio
from trio.abc import ReceiveChannel

from hexa.adapters.kube_http import wire
from hexa.adapters.kube_http.client import httpx
from hexa.adapters.kube_http.cluster import DEFAULT_TUNING, Cluster, KeyPair, Tuning
from hexa.adapters.kube_http.credentials import Identity, identity, show_certificate, tls_context
from hexa.adapters.kube_http.exchange import KEPT, Answer, Headers, Line, connections, url_of
from hexa.adapters.kube_http.pace import Pace
from hexa.adapters.kube_http.secrets import SECRETS, Secret
from hexa.adapters.kube_http.wire import Call
from hexa.domain.errors import Expired, HexaError, NotFound, Refused, Unavailable, causes
from hexa.domain.resources.core import PODS, Kind
from hexa.ports.clock import Clock
from hexa.ports.kube import EVERYTHING, Blocked, Change, Evicted, Listing, Patch, Selector
from hexa.ports.sensors import Secrets

T = TypeVar("T")

_JSON: Final = "application/json"
_HEADERS: Final = {
    "Accept": _JSON,
    "Accept-Encoding": "identity",  # on a local network zipping costs more than it saves
    "User-Agent": "hexa",
}
REQUESTS_AT_ONCE: Final = 10
"""Besides watches. More of them would wait for our one thread, and each connection costs a TLS handshake."""
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEPT)
"""Each watch holds a connection, so their number is not limited."""

_PLAIN: Final = re.compile(r"[/A-Za-z0-9._-]+")
"""Paths that need no quoting. For httpx to find that out was 8 % of a request's CPU in a profile."""

_KEEPALIVE: Final = {
    "SO_KEEPALIVE": 1,
    "TCP_KEEPIDLE": 15,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,
}
"""The kernel notices within 30 s that the other side is gone, also while nothing is said."""


# --- failures of the transport --------------------------------------------------------------------

_FOREIGN: Final = (
    (httpx.ConnectTimeout, Unavailable, "no connection within the time"),
    (httpcore.ConnectTimeout, Unavailable, "no connection within the time"),
    (httpx.ReadTimeout, Unavailable, "no answer within the time"),
    (httpcore.ReadTimeout, Unavailable, "no answer within the time"),
    (httpx.UnsupportedProtocol, Refused, "not an http or https URL"),
    (httpcore.UnsupportedProtocol, Refused, "not an http or https URL"),
    (httpx.InvalidURL, Refused, "not a URL"),
    (httpx.ProxyError, Unavailable, "the proxy refuses"),
    (httpcore.ProxyError, Unavailable, "the proxy refuses"),
    (httpx.HTTPError, Unavailable, "the connection failed"),
    (httpcore.TimeoutException, Unavailable, "the connection failed"),
    (httpcore.NetworkError, Unavailable, "the connection failed"),
    (httpcore.ProtocolError, Unavailable, "the connection failed"),
    (httpx.StreamError, Unavailable, "the connection was closed"),
    (msgspec.DecodeError, Unavailable, "the answer is not the Kubernetes API's"),
)
"""Foreign exception, ours, and what to call it. The first that fits counts."""


@contextmanager
def _translated(call: Call, server: str) -> Iterator[None]:
    try:
        yield
    except tuple(row[0] for row in _FOREIGN) as error:
        untrusted = _cause(error, ssl.SSLCertVerificationError)
        if untrusted is not None:
            raise Refused(_untrusted(server, untrusted), reason="CertificateNotTrusted") from error
        ours, problem = next((row[1], row[2]) for row in _FOREIGN if isinstance(error, row[0]))
        detail = f": {error}" if str(error) else ""
        raise ours(f"cannot {call}: {server}: {problem}{detail}", reason=type(error).__name__) from error


def _cause(error: BaseException | None, kind: type[Exception]) -> Exception | None:
    return next((each for each in causes(error) if isinstance(each, kind)), None)


def _untrusted(server: str, error: Exception) -> str:
    said = getattr(error, "verify_message", "") or str(error)
    return f"{server}: its certificate is not trusted ({said}); correct certificate-authority or tls-server-name"


# --- the adapter ----------------------------------------------------------------------------------


class HttpKube:
    """Implements `ports.kube.Kube`, and reads Secrets for `secrets_of`. `open_kube` makes it."""

    def __init__(
        self,
        lines: Sequence[Line],
        watches: httpx.AsyncClient,
        *,
        who: Identity | None,
        cluster: Cluster,
        tuning: Tuning,
    ) -> None:
        """`lines`: one for each of the requests at a time. `who` signs their requests; those of `watches` it signs itself."""
        self._idle, self._watches, self._who = list(lines), watches, who
        self._server = cluster.server
        self._tuning = tuning
        self._extensions = {"sni_hostname": cluster.server_name} if cluster.server_name else {}
        self._base = url_of(watches.base_url)
        self._common: Headers = tuple(watches.build_request("GET", "/").headers.raw)
        self._how = {**self._extensions, "timeout": self._timeout(tuning.answer).as_dict()}
        self._turn = trio.CapacityLimiter(len(lines))

    async def list(self, kind: Kind[T], selector: Selector = EVERYTHING) -> Listing[T]:
        """Pages of 500; in one go if the server forgets the list's version between two pages."""
        call = Call("list", kind, selector.namespace)
        try:
            return await self._pages(call, {**wire.query(selector), "limit": str(wire.PAGE)})
        except Expired:
            return await self._pages(call, wire.query(selector))

    async def _pages(self, call: Call, params: Mapping[str, str]) -> Listing[Any]:
        items: list[Any] = []
        more = ""
        while True:
            page = await self._page(call, {**params, "continue": more} if more else params)
            items.extend(page.items)
            more = page.more
            if not more:
                return Listing(tuple(items), page.resource_version)

    async def _page(self, call: Call, params: Mapping[str, str]) -> wire.Page:
        body = await self._ask("GET", call, params=params)
        with _translated(call, self._server):
            return wire.decode_page(call.kind, body)

    @asynccontextmanager
    async def watch(
        self, kind: Kind[T], selector: Selector = EVERYTHING, *, since: str
    ) -> AsyncIterator[ReceiveChannel[Change[T]]]:
        """One request that stays open. Nothing is read ahead: it needs no task of its own."""
        call = Call("watch", kind, selector.namespace)
        seconds = round(self._tuning.watch * random.uniform(1.0, 1.5))
        params = {
            **wire.query(selector),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(seconds),
        }
        request = self._watches.build_request(
            "GET",
            call.path,
            params=params,
            timeout=self._timeout(seconds + self._tuning.silence),
            extensions=dict(self._extensions),
        )
        with _translated(call, self._server):
            response = await self._watches.send(request, stream=True)
        try:
            if not response.is_success:
                await self._raise_failure(call, response)
            changes: _Changes[T] = _Changes(call, self._server, response.aiter_raw())
            async with changes:
                yield changes
        finally:
            await response.aclose()

    async def _raise_failure(self, call: Call, response: httpx.Response) -> None:
        with _translated(call, self._server):
            body = await response.aread()
        raise wire.failure(call, response.status_code, wire.decode_status(body))

    async def create(self, kind: Kind[T], manifest: Mapping[str, Any]) -> T:
        """POST to the collection."""
        call = Call("create", kind, manifest.get("metadata", {}).get("namespace"))
        return await self._write("POST", call, kind, wire.encode_manifest(kind, manifest))

    async def patch(self, kind: Kind[T], name: str, patch: Patch, *, namespace: str | None = None) -> T:
        """PATCH with the media type of its style."""
        call = Call("patch", kind, namespace, name, patch.subresource)
        return await self._write("PATCH", call, kind, wire.encode_patch(patch), media=patch.style)

    async def _write(self, method: str, call: Call, kind: Kind[T], body: bytes, *, media: str = _JSON) -> T:
        answer = await self._ask(method, call, body=body, media=media)
        with _translated(call, self._server):
            return wire.decode_written(call, kind, answer)

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        *,
        namespace: str | None = None,
        uid: str = "",
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace: int | None = None,
    ) -> None:
        """DELETE with its options in the body."""
        call = Call("delete", kind, namespace, name)
        options = wire.delete_options(uid=uid, grace=grace, propagation=propagation)
        answer = await self._send("DELETE", call, body=msgspec.json.encode(options))
        if answer.code != 404:
            _succeeded(call, answer)

    async def evict(self, name: str, *, namespace: str, uid: str = "", grace: int | None = None) -> Evicted | Blocked:
        """POST an Eviction of policy/v1."""
        call = Call("create", PODS, namespace, name, "eviction")
        body = wire.eviction(name, namespace=namespace, uid=uid, grace=grace)
        answer = await self._send("POST", call, body=msgspec.json.encode(body))
        return wire.evicted(call, answer.code, answer.body)

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """GET of one Secret. Not one of the port's verbs: see `ports.sensors.Secrets`."""
        call = Call("get", SECRETS, namespace, name)
        try:
            body = await self._ask("GET", call)
        except NotFound:
            return None
        with _translated(call, self._server):
            return msgspec.json.decode(body, type=Secret).data

    # --- one request ---

    async def _ask(self, method: str, call: Call, **request: Any) -> bytes:
        return _succeeded(call, await self._send(method, call, **request))

    async def _send(
        self,
        method: str,
        call: Call,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes = b"",
        media: str = _JSON,
    ) -> Answer:
        with _translated(call, self._server):
            url, headers = self._url(call.path, params), self._headers(body, media)
            async with self._turn:
                line = self._idle.pop()  # the one used last: few connections are kept where few are needed
                try:
                    return await self._signed(line, method, url, headers, body)
                finally:
                    self._idle.append(line)

    async def _signed(self, line: Line, method: str, url: httpcore.URL, headers: Headers, body: bytes) -> Answer:
        """The answer; that to a fresher proof of who we are, where the server refuses the first."""

        async def sent(proof: str) -> Answer:
            signed = [*headers, (b"Authorization", proof.encode())] if proof else headers
            return await line.send(httpcore.Request(method, url, headers=signed, content=body, extensions=self._how))

        if self._who is None:
            return await sent("")
        answer = await sent(used := await self._who.header())
        if answer.code == 401 and (fresh := await self._who.renew(used)) != used:
            return await sent(fresh)
        return answer

    def _headers(self, body: bytes, media: str) -> Headers:
        if not body:
            return self._common
        return *self._common, (b"Content-Type", media.encode()), (b"Content-Length", b"%d" % len(body))

    def _url(self, path: str, params: Mapping[str, str] | None) -> httpcore.URL:
        base = self._base
        if params or not _PLAIN.fullmatch(path):
            target = self._watches.build_request("GET", path, params=params).url.raw_path
        else:
            target = base.target + path[1:].encode()
        return httpcore.URL(scheme=base.scheme, host=base.host, port=base.port, target=target)

    def _timeout(self, quiet: float) -> httpx.Timeout:
        return httpx.Timeout(connect=self._tuning.connect, read=quiet, write=self._tuning.answer, pool=None)


def _succeeded(call: Call, answer: Answer) -> bytes:
    if answer.is_success:
        return answer.body
    raise wire.failure(call, answer.code, wire.decode_status(answer.body))


class _Changes(ReceiveChannel[Change[T]]):
    """Reads the stream when asked for a change. A failure is raised after the changes that came before it."""

    def __init__(self, call: Call, server: str, pieces: AsyncIterator[bytes]) -> None:
        self._call = call
        self._server = server
        self._pieces = pieces
        self._lines = wire.Lines()
        self._pace = Pace(trio.current_time())
        self._ready: deque[bytes] = deque()
        """Lines that were read and not decoded: each is decoded when it is asked for, and others run in between."""
        self._failure: HexaError | None = None

    async def receive(self) -> Change[T]:
        if self._ready:
            await trio.lowlevel.checkpoint()
        while True:
            if self._failure is not None:
                raise self._failure
            if (change := await self._next()) is not None:
                return change

    async def _next(self) -> Change[T] | None:
        """What the next line says; None: there was none, or a failure."""
        try:
            with _translated(self._call, self._server):
                if self._ready:
                    return wire.decode_change(self._call, self._ready.popleft())
                self._ready.extend(self._lines.feed(await self._piece()))
        except HexaError as error:
            self._failure = error
        return None

    async def _piece(self) -> bytes:
        if pause := self._pace.pause():
            await trio.sleep(pause)
        began = trio.current_time()
        piece = await anext(self._pieces, None)
        if piece is None:
            raise trio.EndOfChannel
        self._pace.read(began=began, ended=trio.current_time())
        return piece

    async def aclose(self) -> None:
        # The stream is a chain of async generators. Closing the outermost leaves the others to the garbage collector;
        # a cancelled read ends them all, from the socket outwards.
        with trio.CancelScope() as scope, suppress(httpx.HTTPError, httpx.StreamError):
            scope.cancel()
            async for _ in self._pieces:
                pass


# --- opening --------------------------------------------------------------------------------------


@asynccontextmanager
async def open_kube(cluster: Cluster, *, clock: Clock, tuning: Tuning = DEFAULT_TUNING) -> AsyncIterator[HttpKube]:
    """A client for this cluster. It connects on first use; what is wrong with the credentials shows at once."""
    context = tls_context(cluster)

    def show(pair: KeyPair) -> None:
        show_certificate(context, pair)

    who = identity(cluster, clock=clock, reread=tuning.reread, show=show)
    if who is not None:
        await who.header()

    transport = httpx.AsyncHTTPTransport(
        verify=context, limits=_LIMITS, proxy=cluster.proxy or None, socket_options=_socket_options()
    )
    headers = httpx.Headers({**_HEADERS, **cluster.impersonate}, encoding="utf-8")
    client = httpx.AsyncClient(transport=transport, base_url=cluster.server, auth=who, headers=headers, trust_env=False)
    origin = url_of(client.base_url).origin
    connect = connections(context, origin, proxy=cluster.proxy, socket_options=_socket_options())
    async with AsyncExitStack() as stack:
        watches = await stack.enter_async_context(client)
        lines = [await stack.enter_async_context(Line(connect, origin)) for _ in range(REQUESTS_AT_ONCE)]
        yield HttpKube(lines, watches, who=who, cluster=cluster, tuning=tuning)


class _HttpSecrets:
    def __init__(self, kube: HttpKube) -> None:
        self._kube = kube

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        return await self._kube.secret(namespace, name)


def secrets_of(kube: HttpKube) -> Secrets:
    """Secrets at the API server of a client that `open_kube` gave."""
    return _HttpSecrets(kube)


def _socket_options() -> list[tuple[int, int, int]]:
    return [
        (socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEPALIVE.items()
        if hasattr(socket, name)
    ]
