"""The files of tariffs are read, read again when they change, and harm nobody when they are bad."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import trio

from hexa.adapters.memory.clock import START, MemoryClock
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.app.tariffs import Tariffs
from hexa.domain.money.prices import Series, write_prices
from hexa.domain.money.series import Row
from hexa.domain.money.written_tariff import WrittenTariff
from hexa.tariffs import TariffFiles, keep_tariffs, load_tariff

HOUR = timedelta(hours=1)


def prices(price: float, hours: int = 48) -> str:
    """A file of one price for so many hours."""
    return write_prices(Series(tuple(Row(START + n * HOUR, START + (n + 1) * HOUR, price) for n in range(hours))))


def test_a_file_that_changes_is_read_again_and_one_that_breaks_leaves_what_was(tmp_path: Path) -> None:
    """New prices count at the next look; those that were read before count while the file is broken or gone; it is said once."""
    file = tmp_path / "day-ahead.csv"
    written = msgspec.convert({"spot": {"file": str(file)}, "flat": {"price": 0.3}}, dict[str, WrittenTariff])
    tariffs = Tariffs()
    files = TariffFiles(tariffs, written)

    def price(name: str = "spot") -> float:
        return tariffs.known[name].mean(START, START + HOUR)

    file.write_text(prices(0.1))
    assert (files.look(START), price(), price("flat")) == ([], 0.1, 0.3)
    file.write_text(prices(0.25, hours=49))
    assert (files.look(START), price()) == ([], 0.25)
    file.write_text("<html>not found</html>")
    (said,) = files.look(START)
    assert "tariffs.spot.file: " in said
    assert "its header has no start" in said
    assert "the prices that were read before count until then" in said
    assert (files.look(START), price()) == ([], 0.25)
    file.unlink()
    (said,) = files.look(START)
    assert "can't be read" in said
    assert (price(), price("flat")) == (0.25, 0.3)
    file.write_text(prices(0.2, hours=24), encoding="utf-8-sig")  # as spreadsheets write
    assert (files.look(START), price()) == ([], 0.2)
    (said,) = files.look(START + 20 * HOUR)
    assert f"its last price is for {(START + 24 * HOUR).isoformat()}; bring newer ones" in said


def test_a_file_of_another_currency_or_with_a_gap_says_so(tmp_path: Path) -> None:
    """The prices count all the same."""
    file = tmp_path / "day-ahead.csv"
    rows = (Row(START, START + HOUR, 0.1), Row(START + 2 * HOUR, START + 24 * HOUR, 0.3))
    file.write_text(write_prices(Series(rows, "GBP")))
    tariff, problems = load_tariff("spot", WrittenTariff(file=str(file)))
    assert [problem.severity for problem in problems] == ["error", "warning"]
    assert "its prices are in GBP, and the tariff's currency is EUR" in problems[0].text
    assert "it has no price from" in problems[1].text
    assert tariff.mean(START, START + HOUR) == 0.1


class Heard(MemoryJournal):
    """Says when a line was logged."""

    def __init__(self) -> None:
        super().__init__(MemoryClock())
        self.heard = trio.Event()

    def log(self, message: str, **fields: Any) -> None:
        super().log(message, **fields)
        self.heard.set()


async def test_the_log_tells_what_is_wrong(tmp_path: Path) -> None:
    """In the words of the tariff."""
    journal = Heard()
    written = msgspec.convert({"spot": {"file": str(tmp_path / "gone.csv")}}, dict[str, WrittenTariff])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: keep_tariffs(TariffFiles(Tariffs(), written), clock=MemoryClock(), journal=journal))
        await journal.heard.wait()
        nursery.cancel_scope.cancel()
    assert ["energy is free until then" in str(line) for line in journal.lines] == [True]
