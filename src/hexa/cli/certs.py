"""hexa certs: certificates for mutual TLS, into a folder or as Secrets on standard output."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hexa.cli.shared.exits import Exit, fail

if TYPE_CHECKING:
    from datetime import datetime

    from hexa.app.commands.certs import CertSet, File, Order
    from hexa.ports.certificates import Issuer


def certs(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write all files into this folder, the CA's key with them."),
    ] = None,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Print the Secrets for kubectl apply, private keys included.")
    ] = False,
    renew: Annotated[
        bool, typer.Option("--renew", help="Issue server and client anew from the CA in DIR, for the same names.")
    ] = False,
    dns: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="One more DNS name of the server; may be repeated.")
    ] = None,
    ip: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="One more address of the server; may be repeated.")
    ] = None,
    service: Annotated[str, typer.Option(metavar="NAME", help="hexa's Service.")] = "hexa",
    namespace: Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="hexa's namespace.")] = (
        "hexa-system"
    ),
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="What Cluster Autoscaler calls. Default: the Service.")
    ] = "",
    autoscaler_namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Cluster Autoscaler's namespace. Default: hexa's.")
    ] = "",
    mount: Annotated[
        str, typer.Option(metavar="PATH", help="Where Cluster Autoscaler's pod mounts its Secret.")
    ] = "/etc/cluster-autoscaler",
    days: Annotated[int, typer.Option(metavar="DAYS", min=1, max=3650, help="Days until server and client end.")] = 365,
) -> None:
    """Make certificates for mutual TLS with Cluster Autoscaler, for those without cert-manager: docs/tls.md."""
    if renew and output is None:
        fail("--renew needs the folder that holds the CA: --output DIR", Exit.USAGE)
    if output is None and not secrets:
        fail("say where they shall go: --output DIR for files, --secrets for Secrets on standard output", Exit.USAGE)
    host, _, port = address.rpartition(":")
    if address and not (host and port.isascii() and port.isdigit()):
        fail(f"--address: {address!r} is not HOST:PORT", Exit.USAGE)
    if not mount.startswith("/"):
        fail(f"--mount: {mount!r} is not a path from the root, such as /etc/cluster-autoscaler", Exit.USAGE)
    from hexa.app.commands.certs import Order

    order = Order(
        service=service,
        namespace=namespace,
        dns=tuple(dns or ()),
        ips=tuple(ip or ()),
        address=address,
        autoscaler_namespace=autoscaler_namespace,
        mount=mount,
        days=days,
    )
    made = _made(order, output, renew=renew)
    if output is not None:
        _write(made, order, output)
    else:
        typer.echo("hexa: the CA's key is not kept: to renew, make a whole new set (or keep one with -o DIR)", err=True)
    if secrets:
        _print(made, order)
    typer.echo(f"hexa: valid until {made.ends:%Y-%m-%d}; renew before that day", err=True)


def _made(order: "Order", output: Path | None, *, renew: bool) -> "CertSet":
    from hexa.app.commands import certs as command
    from hexa.domain.errors import Refused
    from hexa.wiring import open_issuer, system_clock

    issuer, now = open_issuer(), system_clock().now()
    try:
        if renew and output is not None:
            return _renewed(issuer, order, output, now=now)
        if output is not None and (output / "ca.key").exists():
            fail(f"{output} has a CA already: add --renew to issue from it, or name another folder", Exit.USAGE)
        return command.make(issuer, order, now=now)
    except Refused as error:
        fail(str(error), Exit.USAGE)


def _renewed(issuer: "Issuer", order: "Order", folder: Path, *, now: "datetime") -> "CertSet":
    from hexa.app.commands import certs as command
    from hexa.domain.errors import Refused
    from hexa.ports.certificates import Pair

    try:
        authority = Pair((folder / "ca.crt").read_text(), (folder / "ca.key").read_text())
        server = folder / "server.crt"
        replaced = server.read_text() if server.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read the CA in {folder}: {error}", Exit.USAGE)
    try:
        return command.renew(issuer, authority, order, now=now, replaced=replaced)
    except Refused as error:
        fail(f"{folder}: {error}", Exit.USAGE)


def _write(made: "CertSet", order: "Order", folder: Path) -> None:
    from hexa.app.commands.certs import files

    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in files(made, order, folder=str(folder.resolve())):
            _replace(folder / file.name, file)
    except OSError as error:
        fail(f"cannot write to {folder}: {error.strerror}", Exit.FAILED)


def _replace(path: Path, file: "File") -> None:
    """Whole or not at all; a key is never readable to others, not even for a moment."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.private else 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(file.content)
    new.replace(path)


def _print(made: "CertSet", order: "Order") -> None:
    from hexa.app.commands.certs import secrets
    from hexa.yaml import write_document

    typer.echo("---\n".join(write_document(secret) for secret in secrets(made, order)), nl=False)
