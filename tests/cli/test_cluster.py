"""What all commands that talk to a cluster have in common."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import typer

from hexa import wiring
from hexa.adapters.kube_http.cluster import Cluster
from hexa.cli.shared.cluster import Site, Where, ask
from hexa.domain.errors import Refused, Unavailable


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that nobody talks to."""

    @asynccontextmanager
    async def open_cluster(*, kubeconfig: str, context: str) -> AsyncIterator[tuple[Any, Cluster]]:
        yield None, Cluster(server="https://x", origin="test", namespace="mine")

    monkeypatch.setattr(wiring, "open_cluster", open_cluster)


@pytest.mark.parametrize(
    ("where", "namespace"), [(Where(), "mine"), (Where(namespace="other"), "other"), (Where(all_namespaces=True), None)]
)
def test_the_namespace_is_the_context_s_unless_named(where: Where, namespace: str | None) -> None:
    """Commands look into the context's namespace, as kubectl does."""

    async def question(site: Site) -> str | None:
        return site.namespace

    assert ask(where, question) == namespace


@pytest.mark.parametrize(
    ("error", "code"),
    [(Unavailable("away"), 1), (Refused("no"), 3), (Refused("no context", reason="BadKubeconfig"), 2)],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_errors_are_a_line_and_a_code(
    error: Exception, code: int, wrapped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the API server says ends as one line; so it does out of a nursery."""

    async def question(site: Site) -> None:
        raise ExceptionGroup("nursery", [error]) if wrapped else error

    with pytest.raises(typer.Exit) as ended:
        ask(Where(), question)
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == f"hexa: {error}\n"


def test_an_api_server_that_is_away_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However much was asked of it at the same time; what it refuses is told one by one."""

    async def question(site: Site) -> None:
        raise ExceptionGroup("nursery", [Unavailable("pods"), Refused("no"), Unavailable("nodes"), Refused("neither")])

    with pytest.raises(typer.Exit) as ended:
        ask(Where(), question)
    assert ended.value.exit_code == 3
    assert capsys.readouterr().err == "hexa: pods\nhexa: no\nhexa: neither\n"


def test_a_defect_keeps_its_traceback() -> None:
    """What is no error of ours is not turned into one line."""

    async def question(site: Site) -> None:
        async with trio.open_nursery():
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        ask(Where(), question)


def test_one_namespace_or_all() -> None:
    """-n and -A exclude each other."""

    async def question(site: Site) -> None: ...

    with pytest.raises(typer.Exit) as ended:
        ask(Where(namespace="a", all_namespaces=True), question)
    assert ended.value.exit_code == 2
