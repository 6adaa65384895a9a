"""The power of 100 machines read by one process, as the agent does it: each controller takes 50 ms for a question.

Redfish: a server in another process, one address of loopback for each controller, plain and with TLS. IPMI: pyghmi's BMC in
another process, behind a relay that holds each packet back. The yardstick is one machine alone, times 100.
"""

import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trio
from _process import serving
from _table import show

from hexa.adapters.power import ipmi, redfish
from hexa.adapters.power.context import Context, MountedSecrets
from hexa.domain.resources.power_spec import Ipmi, Redfish, Tls

MACHINES = 100
DELAY = 0.05
PASSWORD = "benchmark"
CERTIFICATE = Path(__file__).parents[1] / "tests" / "adapters" / "certs" / "server.pem"

BMC = f"""
import sys
from pyghmi.ipmi.bmc import Bmc
class Machine(Bmc):
    def get_power_state(self): return "on"
Machine({{"admin": "{PASSWORD}"}}, port=int(sys.argv[1]), address="127.0.0.1").listen()
"""


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder, "bmc")
        secret.mkdir()
        (secret / "username").write_text("admin")
        (secret / "password").write_text(PASSWORD)
        context = Context(secrets=MountedSecrets(Path(folder)), patience=20)
        for kind in ("redfish", "redfish, TLS", "ipmi"):
            with serving(__file__, "serve", kind) as (_, ports):
                rows.append([kind, *trio.run(measured, kind, ports, context)])
    heads = ("driver", "first of all 100, s", "again, s", "CPU s", "one alone x 100, s")
    show(f"Power of {MACHINES} machines, {DELAY * 1000:g} ms a question", heads, rows)


async def measured(kind: str, ports: list[int], context: Context) -> list[float]:
    """Seconds for all the first time, for all again with the CPU that it takes, and for one after the other."""
    async with AsyncExitStack() as stack:
        drivers = [await stack.enter_async_context(opened(kind, number, ports, context)) for number in range(MACHINES)]
        first = await timed(drivers)
        cpu = time.process_time()
        again = await timed(drivers)
        cpu = time.process_time() - cpu
        return [first, again, cpu, MACHINES * await timed(drivers[:1])]


def opened(kind: str, number: int, ports: list[int], context: Context) -> Any:
    """The driver of one machine."""
    if kind == "ipmi":
        return ipmi.open_power(Ipmi(address="127.0.0.1", port=ports[number], secret_name="bmc"), context)
    scheme, address = ("https" if "TLS" in kind else "http"), f"127.0.1.{number + 1}:{ports[0]}"
    tls = Tls(insecure_skip_verify=True)
    return redfish.open_power(Redfish(address=f"{scheme}://{address}", secret_name="bmc", tls=tls), context)


async def timed(drivers: list[Any]) -> float:
    """Seconds until all have answered."""
    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for driver in drivers:
            nursery.start_soon(driver.sense)
    return time.perf_counter() - began


async def serve(kind: str, bmc: int) -> None:
    """Be the controllers."""
    async with trio.open_nursery() as nursery:
        if bmc:
            await relays(nursery, bmc)
        else:
            await nursery.start(redfish_server, "TLS" in kind)


async def redfish_server(tls: bool, *, task_status: trio.TaskStatus[None]) -> None:
    """Answers on every address of loopback."""
    listeners: list[Any] = await trio.open_tcp_listeners(0, host="0.0.0.0", backlog=512)
    port = listeners[0].socket.getsockname()[1]
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        listeners = [trio.SSLListener(each, context) for each in listeners]
    print(f"[{port}]", flush=True)
    task_status.started()
    await trio.serve_listeners(answer, listeners)


async def answer(stream: Any) -> None:
    """GET after GET on a connection."""
    system, collection = b'{"PowerState": "On"}', b'{"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}'
    try:
        while request := await stream.receive_some():
            await trio.sleep(DELAY)
            body = system if b"Systems/1" in request else collection
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    except trio.BrokenResourceError:
        pass


def bmc() -> int:
    """The port of pyghmi's BMC, which ends with us."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-c", BMC, str(port)], stdout=subprocess.DEVNULL)

    def end(*_: Any) -> None:
        process.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    return port


async def relays(nursery: trio.Nursery, port: int) -> None:
    """A port for each machine; what comes back from the BMC is held back."""
    await trio.sleep(1)
    ports = []
    for _ in range(MACHINES):
        front = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        await front.bind(("127.0.0.1", 0))
        ports.append(front.getsockname()[1])
        nursery.start_soon(relay, front, port)
    print(ports, flush=True)


async def relay(front: Any, port: int) -> None:
    """One machine's."""
    async with trio.open_nursery() as nursery:
        behind: dict[Any, Any] = {}
        while True:
            packet, client = await front.recvfrom(2048)
            if client not in behind:
                behind[client] = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
                await behind[client].connect(("127.0.0.1", port))
                nursery.start_soon(back, behind[client], lambda data, to=client: front.sendto(data, to))
            await behind[client].send(packet)


async def back(socket_: Any, send: Callable[[bytes], Any]) -> None:
    """Answers of one session."""
    async with trio.open_nursery() as nursery:
        while True:
            packet = await socket_.recv(2048)
            nursery.start_soon(later, send, packet)


async def later(send: Callable[[bytes], Any], packet: bytes) -> None:
    """After the delay."""
    await trio.sleep(DELAY)
    await send(packet)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        trio.run(serve, sys.argv[2], bmc() if sys.argv[2] == "ipmi" else 0)
    else:
        main()
