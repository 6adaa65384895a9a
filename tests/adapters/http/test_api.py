"""The API: what programs read, who may read what, and a person's word over a machine."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from tests.adapters.http.desk import RACK, Guest, ask, open_desk
from tests.cli.sites import NOW
from tests.docs import openapi
from trio.testing import MockClock

from hexa.adapters.http.api import OF_MACHINE
from hexa.domain.errors import Unavailable
from hexa.domain.policy.battery import OnBattery
from hexa.domain.resources.core import BUDGETS, NODES, PODS, Malformed, decode
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.kube import Patch

IN_DOCS = Path("docs/reference/openapi.json")
ALICE = Guest("alice", spaces=frozenset({"a"}))
THING = Guest("thing", sees=("b/lone",), does=("b/lone",))


def at(**later: float) -> str:
    """A moment after now, as it is written."""
    return (NOW + timedelta(**later)).isoformat()


async def test_programs_read_what_hexa_get_shows() -> None:
    """State, machines, groups and one of each; what is not known is null."""
    async with open_desk(RACK) as desk:
        state = (await desk.get("state")).json
        assert (state["summary"]["machines"], state["summary"]["on"], state["summary"]["watts"]) == (3, 1, None)
        machines = (await desk.get("machines")).json
        assert [each["name"] for each in machines["machines"]] == ["box-1", "box-2", "lone"]
        assert machines["machines"] == state["machines"]
        assert (await desk.get("machines/a/box-1")).json["phase"] == "Ready"
        assert (await desk.get("groups")).json["groups"] == [(await desk.get("groups/a/rack")).json]
        assert (await desk.get("machines?namespace=b")).json["machines"][0]["name"] == "lone"


async def test_who_may_see_a_namespace_sees_no_other() -> None:
    """Lists are of the namespaces that the token may list; another one is refused, whether there is something or not."""
    async with open_desk(RACK, ALICE) as desk:
        state = await desk.get("state", token="alice")
        assert {each["namespace"] for each in (*state.json["machines"], *state.json["groups"])} == {"a"}
        assert b"lone" not in state.body
        for path in (
            "machines/b/lone",
            "machines/b/none",
            "groups/b/none",
            "machines?namespace=b",
            "machines/b/lone/eta",
        ):
            refused = await desk.get(path, token="alice")
            assert (refused.status, refused.json["reason"]) == (403, "Forbidden"), path
        assert (await desk.get("machines/a/none", token="alice")).status == 404


async def test_a_token_for_one_machine_sees_and_does_that_alone() -> None:
    """What it may not list it is not shown; its own machine it may read and hold."""
    async with open_desk(RACK, THING) as desk:
        assert (await desk.get("machines/b/lone", token="thing")).status == 200
        assert (await desk.get("state", token="thing")).status == 403
        assert (await desk.get("stream", token="thing")).status == 403
        assert (await desk.post("b/lone/wake", token="thing")).status == 200
        refused = await desk.post("a/box-2/wake", token="thing")
        assert (refused.status, refused.json["remedy"]) == (403, "hexa token a/box-2 prints what allows it")
        assert desk.hold("box-2") is None


async def test_without_a_token_nothing_is_said_but_what_is_no_secret() -> None:
    """The OpenAPI document and the files of the waiting page are for everybody."""
    async with open_desk(RACK) as desk:
        for path in ("state", "machines/a/box-1", "machines/a/box-1/eta.html", "stream", "history"):
            assert (await desk.get(path, token="")).status == 401
        assert (await desk.get("openapi.json", token="")).body.decode() == openapi.text()
        assert b"setInterval" in (await desk.get("machines/x/y/eta.js", token="")).body
        assert (await desk.get("machines/x/y/eta.css", token="")).headers["content-type"].startswith("text/css")


async def test_a_hold_is_written_as_hexa_on_writes_it() -> None:
    """With end, reason and who asked; the answer says what decides now; a line of the log says who did it."""
    async with open_desk(RACK) as desk:
        told = (await desk.post("a/box-2/hold", {"power": "on", "for": "90m", "reason": "film night"})).json
        assert desk.hold("box-2") == {"power": "on", "until": at(minutes=90), "reason": "film night (root)"}
        assert told["text"].startswith("held on until 2026-11-24T13:30:00+00:00; hold wants it on")
        assert (told["changed"], told["until"]) == (True, "2026-11-24T13:30:00Z")
        assert (await desk.get("machines/a/box-2")).json["held"] == "on"
        (line,) = desk.journal.lines
        assert (line.message, line.fields["by"], line.fields["machine"]) == ("asked over HTTP", "root", "a/box-2")
        await desk.post("a/box-2/hold", {"power": "off", "until": at(days=1), "makeRoom": True})
        assert desk.hold("box-2") == {
            "power": "off",
            "until": at(days=1),
            "reason": "asked over HTTP by root",
            "makeRoom": True,
        }
        assert (await desk.post("a/box-2/hold", {"power": "auto"})).json["text"].startswith("no longer held")
        assert desk.hold("box-2") is None


async def test_a_body_may_say_every_default() -> None:
    """Clients that are generated from the OpenAPI document send them all."""
    schemas = json.loads(openapi.text())["components"]["schemas"]
    async with open_desk(RACK) as desk:
        for act, kind, more in (("hold", "HoldBody", {"power": "on"}), ("wake", "WakeBody", {})):
            parts = schemas[kind]["properties"]
            assert re.search(parts["for"]["pattern"], parts["for"]["default"]) is not None
            body = {name: each["default"] for name, each in parts.items() if "default" in each} | more
            assert (await desk.post(f"a/box-2/{act}", body)).status == 200, act


def test_every_status_is_in_the_document() -> None:
    """What a path can answer is what the document says of it: to who reads, 400 and 429 of tokens too."""
    told = json.loads(openapi.text())["paths"]
    reads = [answers["get"] for path, answers in told.items() if "get" in answers and "openapi" not in path]
    assert all({"400", "401", "403", "429", "503"} <= set(each["responses"]) for each in reads)
    for code in ("200", "503"):
        assert "text/html" in told["/api/v1/machines/{namespace}/{name}/eta"]["get"]["responses"][code]["content"]


async def test_an_off_reads_nothing_of_the_cluster() -> None:
    """What stands against it is told by what hexa knows: pods are not listed for whoever asks, as `hexa off` does for a person."""
    async with open_desk(RACK) as desk:
        lists = sum(desk.kube.count("list", kind) for kind in (PODS, BUDGETS))
        told = (await desk.post("a/box-1/hold", {"power": "off"})).json
        assert told["text"].startswith("held off without an end")
        assert any("PowerOffUnavailable" in each for each in told["warnings"])
        assert sum(desk.kube.count("list", kind) for kind in (PODS, BUDGETS)) == lists


BAD: list[tuple[Any, str]] = [
    ({}, "body"),
    ({"power": "maybe"}, "power"),
    ({"power": "on", "for": "long"}, "for"),
    ({"power": "on", "for": "9999h"}, "for"),
    ({"power": "on", "until": "tomorrow"}, "until"),
    ({"power": "on", "until": "2026-11-30T10:00:00"}, "until"),
    ({"power": "on", "until": "9999-12-31T23:59:59-12:00"}, "until"),
    ({"power": "on", "until": "9999-12-31T23:59:59Z"}, "until"),
    ({"power": "on", "until": at(seconds=0)}, "until"),
    ({"power": "on", "until": at(hours=1), "for": "1h"}, "until"),
    ({"power": "auto", "for": "1h"}, "power"),
    ({"power": "on", "makeRoom": True}, "makeRoom"),
    ({"power": "on", "reason": "x" * 201}, "reason"),
    ({"power": "on", "force": True}, "body"),
    ([], "body"),
    (b"{", "body"),
    (b'{"power": "on", "power": "off"}', "power"),
    (b'{"power": "on", "for": "1h", "for": "2h"}', "for"),
    ({"power": "on", "for": "-1h"}, "for"),
    (b'{"power": "on", "until": NaN}', "body"),
    (b'{"power": "\xff"}', "body"),
    (b"[" * 4000, "body"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=lambda each: str(each)[:40])
async def test_what_makes_no_sense_is_refused_with_field_and_remedy(body: Any, field: str) -> None:
    """400, and nothing is written."""
    async with open_desk(RACK) as desk:
        told = await desk.post("a/box-2/hold", body)
        assert (told.status, told.json["field"]) == (400, field)
        assert told.json["remedy"]
        assert told.json["message"]
        assert "regex" not in told.json["message"]
        assert desk.hold("box-2") is None


async def test_nobody_is_asked_about_machines_that_there_are_not() -> None:
    """Made-up names cost the API server no question each: whoever may see the namespace is told that there is none."""
    asked = list[str]()

    class Counted(Guest):
        async def may_read(self, namespace: str, machine: str) -> bool:
            asked.append(machine)
            return await super().may_read(namespace, machine)

        async def may_update(self, namespace: str, machine: str, act: str = "") -> bool:
            asked.append(machine)
            return await super().may_update(namespace, machine, act)

    async with open_desk(RACK, Counted("eve", spaces=frozenset({"a"}))) as desk:
        for number in range(20):
            assert (await desk.get(f"machines/a/none-{number}/eta", token="eve")).status == 404
            assert (await desk.post(f"b/none-{number}/wake", token="eve")).status == 403
        assert asked == []


@pytest.mark.parametrize("path", ["", "/eta", "/hold", "/wake"])
@pytest.mark.parametrize("guest", ["eve", "nobody"])
async def test_who_may_not_see_a_namespace_is_not_told_what_there_is(guest: str, path: str) -> None:
    """The answer for a machine that is there is the one for a machine that is not, but for its name."""
    async with open_desk(RACK, Guest("eve", spaces=frozenset({"a"})), Guest("nobody")) as desk:
        method = "POST" if path in ("/hold", "/wake") else "GET"
        there, not_there = [
            await ask(desk.app, method, f"/api/v1/machines/b/{name}{path}", token=guest) for name in ("lone", "none")
        ]
        assert (there.status, not_there.status) == (403, 403)
        assert there.json == {key: text.replace("none", "lone") for key, text in not_there.json.items()}


async def test_a_body_that_is_too_large_is_not_read() -> None:
    """413 as soon as it is seen."""
    async with open_desk(RACK) as desk:
        assert (await desk.post("a/box-2/hold", b" " * 5_000)).status == 413


async def test_names_that_no_object_has_are_asked_of_nobody() -> None:
    """Garbage in place of a name is not found, and costs no question to the API server."""
    async with open_desk(RACK, THING) as desk:
        for name in ("a/..", "a/%2e%2e", "a/BOX", "a/" + "x" * 254, "a/<script>", "a/box-1%0a"):
            assert (await desk.get(f"machines/{name}", token="thing")).status == 404
            assert (await desk.post(f"{name}/wake", token="thing")).status == 404


async def test_a_wake_holds_the_machine_on_for_a_while_and_can_be_repeated() -> None:
    """It is extended by what is asked again later; asked again at once nothing is written."""
    async with open_desk(RACK) as desk:
        assert (await desk.post("a/box-2/wake")).json["changed"]
        assert desk.hold("box-2") == {"power": "on", "until": at(minutes=30), "reason": "asked over HTTP by root"}
        writes = desk.kube.count("patch", MACHINES)
        for _ in range(50):
            desk.clock.when += timedelta(seconds=2)
            assert not (await desk.post("a/box-2/wake")).json["changed"]
        assert desk.kube.count("patch", MACHINES) == writes
        desk.clock.when = NOW + timedelta(minutes=4)
        assert (await desk.post("a/box-2/wake", {"for": "1h"})).json["changed"]
        assert desk.hold("box-2") == {"power": "on", "until": at(minutes=64), "reason": "asked over HTTP by root"}


@pytest.mark.parametrize("where", ["machine", "group"])
async def test_a_wake_does_not_go_against_another_word(where: str) -> None:
    """What a person holds off stays off, and who asks is told by what; what is held on for longer stays so."""
    held = {"spec": {"hold": {"power": "off", "reason": "fan is broken"}}}
    key = (MACHINES, "a", "box-2") if where == "machine" else (GROUPS, "a", "rack")
    async with open_desk(RACK | {key: {**RACK[key], **held}}) as desk:
        told = await desk.post("a/box-2/wake")
        assert (told.status, told.json["reason"]) == (409, "HeldOff")
        assert "held off: fan is broken; hexa auto" in told.json["message"]
        on = {"hold": {"power": "on", "until": None, "reason": "stays"}}
        desk.kube.api.patch(key[0], key[1:], Patch({"spec": on}))
        if where == "machine":
            desk.seen("box-2")
            assert not (await desk.post("a/box-2/wake")).json["changed"]
            assert desk.hold("box-2") == {"power": "on", "reason": "stays"}


@pytest.mark.parametrize("by", ["OnBattery", "MaintenancePlanned"])
async def test_a_wake_does_what_a_program_may(by: str) -> None:
    """A door that calls with each page wakes no machine on battery or before its maintenance, and keeps none on; a person does."""
    async with open_desk(RACK) as desk:
        assert (await desk.post("a/box-1/wake")).json["changed"]
        desk.seen("box-1")
        store, views = desk.live.snapshot.store, desk.live.snapshot.views
        if by == "OnBattery":
            views.on_battery = lambda _: OnBattery(reason=by, text="the UPS is on battery", since=NOW)
        else:
            for name in ("box-1", "box-2"):
                said = {"type": by, "status": "True", "message": "new fan"}
                node = decode(NODES, {"metadata": {"name": name}, "status": {"conditions": [said]}})
                assert not isinstance(node, Malformed)
                store.nodes.put(node)
        refused = await desk.post("a/box-2/wake")
        assert (refused.status, refused.json["reason"]) == (409, by)
        assert "hexa on a/box-2" in refused.json["message"]
        assert not (await desk.post("a/box-1/wake")).json["changed"]
        desk.clock.when = NOW + timedelta(minutes=20)
        assert (await desk.post("a/box-1/wake")).status == 409
        assert (await desk.post("a/box-2/hold", {"power": "on"})).json["changed"]


async def test_a_wake_that_meets_another_write_looks_again(autojump_clock: MockClock) -> None:
    """Somebody holds the machine off in the same moment: that word counts."""
    async with open_desk(RACK) as desk:
        off = {"hold": {"power": "off"}}
        desk.kube.api.patch(MACHINES, ("a", "box-2"), Patch({"spec": off}))  # the watch has not brought it yet

        async def brings() -> None:
            await trio.sleep(0.1)
            desk.seen("box-2")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(brings)
            assert (await desk.post("a/box-2/wake")).status == 409
        assert desk.hold("box-2") == off["hold"]


async def test_too_many_writes_are_put_off() -> None:
    """By machine and by token, with the seconds after which it is worth to ask again."""
    async with open_desk(RACK) as desk:
        for _ in range(OF_MACHINE[0]):
            assert (await desk.post("a/box-2/hold", {"power": "on"})).status == 200
        late = await desk.post("a/box-2/hold", {"power": "on"})
        assert (late.status, late.headers["retry-after"]) == (429, "10")
        assert (await desk.post("a/box-1/hold", {"power": "on"})).status == 200


async def test_an_api_server_that_is_away_is_said_so() -> None:
    """503 with Retry-After; what does not decode is nobody's to hold."""
    broken = {(MACHINES, "a", "odd"): {"spec": {"index": "x"}}}
    async with open_desk(RACK | broken) as desk:
        desk.kube.fail_next(Unavailable("the API server is away"), verb="patch")
        away = await desk.post("a/box-2/hold", {"power": "on"})
        assert (away.status, away.headers["retry-after"]) == (503, "5")
        odd = await desk.post("a/odd/wake")
        assert (odd.status, odd.json["reason"]) == (409, "DoesNotDecode")
        assert (await desk.post("a/none/wake")).status == 404
        assert (await desk.get("machines/a/odd")).json["blocker"].startswith("does not decode")


