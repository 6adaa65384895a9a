"""Bytes of the Kubernetes API to structs and back, and its failures to ours. No await, no client."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from hexa.domain.errors import AlreadyExists, Conflict, Expired, HexaError, NotFound, Refused, Unavailable
from hexa.domain.resources.bounds import bounded
from hexa.domain.resources.core import UNREADABLE, Kind, Malformed, Metadata, Slice, node_name_of, sketch
from hexa.ports.kube import Blocked, Change, ChangeType, Evicted, Patch, Selector

T = TypeVar("T")

PAGE: Final = 500
"""Objects of one page of a list."""

_SHOWN: Final = 300
"""Characters shown of a body that is no Status."""


# --- what is asked ------------------------------------------------------------------------------


class Call(Struct, frozen=True):
    """One request as RBAC sees it: a verb on a resource, by name or on the collection."""

    verb: str
    kind: Kind[Any]
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    @property
    def path(self) -> str:
        """The URL path."""
        root = "/apis" if "/" in self.kind.api_version else "/api"
        place = f"/namespaces/{self.namespace}" if self.namespace else ""
        parts = [self.kind.plural, self.name, self.subresource]
        return f"{root}/{self.kind.api_version}{place}/{'/'.join(filter(None, parts))}"

    @property
    def resource(self) -> str:
        """Resource with subresource, as in the rules of a role."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural

    @property
    def api_group(self) -> str:
        """API group without version; `core` for v1."""
        group, slash, _ = self.kind.api_version.partition("/")
        return group if slash else "core"

    def __str__(self) -> str:
        target = "/".join(filter(None, [self.namespace, self.name]))
        return f"{self.verb} {self.resource} {target}".rstrip()


def query(selector: Selector) -> dict[str, str]:
    """Query parameters of a selector."""
    pairs = {"labelSelector": selector.labels, "fieldSelector": selector.fields}
    return {key: value for key, value in pairs.items() if value}


def encode_patch(patch: Patch) -> bytes:
    """The body of a patch; a resourceVersion in it makes the server refuse a stale writer."""
    body = dict(patch.body)
    if patch.resource_version:
        body["metadata"] = {**body.get("metadata", {}), "resourceVersion": patch.resource_version}
    return msgspec.json.encode(body)


def encode_manifest(kind: Kind[Any], manifest: Mapping[str, Any]) -> bytes:
    """The body of a create."""
    return msgspec.json.encode({"apiVersion": kind.api_version, "kind": kind.name, **manifest})


def delete_options(*, uid: str, grace: int | None, propagation: str = "") -> dict[str, Any]:
    """DeleteOptions, as the body of a delete or inside an Eviction."""
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    if uid:
        options["preconditions"] = {"uid": uid}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if propagation:
        options["propagationPolicy"] = propagation
    return options


def eviction(name: str, *, namespace: str, uid: str, grace: int | None) -> dict[str, Any]:
    """The Eviction of a pod."""
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": delete_options(uid=uid, grace=grace),
    }


# --- what comes back ----------------------------------------------------------------------------


class _ListMeta(Slice, frozen=True, kw_only=True):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int | None = None


class _RawPage(Slice, frozen=True, kw_only=True):
    metadata: _ListMeta
    items: list[Raw] | None
    """A list without objects has it too: an answer that lacks it is no list."""


