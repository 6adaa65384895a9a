"""hexa probe-nic: runs in the pods of `hexa enrol` and says what the machine's network card is."""

from pathlib import Path
from typing import Annotated

import typer


def probe_nic(
    address: Annotated[str, typer.Option(metavar="IP", help="An address that the card carries.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write here; default: standard output.")
    ] = None,
) -> None:
    """Print the network card that carries an address as JSON: MAC address, link, wake flags."""
    import json

    from hexa.adapters.nic.probe import probe

    text = json.dumps(probe(address))
    if to is None:
        typer.echo(text)
    else:
        to.write_text(text, encoding="utf-8")
