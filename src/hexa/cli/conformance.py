"""hexa power test: asks, looks on, and says what came of it."""

import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from hexa.cli.shared.cluster import ContextOption, KubeconfigOption, NamespaceOption, Site, ask, exit_for
from hexa.cli.shared.completion import complete_machine
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.output import Tone, paint, plain, say, span
from hexa.cli.shared.people import home, look, within

if TYPE_CHECKING:
    import trio

    from hexa.app.commands.conformance import Result, Step, Tick
    from hexa.app.commands.conformance_plan import Objected, Plan
    from hexa.app.commands.shared.snapshot import Snapshot

LEFT = {"pass": Exit.OK, "fail": Exit.BLOCKED, "refused": Exit.REFUSED, "noAgent": Exit.FAILED, "stopped": Exit.FAILED}
"""Exit codes by verdict; one that the API server's refusal ended has that of the refusal."""
CLEAR_LINE = "\r\x1b[K"


def conform(
    machine: Annotated[
        str, typer.Argument(metavar="MACHINE", help="NAME or NAMESPACE/NAME.", autocompletion=complete_machine)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    rest: Annotated[str, typer.Option("--rest", metavar="DURATION", help="How long it must stay off.")] = "30s",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of text.")] = False,
    kubeconfig: KubeconfigOption = "",
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Try a machine's own power wiring: drained, off, on and verified by the agent, and left as it was found."""
    from hexa.app.commands.conformance_plan import Objected, prepare
    from hexa.domain.duration import parse_duration

    try:
        stays = parse_duration(rest)
    except ValueError as error:
        fail(f"--rest: {error}", Exit.USAGE)
    where = within([machine], kubeconfig=kubeconfig, context=context, namespace=namespace)

    async def asked(site: Site, snapshot: "Snapshot") -> "Plan | Objected":
        return await prepare(site.kube, snapshot, machine, namespace=home(site), rest=stays)

    plan = look(where, asked)
    if isinstance(plan, Objected):
        _objected(plan, as_json)
    if not yes:
        _confirmed(plan)
    viewer = _Viewer(plan, as_json)
    result = ask(where, _conducting(plan, stays, viewer))
    viewer.done()
    if isinstance(result, Objected):
        _objected(result, as_json)
    _told(result, as_json)


def _conducting(plan: "Plan", rest: timedelta, viewer: "_Viewer") -> Any:
    async def conducted(site: Site) -> "Result | Objected":
        import trio

        from hexa.app.commands.conformance import conduct

        stopped = trio.Event()
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stop, signals, stopped, viewer)
                result = await conduct(
                    site.kube, clock=site.clock, key=plan.key, rest=rest, stopped=stopped, tell=viewer.tell, by=_who()
                )
                nursery.cancel_scope.cancel()
        return result

    return conducted


async def _stop(signals: Any, stopped: "trio.Event", viewer: "_Viewer") -> None:
    async for _ in signals:
        viewer.done()
        typer.echo("hexa: stopping; taking the hold back", err=True)
        stopped.set()


def _who() -> str:
    """Who tests, for those who find the hold."""
    import getpass
    import socket

    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return ""


def _objected(objected: "Objected", as_json: bool) -> NoReturn:
    """Why the machine is not tested, a line each."""
    lines = []
    for reason in objected.reasons:
        until = f" until {reason.until.isoformat(timespec='seconds')}" if reason.until is not None else ""
        remedy = f"; {reason.remedy}" if reason.remedy else ""
        lines.append(f"{reason.rule}: {reason.text}{until if until not in reason.text else ''}{remedy}")
    if as_json:
        _print({"machine": str(objected.key), "verdict": "refused", "reason": objected.reasons[0].rule, "text": lines})
    for line in lines:
        typer.echo(f"hexa: {plain(f'{objected.key} is not tested: {line}')}", err=True)
    raise typer.Exit(Exit.REFUSED)


def _confirmed(plan: "Plan") -> None:
    """Shows what will be done, and asks. Without somebody to ask nothing is done."""
    if not at_a_terminal():
        fail(f"{plan.key}: a test switches the machine; give --yes where nobody can be asked", Exit.USAGE)
    for line in _announced(plan):
        typer.echo(line, err=True)
    if not typer.confirm("Go on?", err=True):
        fail("nothing was done", Exit.USAGE)


def at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _announced(plan: "Plan") -> list[str]:
    lines = [plain(plan.summary)]
    for number, part in enumerate(plan.parts, start=1):
        lines.append(f"  {number}. {part.stage}: {plain(part.text)} (at most {span(part.limit)})")
    lines.append(
        f"It is held meanwhile, for {span(plan.longest)} at most; then it goes back to who decides over it now."
    )
    return [*lines, *(f"    warning: {plain(warning)}" for warning in plan.warnings)]


class _Viewer:
    """Steps as they end, and on a terminal the one that is under way."""

    def __init__(self, plan: "Plan", as_json: bool) -> None:
        self._as_json, self._live = as_json, sys.stderr.isatty() and not as_json
        if not as_json:
            say(plain(plan.summary))
            for warning in plan.warnings:
                say(f"    {paint('warning', Tone.BUSY)}: {plain(warning)}")

    def tell(self, news: "Step | Tick") -> None:
        from hexa.app.commands.conformance import Step

        if isinstance(news, Step):
            self.done()
            if not self._as_json:
                say(_line(news))
        elif self._live:
            spent = f"{span(timedelta(seconds=news.seconds))} of {span(timedelta(seconds=news.limit))}"
            typer.echo(f"{CLEAR_LINE}  {news.stage:<9} {spent}  {plain(news.text)[:100]}", err=True, nl=False)

    def done(self) -> None:
        """The line under way goes."""
        if self._live:
            typer.echo(CLEAR_LINE, err=True, nl=False)


def _line(step: "Step") -> str:
    mark = paint("ok", Tone.GOOD) if step.passed else paint("failed", Tone.BAD)
    text = f"  {plain(step.text)}" if step.text else ""
    return f"  {step.step:<9} {step.seconds:>6.1f}s  {mark}{text}"


def _told(result: "Result", as_json: bool) -> NoReturn:
    code = exit_for(result.error) if result.error is not None else LEFT[result.verdict]
    if as_json:
        import msgspec

        told = msgspec.to_builtins(result, enc_hook=str)
        _print({key: value for key, value in told.items() if key != "error"})
    else:
        for line in _verdict(result):
            say(line)
    raise typer.Exit(code)


def _verdict(result: "Result") -> list[str]:
    word = {"pass": "PASS", "fail": "FAIL"}.get(result.verdict, "NOT TESTED")
    tone = {"pass": Tone.GOOD, "fail": Tone.BAD}.get(result.verdict, Tone.BUSY)
    seconds = sum(step.seconds for step in result.steps)
    why = f": {result.text}" if result.text else f" in {span(timedelta(seconds=seconds))}"
    lines = [f"{paint(word, tone)} {plain(result.machine)}{plain(why)}"]
    lines += [f"  {plain(result.remedy)}"] if result.remedy else []
    lines.append(f"  {plain(result.left)}")
    if result.undo:
        lines.append(f"  to give it back: {plain(result.undo)}")
    return lines


def _print(fields: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(fields))
