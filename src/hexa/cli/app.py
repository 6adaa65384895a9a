"""Puts the commands together. Commands import what is heavy when they run, so that help and completion are quick."""

from collections.abc import Callable

import typer

from hexa.cli.blockers import blockers
from hexa.cli.certs import certs
from hexa.cli.crds import crds
from hexa.cli.doctor import doctor
from hexa.cli.drain_check import drain_check
from hexa.cli.enrol import enrol
from hexa.cli.get import get
from hexa.cli.history import history
from hexa.cli.manifests import manifests
from hexa.cli.notify import notify
from hexa.cli.power import power
from hexa.cli.probe_nic import probe_nic
from hexa.cli.receipt import receipt
from hexa.cli.release import release
from hexa.cli.report import report
from hexa.cli.run import run as run_command
from hexa.cli.shared.help import Command, Group
from hexa.cli.shared.process import process
from hexa.cli.simulate import simulate
from hexa.cli.switch import auto, off, on, pause, resume
from hexa.cli.tariff import tariff
from hexa.cli.token import token
from hexa.cli.top import top
from hexa.cli.validate import validate
from hexa.cli.version import shared_options, version
from hexa.cli.why import why

app = typer.Typer(
    name="hexa",
    cls=Group,
    help="Powers physical Kubernetes nodes on and off by demand, for the stock Cluster Autoscaler.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(shared_options)
COMMANDS: dict[str, Callable[..., None]] = {
    "run": run_command,
    "simulate": simulate,
    "validate": validate,
    "enrol": enrol,
    "doctor": doctor,
    "release": release,
    "crds": crds,
    "manifests": manifests,
    "get": get,
    "top": top,
    "why": why,
    "blockers": blockers,
    "history": history,
    "receipt": receipt,
    "report": report,
    "on": on,
    "off": off,
    "auto": auto,
    "pause": pause,
    "resume": resume,
    "drain-check": drain_check,
    "certs": certs,
    "token": token,
    "version": version,
}
for name, command in COMMANDS.items():
    app.command(name, cls=Command)(command)
app.command("probe-nic", hidden=True, cls=Command)(probe_nic)
app.add_typer(power, name="power")
app.add_typer(tariff, name="tariff")
app.add_typer(notify, name="notify")


def run() -> None:
    """Parse the arguments and run the command."""
    with process():
        app()
