"""Puts the commands together. Commands import what is heavy when they run, so that help and completion are quick."""

import typer

from hexa.cli.certs import certs
from hexa.cli.crds import crds
from hexa.cli.doctor import doctor
from hexa.cli.drain_check import drain_check
from hexa.cli.enrol import enrol
from hexa.cli.get import get
from hexa.cli.history import history
from hexa.cli.manifests import manifests
from hexa.cli.power import power
from hexa.cli.probe_nic import probe_nic
from hexa.cli.release import release
from hexa.cli.run import run as run_command
from hexa.cli.simulate import simulate
from hexa.cli.switch import auto, off, on, pause, resume
from hexa.cli.validate import validate
from hexa.cli.version import version
from hexa.cli.why import why

app = typer.Typer(
    name="hexa",
    help="Powers physical Kubernetes nodes on and off by demand, for the stock Cluster Autoscaler.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run_command)
app.command("simulate")(simulate)
app.command("validate")(validate)
app.command("enrol")(enrol)
app.command("doctor")(doctor)
app.command("probe-nic", hidden=True)(probe_nic)
app.command("release")(release)
app.command("crds")(crds)
app.command("manifests")(manifests)
app.command("get")(get)
app.command("why")(why)
app.command("history")(history)
app.command("on")(on)
app.command("off")(off)
app.command("auto")(auto)
app.command("pause")(pause)
app.command("resume")(resume)
app.command("drain-check")(drain_check)
app.command("certs")(certs)
app.add_typer(power, name="power")
app.command("version")(version)


def run() -> None:
    """Parse the arguments and run the command."""
    app()
