"""hexa version: which hexa this is."""

from importlib.metadata import version as version_of

import typer


def version() -> None:
    """Print the version."""
    typer.echo(version_of("hexa"))
