"""What a user may rely on of the requests: each verb sends what the Kubernetes API wants, and says what went wrong."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpcore
import httpx
import pytest
import respx
import trio

from hexa.adapters.kube_http.adapter import HttpKube, open_kube, secrets_of
from hexa.adapters.kube_http.cluster import Cluster, Token
from hexa.adapters.kube_http.secrets import Secret
from hexa.domain.errors import AlreadyExists, Conflict, Expired, NotFound, Refused, Unavailable
from hexa.domain.resources.core import JOBS, NODES, PODS, Malformed
from hexa.ports.kube import Blocked, Change, Evicted, Kube, Patch, PatchStyle, Selector

SERVER = "https://kube.test:6443/prefix"
PODS_URL = f"{SERVER}/api/v1/namespaces/default/pods"
respx.mocks.HTTPCoreMocker.add_targets("hexa.adapters.kube_http.connection.Direct")


class SomeClock:
    """A clock that nobody reads."""

    def now(self) -> datetime:
        return datetime(2026, 1, 5, tzinfo=UTC)

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


@pytest.fixture
def server() -> Any:
    """What answers instead of the API server."""
    with respx.mock(assert_all_called=False) as mock:
        yield mock


@pytest.fixture
async def kube(server: Any) -> AsyncIterator[HttpKube]:
    """A client of it."""
    cluster = Cluster(SERVER, "test", credentials=Token("t"), impersonate={"Impersonate-User": "ann"})
    async with open_kube(cluster, clock=SomeClock()) as kube:
        yield kube


def page(*names: str, more: str = "", version: str = "9") -> httpx.Response:
    """One page of a list."""
    items = [{"metadata": {"name": name}} for name in names]
    return httpx.Response(200, json={"metadata": {"resourceVersion": version, "continue": more}, "items": items})


def status(code: int, reason: str, message: str = "said") -> httpx.Response:
    """A refusal."""
    return httpx.Response(code, json={"kind": "Status", "code": code, "reason": reason, "message": message})


def sent(call: Any) -> Any:
    """The JSON of a request."""
    return json.loads(call.request.content)


def names(items: Any) -> list[str]:
    """Names of objects."""
    return [item.metadata.name for item in items]


# --- list -------------------------------------------------------------------------------------------


async def test_a_long_list_is_read_in_pages(kube: Kube, server: Any) -> None:
    """Ten thousand pods never come in one answer; the version is that of the list."""
    route = server.get(PODS_URL).mock(side_effect=[page("a", "b", more="token"), page("c")])
    listing = await kube.list(PODS, Selector(namespace="default", labels="app=web", fields="spec.nodeName=a"))
    assert names(listing.items) == ["a", "b", "c"]
    assert listing.resource_version == "9"
    first, second = (dict(call.request.url.params) for call in route.calls)
    assert first == {"labelSelector": "app=web", "fieldSelector": "spec.nodeName=a", "limit": "500"}
    assert second == {**first, "continue": "token"}
    headers = route.calls[0].request.headers
    assert (headers["authorization"], headers["impersonate-user"]) == ("Bearer t", "ann")


async def test_a_list_that_expires_between_pages_starts_over(kube: Kube, server: Any) -> None:
    """Nothing is taken from two different states; the second try comes in one piece and cannot expire."""
    route = server.get(PODS_URL).mock(
        side_effect=[page("a", more="token"), status(410, "Expired"), page("b", "c", version="12")]
    )
    listing = await kube.list(PODS, Selector(namespace="default"))
    assert (names(listing.items), listing.resource_version) == (["b", "c"], "12")
    assert dict(route.calls[2].request.url.params) == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "PodList"},
        {"metadata": {"resourceVersion": "9"}},
        {"metadata": {"resourceVersion": "9", "remainingItemCount": 3}, "items": []},
    ],
)
async def test_failure_44_a_list_that_was_cut_short_is_not_taken_for_all(
    kube: Kube, server: Any, body: dict[str, Any]
) -> None:
    """An answer without its objects, or that leaves some out and does not say where to go on, is asked for again."""
    server.get(PODS_URL).mock(return_value=httpx.Response(200, json=body))
    with pytest.raises(Unavailable):
        await kube.list(PODS, Selector(namespace="default"))


async def test_failure_44_a_pod_that_does_not_decode_is_listed_with_its_node(kube: Kube, server: Any) -> None:
    """Whoever guards the machine that it runs on knows where it is; the pods beside it are read."""
    bad = {"metadata": {"name": "db"}, "spec": {"nodeName": "box-1", "priority": "high"}}
    items = [bad, {"metadata": {"name": "web"}}]
    server.get(PODS_URL).mock(return_value=httpx.Response(200, json={"metadata": {}, "items": items}))
    broken, web = (await kube.list(PODS, Selector(namespace="default"))).items
    assert isinstance(broken, Malformed)
    assert (broken.metadata.name, broken.node_name, web.metadata.name) == ("db", "box-1", "web")


async def test_an_answer_of_somebody_else_is_a_failure_to_retry(kube: Kube, server: Any) -> None:
    """A login page of a proxy is not taken for an empty cluster."""
    server.get(f"{SERVER}/api/v1/nodes").mock(return_value=httpx.Response(200, text="<html>log in</html>"))
    with pytest.raises(Unavailable, match="not the Kubernetes API's"):
        await kube.list(NODES)


# --- writes -----------------------------------------------------------------------------------------


async def test_create_posts_the_manifest(kube: Kube, server: Any) -> None:
    """Version and kind need not be repeated in the manifest."""
    url = f"{SERVER}/apis/batch/v1/namespaces/site/jobs"
    route = server.post(url).mock(return_value=httpx.Response(201, json={"metadata": {"name": "a", "uid": "u"}}))
    job = await kube.create(JOBS, {"metadata": {"name": "a", "namespace": "site"}})
    assert job.metadata.uid == "u"
    assert sent(route.calls[0]) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "a", "namespace": "site"},
    }


@pytest.mark.parametrize(
    ("style", "media"), [(PatchStyle.MERGE, "merge-patch"), (PatchStyle.STRATEGIC, "strategic-merge-patch")]
)
async def test_a_patch_says_how_it_merges(kube: Kube, server: Any, style: PatchStyle, media: str) -> None:
    """Style, subresource and the version that it was decided on reach the server."""
    route = server.patch(f"{SERVER}/api/v1/nodes/a/status").mock(return_value=httpx.Response(200, json={}))
    await kube.patch(NODES, "a", Patch({"status": {"x": 1}}, style=style, subresource="status", resource_version="5"))
    assert route.calls[0].request.headers["content-type"] == f"application/{media}+json"
    assert sent(route.calls[0]) == {"status": {"x": 1}, "metadata": {"resourceVersion": "5"}}


async def test_a_write_whose_answer_does_not_read_is_not_taken_for_failed_silently(kube: Kube, server: Any) -> None:
    """The message says that it was done and what does not read."""
    server.patch(f"{SERVER}/api/v1/nodes/a").mock(return_value=httpx.Response(200, json={"spec": {"taints": 1}}))
    with pytest.raises(Refused, match=r"done, but .*\$\.spec\.taints"):
        await kube.patch(NODES, "a", Patch({}))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(404, "NotFound"), NotFound),
        (status(409, "AlreadyExists"), AlreadyExists),
        (status(409, "Conflict"), Conflict),
        (status(422, "Invalid"), Refused),
        (status(503, "ServiceUnavailable"), Unavailable),
        (httpx.Response(429, text="slow down"), Unavailable),
    ],
)
async def test_a_refused_write_has_the_error_of_its_reason(
    kube: Kube, server: Any, answer: httpx.Response, error: type[Exception]
) -> None:
    """Every write fails in the same words."""
    server.patch(f"{SERVER}/api/v1/nodes/a").mock(return_value=answer)
    server.post(f"{SERVER}/api/v1/nodes").mock(return_value=answer)
    with pytest.raises(error) as patched:
        await kube.patch(NODES, "a", Patch({}))
    with pytest.raises(error) as created:
        await kube.create(NODES, {"metadata": {"name": "a"}})
    assert type(patched.value) is type(created.value) is error


async def test_delete_carries_its_conditions(kube: Kube, server: Any) -> None:
    """uid, grace and what becomes of dependents are the server's to hold."""
    route = server.delete(f"{PODS_URL}/a").mock(return_value=httpx.Response(200, json={}))
    await kube.delete(PODS, "a", namespace="default", uid="u", propagation="Foreground", grace=0)
    assert sent(route.calls[0]) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u"},
        "propagationPolicy": "Foreground",
        "gracePeriodSeconds": 0,
    }


