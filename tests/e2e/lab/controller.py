"""The management controllers of all machines, as one small HTTP server.

Owns the words on the wire; refuses to know what a machine does when it is asked.

    GET  /m1        200 {"power": "on"}
    POST /m1/off    202, and the power goes; 503 where the controller refuses
    POST /m1/on     202, and the power comes
"""

import json
from collections.abc import Mapping

import trio

from .machine import Machine

_MAX_REQUEST = 8192
_ANSWER_SECONDS = 5.0


async def serve_controllers(
    machines: Mapping[str, Machine],
    address: str,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until it is cancelled; reports its URL."""

    async def answer(stream: trio.SocketStream) -> None:
        with trio.move_on_after(_ANSWER_SECONDS):
            await _answer(stream, machines)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host=address)
        await nursery.start(trio.serve_listeners, answer, listeners)
        port = listeners[0].socket.getsockname()[1]
        task_status.started(f"http://{address}:{port}")


async def _answer(stream: trio.SocketStream, machines: Mapping[str, Machine]) -> None:
    request = b""
    while b"\r\n\r\n" not in request and len(request) < _MAX_REQUEST:
        received = await stream.receive_some()
        if not received:
            return
        request += received
    method, path, _ = request.split(maxsplit=2)
    status, body = _do(method.decode(), path.decode(), machines)
    text = json.dumps(body).encode() + b"\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    await stream.send_all(f"{head}Connection: close\r\n\r\n".encode() + text)


def _do(method: str, path: str, machines: Mapping[str, Machine]) -> tuple[str, dict[str, str]]:
    name, _, verb = path.strip("/").partition("/")
    machine = machines.get(name)
    if machine is None:
        return "404 Not Found", {"error": f"no machine {name}"}
    match method, verb:
        case "GET", "":
            return "200 OK", {"power": machine.power}
        case "POST", "off":
            accepted = machine.ask_off()
            return ("202 Accepted", {}) if accepted else ("503 Service Unavailable", {"error": "refused"})
        case "POST", "on":
            machine.start()
            return "202 Accepted", {}
        case _:
            return "404 Not Found", {"error": f"can't {method} {path}"}