COMES = {"phase": "Booting", "since": at(seconds=-20), "wakes": 1, "firstWake": {"at": at(seconds=-30)}}
BOOTS = RACK | {(MACHINES, "a", "box-3"): {"status": {**COMES, "bootSeconds": [100.0, 110.0, 400.0]}}}


async def test_the_seconds_until_ready_as_json() -> None:
    """By the machine's recent boots; 0 where it is Ready; null where nobody knows, with how long a boot takes."""
    async with open_desk(BOOTS) as desk:
        comes = (await desk.get("machines/a/box-3/eta")).json
        assert (comes["ready"], comes["etaSeconds"], comes["readyAt"]) == (False, 80, "2026-11-24T12:01:20Z")
        assert comes["arrival"] == "box-3 boots, Ready about 12:02 UTC (p95 12:07)"
        assert (await desk.get("machines/a/box-1/eta")).json["etaSeconds"] == 0
        off = (await desk.get("machines/a/box-2/eta")).json
        assert (off["etaSeconds"], off["bootTypicalSeconds"]) == (None, 60.0)


async def test_the_page_for_people_who_wait() -> None:
    """The same number, counted down by a script of ours; it loads itself again, holds nothing inline, and is no success until the
    machine is Ready."""
    async with open_desk(BOOTS) as desk:
        page = await desk.get("machines/a/box-3/eta.html")
        assert (page.status, page.headers["retry-after"]) == (503, "80")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        text = page.body.decode()
        assert 'data-seconds="80">about 1 min 20 s<' in text
        assert "Ready about 12:02 UTC" in text
        assert '<meta http-equiv="refresh" content="10">' in text
        assert "style=" not in text
        assert "<script>" not in text
        assert "unsafe" not in page.headers["content-security-policy"]
        for accept in ("text/html;q=0, */*", "application/json, text/html;q=0.1", "*/*", "text/html;q=0.0, a;;,"):
            told = await desk.get("machines/a/box-3/eta", accept=accept)
            assert told.headers["content-type"].startswith("application/json"), accept
        ready = await desk.get("machines/a/box-1/eta", accept="TEXT/HTML; charset=utf-8,*/*")
        assert ready.status == 200
        assert b"box-1 is ready" in ready.body


