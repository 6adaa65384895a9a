"""hexa simulate: a scenario in virtual time, and what it saved and cost."""

from pathlib import Path
from typing import Annotated

import typer

from hexa.cli.exits import Exit, fail


def simulate(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario as YAML: examples/scenarios/.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a self-contained page with the timeline.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is left to chance.")] = 0,
) -> None:
    """Run a scenario in virtual time: machine-hours, energy and money saved, and how long pods waited."""
    from hexa.testing.simulate import ScenarioError, read_scenario  # type: ignore[import-not-found]
    from hexa.testing.simulate import simulate as play

    try:
        report = play(read_scenario(scenario.read_text(encoding="utf-8"), source=str(scenario)), seed=seed)
        if html is not None:
            html.write_text(report.html(), encoding="utf-8")
    except ScenarioError as error:
        fail(str(error), Exit.USAGE)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.USAGE)
    typer.echo(report.json() if as_json else report.text())
