"""hexa simulate: a scenario in virtual time, and what it saved and cost."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.exits import Exit, fail

if TYPE_CHECKING:
    from hexa.testing.simulate import Progress


def simulate(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario as YAML: examples/scenarios/.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write a self-contained page with the timeline."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of all that is left to chance. Default: the scenario's.")
    ] = None,
) -> None:
    """Run a scenario in virtual time: machine-hours, energy and money saved, and how long pods waited."""
    from hexa.testing.simulate import ScenarioError, read_scenario
    from hexa.testing.simulate import simulate as play

    try:
        read = read_scenario(scenario.read_text(encoding="utf-8"), source=str(scenario))
        report = play(read, seed=seed, tell=_tell if sys.stderr.isatty() else None)
        if html is not None:
            html.write_text(report.html(), encoding="utf-8")
    except ScenarioError as error:
        fail(str(error), Exit.USAGE)
    except UnicodeDecodeError:
        fail(f"{scenario}: is no UTF-8 text", Exit.USAGE)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.USAGE)
    typer.echo(report.json() if as_json else report.text())


def _tell(progress: "Progress") -> None:
    """One line that is written over and over, and cleared at the end."""
    line = f"{progress.share:4.0%}  {progress.now}  {progress.on} of {progress.machines} machines on"
    line += f"  {progress.waiting} pods waiting  {progress.kwh:.1f} kWh"
    typer.echo(f"\r\x1b[K{line if progress.share < 1 else ''}", nl=False, err=True)