async def test_nobody_is_told_to_wait_for_years() -> None:
    """What a clock that was set, or an odd boot, makes of a machine's arrival is no time to wait until one asks again."""
    odd = {"status": {"phase": "Booting", "since": at(), "bootSeconds": [1e9]}}
    async with open_desk(RACK | {(MACHINES, "a", "box-2"): odd}) as desk:
        page = await desk.get("machines/a/box-2/eta.html")
        assert (page.status, page.headers["retry-after"]) == (503, "3600")


async def test_texts_of_machines_cannot_become_markup() -> None:
    """What stands against a machine is escaped."""
    evil = {"status": {"phase": "Off", "blocker": "<script>alert(1)</script>"}}
    async with open_desk(RACK | {(MACHINES, "a", "box-2"): evil}) as desk:
        page = (await desk.get("machines/a/box-2/eta.html")).body
        assert b"<script>alert" not in page
        assert b"&lt;script&gt;alert(1)" in page


async def test_history_is_what_the_status_says() -> None:
    """Phases of the last day, of the namespaces that may be seen; other spans are checked."""
    entry = {"at": at(hours=-2), "action": "Ready", "by": "NodeReady"}
    been = {"status": {"phase": "Ready", "since": at(hours=-2), "history": [entry]}}
    async with open_desk(RACK | {(MACHINES, "a", "box-1"): been}, ALICE) as desk:
        found = (await desk.get("history?since=24h", token="alice")).json["stretches"]
        assert [(each["name"], each["phase"], each["end"]) for each in found] == [("box-1", "Ready", None)]
        for span in ("x", "-1h", "0", "9000h"):
            refused = await desk.get(f"history?since={span}")
            assert (refused.status, refused.json["field"]) == (400, "since")


