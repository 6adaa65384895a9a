"""A machine as its power switch, network card and management controller see it.

Owns when power comes and goes, the faults on that way, and a count of all that was asked for; refuses to
know what stands behind the switch: a real kubelet (hardware.py) or a simulated one (simulated.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import trio

from .image import NAME as IMAGE

Power = Literal["on", "off"]
CUT_SECONDS = 10.0


class Body(Protocol):
    """What a power switch is for."""

    def start(self) -> None:
        """Power: boots, in the background."""

    async def cut(self) -> None:
        """No power: all that ran is gone when this returns. Repeating it does nothing."""

    async def scrap(self) -> None:
        """Cuts it and throws it away."""

    def last_words(self) -> str:
        """Its logs' ends, for the reader of a failed test."""


@dataclass
class Faults:
    """What goes wrong, from now on; the numbers count down as it happens."""

    lost_wakes: int = 0  # magic packets that get lost
    lost_offs: int = 0  # off requests that are accepted and forgotten
    refused_offs: int = 0  # off requests that are answered by an error
    dead: bool = False  # a magic packet does nothing
    hangs: bool = False  # power comes, but nothing boots


@dataclass
class Seen:
    """When what happened, in Trio's time: requests, and what came of them."""

    wakes: list[float] = field(default_factory=list)
    offs: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)


class Machine:
    """One machine; it starts off."""

    def __init__(
        self,
        name: str,
        *,
        mac: str,
        controller_url: str,
        body: Body,
        nursery: trio.Nursery,
        boot_delay: float = 0.0,
        off_delay: float = 0.0,
        say: Callable[[str], None] = print,
    ) -> None:
        self.name, self.mac, self.body = name, mac, body
        self.boot_delay, self.off_delay = boot_delay, off_delay
        self.power: Power = "off"
        self.faults, self.seen = Faults(), Seen()
        self.wake_command = ["wol", mac]
        self.off_command = ["wget", "-q", "-O", "-", "--post-data=", f"{controller_url}/{name}/off"]
        self.read_command = ["wget", "-q", "-O", "-", f"{controller_url}/{name}"]
        self._nursery, self._say = nursery, say
        self._boot = trio.CancelScope()
        self._cutting = trio.Lock()

    def __repr__(self) -> str:
        return f"<Machine {self.name} {self.mac} {self.power}>"

    @property
    def startup_pod(self) -> dict[str, object]:
        """A startupPodSpec that wakes it; the packet is a broadcast, hence the host's network."""
        return {"image": IMAGE, "command": self.wake_command, "hostNetwork": True}

    @property
    def shutdown_pod(self) -> dict[str, object]:
        """A shutdownPodSpec that has its management controller cut it."""
        return {"image": IMAGE, "command": self.off_command}

    def start(self) -> None:
        """The power button, where it is off: power at once, a kubelet after the boot delay."""
        if self.power == "off":
            self.power = "on"
            self._note("power on", self.seen.starts)
            self._boot = trio.CancelScope()
            self._nursery.start_soon(self._boot_later, self._boot)

    async def cut(self) -> None:
        """A power cut: nobody is asked, nothing is saved."""
        async with self._cutting:
            if self.power == "on":
                self._boot.cancel()
                await self.body.cut()
                self.power = "off"
                self._note("power off", self.seen.cuts)

    async def scrap(self) -> None:
        """Ends it for good, also when we are being cancelled."""
        with trio.move_on_after(CUT_SECONDS, shield=True):
            await self.cut()
            await self.body.scrap()

    def receive(self, packet: bytes) -> None:
        """What the network card does with a packet: only its own magic packet counts."""
        if magic_packet(self.mac) not in packet:
            return
        self._note("magic packet", self.seen.wakes)
        if self.faults.lost_wakes:
            self.faults.lost_wakes -= 1
        elif not self.faults.dead:
            self.start()

    def ask_off(self) -> bool:
        """What the management controller does when it is asked to switch off; False is a refusal."""
        self._note("asked to go off", self.seen.offs)
        if self.faults.refused_offs:
            self.faults.refused_offs -= 1
            return False
        if self.faults.lost_offs:
            self.faults.lost_offs -= 1
        else:
            self._nursery.start_soon(self._cut_later)
        return True

    async def _boot_later(self, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(self.boot_delay)
            if not (self.faults.hangs or scope.cancel_called):
                self.body.start()

    async def _cut_later(self) -> None:
        await trio.sleep(self.off_delay)
        await self.cut()

    def _note(self, what: str, times: list[float]) -> None:
        times.append(trio.current_time())
        self._say(f"{self.name}: {what}")


def magic_packet(mac: str) -> bytes:
    """What a network card that sleeps waits for."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16
