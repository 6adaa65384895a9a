"""hexa on, off, auto, pause, resume: a person's word over machines and groups, and how it ends."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, NamespaceOption
from hexa.cli.shared.completion import complete_group, complete_machine
from hexa.cli.shared.output import clock
from hexa.cli.shared.people import change, when, within

if TYPE_CHECKING:
    from hexa.app.commands.switch import Change

MachinesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="MACHINE...", help="NAME or NAMESPACE/NAME.", autocompletion=complete_machine),
]
RequiredArgument = Annotated[
    list[str], typer.Argument(metavar="MACHINE...", help="NAME or NAMESPACE/NAME.", autocompletion=complete_machine)
]
GroupsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        "-g",
        metavar="GROUP",
        help="Every machine of a group; may be repeated.",
        autocompletion=complete_group,
    ),
]
ForOption = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, such as 90m or 3h.")]
UntilOption = Annotated[str, typer.Option("--until", metavar="TIME", help="Until when: 18:00, or RFC 3339.")]
MakeRoomOption = Annotated[
    bool,
    typer.Option("--make-room", help="Wake another machine for pods that fit nowhere else, move them, then go off."),
]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why, for those who ask later.")]


def on(
    machines: MachinesArgument = None,
    groups: GroupsOption = None,
    ending: ForOption = "",
    until: UntilOption = "",
    reason: ReasonOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Hold machines on: they are woken, and kept on until the hold ends or `hexa auto` lets go of them."""
    _hold("on", machines or [], groups or [], ending, until, reason, (kubeconfig, context, namespace))


def off(
    machines: MachinesArgument = None,
    groups: GroupsOption = None,
    ending: ForOption = "",
    until: UntilOption = "",
    reason: ReasonOption = "",
    make_room: MakeRoomOption = False,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Hold machines off: they are drained and switched off, and kept off until the hold ends or `hexa auto`."""
    cluster = (kubeconfig, context, namespace)
    _hold("off", machines or [], groups or [], ending, until, reason, cluster, make_room=make_room)


def auto(
    machines: MachinesArgument = None,
    groups: GroupsOption = None,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Let go of held machines: Cluster Autoscaler and spec.powerState decide again."""
    _write("hold", None, "no longer held", machines or [], groups or [], (kubeconfig, context, namespace))


def pause(
    machines: RequiredArgument,
    ending: ForOption = "",
    until: UntilOption = "",
    reason: ReasonOption = "",
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Only watch machines: no wake, no drain, no power-off, until the pause ends or `hexa resume`."""

    def make(now: datetime) -> "Change":
        return _change("paused", {"reason": reason or None}, "paused", when(ending, until, now=now))

    _ask(make, machines, [], (kubeconfig, context, namespace))


def resume(
    machines: RequiredArgument,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """End the pause of machines."""
    _write("paused", None, "no longer paused", machines, [], (kubeconfig, context, namespace))


Cluster = tuple[str, str, str]
"""kubeconfig, context, namespace."""


def _hold(
    power: str,
    machines: list[str],
    groups: list[str],
    ending: str,
    until: str,
    reason: str,
    cluster: Cluster,
    *,
    make_room: bool = False,
) -> None:
    def make(now: datetime) -> "Change":
        value = {"power": power, "reason": reason or None, "makeRoom": make_room or None}
        return _change("hold", value, f"held {power}", when(ending, until, now=now))

    _ask(make, machines, groups, cluster)


def _write(field: str, value: None, done: str, machines: list[str], groups: list[str], cluster: Cluster) -> None:
    from hexa.app.commands.switch import Change

    _ask(lambda _: Change(field=field, value=value, done=done), machines, groups, cluster)


def _change(field: str, value: dict[str, Any], done: str, moment: datetime | None) -> "Change":
    """What was there before goes: a key without a value is removed."""
    from hexa.app.commands.switch import Change

    ends = f" until {clock(moment)}" if moment is not None else ", without an end"
    return Change(field=field, value={**value, "until": moment.isoformat() if moment else None}, done=done + ends)


def _ask(make: "Callable[[datetime], Change]", machines: list[str], groups: list[str], cluster: Cluster) -> None:
    kubeconfig, context, namespace = cluster
    where = within([*machines, *groups], kubeconfig=kubeconfig, context=context, namespace=namespace)
    change(where, make, machines=machines, groups=groups)