class _Bare(Slice, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()


class _Loose(Slice, frozen=True, kw_only=True):
    metadata: Any = None
    spec: Any = None


class _Frame(Slice, frozen=True, kw_only=True):
    type: str
    object: Raw


class Page(Struct, frozen=True):
    """One page of a list; with `more`, there is another one."""

    items: tuple[Any, ...]
    resource_version: str
    more: str


_decode_page = msgspec.json.Decoder(_RawPage).decode
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_bare = msgspec.json.Decoder(_Bare).decode
_decode_loose = msgspec.json.Decoder(_Loose).decode


@cache
def _decoder(kind: Kind[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind.type)


def decode_object(kind: Kind[T], data: bytes | Raw) -> T | Malformed:
    """One object; what does not fit its type comes back as `Malformed`, so that others go on."""
    try:
        decoded: T = bounded(_decoder(kind).decode(data))
    except UNREADABLE as error:
        return Malformed(_metadata(data), str(error), node_name_of({"spec": _loose(data).spec}))
    return decoded


def _metadata(data: bytes | Raw) -> Metadata:
    try:
        return bounded(_decode_bare(data).metadata)
    except UNREADABLE:
        return sketch(_loose(data).metadata)


def _loose(data: bytes | Raw) -> _Loose:
    try:
        return _decode_loose(data)
    except UNREADABLE:
        return _Loose()


def decode_written(call: Call, kind: Kind[T], data: bytes) -> T:
    """The object that a write returned."""
    written = decode_object(kind, data)
    if isinstance(written, Malformed):
        raise Refused(f"{call}: done, but the object does not read: {written.problem}", reason="Malformed")
    return written


def decode_page(kind: Kind[Any], data: bytes) -> Page:
    """One page of a list. Raises `msgspec.ValidationError` for what is none, or says that more follows and not where."""
    page = _decode_page(data)
    if page.metadata.remaining_item_count and not page.metadata.continue_:
        raise msgspec.ValidationError(
            f"the list was cut short: {page.metadata.remaining_item_count} objects are left out"
        )
    items = tuple(decode_object(kind, item) for item in page.items or ())
    return Page(items, page.metadata.resource_version, page.metadata.continue_)


class Lines:
    """Splits a stream of bytes into lines, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends; blank ones are left out."""
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            self._pieces.append(data)
            return []
        whole = b"".join([*self._pieces, head])
        self._pieces = [tail] if tail else []
        return [line for line in whole.split(b"\n") if line.strip()]


def decode_change(call: Call, line: bytes) -> Change[Any]:
    """An event of a watch; one that reports a failure is raised."""
    frame = _decode_frame(line)
    match frame.type:
        case "ADDED" | "MODIFIED" | "DELETED":
            seen = decode_object(call.kind, frame.object)
            return Change(ChangeType(frame.type), seen, _version(seen))
        case "BOOKMARK":
            return Change(ChangeType.BOOKMARK, None, _metadata(frame.object).resource_version)
        case _:
            status = decode_status(bytes(frame.object))
            raise failure(call, status.code, status)


def _version(seen: object) -> str:
    return cast(Malformed, seen).metadata.resource_version


# --- failures -----------------------------------------------------------------------------------


class Cause(Slice, frozen=True, kw_only=True):
    reason: str = ""
    message: str = ""


class Details(Slice, frozen=True, kw_only=True):
    name: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: float = 0.0


class Status(Slice, frozen=True, kw_only=True):
    """metav1.Status: how the API server says no."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details | None = None

    def cause(self, reason: str) -> str | None:
        """The message of the cause with this reason, if there is one."""
        causes = self.details.causes if self.details else ()
        return next((cause.message for cause in causes if cause.reason == reason), None)


_decode_status = msgspec.json.Decoder(Status).decode


def decode_status(data: bytes) -> Status:
    """The Status of a refusal; of any other body, its first words."""
    try:
        return _decode_status(data)
    except msgspec.DecodeError:
        return Status(message=" ".join(data[:_SHOWN].decode(errors="replace").split()))


FAILURES: Final[Mapping[int | str, type[HexaError]]] = {
    "AlreadyExists": AlreadyExists,
    "Expired": Expired,
    401: Refused,
    403: Refused,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Expired,
    425: Unavailable,
    429: Unavailable,
}
"""Status.reason, else HTTP status, to our error. Of others, 5xx are Unavailable and the rest is Refused."""

_RBAC: Final = re.compile(r'User "(?P<user>[^"]*)" cannot \S+ resource')
_NO_SUCH_KIND: Final = "could not find the requested resource"


def failure(call: Call, code: int, status: Status) -> HexaError:
    """The error to raise for an answer that is no success."""
    if status.cause("ResourceVersionTooLarge") is not None:  # the store was put back from a backup
        return Expired(f"cannot {call}: {status.message}", reason="ResourceVersionTooLarge")
    if code == 404 and (_NO_SUCH_KIND in status.message or not status.reason):
        return Refused(_not_served(call), reason="KindNotServed")
    if code in (401, 403):
        return Refused(_forbidden(call, code, status), reason=status.reason or "Forbidden")
    fallback = Unavailable if code >= 500 else Refused
    error = FAILURES.get(status.reason) or FAILURES.get(code, fallback)
    return error(f"cannot {call}: {status.message or f'HTTP {code}'}", reason=status.reason or None)


def _not_served(call: Call) -> str:
    return (
        f"cannot {call}: the API server does not serve {call.kind.plural} of {call.kind.api_version}; "
        "where it is a resource of hexa, install its CRDs (hexa crds)"
    )


def _forbidden(call: Call, code: int, status: Status) -> str:
    if code == 401:
        return f"cannot {call}: the API server does not accept our credentials ({status.message or 'HTTP 401'})"
    denied = _RBAC.search(status.message)
    if denied is None:  # an admission plugin or a quota
        return f"cannot {call}: {status.message or 'HTTP 403'}"
    where = f" in namespace {call.namespace}" if call.namespace else ""
    return (
        f"cannot {call.verb} {call.resource}{where}: {_subject(denied['user'])} needs verb {call.verb} "
        f"on {call.resource} ({call.api_group}){where}"
    )


def _subject(user: str) -> str:
    account = user.removeprefix("system:serviceaccount:")
    return f"user {user}" if account == user else f"ServiceAccount {account.replace(':', '/')}"


def evicted(call: Call, code: int, body: bytes) -> Evicted | Blocked:
    """What an answer to an eviction says. A pod that is gone, or is another one by now, counts as evicted."""
    if code < 300 or code == 404:
        return Evicted()
    status = decode_status(body)
    if code == 409 and "precondition" in status.message:
        return Evicted()
    reason = _blocker(code, status)
    if reason is None:
        raise failure(call, code, status)
    return Blocked(reason, status.details.retry_after_seconds if status.details else 0.0)


def _blocker(code: int, status: Status) -> str | None:
    match code:
        case 429:  # without this cause it is the server that is busy
            return status.cause("DisruptionBudget")
        case 403 if status.cause("NamespaceTerminating") is not None:
            return f"the namespace is being deleted: {status.message}"
        case 500 if "PodDisruptionBudget" in status.message:  # more than one budget for the pod
            return status.message
        case 500 if "calling webhook" in status.message:  # what shall be asked first does not answer: it may, later
            return status.message
        case _:
            return None