def test_the_document_that_is_served_is_the_one_of_the_docs() -> None:
    """Both are what `./dev reference` writes."""
    assert openapi.SERVED.read_text(encoding="utf-8") == openapi.text() == IN_DOCS.read_text(encoding="utf-8")


async def test_the_document_names_every_path_and_every_field() -> None:
    """OpenAPI: paths and methods are those that answer, the answers have the fields that it says, and no more."""
    async with open_desk(BOOTS) as desk:
        routes = (*desk.api.open(), *desk.api.guarded())
        there = {(route.path, method) for route in routes for method in (route.methods or set()) - {"HEAD"}}
        document = openapi.document()
        said = {(path, method.upper()) for path, each in document["paths"].items() for method in each}
        assert {each for each in there if not each[0].endswith((".css", "js"))} == said
        schemas = document["components"]["schemas"]
        state = (await desk.get("state")).json
        parts = {"Overview": state, "Summary": state["summary"], "MachineState": state["machines"][0]}
        parts |= {"GroupState": state["groups"][0], "EnergyState": state["groups"][0]["energy"]}
        parts["Eta"] = (await desk.get("machines/a/box-3/eta")).json
        parts["Ordered"] = (await desk.post("a/box-2/wake")).json
        for name, told in parts.items():
            assert set(told) == set(schemas[name]["properties"]), name
        assert json.dumps(document).count('"$ref"') > 10


async def test_head_of_the_stream_ends() -> None:
    """Who only asks whether it is there holds no connection."""
    async with open_desk(RACK) as desk:
        found = await ask(desk.app, "HEAD", "/api/v1/stream")
        assert (found.status, found.body) == (200, b"")


async def test_answers_are_shared_for_a_second(autojump_clock: MockClock) -> None:
    """Who asks again and again has the same answer, worked out once a second at most."""
    async with open_desk(RACK) as desk:
        first = (await desk.get("state")).json
        desk.change("box-2", phase="Booting")
        assert (await desk.get("state")).json == first
        await trio.sleep(1)
        assert (await desk.get("machines")).json["machines"][1]["phase"] == "Booting"