async def test_deleting_what_is_gone_is_success_and_another_one_is_not(kube: Kube, server: Any) -> None:
    """A repeated delete is harmless, and a namesake stays."""
    server.delete(f"{PODS_URL}/a").mock(side_effect=[status(404, "NotFound"), status(409, "Conflict")])
    await kube.delete(PODS, "a", namespace="default")
    with pytest.raises(Conflict):
        await kube.delete(PODS, "a", namespace="default", uid="u")


async def test_an_eviction_asks_the_server_and_says_what_blocks(kube: Kube, server: Any) -> None:
    """A budget is an answer, not an error."""
    details = {"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2"}]}
    blocked = httpx.Response(429, json={"code": 429, "details": {**details, "retryAfterSeconds": 10}})
    route = server.post(f"{PODS_URL}/a/eviction").mock(side_effect=[blocked, httpx.Response(201, json={})])
    answer = await kube.evict("a", namespace="default", uid="u", grace=30)
    assert answer == Blocked("The disruption budget web needs 2", 10.0)
    assert await kube.evict("a", namespace="default") == Evicted()
    assert sent(route.calls[0]) == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "a", "namespace": "default"},
        "deleteOptions": {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "u"},
            "gracePeriodSeconds": 30,
        },
    }


# --- watch ------------------------------------------------------------------------------------------


