"""Who gets in by a token of Kubernetes, and what they see."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from starlette.requests import Request

from hexa.adapters.http.auth import TOKEN_KEPT, TRIES, Caller, Door, Judge
from hexa.adapters.http.errors import HttpError
from hexa.adapters.http.reading import spaces_of
from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.cluster.reviews import Ban
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.resources.cluster import REVIEWS, TOKEN_REVIEWS

TOKEN = "pl4nted.bearer.t0ken"
ASSISTANT = "system:serviceaccount:home:assistant"


class Site:
    """An API server that knows one token, and the door before it."""

    def __init__(self, *bans: Ban, anonymous_read: bool = False) -> None:
        self.kube = MemoryKube(MemoryApi(MemoryClock()))
        self.kube.tokens[TOKEN] = {"username": ASSISTANT, "uid": "7", "groups": ["system:serviceaccounts"]}
        self.kube.bans += bans
        self.told: list[str] = []
        judge = Judge(self.kube, places=lambda: ["home", "lab"], tell=self.told.append)
        self.door = Door(judge, anonymous_read=anonymous_read)

    async def come(self, token: str = TOKEN, *, method: str = "GET") -> Caller:
        return await self.door.admit(f"Bearer {token}", method)

    @property
    def reviews(self) -> int:
        return self.kube.count("create", TOKEN_REVIEWS)


async def refused(coming: Awaitable[Any]) -> tuple[int, str]:
    """With which status, and what is said; never the token."""
    with pytest.raises(HttpError) as raised:
        await coming
    assert TOKEN not in f"{raised.value!r} {raised.value.headers} {raised.value.__cause__!r}"
    return raised.value.status, str(raised.value)


NOT_IN_ALL = Ban(user=ASSISTANT, verb="list", namespace="")
NOT_IN_LAB = Ban(user=ASSISTANT, namespace="lab")
NOT_LISTED = Ban(user=ASSISTANT, verb="list")


@pytest.mark.parametrize(
    ("bans", "sees", "reads", "writes"),
    [
        ((), None, {"home/a", "home/b", "lab/a"}, {"home/a", "home/b", "lab/a"}),
        ((NOT_IN_ALL, NOT_IN_LAB), {"home"}, {"home/a", "home/b"}, {"home/a", "home/b"}),
        (
            (NOT_LISTED, NOT_IN_LAB, Ban(user=ASSISTANT, name="b"), Ban(user=ASSISTANT, name="a", verb="update")),
            {},
            {"home/a"},
            set(),
        ),
    ],
    ids=["all", "one namespace", "one machine by name, to read"],
)
async def test_a_caller_sees_what_kubernetes_lets_them_see(
    bans: tuple[Ban, ...],
    sees: set[str] | None,
    reads: set[str],
    writes: set[str],
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Whoever may list machines in one namespace sees that one alone; a role with names of machines opens these and no others."""
    caller = await Site(*bans).come()
    assert caller.name == ASSISTANT
    if sees == {}:
        assert await refused(caller.namespaces()) == (
            403,
            f"{ASSISTANT} may list nodes.infra.homecluster.dev in no namespace that has machines",
        )
    else:
        assert await caller.namespaces() == sees

    async def those(may: Callable[[str, str], Awaitable[bool]]) -> set[str]:
        return {each for each in ("home/a", "home/b", "lab/a") if await may(*each.split("/"))}

    assert await those(caller.may_read) == reads
    assert await those(caller.may_update) == writes


