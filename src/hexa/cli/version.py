"""hexa version, and hexa --version: which hexa this is."""

from typing import Annotated

import typer


def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of  # slow to import

    from hexa import DISTRIBUTION

    typer.echo(version_of(DISTRIBUTION))


def _version_asked(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


def shared_options(
    asked: Annotated[
        bool, typer.Option("--version", callback=_version_asked, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of hexa itself."""