def line(type_: str, name: str, version: str) -> bytes:
    """One event of a watch."""
    obj = {"metadata": {"name": name, "resourceVersion": version}}
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


async def read(kube: Kube, into: list[Change[Any]], *, since: str = "4") -> None:
    """Follow a watch until it ends or fails."""
    async with kube.watch(NODES, since=since) as changes:
        async for change in changes:
            into.append(change)  # noqa: PERF401  what came before a failure counts


async def test_a_watch_asks_for_bookmarks_and_an_end(kube: Kube, server: Any) -> None:
    """It resumes where it was told to, and a quiet one ends within 90 s so that it shows that it lives."""
    route = server.get(f"{SERVER}/api/v1/nodes").mock(return_value=httpx.Response(200, content=line("ADDED", "a", "5")))
    changes: list[Change[Any]] = []
    await read(kube, changes)
    assert [(change.type, change.resource_version) for change in changes] == [("ADDED", "5")]
    params = dict(route.calls[0].request.url.params)
    assert 60 <= int(params.pop("timeoutSeconds")) <= 90
    assert params == {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "4"}


@pytest.mark.parametrize("late", [False, True])
async def test_a_forgotten_version_is_expired_wherever_it_shows(kube: Kube, server: Any, late: bool) -> None:
    """410 as the answer and 410 as an event are one error, and what came before it is kept."""
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    stream = httpx.Response(200, content=line("ADDED", "a", "5") + json.dumps(gone).encode() + b"\n")
    server.get(f"{SERVER}/api/v1/nodes").mock(return_value=stream if late else status(410, "Expired", "too old"))
    changes: list[Change[Any]] = []
    with pytest.raises(Expired, match="too old"):
        await read(kube, changes)
    assert len(changes) == late


async def test_a_bad_object_does_not_end_a_watch(kube: Kube, server: Any) -> None:
    """It comes as malformed, with its name, and the next one follows."""
    bad = {"type": "MODIFIED", "object": {"metadata": {"name": "b", "resourceVersion": "6"}, "spec": {"taints": 1}}}
    content = json.dumps(bad).encode() + b"\n" + line("ADDED", "c", "7")
    server.get(f"{SERVER}/api/v1/nodes").mock(return_value=httpx.Response(200, content=content))
    changes: list[Change[Any]] = []
    await read(kube, changes)
    assert [(names([change.object]), isinstance(change.object, Malformed)) for change in changes] == [
        (["b"], True),
        (["c"], False),
    ]


