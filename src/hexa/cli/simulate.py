"""hexa simulate: a scenario in virtual time, and what it saved and cost."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.files import name_of, read_text

if TYPE_CHECKING:
    from hexa.simulate import Progress, Report


def simulate(
    scenario: Annotated[
        Path, typer.Argument(metavar="SCENARIO", help="A scenario as YAML: examples/scenarios/; - is standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write a self-contained page with the timeline."),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also write the timeline as a picture.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of all that is left to chance. Default: the scenario's.")
    ] = None,
) -> None:
    """Run a scenario in virtual time: machine-hours, energy and money saved, and how long pods waited.

    Ends with 0 if every pod ran, 1 if pods never ran, 2 if the scenario has a mistake or cannot be read.
    """
    from hexa.simulate import ScenarioError, read_scenario
    from hexa.simulate import simulate as play

    text = read_text(scenario)
    for path in (html, svg):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            fail(f"{path}: cannot be written: there is no folder {path.parent}, or it is one itself", Exit.USAGE)
    try:
        read = read_scenario(text, source=name_of(scenario))
        with _progress(read.title) as tell:
            report = play(read, seed=seed, tell=tell)
        for path, drawn in ((html, report.html), (svg, report.svg)):
            if path is not None:
                path.write_text(drawn(), encoding="utf-8")
    except ScenarioError as error:
        fail(str(error), Exit.USAGE)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.USAGE)
    _print(report, as_json=as_json)
    if report.waiting_at_end:
        fail(f"pods that never ran: {report.waiting_at_end}", Exit.FAILED)


def _print(report: "Report", *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        typer.echo(report.json() if as_json else report.text())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=report.title, title_justify="left", title_style="bold", show_header=False, box=None)
    for name, value in report.rows():
        table.add_row(name, value, style="dim" if name.startswith(" ") else "")
    Console().print("", table, "")


@contextmanager
def _progress(title: str) -> Iterator[Callable[["Progress"], None]]:
    """How far it is, on standard error: a bar on a terminal, else a line for each tenth."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    # No thread of its own: under a clock that jumps, nothing else may run.
    columns = (BarColumn(bar_width=32), TextColumn("{task.percentage:3.0f}%"), TextColumn("{task.description}"))
    bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    with bar:
        task = bar.add_task(title, total=1.0)

        def tell(progress: "Progress") -> None:
            bar.update(task, completed=progress.share, description=_line(progress), refresh=True)

        yield tell


class _Lines:
    """A line for each tenth of the way."""

    def __init__(self) -> None:
        self._next = 0.1

    def __call__(self, progress: "Progress") -> None:
        if progress.share >= self._next:
            typer.echo(f"{progress.share:4.0%}  {_line(progress)}", err=True)
            self._next = progress.share + 0.0999


def _line(progress: "Progress") -> str:
    on = f"{progress.on} of {progress.machines} machines on"
    return f"{progress.now}  {on}  {progress.waiting} pods waiting  {progress.kwh:.1f} kWh"
