"""hexa crds: the CustomResourceDefinitions as YAML, to standard output or a folder."""

from pathlib import Path
from typing import Annotated

import typer

from hexa.cli.shared.exits import Exit, fail

HEADER = "# Generated from the types in hexa.domain.resources by `hexa crds`; edit those.\n"


def crds(
    directory: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write one file for each kind into this folder."),
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions of Group, Node and PowerProfile, ready for kubectl apply."""
    from hexa.domain.resources.crd import definitions
    from hexa.yaml import write_document

    texts = {name: HEADER + write_document(definition) for name, definition in definitions().items()}
    if directory is None:
        typer.echo("---\n".join(texts.values()), nl=False)
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            plural, _, group = name.partition(".")
            (directory / f"{group}_{plural}.yaml").write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write to {directory}: {error.strerror}", Exit.FAILED)
