"""Where the machines of each kind come from: real ones from a lab's network, simulated ones from Trio tasks.

Owns the difference between the kinds; whatever uses a Site is the same for both.
"""

from typing import Final, Protocol

import httpx
import trio

from .api import Api
from .binaries import version
from .disk import Shape
from .feeds import NodeFeed, PodFeed, follow
from .hardware import Hardware
from .lab import Lab, machine_name
from .machine import Body, Machine, magic_packet
from .network import address_of
from .simulated import SimulatedKubelet
from .simulated_pods import Action

PACKET_BYTES: Final = 2048


class Site(Protocol):
    """What makes machines of one kind."""

    async def open(self) -> None:
        """Call it first; returns when machines can be built."""

    def build(self, number: int, shape: Shape) -> Body:
        """The body of a new machine, without power."""

    def connect(self, machine: Machine) -> None:
        """Lets magic packets reach a machine, from now on."""

    async def start_worker(self) -> str:
        """Starts the machine that is always on; returns the name of its Kubernetes node, to be."""


class RealSite:
    """Machines of namespaces; packets arrive at each one's own network card."""

    def __init__(self, lab: Lab, nursery: trio.Nursery) -> None:
        self._lab, self._nursery = lab, nursery

    async def open(self) -> None:
        """There is nothing to wait for."""

    def build(self, number: int, shape: Shape) -> Hardware:
        """The body of a new machine, without power."""
        return self._lab.build_hardware(number, shape)

    def connect(self, machine: Machine) -> None:
        """Listens at the machine's network card."""
        assert isinstance(machine.body, Hardware)
        card = trio.socket.from_stdlib_socket(machine.body.wake_socket)
        self._nursery.start_soon(_listen, card, machine)

    async def start_worker(self) -> str:
        """The lab's own worker, which outlives this site."""
        return (await self._lab.start_worker()).name


class SimulatedSite:
    """Machines of Trio tasks; packets arrive because the action of `wol` hands them over."""

    def __init__(self, lab: Lab, nursery: trio.Nursery, *, api: Api) -> None:
        self.actions: dict[str, Action] = {
            "false": _fail,
            "sleep": _sleep,
            "true": _succeed,
            "wget": _wget,
            "wol": self._wol,
        }
        self._lab, self._nursery, self._api = lab, nursery, api
        self._pods, self._nodes = PodFeed(), NodeFeed()
        self._machines: list[Machine] = []

    async def open(self) -> None:
        """Follows the API server; returns when all is known."""
        await self._nursery.start(follow, self._api, self._pods)
        await self._nursery.start(follow, self._api, self._nodes)

    def build(self, number: int, shape: Shape) -> SimulatedKubelet:
        """The body of a new machine, without power."""
        return SimulatedKubelet(
            machine_name(number),
            address=str(address_of(number)),
            shape=shape,
            api=self._api,
            pods=self._pods,
            nodes=self._nodes,
            actions=self.actions,
            nursery=self._nursery,
            version=version(),
        )

    def connect(self, machine: Machine) -> None:
        """Lets the machine hear what `wol` sends."""
        self._machines.append(machine)

    async def start_worker(self) -> str:
        """A worker that lasts as long as this site."""
        worker = self.build(self._lab.next_number(), Shape())
        worker.start()
        return worker.name

    async def _wol(self, arguments: list[str]) -> int:
        for machine in self._machines:
            machine.receive(magic_packet(arguments[0]))
        return 0


async def _listen(card: trio.socket.SocketType, machine: Machine) -> None:
    while True:
        machine.receive(await card.recv(PACKET_BYTES))


async def _wget(arguments: list[str]) -> int:
    """As busybox has it, as far as machine.py needs it; the last argument is the URL."""
    method = "POST" if any(argument.startswith("--post-data") for argument in arguments) else "GET"
    try:
        async with httpx.AsyncClient(verify=False) as client:
            answer = await client.request(method, arguments[-1])
    except httpx.TransportError:
        return 1
    return int(answer.is_error)


async def _succeed(_arguments: list[str]) -> int:
    return 0


async def _fail(_arguments: list[str]) -> int:
    return 1


async def _sleep(arguments: list[str]) -> int:
    await trio.sleep(float(arguments[0]))
    return 0