async def test_who_may_have_hexa_act_need_not_be_able_to_write_the_machine(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A role with `nodes/wake` opens wakes, and neither holds nor the machine's spec, which says what Jobs run; who may write the
    machine may do both."""
    waker = await Site(Ban(verb="update", resource="nodes"), Ban(verb="update", resource="nodes/hold")).come()
    assert [await waker.may_update("home", "a", act) for act in ("wake", "hold", "")] == [True, False, False]
    writer = await Site(Ban(verb="update", resource="nodes/hold"), Ban(verb="update", resource="nodes/wake")).come()
    assert [await writer.may_update("home", "a", act) for act in ("wake", "hold", "")] == [True, True, True]


async def test_namespaces_that_are_made_up_are_all_the_same_question(autojump_clock: trio.testing.MockClock) -> None:
    """Answers and events are kept by namespace: nobody fills memory, or takes the turn of others, by names without an end."""
    caller, found = await Site().come(), set[object]()
    for name in ("home", "none", "x" * 5_000, ""):
        request = Request({"type": "http", "query_string": f"namespace={name}".encode(), "state": {"caller": caller}})
        found.add(await spaces_of(request))
    assert found == {frozenset({"home"}), frozenset()}


async def test_what_one_may_is_not_kept_for_another(autojump_clock: trio.testing.MockClock) -> None:
    """Answers that are kept belong to whom they are about: by name, and by the groups and the rest that the API server tells."""
    site = Site(Ban(user="guest"))
    site.kube.tokens |= {"guest": {"username": "guest"}, "namesake": {"username": ASSISTANT, "uid": "8"}}
    assert await (await site.come()).may_update("home", "a")
    asked = site.kube.count("create", REVIEWS)
    assert not await (await site.come("guest")).may_update("home", "a")
    assert await (await site.come("namesake")).may_update("home", "a")
    assert site.kube.count("create", REVIEWS) == asked + 2


async def test_a_path_is_for_those_who_may_get_it(autojump_clock: trio.testing.MockClock) -> None:
    """/metrics is open to whom a ClusterRole allows it by nonResourceURLs, as Prometheus' own is."""
    await (await Site().come()).must_get("/metrics")
    banned = await Site(Ban(user=ASSISTANT, resource="/metrics")).come()
    status, said = await refused(banned.must_get("/metrics"))
    assert (status, "nonResourceURLs" in said) == (403, True)


@pytest.mark.parametrize(
    ("header", "status", "said"),
    [
        (None, 401, "needs a token"),
        ("Basic abc", 401, "Bearer TOKEN"),
        ("Bearer ", 401, "Bearer TOKEN"),
        ("Bearer wrong", 401, "does not know this token"),
        ("Bearer a b", 400, "no token"),
        ("Bearer " + "x" * 9000, 400, "no token"),
        ("Bearer \x1b[31m", 400, "no token"),
    ],
    ids=["none", "another scheme", "empty", "wrong", "two", "huge", "escapes"],
)
async def test_nobody_gets_in_without_a_token_that_the_api_server_knows(
    header: str | None, status: int, said: str, autojump_clock: trio.testing.MockClock
) -> None:
    """Each is told what is wrong; what can be no token is not even asked about."""
    site = Site()
    found = await refused(site.door.admit(header, "GET"))
    assert (found[0], said in found[1]) == (status, True)
    assert site.reviews == (header == "Bearer wrong")


async def test_reading_without_a_token_is_opened_by_a_setting_and_changing_never(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """`anonymousRead` shows everything to everybody; a token that is sent along must still be good."""
    site = Site(anonymous_read=True)
    caller = await site.door.admit(None, "GET")
    assert (caller.name, await caller.namespaces(), await caller.may_read("lab", "a")) == ("anonymous", None, True)
    assert not await caller.may_update("lab", "a")
    assert (await refused(site.door.admit(None, "POST")))[0] == 401
    assert (await refused(site.come("wrong")))[0] == 401


async def test_answers_are_kept_for_seconds(autojump_clock: trio.testing.MockClock) -> None:
    """A page that asks often costs the API server a question now and then; a token that was deleted ends with that."""
    site = Site()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(site.come)
    for _ in range(20):
        assert await (await site.come()).namespaces() is None
    assert (site.reviews, site.kube.count("create", REVIEWS)) == (1, 1)
    del site.kube.tokens[TOKEN]
    await trio.sleep(TOKEN_KEPT + 1)
    assert (await refused(site.come()))[0] == 401
    assert site.reviews == 2


async def test_guessing_is_slowed_down_and_harms_nobody_else(autojump_clock: trio.testing.MockClock) -> None:
    """Of a thousand tokens at once the API server sees a few; the rest are told to wait, and who was known goes on."""
    site = Site()
    await site.come()
    found = [await refused(site.come(f"guess-{number}")) for number in range(1000)]
    assert {status for status, _ in found} == {401, 429}
    assert site.reviews <= TRIES[0] + 1
    await trio.sleep(TOKEN_KEPT + 1)
    for number in range(1000):
        await refused(site.come(f"other-{number}"))
    assert (await site.come()).name == ASSISTANT


@pytest.mark.parametrize(
    "error",
    [Unavailable(f"no answer to {TOKEN}"), Refused(f"tokenreviews is forbidden: {TOKEN}", reason="Forbidden")],
    ids=["away", "forbidden"],
)
async def test_without_the_api_server_nobody_gets_in_and_no_token_is_told(
    error: HexaError, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """503 and a line for the log, in neither of which the token stands, whatever the API server's words were."""
    caplog.set_level(logging.DEBUG)
    site = Site()
    site.kube.fail_next(error, verb="create", kind=TOKEN_REVIEWS)
    assert (await refused(site.come()))[0] == 503
    assert site.told == [f"{type(error).__name__} {error.reason}"]
    assert TOKEN not in caplog.text
    assert (await site.come()).name == ASSISTANT  # the failure was not kept
    site.kube.fail_next(error, verb="create", kind=TOKEN_REVIEWS, times=20)
    for number in range(20):
        await refused(site.come(f"other-{number}"))
    assert len(site.told) == 1  # a line a minute
