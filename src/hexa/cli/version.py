"""hexa version: which hexa this is."""

import typer


def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of  # slow to import

    typer.echo(version_of("hexa"))
