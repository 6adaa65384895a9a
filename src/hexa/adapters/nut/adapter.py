"""Implements ports.ups over TCP: one short connection for each reading, so that nothing is held that may hang."""

import trio
from msgspec import Struct

from hexa.adapters.nut.wire import Answer, cut_short, question
from hexa.domain.errors import Unavailable
from hexa.domain.power.ups import UpsReading, endpoint, reading_of

PORT = 3493
PIECE = 4096


class NutUps(Struct, frozen=True):
    """A UPS that a upsd serves."""

    address: str
    """HOST or HOST:PORT."""
    name: str
    """As ups.conf of that server calls it."""

    async def read(self) -> UpsReading:
        host, port = endpoint(self.address, port=PORT)
        answer = Answer(self.name)
        try:
            async with await trio.open_tcp_stream(host, port) as stream:
                await stream.send_all(question(self.name))
                while not answer.feed(piece := await stream.receive_some(PIECE)):
                    if not piece:
                        raise cut_short()
        except (OSError, trio.BrokenResourceError) as error:
            why = f"upsd at {self.address} does not answer: {error}"
            raise Unavailable(why, reason="UpsUnknown") from error
        return reading_of(answer.variables)
