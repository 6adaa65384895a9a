"""hexa run: the agent, from settings to a clean stop."""

import gc
import os
import signal
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hexa.cli.shared.cluster import exit_for, leaves
from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.files import name_of, read_text

if TYPE_CHECKING:
    from trio import CancelScope

    from hexa.config import Config, Flags

STOP_WITHIN: Final = 5.0
"""Seconds from a signal to the end of the process, come what may."""


def run(
    file: Annotated[
        Path | None,
        typer.Option("--config", envvar="HEXA_CONFIG", metavar="FILE", help="Settings as YAML: docs/configuration.md."),
    ] = None,
    kubeconfig: Annotated[str | None, typer.Option(metavar="FILE", help="Kubeconfig file.")] = None,
    context: Annotated[str | None, typer.Option(metavar="NAME", help="Context of the kubeconfig.")] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="Namespace whose Groups and Nodes count; may be repeated."
        ),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="All namespaces, whatever file and environment say.")
    ] = False,
    grpc_address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where Cluster Autoscaler calls. Default 127.0.0.1:50051."),
    ] = None,
    grpc_insecure: Annotated[
        bool | None, typer.Option("--grpc-insecure", help="Serve without TLS on an address that others can reach.")
    ] = None,
    grpc_health_address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where kubelet's gRPC probes are answered, without TLS.")
    ] = None,
    grpc_tls_certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificate of the gRPC service, PEM.")
    ] = None,
    grpc_tls_key: Annotated[str | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
    grpc_tls_client_ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificates that clients must be signed by, PEM.")
    ] = None,
    grpc_tls_client: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Client that may call: SPIFFE URI, DNS name or CN; may be repeated."),
    ] = None,
    log_format: Annotated[str | None, typer.Option(metavar="auto|json|text", help="How log lines look.")] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="debug|info|warning|error", help="The least severe lines written.")
    ] = None,
) -> None:
    """Run the agent: the controllers and the gRPC service for Cluster Autoscaler. Ends on SIGTERM or SIGINT."""
    if namespace and all_namespaces:
        fail("--namespace and --all-namespaces exclude each other", Exit.USAGE)
    given = {
        "kubeconfig": ("--kubeconfig", kubeconfig),
        "context": ("--context", context),
        "namespaces": ("--all-namespaces", []) if all_namespaces else ("--namespace", namespace or None),
        "grpc.address": ("--grpc-address", grpc_address),
        "grpc.insecure": ("--grpc-insecure", grpc_insecure),
        "grpc.healthAddress": ("--grpc-health-address", grpc_health_address),
        "grpc.tls.certificate": ("--grpc-tls-certificate", grpc_tls_certificate),
        "grpc.tls.key": ("--grpc-tls-key", grpc_tls_key),
        "grpc.tls.clientCa": ("--grpc-tls-client-ca", grpc_tls_client_ca),
        "grpc.tls.clients": ("--grpc-tls-client", grpc_tls_client or None),
        "log.format": ("--log-format", log_format),
        "log.level": ("--log-level", log_level),
    }
    config = _settings(file, {key: flag for key, flag in given.items() if flag[1] is not None})
    raise typer.Exit(serve(config))


def serve(config: "Config") -> Exit:
    """Run the agent until a signal or an error, and say how it ended."""
    import trio

    from hexa.wiring import run_agent

    _pause_seldom()
    try:
        trio.run(_until_signal, run_agent, config)
    except Exception as error:  # whatever it was: reported and turned into an exit code
        return _report(list(leaves(error)))
    return Exit.OK


def _pause_seldom() -> None:
    """Python stops everything to look for garbage, for a tenth of a second where it goes through all that was imported, and Cluster
    Autoscaler's questions wait meanwhile. What was imported never is garbage, and the rest is gone through seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 5, 1_000)


async def _until_signal(agent: Callable[["Config"], Awaitable[None]], config: "Config") -> None:
    import trio

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop, signals, nursery.cancel_scope)
            await agent(config)
            nursery.cancel_scope.cancel()


async def _stop(signals: AsyncIterator[int], agent: "CancelScope") -> None:
    """Cancel the agent at the first signal; a thread ends the process if that takes too long."""
    async for _ in signals:
        last = threading.Timer(STOP_WITHIN, _give_up)
        last.daemon = True
        last.start()
        agent.cancel()
        return


def _give_up() -> None:
    typer.echo(f"hexa: still not stopped {STOP_WITHIN:g} s after the signal: ending at once", err=True)
    os._exit(Exit.FAILED)


def _report(errors: list[BaseException]) -> Exit:
    """One line for each error that a person can act on; a traceback for a defect of ours."""
    from hexa.domain.errors import HexaError

    for error in errors:
        if isinstance(error, HexaError):
            typer.echo(f"hexa: {error}", err=True)
        else:
            traceback.print_exception(error)
    return max((exit_for(error) for error in errors), default=Exit.FAILED)


def _settings(file: Path | None, flags: "Flags") -> "Config":
    from hexa.config import ConfigError, load_config, read_config_file

    text = read_text(file, remedy="name another file with --config") if file else ""
    try:
        document = read_config_file(text, source=name_of(file)) if file else None
        return load_config(file=document, environment=os.environ, flags=flags)
    except ConfigError as error:
        fail(str(error), Exit.USAGE)
