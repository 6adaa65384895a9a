"""A UPS by upsd: what it says is understood whole or not at all, and whatever else answers costs one question."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import trio

from hexa.adapters.memory.ports.ups import MemoryUps
from hexa.adapters.nut.adapter import NutUps
from hexa.adapters.nut.wire import LONGEST_LINE, Answer
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.power.ups import Supply, UpsReading, reading_of
from hexa.testing.check_ups import UPS_CHECKS, Check, UpsBench

SAID = (
    b"BEGIN LIST VAR rack\n"
    b'VAR rack ups.status "OB DISCHRG"\n'
    b'VAR rack battery.charge "39.5"\n'
    b'VAR rack battery.runtime "540"\n'
    b'VAR rack ups.model "Big \\"Iron\\" \\\\ 3000"\n'
    b"END LIST VAR rack\n"
)
WHOLE = {
    "ups.status": "OB DISCHRG",
    "battery.charge": "39.5",
    "battery.runtime": "540",
    "ups.model": 'Big "Iron" \\ 3000',
}


@pytest.mark.parametrize("cut", range(len(SAID) + 1))
def test_an_answer_is_understood_however_it_is_cut(cut: int) -> None:
    """In two pieces at each place it is the same answer, and complete with its last line only."""
    answer = Answer("rack")
    first, second = SAID[:cut], SAID[cut:]
    assert answer.feed(first) is (cut == len(SAID))
    assert cut == len(SAID) or answer.feed(second)
    assert answer.variables == WHOLE


@pytest.mark.parametrize(
    ("sent", "error", "says"),
    [
        (b"ERR DATA-STALE\n", Unavailable, "stale"),
        (b"ERR DRIVER-NOT-CONNECTED\n", Unavailable, "no driver"),
        (b"ERR SOMETHING-NEW\n", Unavailable, "SOMETHING-NEW"),
        (b"ERR ACCESS-DENIED\n", Refused, "upsd.users"),
        (b"ERR UNKNOWN-UPS\n", Refused, "ups.conf"),
        (b"ERR UNKNOWN-COMMAND\n", Refused, "no upsd"),
        (b"HTTP/1.1 400 Bad Request\r\n", Unavailable, "HTTP/1.1 400"),
        (b"BEGIN LIST VAR other\n", Unavailable, "other"),
        (b'VAR rack ups.status "OL"\n', Unavailable, "VAR rack"),
        (b"BEGIN LIST VAR rack\nBEGIN LIST VAR rack\n", Unavailable, "BEGIN"),
        (b'BEGIN LIST VAR rack\nVAR rack ups.status "OL\n', Unavailable, "without end"),
        (b'BEGIN LIST VAR rack\nVAR rack ups.status "OL"\nVAR rack ups.status "OB"\n', Unavailable, "two values"),
        (b"BEGIN LIST VAR rack\n" + b'VAR rack a "b"\n' * 600, Unavailable, "more than"),
        (b"x" * (LONGEST_LINE + 1), Unavailable, "line without end"),
        (b"x" * (LONGEST_LINE + 1) + b"\n", Unavailable, "more than"),
        (b"\xff\xfe\x00\n", Unavailable, "no upsd"),
        (b"\n", Unavailable, "no upsd"),
    ],
)
def test_what_is_no_answer_is_an_error(sent: bytes, error: type[HexaError], says: str) -> None:
    """Never half an answer, and a text that says what came."""
    with pytest.raises(error) as raised:
        Answer("rack").feed(sent)
    assert type(raised.value) is error
    assert says in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("status", "supply"),
    [
        ("OL", Supply.MAINS),
        ("ol chrg", Supply.MAINS),
        ("OB DISCHRG LB", Supply.BATTERY),
        ("OL OB", Supply.UNKNOWN),
        ("OB CHRG", Supply.UNKNOWN),
        ("OB LB BYPASS", Supply.UNKNOWN),
        ("FSD", Supply.UNKNOWN),
        ("", Supply.UNKNOWN),
        ("WAIT", Supply.UNKNOWN),
        ("O\x00L", Supply.UNKNOWN),
        ("x" * 10_000, Supply.UNKNOWN),
    ],
)
def test_only_a_clear_status_is_believed(status: str, supply: Supply) -> None:
    """Mains or battery, one of them; else it is unknown, and says why in a line."""
    reading = reading_of({"ups.status": status})
    assert reading.supply is supply
    assert bool(reading.trouble) is (supply is Supply.UNKNOWN)
    assert len(reading.trouble) < 200


@pytest.mark.parametrize(
    ("status", "charge", "runtime", "found"),
    [
        ("OB", "100", "0", (100.0, None)),
        ("OB", "0", "2400", (None, timedelta(minutes=40))),
        ("OB", "0", "0", (0.0, timedelta(0))),
        ("OB", "0", "full", (0.0, None)),
        ("OB LB", "4", "0", (4.0, timedelta(0))),
    ],
)
def test_failure_41_a_nought_that_the_other_figure_contradicts_is_none(
    status: str, charge: str, runtime: str, found: tuple[float | None, timedelta | None]
) -> None:
    """A UPS that has no figure of its charge or its runtime tells 0: beside the other one it switches nothing off."""
    reading = reading_of({"ups.status": status, "battery.charge": charge, "battery.runtime": runtime})
    assert (reading.charge, reading.runtime) == found


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "101", "1e400", "", "full", "0x10", "9" * 5000])
def test_figures_that_cannot_be_are_none(text: str) -> None:
    """A charge beyond 100 percent, a runtime of months: nobody acts on them."""
    reading = reading_of({"ups.status": "OB", "battery.charge": text, "battery.runtime": text.replace("101", "9e9")})
    assert reading == UpsReading(supply=Supply.BATTERY)


# --- over a socket ---

Talk = Callable[[trio.SocketStream], object]


@asynccontextmanager
async def served(talk: Callable[[trio.SocketStream], object]) -> AsyncIterator[str]:
    """A server that talks so; its address."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, talk, 0)
        host, port = listeners[0].socket.getsockname()[:2]
        yield f"127.0.0.1:{port}" if host in ("0.0.0.0", "127.0.0.1") else f"[::1]:{port}"
        nursery.cancel_scope.cancel()


