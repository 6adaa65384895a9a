"""hexa get --watch: it prints what changes, bears an API server that goes away, and ends on Ctrl-C."""

import functools
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from click.testing import Result
from tests.cli.sites import cluster
from trio.testing import MockClock
from typer.testing import CliRunner

from hexa import wiring
from hexa.adapters.kube_http.cluster import Cluster
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.cli.app import app
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.resources.core import NODES
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES
from hexa.ports.kube import Patch

Night = Callable[[], Awaitable[None]]
Hexa = Callable[[str, Night], Result]


@pytest.fixture
def kube() -> MemoryKube:
    """A group `rack` with the machines box-1, which is off, and box-2."""
    kube = cluster()
    kube.api.create(GROUPS, {"metadata": {"namespace": "homelab", "name": "rack"}, "spec": {}})
    for name, phase in (("box-1", "Off"), ("box-2", "Ready")):
        metadata = {"namespace": "homelab", "name": name, "labels": {"group": "rack"}}
        kube.api.create(MACHINES, {"metadata": metadata, "spec": {}, "status": {"phase": phase}}, keep_status=True)
    return kube


@pytest.fixture
def hexa(kube: MemoryKube, monkeypatch: pytest.MonkeyPatch) -> Hexa:
    """Runs a command in virtual time while something happens; Ctrl-C follows 30 s later."""

    def run(words: str, night: Night) -> Result:
        async def happens() -> None:
            await trio.sleep(5)
            await night()
            await trio.sleep(30)
            signal.raise_signal(signal.SIGINT)

        @asynccontextmanager
        async def open_cluster(*, kubeconfig: str, context: str) -> AsyncIterator[tuple[MemoryKube, Cluster]]:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(happens)
                yield kube, Cluster(server="https://memory", origin="test", namespace="homelab")
                nursery.cancel_scope.cancel()

        monkeypatch.setattr(wiring, "open_cluster", open_cluster)
        monkeypatch.setattr(trio, "run", functools.partial(trio.run, clock=MockClock(autojump_threshold=0)))
        return CliRunner().invoke(app, words.split())

    return run


def become(kube: MemoryKube, name: str, **status: Any) -> None:
    """The machine's status says something else."""
    kube.api.patch(MACHINES, ("homelab", name), Patch({"status": status}, subresource="status"), manager="hexa")


async def nothing() -> None:
    """Happens."""


def test_each_line_that_changes_is_printed(hexa: Hexa, kube: MemoryKube) -> None:
    """At first all is shown; then a line for each change, in the same columns, and nothing for what nobody sees."""

    async def night() -> None:
        become(kube, "box-1", phase="PoweringOn")
        await trio.sleep(1)
        become(kube, "box-1", phase="Booting")
        await trio.sleep(1)
        become(kube, "box-1", attempt=7)
        kube.api.delete(MACHINES, ("homelab", "box-2"))

    shown = hexa("get machines -w", night)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["box-1", "-", "Off"],
        ["box-2", "-", "Ready"],
        ["box-1", "-", "PoweringOn"],
        ["box-1", "-", "Booting"],
    ]
    assert shown.stderr == "hexa: machine homelab/box-2 is gone\n"


def test_titles_come_again_where_the_kind_changes(hexa: Hexa, kube: MemoryKube) -> None:
    """Groups and machines have tables of their own, also later."""

    async def night() -> None:
        kube.api.patch(GROUPS, ("homelab", "rack"), Patch({"spec": {"minSize": 1}}), manager="kubectl")
        kube.api.patch(GROUPS, ("homelab", "rack"), Patch({"status": {"ready": 2}}, subresource="status"), manager="h")

    titles = [line for line in hexa("get -w", night).stdout.splitlines() if line.startswith("NAME")]
    assert ["SIZE" in title for title in titles] == [True, False, True]


def test_programs_get_a_line_for_each_change(hexa: Hexa, kube: MemoryKube) -> None:
    """With -o json a line is everything that changed at a time, in the shape of hexa get -o json."""

    async def night() -> None:
        become(kube, "box-1", phase="Booting")

    first, second = map(json.loads, hexa("get -w -o json", night).stdout.splitlines())
    assert [each["name"] for each in first["machines"]] == ["box-1", "box-2"]
    assert [each["name"] for each in first["groups"]] == ["rack"]
    assert [(each["name"], each["phase"]) for each in second["machines"]] == [("box-1", "Booting")]


def test_an_api_server_that_is_away_is_waited_for(hexa: Hexa, kube: MemoryKube) -> None:
    """It is said once that it is away and once that it is back, and what changed meanwhile is printed."""

    async def night() -> None:
        kube.fail_next(Unavailable("https://memory: no connection"), verb="list", times=20)
        kube.fail_next(Unavailable("https://memory: no connection"), verb="watch", times=8)
        kube.api.break_watches(Unavailable("it broke"))
        become(kube, "box-1", phase="Booting")

    shown = hexa("get machines -w", night)
    assert shown.exit_code == 0
    assert shown.stderr.splitlines() == [
        "hexa: https://memory: no connection; what is shown may be old",
        "hexa: the API server answers again",
    ]
    assert shown.stdout.splitlines()[-1].split()[:3] == ["box-1", "-", "Booting"]


