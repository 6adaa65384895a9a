"""hexa notify: whether those who are to be told can be."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.help import Command, Group
from hexa.cli.shared.output import say

if TYPE_CHECKING:
    from hexa.app.notifier import Post
    from hexa.domain.policy.problem import Problem

notify = typer.Typer(cls=Group, help="Notifications: docs/notify.md.", no_args_is_help=True)


@notify.callback()
def _notify() -> None:
    """Notifications: docs/notify.md."""


@notify.command("test", cls=Command)
def send_test(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A receiver of the configuration. Default: all.")] = "",
    config: Annotated[
        Path | None,
        typer.Option("--config", envvar="HEXA_CONFIG", metavar="FILE", help="The agent's configuration file."),
    ] = None,
) -> None:
    """Send a test to each receiver, or to one, and say what came back.

    Ends with 1 if one of them did not take it or cannot be used, 2 if there is no such receiver.
    """
    import trio

    from hexa.cli.shared.settings import settings_of
    from hexa.wiring import system_clock
    from hexa.wiring_notify import posts_of

    written = settings_of(config, os.environ).notify
    names = [each.name for each in written]
    if not names:
        fail("notify: there are no receivers: see docs/notify.md", Exit.USAGE)
    if name and name not in names:
        fail(f"{name}: there is no such receiver; there are {', '.join(names)}", Exit.USAGE)
    posts, problems = posts_of(written, clock=system_clock())
    wrong = [each for each in problems if not name or each.field.startswith(f"notify[{names.index(name)}]")]
    chosen = [each for each in posts if name in ("", each.receiver.name)]
    if not trio.run(_send, chosen, wrong):
        raise typer.Exit(Exit.FAILED)


async def _send(posts: list["Post"], problems: list["Problem"]) -> bool:
    """Whether all took it."""
    from hexa.app.notifier import send_trial
    from hexa.domain.errors import HexaError
    from hexa.wiring import system_clock

    for problem in problems:
        typer.echo(f"hexa: {problem}", err=True)
    well = not problems
    for post in posts:
        try:
            say(f"{post.receiver.name}: {await send_trial(post, now=system_clock().now())}")
        except HexaError as error:
            well = False
            typer.echo(f"hexa: {post.receiver.name}: not sent: {error}", err=True)
    return well