class FakeUpsd:
    """A server of one UPS, as upsd talks."""

    def __init__(self) -> None:
        self.variables: dict[str, str] | None = {}
        """None: they are stale."""

    async def talk(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"LOGOUT" not in data:
            data += await stream.receive_some(1024) or b"LOGOUT"
        asked = data.split(b"\n")[0].decode().removeprefix("LIST VAR ")
        await stream.send_all(self._answer(asked).encode())
        await stream.aclose()

    def _answer(self, ups: str) -> str:
        if ups != "rack":
            return "ERR UNKNOWN-UPS\n"
        if self.variables is None:
            return "ERR DATA-STALE\n"
        lines = [f'VAR rack {name} "{value}"' for name, value in self.variables.items()]
        return "\n".join(["BEGIN LIST VAR rack", *lines, "END LIST VAR rack", "OK Goodbye", ""])


@pytest.mark.parametrize("check", UPS_CHECKS, ids=lambda check: check.__name__)
async def test_the_client_of_upsd_keeps_the_contract(check: Check) -> None:
    """hexa's client, on a server that talks as upsd does."""
    upsd = FakeUpsd()

    async def say(status: str, charge: float, runtime: float) -> None:
        upsd.variables = {
            "ups.status": status,
            "battery.charge": f"{charge:g}",
            "battery.runtime": f"{runtime:g}",
        }

    async def stale() -> None:
        upsd.variables = None

    async with served(upsd.talk) as address:
        nobody = NutUps("127.0.0.1:1", "rack")
        bench = UpsBench(
            ups=NutUps(address, "rack"), say=say, stale=stale, stranger=NutUps(address, "other"), nobody=nobody
        )
        with trio.fail_after(10):
            await check(bench)


@pytest.mark.parametrize("check", UPS_CHECKS, ids=lambda check: check.__name__)
async def test_the_ups_in_ram_keeps_the_contract(check: Check) -> None:
    """What scenarios use behaves as the client of upsd does."""
    ups, stranger, nobody = MemoryUps(), MemoryUps(), MemoryUps()
    stranger.error, nobody.error = Refused("no such UPS"), Unavailable("nobody answers")

    async def say(status: str, charge: float, runtime: float) -> None:
        ups.answer = reading_of({"ups.status": status, "battery.charge": str(charge), "battery.runtime": str(runtime)})

    async def stale() -> None:
        ups.error = Unavailable("stale")

    await check(UpsBench(ups=ups, say=say, stale=stale, stranger=stranger, nobody=nobody))


async def test_a_server_that_hangs_up_or_never_ends_is_given_up() -> None:
    """What comes is bounded; who hangs is given up by the one who asks."""

    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.send_all(SAID[:30])
        await stream.aclose()

    async def flood(stream: trio.SocketStream) -> None:
        while True:
            await stream.send_all(b"x" * 4096)

    async def hang(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    for talk in (hang_up, flood):
        async with served(talk) as address:
            with trio.fail_after(10), pytest.raises(Unavailable):
                await NutUps(address, "rack").read()
    async with served(hang) as address:
        with trio.move_on_after(0.2) as scope:
            await NutUps(address, "rack").read()
        assert scope.cancelled_caught
