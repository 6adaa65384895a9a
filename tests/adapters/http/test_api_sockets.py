"""The API on a real socket, as a program meets it: reads, a hold, and a stream that is left in the middle."""

from functools import partial

import httpx
import trio
from tests.adapters.http.desk import RACK, open_desk

from hexa.adapters.http.server import serve


async def heard(stream: trio.SocketStream, what: bytes) -> bytes:
    """What comes until that has come."""
    found = b""
    while what not in found:
        piece = await stream.receive_some(65_536)
        assert piece, found
        found += piece
    return found


async def test_a_program_reads_holds_and_listens() -> None:
    """The stream brings the state at once, and the change that somebody else asked for."""
    async with open_desk(RACK) as desk, trio.open_nursery() as nursery:
        address = await nursery.start(partial(serve, desk.app, address="127.0.0.1:0"))
        known = {"authorization": "Bearer root"}
        async with httpx.AsyncClient(base_url=f"http://{address}/api/v1", headers=known) as client:
            state = (await client.get("/state")).raise_for_status()
            assert state.headers["cache-control"] == "no-store"
            assert state.json()["summary"]["machines"] == 3
            host, _, port = address.rpartition(":")
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                await stream.send_all(b"GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer root\r\n\r\n")
                with trio.fail_after(20):
                    head = await heard(stream, b"event: state\ndata: {")
                    assert b"content-type: text/event-stream" in head.lower()
                    held = await client.post("/machines/a/box-2/hold", json={"power": "on", "for": "1h"})
                    assert held.raise_for_status().json()["changed"]
                    await heard(stream, b'"held":"on"')
            refused = await client.post("/machines/a/box-2/hold", content=b"\x00")
            assert (refused.status_code, refused.json()["field"]) == (400, "body")
        nursery.cancel_scope.cancel()
