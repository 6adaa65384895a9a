"""People who look at the page: each follows its stream."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Final

VIEWERS: Final = 10


class Seen:
    """What all viewers together were sent."""

    states = 0


@contextmanager
def watched(address: str) -> Iterator[Seen]:
    """Ten viewers follow the stream, each in a thread."""
    seen = Seen()
    connections = [HTTPConnection(address, timeout=30) for _ in range(VIEWERS)]

    def follow(connection: HTTPConnection) -> None:
        connection.request("GET", "/api/v1/stream", headers={"accept": "text/event-stream"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        try:
            while piece := answer.read1(1 << 20):
                seen.states += piece.startswith(b"event: state")  # hexa sends each as one chunk
        except (OSError, ValueError, AttributeError, HTTPException):
            pass  # the benchmark is over

    for connection in connections:
        threading.Thread(target=follow, args=(connection,), daemon=True).start()
    yield seen
    for connection in connections:
        if connection.sock is not None:
            connection.sock.close()
