"""The lab by hand: a control plane and machines until Ctrl-C, for looking around and for other programs.

./dev lab --machines 5 --boot-delay 8
"""

import argparse
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import trio

from . import KIND, CannotBeReal, Lab, Machines, Options, build, choose_kind, open_machines, open_run


def main() -> None:
    """Runs a lab until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("--machines", type=int, default=3, help="how many, all of them off (default: %(default)s)")
    parser.add_argument("--boot-delay", type=float, default=8.0, metavar="SECONDS", help="from power to kubelet")
    parser.add_argument("--cpu", type=float, help="allocatable cores of each machine (default: all of this box)")
    parser.add_argument("--grace", default="20s", help="silence that makes a Node NotReady (default: %(default)s)")
    parser.add_argument(
        "--image", type=Path, action="append", default=[], help="an archive that machines have; repeatable"
    )
    parser.add_argument("--kind", choices=("real", "simulated"), help="default: real ones where that is possible")
    wanted = parser.parse_args()
    if wanted.kind:
        os.environ[KIND] = wanted.kind
    try:
        trio.run(_serve, wanted)
    except CannotBeReal as error:
        parser.error(str(error))


async def _serve(wanted: argparse.Namespace) -> None:
    kind, reason = choose_kind()
    _say(f"{kind} machines{reason and f', since {reason}'}")
    binaries = build(_say)
    with open_run() as folder:
        lab = Lab(folder, binaries, kind=kind, options=Options(node_monitor_grace_period=wanted.grace))
        try:
            await lab.start()
            lab.add_autoscaler_image()
            for archive in wanted.image:
                lab.add_image(archive)
            await _run_machines(lab, wanted)
        finally:
            with trio.move_on_after(10, shield=True):
                await lab.stop()


async def _run_machines(lab: Lab, wanted: argparse.Namespace) -> None:
    async with open_machines(lab, say=_say) as machines:
        for _ in range(wanted.machines):
            machines.add(boot_delay=wanted.boot_delay, cpu=wanted.cpu)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            _describe(lab, machines)
            async for _ in signals:
                _say("ending")
                return


def _describe(lab: Lab, machines: Machines) -> None:
    listing, resources = lab.folder / "machines.json", lab.folder / "machines.yaml"
    listing.write_text(
        json.dumps(
            {
                name: {"mac": machine.mac, "startupPod": machine.startup_pod, "shutdownPod": machine.shutdown_pod}
                for name, machine in machines.items()
            },
            indent=1,
        )
    )
    resources.write_text(machines.as_resources())
    _say(f"on: {machines.worker}; waiting for magic packets: {', '.join(machines) or 'none'}")
    _say(f"{listing} has their MACs and pods, {resources} is a Group and Nodes to apply")
    _say(f"export KUBECONFIG={lab.control_plane.kubeconfig()} PATH={lab.binaries}:$PATH")


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S.%f}"[:-5], line, flush=True)


if __name__ == "__main__":
    main()
