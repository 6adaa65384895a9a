"""hexa power: one machine switched or read by its drivers, without a cluster. What power Jobs run. (`test` needs a cluster.)"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from hexa.cli.conformance import conform
from hexa.cli.shared.cluster import exit_for
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.help import Command, Group

if TYPE_CHECKING:
    from hexa.app.commands.power import Patience, Switched, Ways
    from hexa.domain.errors import HexaError
    from hexa.domain.resources.power_spec import PowerSpec

power = typer.Typer(cls=Group, help="Switch or read one machine by its drivers: docs/power.md.", no_args_is_help=True)

Pairs = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings of --driver.", show_default=False)
]
Driver = Annotated[
    str, typer.Option("--driver", metavar="NAME", help="wakeOnLan, ipmi, redfish, pdu, http, ssh, script or plugin.")
]
ConfigFile = Annotated[
    str,
    typer.Option(
        "--config", metavar="FILE", help="spec.power as YAML or JSON, or a Node that has it; - is standard input."
    ),
]
Text = Annotated[
    str, typer.Option("--spec", envvar="HEXA_POWER", metavar="YAML", help="The same as a text.", show_envvar=True)
]
Machine = Annotated[
    str, typer.Option("--machine", envvar="HEXA_MACHINE", metavar="NAME", help="Name of the machine, for messages.")
]
SecretsFolder = Annotated[
    Path,
    typer.Option(
        "--secrets",
        envvar="HEXA_SECRETS",
        metavar="DIR",
        help="Folder of the Secrets that settings name: DIR/SECRET/KEY.",
    ),
]
Hard = Annotated[
    bool, typer.Option("--hard", help="Cut the power where an orderly shutdown is not possible or not followed.")
]
Within = Annotated[
    str,
    typer.Option("--within", metavar="DURATION", help="How long to wait until the reading says what was asked for."),
]
AnswerWithin = Annotated[
    str, typer.Option("--answer-within", metavar="DURATION", help="How long a device may take to answer a question.")
]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object instead of text.")]

SECRETS = Path("/etc/hexa/power")


@power.command("on", cls=Command)
def on(
    pairs: Pairs = None,
    driver: Driver = "",
    config: ConfigFile = "",
    spec: Text = "",
    machine: Machine = "",
    secrets: SecretsFolder = SECRETS,
    within: Within = "2m",
    answer_within: AnswerWithin = "10s",
    as_json: Json = False,
) -> None:
    """Turn the machine on, and see that it is where a driver reads it."""
    command = _Command("on", machine, _settings(pairs, driver, config, spec), secrets, as_json)

    async def act(ways: "Ways", patience: "Patience") -> "Switched":
        from hexa.app.commands.power import turn_on

        return await turn_on(ways, patience)

    command.run(act, within=within, answer_within=answer_within)


@power.command("off", cls=Command)
def off(
    pairs: Pairs = None,
    driver: Driver = "",
    config: ConfigFile = "",
    spec: Text = "",
    machine: Machine = "",
    secrets: SecretsFolder = SECRETS,
    hard: Hard = False,
    within: Within = "2m",
    answer_within: AnswerWithin = "10s",
    as_json: Json = False,
) -> None:
    """Shut the machine down, and see that it is off where a driver reads it. It drains nothing: `hexa off` does."""
    settings = _settings(pairs, driver, config, spec)
    command = _Command("off", machine, settings, secrets, as_json)

    async def act(ways: "Ways", patience: "Patience") -> "Switched":
        from hexa.app.commands.power import turn_off

        return await turn_off(ways, patience, hard=hard or settings.hard)

    command.run(act, within=within, answer_within=answer_within)


@power.command("status", cls=Command)
def status(
    pairs: Pairs = None,
    driver: Driver = "",
    config: ConfigFile = "",
    spec: Text = "",
    machine: Machine = "",
    secrets: SecretsFolder = SECRETS,
    answer_within: AnswerWithin = "10s",
    as_json: Json = False,
) -> None:
    """Print whether the machine is on, off or unknown."""
    command = _Command("status", machine, _settings(pairs, driver, config, spec), secrets, as_json)

    async def act(ways: "Ways", _: "Patience") -> "Switched":
        from hexa.app.commands.power import status as read

        return await read(ways)

    command.run(act, within="", answer_within=answer_within)


@power.command("cycle", cls=Command)
def cycle(
    pairs: Pairs = None,
    driver: Driver = "",
    config: ConfigFile = "",
    spec: Text = "",
    machine: Machine = "",
    secrets: SecretsFolder = SECRETS,
    hard: Hard = False,
    within: Within = "2m",
    pause: Annotated[str, typer.Option(metavar="DURATION", help="Between off and on.")] = "10s",
    answer_within: AnswerWithin = "10s",
    as_json: Json = False,
) -> None:
    """Turn the machine off, see that it is, and turn it on again."""
    settings = _settings(pairs, driver, config, spec)
    command = _Command("cycle", machine, settings, secrets, as_json)

    async def act(ways: "Ways", patience: "Patience") -> "Switched":
        from hexa.app.commands.power import cycle as off_and_on

        return await off_and_on(ways, patience, hard=hard or settings.hard)

    command.run(act, within=within, answer_within=answer_within, pause=pause)


power.command("test", cls=Command)(conform)


class _Command:
    """One action on one machine."""

    def __init__(self, action: str, machine: str, spec: "PowerSpec", secrets: Path, as_json: bool) -> None:
        self.action, self.machine, self.spec, self.secrets, self.as_json = action, machine, spec, secrets, as_json

    def run(
        self,
        act: "Callable[[Ways, Patience], Awaitable[Switched]]",
        *,
        within: str,
        answer_within: str,
        pause: str = "",
    ) -> None:
        import trio

        from hexa.app.commands.power import Patience
        from hexa.domain.errors import HexaError

        verify, soft = _seconds("--within", within), _seconds("softTimeout", self.spec.soft_timeout or within)
        patience = Patience(verify=verify, soft=soft, pause=_seconds("--pause", pause))
        answer = _seconds("--answer-within", answer_within)

        async def run() -> "Switched":
            from hexa.wiring_power import context_for, open_ways

            context = context_for(self.machine, secrets=self.secrets, patience=answer)
            async with open_ways(self.spec, context) as ways:
                return await act(ways, patience)

        try:
            done = trio.run(run)
        except HexaError as error:
            self.failed(error)
        self.done(done)

    def done(self, done: "Switched") -> None:
        if self.as_json:
            _print({"power": done.power.lower(), "verified": done.verified, "steps": done.steps}, self)
            return
        name = f"{self.machine}: " if self.machine else ""
        if self.action == "status":
            typer.echo(f"{name}{done.power.lower()}")
            return
        how = "; ".join(done.steps) or f"it is {done.power.lower()} already"
        seen = f"it is {done.power.lower()}" if done.verified else "nothing reads its power, so this is not verified"
        typer.echo(f"{name}{how}; {seen}" if done.steps else f"{name}{how}")

    def failed(self, error: "HexaError") -> NoReturn:
        code = exit_for(error)
        if self.as_json:
            about = {"reason": error.reason, "message": str(error), "retry": code is Exit.FAILED}
            _print({"power": "unknown", "verified": False, "error": about}, self)
        typer.echo(f"hexa: {error}", err=True)
        raise typer.Exit(code) from None


def _print(fields: dict[str, Any], command: _Command) -> None:
    import json

    typer.echo(json.dumps({"machine": command.machine, "action": command.action, **fields}))


def _settings(pairs: list[str] | None, driver: str, config: str, spec: str) -> "PowerSpec":
    from hexa.cli.shared import power_settings as read

    if pairs and not driver:
        fail("KEY=VALUE are settings of one driver: add --driver NAME", Exit.USAGE)
    if driver and config:
        fail("--driver and --config exclude each other", Exit.USAGE)
    try:
        if driver:
            return read.from_arguments(driver, pairs or [])
        if config or spec:
            return read.from_file(read.read(config) if config else spec, source=config or read.VARIABLE)
        raise read.BadSettings("which driver? Give --config FILE, or --driver NAME with its settings as KEY=VALUE")
    except read.BadSettings as error:
        fail(str(error), Exit.USAGE)


def _seconds(option: str, text: str) -> float:
    from hexa.domain.duration import parse_duration

    try:
        return parse_duration(text).total_seconds() if text else 0.0
    except ValueError as error:
        fail(f"{option}: {error}", Exit.USAGE)
