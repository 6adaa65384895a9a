"""A machine made of namespaces: a real kubelet and containerd behind a network card of its own.

Owns one machine's cable, control group and processes; refuses to know when it is switched and why (that is
machine.py) and what is on its disk (disk.py). The disk survives a power cut; processes, mounts and memory don't.
"""

import shutil
import socket
from pathlib import Path
from typing import Final

import trio

from . import cgroups
from .network import Plug
from .process import Process, tail

FIRMWARE: Final = Path(__file__).with_name("firmware.sh")
WAKE_PORT: Final = 9
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--mount-proc")


class Hardware:
    """One machine; `start` gives it power, `cut` takes it, `scrap` throws the machine away."""

    def __init__(self, name: str, *, disk: Path, plug: Plug, cgroup: str, binaries: Path) -> None:
        self.name = name
        self._disk, self._plug, self._cgroup = disk, plug, cgroup
        self.wake_socket: socket.socket = plug.namespace.udp_socket(WAKE_PORT)
        cgroups.make(cgroup)
        self._process = Process(
            name,
            [
                *cgroups.join_command(cgroup),
                *plug.namespace.enter(),
                *("unshare", "--fork", "--kill-child", *_NAMESPACES, "--"),
                *("sh", str(FIRMWARE), name, str(binaries), str(disk)),
            ],
            log=disk / "log" / "console.log",
        )

    def __repr__(self) -> str:
        return f"<Hardware {self.name} {'on' if self._process.running else 'off'}>"

    @property
    def on_its_network(self) -> list[str]:
        """The words before a command that make it run in the machine's network, /sys included."""
        inside = 'mount -t sysfs sysfs /sys && exec "$@"'
        return [*self._plug.namespace.enter(), "unshare", "--mount", "--", "sh", "-c", inside, "sh"]

    def start(self) -> None:
        """Power: the firmware runs. From the main thread only, see process.py."""
        cgroups.make(self._cgroup)
        self._process.start()

    async def cut(self) -> None:
        """No power: everything that ran is gone when this returns."""
        await trio.to_thread.run_sync(self._cut)

    async def scrap(self) -> None:
        """Throws the machine away, with its disk."""
        await self.cut()
        self.wake_socket.close()
        self._plug.namespace.close()
        await trio.to_thread.run_sync(shutil.rmtree, self._disk)

    def last_words(self) -> str:
        """The ends of its logs."""
        logs = sorted(self._disk.glob("log/*.log"))
        return "\n".join(f"--- {self.name} {log.name}\n{tail(log)}" for log in logs)

    def _cut(self) -> None:
        self._process.kill()
        cgroups.kill(self._cgroup)
        cgroups.remove(self._cgroup)
