"""What commands that talk to a cluster have in common: how it is named, and how an answer or an error comes back."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hexa.cli.shared.exits import Exit, fail

if TYPE_CHECKING:
    from hexa.ports.clock import Clock
    from hexa.ports.kube import Kube

T = TypeVar("T")

NO_CLUSTER = frozenset({"NoKubeconfig", "BadKubeconfig"})
"""Reasons of a Refused that no API server has said: a file or an option is to be changed."""

KubeconfigOption = Annotated[str, typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig file.")]
ContextOption = Annotated[str, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.")]
NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace. Default: the context's.")
]
AllNamespacesOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]


@dataclass(frozen=True, kw_only=True)
class Where:
    """The cluster and the namespace that a person named."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    all_namespaces: bool = False
    names: tuple[str, ...] = ()
    """Of machines and groups that the person named, as they were written."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """An open cluster, and the namespace that the command is about."""

    kube: "Kube"
    clock: "Clock"
    namespace: str | None
    """None: all."""
    server: str
    own_namespace: str
    """The context's namespace, whatever was asked for."""


def ask(where: Where, question: Callable[[Site], Awaitable[T]]) -> T:
    """The answer to `question`; whatever goes wrong ends the process with one line and an exit code of docs/cli.md."""
    if where.namespace and where.all_namespaces:
        fail("--namespace and --all-namespaces exclude each other", Exit.USAGE)
    import trio

    from hexa.domain.errors import HexaError

    try:
        return trio.run(answer, where, question)
    except (HexaError, ExceptionGroup) as error:
        errors = list(leaves(error))
        if not all(isinstance(each, HexaError) for each in errors):
            raise  # a defect of ours keeps its traceback
        for text in _told(errors):
            typer.echo(f"hexa: {text}", err=True)
        raise typer.Exit(max(map(exit_for, errors))) from None


async def answer(where: Where, question: Callable[[Site], Awaitable[T]]) -> T:
    """The answer, or the error that came instead: for those who have something better to do with it."""
    from hexa import wiring

    async with wiring.open_cluster(kubeconfig=where.kubeconfig, context=where.context) as (kube, cluster):
        site = Site(
            kube=kube,
            clock=wiring.system_clock(),
            namespace=None if where.all_namespaces else where.namespace or cluster.namespace,
            server=cluster.server,
            own_namespace=cluster.namespace,
        )
        return await question(site)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group of groups, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def _told(errors: Iterable[BaseException]) -> Iterator[str]:
    """What is asked at once fails at once where the API server is away: of that the first line tells it all."""
    from hexa.domain.errors import Unavailable

    away = False
    for error in errors:
        if not (away and isinstance(error, Unavailable)):
            yield str(error)
        away = away or isinstance(error, Unavailable)


def exit_for(error: BaseException) -> Exit:
    """The exit code that an error of ours ends with; a defect ends as FAILED."""
    from hexa.config import ConfigError
    from hexa.domain.errors import Refused

    if isinstance(error, ConfigError) or (isinstance(error, Refused) and error.reason in NO_CLUSTER):
        return Exit.USAGE
    return Exit.REFUSED if isinstance(error, Refused) else Exit.FAILED