async def test_errors_of_the_one_who_watches_pass_as_they_are(kube: Kube, server: Any) -> None:
    """Nothing is wrapped in a group, and leaving early is quiet."""
    server.get(f"{SERVER}/api/v1/nodes").mock(return_value=httpx.Response(200, content=line("ADDED", "a", "5")))
    with pytest.raises(ZeroDivisionError):
        await _fail_while_watching(kube)
    async with kube.watch(NODES, since="1") as changes:
        await changes.aclose()
        with pytest.raises(trio.EndOfChannel):
            await changes.receive()


async def _fail_while_watching(kube: Kube) -> None:
    async with kube.watch(NODES, since="1") as changes:
        await changes.receive()
        raise ZeroDivisionError


# --- the transport ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("foreign", "error"),
    [
        (httpx.ConnectError("refused"), Unavailable),
        (httpx.ConnectTimeout(""), Unavailable),
        (httpx.ReadTimeout(""), Unavailable),
        (httpx.ReadError(""), Unavailable),
        (httpx.RemoteProtocolError("Server disconnected"), Unavailable),
        (httpx.ProxyError("407"), Unavailable),
        (httpx.UnsupportedProtocol("ftp"), Refused),
        (httpcore.ConnectError("refused"), Unavailable),
        (httpcore.ConnectTimeout(""), Unavailable),
        (httpcore.ReadTimeout(""), Unavailable),
        (httpcore.WriteTimeout(""), Unavailable),
        (httpcore.RemoteProtocolError("Server disconnected"), Unavailable),
        (httpcore.ProxyError("407"), Unavailable),
        (httpcore.UnsupportedProtocol("ftp"), Refused),
    ],
)
async def test_no_foreign_error_leaves_any_verb(
    kube: Kube, server: Any, foreign: Exception, error: type[Exception]
) -> None:
    """Whatever breaks, the caller sees our errors, with the server's address and the cause kept."""
    server.route().mock(side_effect=foreign)
    asks = (
        lambda: kube.list(NODES),
        lambda: kube.create(NODES, {"metadata": {"name": "a"}}),
        lambda: kube.patch(NODES, "a", Patch({})),
        lambda: kube.delete(NODES, "a"),
        lambda: kube.evict("a", namespace="default"),
    )
    for ask in asks:
        with pytest.raises(error, match=SERVER) as raised:
            await ask()
        assert type(raised.value) is error
        assert raised.value.__cause__ is foreign
    with pytest.raises(error, match=SERVER) as raised:
        await read(kube, [])
    cause = raised.value.__cause__
    assert type(raised.value) is error
    assert cause is not None
    if isinstance(foreign, httpx.HTTPError):
        assert cause is foreign
    else:  # watches go by way of httpx, which passes on what httpcore raises as its own
        assert cause.__cause__ is foreign


# --- Secrets ----------------------------------------------------------------------------------------


async def test_a_secret_is_read_by_name_alone(server: Any, kube: HttpKube) -> None:
    """A Secret is got by its name, as bytes; one that is not there is None, and one that is forbidden names verb and resource."""
    url = f"{SERVER}/api/v1/namespaces/machines/secrets/bmc"
    server.get(url).mock(return_value=httpx.Response(200, json={"data": {"password": "cGxhbnRlZA=="}}))
    secrets = secrets_of(kube)
    assert await secrets.read("machines", "bmc") == {"password": b"planted"}
    server.get(url).mock(return_value=status(404, "NotFound"))
    assert await secrets.read("machines", "bmc") is None
    said = 'secrets "bmc" is forbidden: User "system:serviceaccount:hexa-system:hexa" cannot get resource "secrets" in API group ""'
    server.get(url).mock(return_value=status(403, "Forbidden", f'{said} in the namespace "machines"'))
    with pytest.raises(Refused, match="needs verb get on secrets"):
        await secrets.read("machines", "bmc")


async def test_no_error_repeats_a_secret(server: Any, kube: HttpKube) -> None:
    """An answer that cannot be read is told without what stands in it."""
    url = f"{SERVER}/api/v1/namespaces/machines/secrets/bmc"
    for data in ({"password": "planted!"}, {"password": ["planted"]}, "planted"):
        server.get(url).mock(return_value=httpx.Response(200, json={"data": data}))
        with pytest.raises(Unavailable) as caught:
            await secrets_of(kube).read("machines", "bmc")
        assert "planted" not in str(caught.value)
    assert "planted" not in repr(Secret(data={"password": b"planted"}))
