"""What a user may rely on of the bytes: nothing is lost between pieces, and one bad object spoils no other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexa.adapters.kube_http import wire
from hexa.adapters.kube_http.wire import Call, Lines, Status
from hexa.domain.errors import AlreadyExists, Conflict, Expired, HexaError, NotFound, Refused, Unavailable
from hexa.domain.resources.core import JOBS, LEASES, NODES, PODS, Malformed
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.ports.kube import Blocked, ChangeType, Evicted, Patch, Selector

WATCH = Call("watch", NODES)
EVICT = Call("create", PODS, "default", "web-1", "eviction")


def node(name: str, *, version: str = "1", **status: Any) -> dict[str, Any]:
    """A core/v1 Node as the server writes it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "resourceVersion": version, "managedFields": [{"manager": "kubelet"}]},
        "spec": {},
        "status": status,
    }


def event(type_: str, obj: dict[str, Any]) -> bytes:
    """One line of a watch."""
    return json.dumps({"type": type_, "object": obj}, ensure_ascii=False).encode() + b"\n"


STREAM = (
    event("ADDED", node("größe", version="5"))
    + event("MODIFIED", node("bad", version="6", capacity={"cpu": {"not": "a quantity"}}))
    + b"\n"
    + event("BOOKMARK", {"kind": "Node", "metadata": {"resourceVersion": "7", "creationTimestamp": None}})
    + event("DELETED", node("b", version="8"))
)


def test_a_watch_reads_the_same_wherever_its_bytes_are_cut() -> None:
    """Changes arrive complete and in order, whatever packets they came in."""
    whole: list[Any] = [wire.decode_change(WATCH, line) for line in Lines().feed(STREAM)]
    for cut in range(1, len(STREAM)):
        lines = Lines()
        pieces = [*lines.feed(STREAM[:cut]), *lines.feed(STREAM[cut:])]
        assert [wire.decode_change(WATCH, line) for line in pieces] == whole
    assert [(change.type.value, change.resource_version) for change in whole] == [
        ("ADDED", "5"),
        ("MODIFIED", "6"),
        ("BOOKMARK", "7"),
        ("DELETED", "8"),
    ]
    assert whole[0].object.metadata.name == "größe"
    assert isinstance(whole[1].object, Malformed)
    assert whole[1].object.metadata.name == "bad"
    assert "$.status.capacity" in whole[1].object.problem
    assert whole[2].object is None


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.randoms())
def test_the_splitter_gives_every_line_once_and_in_order(lines: list[bytes], random: Any) -> None:
    """No byte of any line is lost, doubled or moved, however the stream is cut; blank lines do not count."""
    stream = b"".join(line + b"\n" for line in lines)
    splitter, got = Lines(), []
    while stream:
        size = random.randint(1, len(stream))
        got += splitter.feed(stream[:size])
        stream = stream[size:]
    assert got == [line for line in lines if line.strip()]


def test_a_line_that_has_not_ended_is_no_change_yet() -> None:
    """A stream that breaks off in the middle of an object does not give half of it."""
    assert Lines().feed(STREAM[:-1].split(b"\n")[0]) == []


def test_an_error_event_is_raised_after_the_changes_before_it() -> None:
    """A watch whose version is forgotten gives what it had and then says so."""
    gone = event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})
    added, error = Lines().feed(event("ADDED", node("a", version="5")) + gone)
    assert wire.decode_change(WATCH, added).type is ChangeType.ADDED
    with pytest.raises(Expired, match="too old resource version"):
        wire.decode_change(WATCH, error)


