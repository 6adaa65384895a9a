"""What the commands for people share: the snapshot they look at, and how notes and answers are told."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, TypeVar

import typer

from hexa.cli.shared.cluster import Site, Where, ask, exit_for
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.output import Tone, paint, plain, say

if TYPE_CHECKING:
    from hexa.app.commands.shared.snapshot import Snapshot
    from hexa.app.commands.switch import Answer, Change

T = TypeVar("T")


def look(where: Where, question: "Callable[[Site, Snapshot], Awaitable[T]]") -> T:
    """The answer to a question about a snapshot of the cluster."""

    async def asked(site: Site) -> T:
        from hexa.app.commands.shared.snapshot import take

        space = scope(site, where)
        return await question(site, await take(site.kube, clock=site.clock, namespace=space, names=where.names))

    return ask(where, asked)


def scope(site: Site, where: Where) -> str | None:
    """Names may be NAMESPACE/NAME: only where the cluster is read whole can they be of another namespace."""
    return None if where.all_namespaces else site.namespace


def within(
    names: Iterable[str], *, kubeconfig: str, context: str, namespace: str, all_namespaces: bool = False
) -> Where:
    """Where the names are: NAMESPACE/NAME speaks for itself."""
    names = tuple(names)
    spaces = {name.partition("/")[0] for name in names if "/" in name}
    plain_names = any("/" not in name for name in names)
    if len(spaces) == 1 and not plain_names and not namespace:
        namespace = spaces.pop()
    elif spaces and not namespace:
        all_namespaces = True
    return Where(
        kubeconfig=kubeconfig, context=context, namespace=namespace, all_namespaces=all_namespaces, names=names
    )


def home(site: Site) -> str:
    """Where a NAME without a namespace is looked for, also while others name theirs: nowhere else."""
    return site.namespace or site.own_namespace


def searched(site: Site, *, all_namespaces: bool) -> str | None:
    """Where a NAME without a namespace is looked for by commands that have -A: in all namespaces (None) with it, else at `home`."""
    return None if all_namespaces else home(site)


def tell_notes(notes: Iterable[str]) -> None:
    """What could not be read, on standard error."""
    for note in notes:
        typer.echo(f"hexa: {plain(note)}", err=True)


def when(ending: str, until: str, *, now: datetime) -> datetime | None:
    """The moment that --for or --until names; None: neither was given."""
    from hexa.domain.duration import parse_duration

    if ending and until:
        fail("--for and --until exclude each other", Exit.USAGE)
    try:
        moment = now + parse_duration(ending) if ending else _moment(until, now) if until else None
    except (ValueError, OverflowError) as error:
        fail(f"{'--for' if ending else '--until'}: {error}", Exit.USAGE)
    if moment is not None and moment <= now:
        fail(f"{'--for' if ending else '--until'}: {ending or until} is not in the future", Exit.USAGE)
    if moment is None:
        return None
    return (moment + timedelta(microseconds=999_999)).astimezone(UTC).replace(microsecond=0)  # whole seconds, none lost


def _moment(text: str, now: datetime) -> datetime:
    """HH:MM is the next such time; a time without a zone is this computer's."""
    try:
        at = time.fromisoformat(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            raise ValueError(
                f'{text!r} is no time (examples: "18:00", "2030-01-31 18:00", "2030-01-31T18:00:00Z")'
            ) from None
    today = now.astimezone().date()
    moment = datetime.combine(today, at).astimezone(UTC)
    return moment if moment > now else datetime.combine(today + timedelta(days=1), at).astimezone(UTC)


def change(where: Where, make: "Callable[[datetime], Change]", *, machines: list[str], groups: list[str]) -> None:
    """Write a change to each object that was named, and say what became of it."""
    if not machines and not groups:
        fail("name a machine, or a group with --group", Exit.USAGE)

    async def asked(site: Site, snapshot: "Snapshot") -> "list[Answer]":
        from hexa.app.commands.switch import write

        made = make(snapshot.now)
        return await write(site.kube, snapshot, made, machines=machines, groups=groups, namespace=home(site))

    answers = look(where, asked)
    for answer in answers:
        _tell(answer)
    errors = [answer.error for answer in answers if answer.error is not None]
    if errors:
        raise typer.Exit(max(map(exit_for, errors)))


def _tell(answer: "Answer") -> None:
    if answer.error is not None:
        typer.echo(f"hexa: {plain(answer.subject)}: {plain(answer.text)}", err=True)
        return
    say(f"{plain(answer.subject)}: {plain(answer.text)}")
    for warning in answer.warnings:
        say(f"    {paint('warning', Tone.BUSY)}: {plain(warning)}")
