"""hexa tariff: prices of energy, brought into the form that hexa reads, and drawn for a day."""

from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.files import name_of, read_text
from hexa.cli.shared.help import Command, Group

if TYPE_CHECKING:
    from hexa.domain.money.prices import Series
    from hexa.domain.money.tariff import Tariff

tariff = typer.Typer(cls=Group, help="Prices of energy: docs/tariffs.md.", no_args_is_help=True)

FORMS: Final = ("csv", "nordpool", "octopus")

Source = Annotated[Path, typer.Argument(metavar="FILE", help="What was fetched; - is standard input.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write. Default: standard output.")
]


@tariff.command("import", cls=Command)
def import_prices(
    form: Annotated[str, typer.Argument(metavar="FORM", help=f"{', '.join(FORMS[:-1])} or {FORMS[-1]}.")],
    file: Source,
    output: Output = None,
    area: Annotated[str, typer.Option(metavar="NAME", help="Area of Nord Pool, where the file has several.")] = "",
    unit: Annotated[
        str, typer.Option(metavar="UNIT", help="Unit of a CSV that does not say it, such as EUR/MWh.")
    ] = "",
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="FILE",
            help="Prices of before, in hexa's form: what the new ones say nothing of stays, for eight days.",
        ),
    ] = None,
) -> None:
    """Bring prices into the form that hexa reads: rows of start,end,value for a kilowatt-hour.

    Ends with 2 if the file is not of that form, and names the row.
    """
    from hexa.domain.money.prices import import_csv, import_nordpool, import_octopus, write_prices

    text = read_text(file)
    readers: dict[str, Any] = {
        "csv": lambda: import_csv(text, source=name_of(file), unit=unit),
        "nordpool": lambda: import_nordpool(text, source=name_of(file), area=area),
        "octopus": lambda: import_octopus(text, source=name_of(file)),
    }
    if form not in readers:
        fail(f"{form!r} is no form of prices: write {', '.join(FORMS[:-1])} or {FORMS[-1]}", Exit.USAGE)
    series = _with_earlier(_read(readers[form]), keep) if keep is not None else _read(readers[form])
    written = write_prices(series)
    if output is None:
        typer.echo(written, nl=False)
    else:
        _write(output, written)
    for start, end in series.gaps:
        typer.echo(f"hexa: no price from {start.isoformat()} to {end.isoformat()}", err=True)


def _with_earlier(series: "Series", file: Path) -> "Series":
    """Earlier prices that are not there, or that can't be used, keep nobody from the new ones."""
    from hexa.domain.money.prices import PricesError, read_prices, with_earlier

    try:
        return with_earlier(series, read_prices(file.read_text(encoding="utf-8-sig"), source=str(file)))
    except (OSError, UnicodeDecodeError, PricesError) as error:
        typer.echo(f"hexa: --keep: nothing of it is kept: {error}", err=True)
        return series


@tariff.command("show", cls=Command)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A tariff of the configuration.")] = "",
    config: Annotated[
        Path | None,
        typer.Option("--config", envvar="HEXA_CONFIG", metavar="FILE", help="The agent's configuration file."),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="FILE", help="Prices as `hexa tariff import` writes them, instead."),
    ] = None,
    day: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Default: today.")] = "",
    zone: Annotated[str, typer.Option(metavar="ZONE", help="IANA zone of the day. Default: the tariff's.")] = "",
) -> None:
    """Draw what a kilowatt-hour costs by the hours of a day, with charges and tax."""
    found = _of_prices(prices) if prices is not None else _of_config(name, config)
    typer.echo(_drawn(found, day, zone))


def _of_prices(file: Path) -> "Tariff":
    from hexa.domain.money.prices import read_prices
    from hexa.domain.money.tariff import Tariff

    series = _read(lambda: read_prices(read_text(file), source=name_of(file)))
    return Tariff(rows=series.rows, currency=series.currency)


def _of_config(name: str, file: Path | None) -> "Tariff":
    from hexa.config import ConfigError, load_config, read_config_file
    from hexa.tariffs import load_tariff

    if file is None:
        fail("name the configuration by --config or HEXA_CONFIG, or prices by --prices", Exit.USAGE)
    try:
        written = load_config(
            file=read_config_file(read_text(file), source=name_of(file)), environment={}, flags={}
        ).tariffs
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
    if not name and len(written) == 1:
        name = next(iter(written))
    if name not in written:
        known = f"it has {', '.join(sorted(written))}" if written else "it has none: see docs/tariffs.md"
        fail(
            f"{file}: tariffs.{name}: no such tariff; {known}" if name else f"{file}: name a tariff; {known}",
            Exit.USAGE,
        )
    if (there := written[name].config_map) is not None:
        command = (
            f"kubectl get cm -n {there.namespace} {there.name} -o go-template='{{{{index .data \"{there.key}\"}}}}'"
        )
        fail(f"its prices are in a ConfigMap: {command} | hexa tariff show --prices -", Exit.USAGE)
    found, problems = load_tariff(name, written[name])
    for problem in problems:
        typer.echo(f"hexa: {problem}", err=True)
    return found


def _drawn(tariff: "Tariff", day: str, zone: str) -> str:
    from hexa.domain.weekly import DAY, moment, zone_of
    from hexa.domain.words.tariff import day_of

    try:
        clock = zone_of(zone) if zone else tariff.zone
    except ValueError as error:
        fail(f"--zone: {error}", Exit.USAGE)
    of = _day(day, clock)
    if moment(of, 0, clock) >= moment(of, DAY, clock):
        fail(f"--day: {of.isoformat()} was left out in {clock.key}: write another day", Exit.USAGE)
    return day_of(tariff, of, clock)


def _day(text: str, zone: tzinfo) -> date:
    from hexa.domain.weekly import YEARS

    if not text:
        return datetime.now(zone).date()  # noqa: TID251  # a command is where time comes from
    try:
        day = date.fromisoformat(text)
    except ValueError:
        fail(f"--day: {text!r} is no date: write one such as 2026-11-30", Exit.USAGE)
    if day.year not in YEARS:
        fail(f"--day: {text} is too far away: write a year from {YEARS[0]} to {YEARS[-1]}", Exit.USAGE)
    return day


def _read(reader: Any) -> Any:
    from hexa.domain.money.prices import PricesError

    try:
        return reader()
    except PricesError as error:
        fail(str(error), Exit.USAGE)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.USAGE)
