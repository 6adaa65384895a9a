"""hexa why: the rule, the object and since when."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.drain_check import drain_lines
from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, NamespaceOption, Site
from hexa.cli.shared.completion import complete_any
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.output import Column, Format, OutputOption, Tone, ago, clock, dump, paint, plain, say, span, table
from hexa.cli.shared.people import home, look, tell_notes, within
from hexa.cli.why_pod import of_pod

if TYPE_CHECKING:
    from hexa.app.commands.shared.snapshot import Snapshot
    from hexa.app.commands.why import BrokenAnswer, GroupAnswer, Health, MachineAnswer, MemberAnswer
    from hexa.domain.resources.core import Condition
    from hexa.domain.words.demands import Demand
    from hexa.domain.words.kept import Reason
    from hexa.domain.words.waits import Wait


def why(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MACHINE|GROUP|pod POD",
            help="NAME or NAMESPACE/NAME; of a pod after the word pod.",
            autocompletion=complete_any,
        ),
    ],
    output: OutputOption = Format.TABLE,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Say why a machine or a group is as it is: who wants what, what it waits for, and which rule keeps it there.

    Of a pod that waits (`hexa why pod NAME`) say for each group whether it would serve it, and if not, why.
    """
    if len(names) == 2 and names[0] in ("pod", "pods", "po"):
        of_pod(names[1], output, kubeconfig=kubeconfig, context=context, namespace=namespace)
        return
    if len(names) != 1:
        fail("name one machine or group, or write: hexa why pod NAME", Exit.USAGE)
    (name,) = names

    async def asked(site: Site, snapshot: "Snapshot") -> "tuple[list[Answer], datetime]":
        from hexa.app.commands.why import explain_group, explain_machine

        picked = snapshot.pick(name, namespace=home(site))
        answers: list[Answer] = [await explain_machine(site.kube, snapshot, key) for key in picked.machines]
        return [*answers, *(explain_group(snapshot, key) for key in picked.groups)], snapshot.now

    where = within([name], kubeconfig=kubeconfig, context=context, namespace=namespace)
    answers, now = look(where, asked)
    if output.for_programs:
        told = [_told(answer) for answer in answers]
        say(dump(told[0] if len(told) == 1 else told, output))
        return
    for answer in answers:
        tell_notes(answer.notes)
    say("\n\n".join("\n".join(why_lines(answer, now)) for answer in answers))


if TYPE_CHECKING:
    Answer = MachineAnswer | GroupAnswer | BrokenAnswer


def _told(answer: "Answer") -> object:
    import msgspec

    told = msgspec.to_builtins(answer, enc_hook=str)
    if drain := getattr(answer, "drain", None):
        told["drain"] = drain.told()
    return told


def why_lines(answer: "Answer", now: datetime) -> Iterator[str]:
    """The answer as it is shown on a terminal."""
    from hexa.app.commands.why import GroupAnswer, MachineAnswer

    yield paint(plain(answer.summary), Tone.HEAD)
    if isinstance(answer, MachineAnswer):
        yield from _machine(answer, now)
    elif isinstance(answer, GroupAnswer):
        yield from _group(answer, now)


def _machine(answer: "MachineAnswer", now: datetime) -> Iterator[str]:
    if answer.stale:
        yield paint(plain(answer.stale), Tone.BUSY)
    yield from _part("Wanted", (_demand(demand, now) for demand in answer.wishes))
    since = f" for {ago(answer.since, now)} (since {clock(answer.since)})" if answer.since else ""
    cause = f": {answer.cause}" if answer.cause else ""
    yield from _part("Phase", [f"{answer.phase}{since}{cause}"] if answer.phase else [])
    yield from _part("Health", _health(answer.health, now) if answer.phase else [])
    yield from _part("Waits for", (_wait(wait, now) for wait in answer.waits))
    yield from _part("Stays on because of", [_reason(answer.blocker, now)] if answer.blocker is not None else [])
    if answer.phase != "Off":
        yield from _part("Kept on by", (_reason(reason, now) for reason in answer.kept_on))
    if answer.phase != "Ready":
        yield from _part("Kept from being woken by", (_reason(reason, now) for reason in answer.kept_from_waking))
    yield from _part("Order in its group", answer.order)
    yield from _part("Problems", answer.problems)
    if answer.drain is not None:
        yield "Drain"
        yield from drain_lines(answer.drain, indent="  ")
    yield from _part("Kubernetes node", [answer.kubernetes_node])
    yield from _part("Conditions", (_condition(condition, now) for condition in answer.conditions))