def test_a_page_keeps_its_good_objects_beside_a_bad_one() -> None:
    """One object that does not read is known by name, and the others are there."""
    broken = {"metadata": {"name": "b", "namespace": "site", "labels": ["no", "map"]}, "spec": {"powerState": 7}}
    items = [{"metadata": {"name": "a"}}, broken, {"metadata": {"name": "c"}}]
    page = wire.decode_page(MACHINES, json.dumps({"metadata": {"resourceVersion": "9"}, "items": items}).encode())
    assert [item.metadata.name for item in page.items] == ["a", "b", "c"]
    assert [isinstance(item, Malformed) for item in page.items] == [False, True, False]
    assert (page.resource_version, page.more, page.items[1].metadata.namespace) == ("9", "", "site")


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (Call("list", NODES), "/api/v1/nodes"),
        (Call("list", PODS, "default"), "/api/v1/namespaces/default/pods"),
        (Call("patch", JOBS, "site", "a", "status"), "/apis/batch/v1/namespaces/site/jobs/a/status"),
        (Call("list", MACHINES), "/apis/infra.homecluster.dev/v1alpha1/nodes"),
    ],
)
def test_paths_are_those_of_the_api(call: Call, path: str) -> None:
    """Core and grouped kinds, of one namespace or of all, are asked where they live."""
    assert call.path == path


def test_a_patch_with_a_version_carries_it_beside_its_other_metadata() -> None:
    """A stale writer gets a conflict, and the labels that it writes are kept."""
    body = wire.encode_patch(Patch({"metadata": {"labels": {"a": None}}}, resource_version="12"))
    assert json.loads(body) == {"metadata": {"labels": {"a": None}, "resourceVersion": "12"}}
    assert json.loads(wire.encode_patch(Patch({"spec": {}}))) == {"spec": {}}


def test_a_selector_asks_only_for_what_it_names() -> None:
    """An empty selector puts nothing in the way of the server's cache."""
    assert wire.query(Selector()) == {}
    assert wire.query(Selector(labels="a=b", fields="c=d")) == {"labelSelector": "a=b", "fieldSelector": "c=d"}


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (400, "BadRequest", Refused),
        (401, "Unauthorized", Refused),
        (403, "Forbidden", Refused),
        (404, "NotFound", NotFound),
        (405, "MethodNotAllowed", Refused),
        (408, "", Unavailable),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Expired),
        (410, "Gone", Expired),
        (415, "UnsupportedMediaType", Refused),
        (422, "Invalid", Refused),
        (425, "TooEarly", Unavailable),
        (429, "TooManyRequests", Unavailable),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "Timeout", Unavailable),
        (302, "", Refused),
    ],
)
def test_each_refusal_has_one_error(code: int, reason: str, error: type[HexaError]) -> None:
    """Whoever calls knows by the class alone whether to retry, to re-read or to tell a human."""
    raised = wire.failure(Call("patch", JOBS, "site", "a"), code, Status(code=code, reason=reason, message="said"))
    assert type(raised) is error
    assert raised.reason == (reason or error.__name__)
    assert "patch jobs site/a" in str(raised)


def test_a_missing_permission_names_account_verb_resource_and_namespace() -> None:
    """Whoever reads the error can write the missing rule of the role."""
    said = (
        'nodes "a" is forbidden: User "system:serviceaccount:hexa:agent" cannot patch resource "nodes/status" '
        'in API group "" at the cluster scope'
    )
    raised = wire.failure(Call("patch", NODES, None, "a", "status"), 403, Status(reason="Forbidden", message=said))
    assert str(raised) == (
        "cannot patch nodes/status: ServiceAccount hexa/agent needs verb patch on nodes/status (core)"
    )
    said = (
        'jobs.batch is forbidden: User "ann" cannot list resource "jobs" in API group "batch" in the namespace "site"'
    )
    raised = wire.failure(Call("list", JOBS, "site"), 403, Status(reason="Forbidden", message=said))
    assert str(raised) == (
        "cannot list jobs in namespace site: user ann needs verb list on jobs (batch) in namespace site"
    )


def test_a_quota_is_not_called_a_missing_permission() -> None:
    """Where admission refuses, its own words are shown."""
    said = 'pods "a" is forbidden: exceeded quota: small'
    assert "exceeded quota" in str(
        wire.failure(Call("create", PODS, "a"), 403, Status(reason="Forbidden", message=said))
    )


