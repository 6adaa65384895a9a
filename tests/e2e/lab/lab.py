"""A lab: a control plane, and the place where its machines stand.

Owns how the parts are put together, for real machines and for simulated ones alike; refuses to know hexa
and pytest. A lab lasts as long as a session; machines.py has what lasts as long as a test.
"""

import itertools
import os
import shutil
from pathlib import Path
from typing import Final, Literal

from . import image, needs
from .controlplane import LOOPBACK, ControlPlane, Options
from .disk import Shape, write_disk
from .hardware import Hardware
from .network import Network

Kind = Literal["real", "simulated"]

KIND: Final = "E2E_MACHINES"  # real or simulated; unset: real where that is possible


class CannotBeReal(Exception):
    """Real machines were asked for, and something that they need is missing."""


def choose_kind() -> tuple[Kind, str]:
    """Which kind of machines this box can have, and why it is not the real one."""
    asked, missing = os.environ.get(KIND), needs.missing()
    if asked == "simulated":
        return "simulated", f"{KIND}=simulated"
    if asked == "real" and missing:
        raise CannotBeReal(f"e2e with {KIND}=real needs {missing}")
    return ("simulated", f"real ones need {missing}") if missing else ("real", "")


class Lab:
    """One lab; `start` it before anything else, and `stop` it in the end."""

    def __init__(self, folder: Path, binaries: Path, *, kind: Kind, options: Options | None = None) -> None:
        self.folder, self.binaries, self.kind = folder, binaries, kind
        self.network = Network() if kind == "real" else None
        self.address = self.network.host_address if self.network else LOOPBACK
        self.control_plane = ControlPlane(folder / "control-plane", binaries, address=self.address, options=options)
        self.worker: Hardware | None = None  # the body of the real worker, on from its first use to the end
        self._worker_booted_at = 0  # as the API server's starts are counted
        self._numbers = itertools.count()
        self.images = [folder / "tools.tar"]  # archives that machines built from now on have, files of this folder

    def __repr__(self) -> str:
        return f"<Lab of {self.kind} machines in {self.folder}>"

    async def start(self) -> None:
        """Starts the control plane."""
        if self.kind == "real":
            image.write_tools(self.images[0], wol=self.binaries / "wol", machine=os.uname().machine)
        await self.control_plane.start()

    def add_image(self, archive: Path) -> None:
        """Gives an image to all machines built from now on; call it once the lab has started."""
        copy = self.folder / f"image-{len(self.images)}.tar"
        shutil.copyfile(archive, copy)
        self.images.append(copy)

    def add_autoscaler_image(self) -> None:
        """The same for the stand-in for Cluster Autoscaler, under the name of the stock image."""
        if self.kind == "real":
            archive = self.folder / f"image-{len(self.images)}.tar"
            binary = self.binaries / "cluster-autoscaler"
            image.write_autoscaler(archive, binary=binary, machine=os.uname().machine)
            self.images.append(archive)

    async def stop(self) -> None:
        """Ends everything."""
        if self.worker:
            await self.worker.scrap()
        self.control_plane.stop()
        if self.network:
            self.network.close()

    def next_number(self) -> int:
        """A number for a new machine. None is used twice, so that tests don't meet in old objects."""
        return next(self._numbers)

    async def start_worker(self) -> Hardware:
        """The real machine that is always on; it boots again if the API server did, after which kubelets back off."""
        if self.worker is None:
            self.worker = self.build_hardware(self.next_number(), Shape())
        if self._worker_booted_at != self.control_plane.starts:
            self._worker_booted_at = self.control_plane.starts
            await self.worker.cut()
            self.worker.start()
        return self.worker

    def build_hardware(self, number: int, shape: Shape) -> Hardware:
        """A new real machine."""
        assert self.network, "a lab of simulated machines"
        name = machine_name(number)
        plug, cgroup = self.network.plug_in(number), f"{self.folder.name}/{name}"
        disk = self.folder / name
        write_disk(
            disk,
            number=number,
            name=name,
            address=plug.address,
            cgroup=cgroup,
            shape=shape,
            kubeconfig=self.control_plane.users.machine(name),
            api_server=(self.address, self.control_plane.port),
            images=self.images,
        )
        return Hardware(name, disk=disk, plug=plug, cgroup=cgroup, binaries=self.binaries)


def machine_name(number: int) -> str:
    """The Nth machine's name and that of its Kubernetes node."""
    return f"m{number}"