def _group(answer: "GroupAnswer", now: datetime) -> Iterator[str]:
    if answer.stale:
        yield paint(plain(answer.stale), Tone.BUSY)
    told = (
        f"Cluster Autoscaler is told a size of {answer.target} and a maximum of {answer.possible}: what can really come"
    )
    yield from _part("Size", [told])
    yield from _part("Woken now, to reach minSize", answer.waking_now)
    yield from _part("Rested now, to come down to maxSize", answer.resting_now)
    yield from _part("Schedules", answer.schedules)
    yield from _part("Next to wake", answer.next_to_wake or ["nobody could be woken"])
    yield from _part("Next to rest", answer.next_to_rest or ["nobody may rest"])
    if answer.members:
        yield "Machines"
        yield from (f"  {line}" for line in table(_member_columns(), answer.members).splitlines())
    yield from _part("Problems", answer.problems)
    yield from _part("Conditions", (_condition(condition, now) for condition in answer.conditions))


def _member_columns() -> "list[Column[MemberAnswer]]":
    return [
        Column("NAME", lambda member: member.machine),
        Column("PHASE", lambda member: member.phase),
        Column("WISH", lambda member: f"{member.wish} ({member.by})" if member.wish else ""),
        Column("COUNTS", lambda member: "yes" if member.counts else "no"),
        Column("BECAUSE", lambda member: f"{member.reason.rule}: {member.reason.text}" if member.reason else ""),
    ]


def _part(title: str, lines: Iterable[str]) -> Iterator[str]:
    """A titled part; nothing where there is nothing to say."""
    shown = [f"  {plain(line)}" for line in lines]
    if shown:
        yield title
        yield from shown


def _health(told: "Health", now: datetime) -> Iterator[str]:
    reason = f": {told.reason}" if told.reason else ""
    yield f"{told.health}{f' for {ago(told.since, now)}' if told.since else ''}{reason}"
    if told.uptime:
        since = f" since {clock(told.counted_since)}" if told.counted_since else ""
        yield f"there {told.uptime} of the time that it should have been{since}"
    if told.wakes:
        worked, _, wakes = told.wakes.partition("/")
        yield f"{worked} of its last {wakes} wakes worked"


def _demand(demand: "Demand", now: datetime) -> str:
    since = f" for {ago(demand.since, now)}" if demand.since else ""
    until = f" until {clock(demand.until)}" if demand.until else ""
    reason = f": {demand.reason}" if demand.reason else ""
    return f"{demand.power} by {demand.by}{since}{until} ({demand.object}){reason}"


def _wait(wait: "Wait", now: datetime) -> str:
    if wait.until is None:
        return wait.text
    left = f"in {span(wait.until - now)}" if wait.until > now else f"{span(now - wait.until)} ago"
    return f"{wait.text}: {left} ({clock(wait.until)})"


def _reason(reason: "Reason", now: datetime) -> str:
    since = f" for {ago(reason.since, now)}" if reason.since else ""
    remedy = f"; {reason.remedy}" if reason.remedy else ""
    where = f" ({reason.object})" if reason.object else ""
    return f"{reason.rule}{since}: {reason.text}{where}{remedy}"


def _condition(condition: "Condition", now: datetime) -> str:
    since = f" for {ago(condition.last_transition_time, now)}" if condition.last_transition_time else ""
    return f"{condition.type} {condition.status}{since}: {condition.message or condition.reason}"