def test_a_kind_that_is_not_installed_is_told_from_an_object_that_is_gone() -> None:
    """Without the CRDs the message says to install them."""
    missing = Status(reason="NotFound", message="the server could not find the requested resource")
    raised = wire.failure(Call("list", MACHINES), 404, missing)
    assert (type(raised), raised.reason) == (Refused, "KindNotServed")
    assert "hexa crds" in str(raised)
    assert type(wire.failure(Call("list", MACHINES), 404, wire.decode_status(b"404 page not found\n"))) is Refused


def test_a_version_from_before_a_restored_backup_asks_for_a_fresh_list() -> None:
    """After etcd went back in time a watch does not retry for ever."""
    said = {
        "code": 504,
        "reason": "Timeout",
        "message": "Timeout: Too large resource version: 9, current: 5",
        "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
    }
    assert type(wire.failure(WATCH, 504, wire.decode_status(json.dumps(said).encode()))) is Expired


def test_a_body_that_is_no_status_is_quoted() -> None:
    """The words of a broken proxy reach whoever has to mend it."""
    raised = wire.failure(WATCH, 502, wire.decode_status(b"<html>\n Bad   Gateway </html>"))
    assert (type(raised), str(raised)) == (Unavailable, "cannot watch nodes: <html> Bad Gateway </html>")


def status(code: int, message: str, *, cause: str = "", cause_message: str = "", retry: int = 0) -> bytes:
    """A Status as the Eviction API sends it."""
    details: dict[str, Any] = {"causes": [{"reason": cause, "message": cause_message}]} if cause else {}
    if retry:
        details["retryAfterSeconds"] = retry
    return json.dumps({"kind": "Status", "code": code, "message": message, "details": details}).encode()


BUDGET = "The disruption budget web needs 2 healthy pods and has 2 currently"
HOOK = 'failed calling webhook "guard.example": no endpoints available for service "guard"'
MANY = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


@pytest.mark.parametrize(
    ("code", "body", "answer"),
    [
        (201, b"{}", Evicted()),
        (404, status(404, 'pods "web-1" not found'), Evicted()),
        (409, status(409, "Precondition failed: UID in precondition: a, UID in object meta: b"), Evicted()),
        (
            429,
            status(429, "Cannot evict pod", cause="DisruptionBudget", cause_message=BUDGET, retry=10),
            Blocked(BUDGET, 10.0),
        ),
        (500, status(500, MANY), Blocked(MANY)),
        (500, status(500, HOOK), Blocked(HOOK)),
        (
            403,
            status(403, "being terminated", cause="NamespaceTerminating", cause_message="x"),
            Blocked("the namespace is being deleted: being terminated"),
        ),
    ],
)
def test_an_eviction_is_answered_by_what_became_of_the_pod(code: int, body: bytes, answer: Evicted | Blocked) -> None:
    """A budget, or a webhook that fails, blocks and is named; a pod that is gone, or replaced by another, counts as evicted."""
    assert wire.evicted(EVICT, code, body) == answer


@pytest.mark.parametrize(
    ("code", "error"), [(429, Unavailable), (500, Unavailable), (409, Conflict), (403, Refused), (422, Refused)]
)
def test_a_busy_server_is_not_a_disruption_budget(code: int, error: type[HexaError]) -> None:
    """Other refusals of an eviction are errors, as with any other call."""
    with pytest.raises(error):
        wire.evicted(EVICT, code, status(code, "something else"))


def test_a_heartbeat_keeps_its_microseconds() -> None:
    """Two renewals within one second are told apart."""
    lease = {"metadata": {"name": "a", "resourceVersion": "5"}, "spec": {"renewTime": "2026-01-05T00:00:00.000001Z"}}
    (line,) = Lines().feed(event("MODIFIED", lease))
    change: Any = wire.decode_change(Call("watch", LEASES), line)
    assert change.object.spec.renew_time.microsecond == 1