def test_who_may_list_only_sees_changes_too(hexa: Hexa, kube: MemoryKube) -> None:
    """Watching needs no right beyond those of hexa get: what may not be watched is listed again, and what may not be is noted."""
    kube.fail_next(Refused("may not watch"), verb="watch", times=1000)
    kube.fail_next(Refused("may not list nodes"), verb="list", kind=NODES, times=1000)

    async def night() -> None:
        become(kube, "box-1", phase="Booting")

    shown = hexa("get machines -w", night)
    assert (shown.exit_code, shown.stderr) == (0, "hexa: whether machines joined is not known: may not list nodes\n")
    assert shown.stdout.splitlines()[-1].split()[:3] == ["box-1", "-", "Booting"]


def test_a_profile_that_comes_later_is_seen(hexa: Hexa, kube: MemoryKube) -> None:
    """PowerProfiles are followed once a machine names one."""

    async def night() -> None:
        kube.api.patch(MACHINES, ("homelab", "box-1"), Patch({"spec": {"profile": "desk"}}), manager="kubectl")
        await trio.sleep(2)
        manifest = {
            "metadata": {"namespace": "homelab", "name": "desk"},
            "spec": {"power": {"ipmi": {"address": "bmc", "secretName": "bmc"}}},
        }
        kube.api.create(PROFILES, manifest, manager="kubectl")

    lines = hexa("get box-1 -w", night).stdout.splitlines()
    assert [line.partition("spec.profile: ")[2] for line in lines[2:]] == [
        "there is no PowerProfile desk in namespace homelab",
        "",
    ]


def test_what_was_named_may_go_and_come_back(hexa: Hexa, kube: MemoryKube) -> None:
    """The only machine that was named is deleted, told as gone, and shown again when it is applied again."""

    async def night() -> None:
        kube.api.delete(MACHINES, ("homelab", "box-1"))
        await trio.sleep(2)
        become(kube, "box-2", phase="Booting")
        await trio.sleep(2)
        kube.api.create(MACHINES, {"metadata": {"namespace": "homelab", "name": "box-1"}, "spec": {}})

    shown = hexa("get box-1 -w", night)
    assert (shown.exit_code, shown.stderr) == (0, "hexa: machine homelab/box-1 is gone\n")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["NAME", "box-1", "box-1"]


def test_an_empty_namespace_is_waited_for(hexa: Hexa, kube: MemoryKube) -> None:
    """Nothing is there: that is said, and what comes is shown."""

    async def night() -> None:
        kube.api.create(MACHINES, {"metadata": {"namespace": "barn", "name": "far"}, "spec": {}})

    shown = hexa("get -w -n barn", night)
    assert (shown.exit_code, shown.stderr) == (0, "hexa: nothing here yet\n")
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["NAME", "far"]


def test_what_does_not_decode_is_a_line_too(hexa: Hexa, kube: MemoryKube) -> None:
    """A machine that is written so that hexa cannot read it is told when it comes, and when it is mended."""

    async def night() -> None:
        manifest = {"metadata": {"namespace": "homelab", "name": "odd"}, "spec": {"hold": "yes"}}
        kube.api.create(MACHINES, manifest, manager="kubectl")
        await trio.sleep(2)
        kube.api.patch(MACHINES, ("homelab", "odd"), Patch({"spec": {"hold": None}}), manager="kubectl")

    lines = [line for line in hexa("get machines -w", night).stdout.splitlines() if line.startswith("odd ")]
    assert ["does not decode" in line for line in lines] == [True, False]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("get box-3 -w", 1, "box-3: there is no machine or group of that name in namespace homelab; did you mean"),
        ("get -w -A -n homelab", 2, "--namespace and --all-namespaces exclude each other"),
    ],
)
def test_what_cannot_be_watched_ends_at_once(hexa: Hexa, words: str, code: int, told: str) -> None:
    """A name that is not there, or options that contradict each other: one line, nothing is waited for."""
    shown = hexa(words, nothing)
    assert shown.exit_code == code
    assert shown.stderr.startswith(f"hexa: {told}")


def test_an_api_server_that_never_answered_ends_it(hexa: Hexa, kube: MemoryKube) -> None:
    """Before anything was shown it is told as by every other command."""
    kube.fail_next(Unavailable("no answer"), times=100)
    shown = hexa("get -w", nothing)
    assert (shown.exit_code, shown.stderr) == (1, "hexa: no answer\n")
