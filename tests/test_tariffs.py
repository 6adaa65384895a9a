"""The files of tariffs are read, read again when they change, and harm nobody when they are bad."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from hexa.adapters.memory.clock import START, MemoryClock
from hexa.adapters.memory.cluster.api import MemoryApi
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.app.tariffs import Tariffs
from hexa.domain.errors import Refused
from hexa.domain.money.booking import Since, booked
from hexa.domain.money.prices import Series, write_prices
from hexa.domain.money.rates import Rates
from hexa.domain.money.series import Row
from hexa.domain.money.written_tariff import WrittenTariff, tariff_of
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.cluster import CONFIG_MAPS
from hexa.domain.resources.energy import EnergyAccount
from hexa.ports.kube import Patch
from hexa.tariffs import TariffFiles, keep_tariffs, load_tariff, read_tariffs

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


def test_prices_that_begin_later_are_told(tmp_path: Path) -> None:
    """A file of tomorrow alone leaves today without its own prices: that is said, with what keeps them."""
    file = tmp_path / "day-ahead.csv"
    file.write_text(prices(0.1))
    files = TariffFiles(Tariffs(), {"spot": WrittenTariff(file=str(file))})
    (said,) = files.look(START - HOUR)
    assert f"its first price is for {START.isoformat()}; keep those of before it (hexa tariff import --keep)" in said
    assert files.look(START) == []


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


# --- ConfigMaps -------------------------------------------------------------------------------------------------------

SPOT = {"spot": {"configMap": {"name": "prices", "key": "day.csv"}}}


class Site:
    """An API server, a client of it, and the tariffs of a configuration that are kept by them."""

    def __init__(self, written: dict[str, Any]) -> None:
        self.clock = MemoryClock()
        self.kube = MemoryKube(MemoryApi(self.clock))
        self.tariffs = Tariffs()
        self.files = TariffFiles(self.tariffs, msgspec.convert(written, dict[str, WrittenTariff]))
        self.heard = Heard()

    async def settle(self) -> None:
        """Until what was written is known."""
        await trio.sleep(1)
        for text in self.files.look(self.clock.now()):
            self.heard.log("tariff", problem=text)

    def put(self, text: str, *, key: str = "day.csv", name: str = "prices") -> None:
        """Apply the ConfigMap."""
        metadata = {"name": name, "namespace": "hexa-system"}
        self.kube.api.create(CONFIG_MAPS, {"metadata": metadata, "data": {key: text}})

    @property
    def price(self) -> float | None:
        """By the tariff, where it is known."""
        tariff = self.tariffs.known.get("spot")
        return tariff.mean(START, START + HOUR) if tariff is not None else None

    @property
    def said(self) -> str:
        """The last line of the log."""
        return str(self.heard.lines[-1].fields["problem"])


async def test_prices_of_a_config_map_count_as_soon_as_they_are_there(autojump_clock: MockClock) -> None:
    """They are watched by name and listed once; one that is missing, lacks the key or is deleted is told, and the prices that were
    read before count."""
    site = Site(SPOT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(site.files.maps.follow, site.kube)
        await site.settle()
        assert "ConfigMap hexa-system/prices is not there; write it by hexa tariff import" in site.said
        site.put(prices(0.1))
        await site.settle()
        assert site.price == 0.1
        await trio.sleep(3600)
        assert [count for (verb, _), count in site.kube.calls.items() if verb == "list"] == [1]
        key = ("hexa-system", "prices")
        site.kube.api.patch(CONFIG_MAPS, key, Patch({"data": {"day.csv": prices(0.25)}}))
        await site.settle()
        assert site.price == 0.25
        site.kube.api.patch(CONFIG_MAPS, key, Patch({"data": {"day.csv": None, "other.csv": ""}}))
        await site.settle()
        assert (site.price, "has no key day.csv; it has other.csv" in site.said) == (0.25, True)
        site.kube.api.delete(CONFIG_MAPS, key)
        await site.settle()
        assert (site.price, "is not there" in site.said) == (0.25, True)
        nursery.cancel_scope.cancel()


BAD_DATA: dict[str, tuple[dict[str, Any], str]] = {
    "a line": (
        {"data": {"day.csv": prices(0.1) + "x,y,0.1\n"}},
        "tariffs.spot.configMap: ConfigMap hexa-system/prices, day.csv: line 51: start is 'x': write a time",
    ),
    "a key that is no text": (
        {"data": {"day.csv": 5}},
        "ConfigMap hexa-system/prices: its key day.csv holds no text but 5: write the prices below day.csv: |",
    ),
    "bytes": (
        {"binaryData": {"day.csv": "//4="}},
        "ConfigMap hexa-system/prices: its key day.csv is in binaryData, so its file is no UTF-8: save it as UTF-8",
    ),
    "other keys": (
        {"data": {"b": ""}, "binaryData": {"a": "//4="}},
        "ConfigMap hexa-system/prices has no key day.csv; it has a, b; write it by hexa tariff import",
    ),
    "no data": ({"data": [1]}, "ConfigMap hexa-system/prices can't be read: it does not decode: "),
}


@pytest.mark.parametrize("case", BAD_DATA)
async def test_what_is_wrong_in_a_config_map_is_named_with_its_key(case: str, autojump_clock: MockClock) -> None:
    """Object, key, and line or what stands there, with what to do; a key beside it harms nobody."""
    written, told = BAD_DATA[case]
    site = Site({**SPOT, "good": {"configMap": {"name": "prices", "key": "good.csv"}}})
    data = written.get("data", {})
    data = {**data, "good.csv": prices(0.5)} if isinstance(data, dict) and case != "other keys" else data
    metadata = {"name": "prices", "namespace": "hexa-system"}
    async with trio.open_nursery() as nursery:
        site.kube.api.create(CONFIG_MAPS, {"metadata": metadata, **written, "data": data})
        nursery.start_soon(site.files.maps.follow, site.kube)
        await site.settle()
        assert any(told in str(line.fields["problem"]) for line in site.heard.lines)
        good = site.tariffs.known["good"].mean(START, START + HOUR)
        assert (good == 0.5) is (case not in ("other keys", "no data"))
        nursery.cancel_scope.cancel()


async def test_prices_are_known_before_anybody_books_by_them(tmp_path: Path, autojump_clock: MockClock) -> None:
    """An agent that starts has read files and ConfigMaps once; what is missing is logged, and a server that hangs is not waited
    for."""
    file = tmp_path / "day-ahead.csv"
    file.write_text(prices(0.3))
    written = SPOT | {"filed": {"file": str(file)}, "gone": {"file": str(tmp_path / "gone.csv")}}
    site = Site(written)
    site.put(prices(0.1))
    read = msgspec.convert(written, dict[str, WrittenTariff])
    async with read_tariffs(site.tariffs, read, site.kube, clock=site.clock, journal=site.heard):
        assert site.price == 0.1
        assert site.tariffs.known["filed"].mean(START, START + HOUR) == 0.3
        assert "tariffs.gone.file: " in site.said
    site.kube.fail_next(Refused("hexa needs verb list on configmaps (core)", reason="Forbidden"))
    other = Site(SPOT)
    async with read_tariffs(
        other.tariffs, msgspec.convert(SPOT, dict[str, WrittenTariff]), site.kube, clock=site.clock, journal=site.heard
    ):
        assert other.price is None


def test_money_is_not_forgotten_while_a_tariff_is_not_known() -> None:
    """The account keeps its currency, and with it what was counted, until the tariff is there again."""
    policy = Policy(tariff="agile", currency="EUR")
    unknown = Tariffs().paid(policy, start=START, end=START + HOUR)
    account = EnergyAccount(money=5.0, currency="GBP", counted_to=START, energy_to=START, since=START)
    since = Since(now=START + HOUR, side="on")
    found = booked(account, since, rates=Rates(idle_watts=50), prices=unknown).account
    assert (found.money, found.currency, found.kwh) == (5.0, "GBP", 0.05)
    priced = Tariffs().paid(Policy(tariff="agile", currency="EUR", price_per_kwh=1.0), start=START, end=START + HOUR)
    assert booked(account, since, rates=Rates(idle_watts=50), prices=priced).account.currency == "EUR"


async def test_a_config_map_that_may_not_be_read_says_so_and_comes_back(autojump_clock: MockClock) -> None:
    """The missing right is named; the price that stands in the group counts until then, and the tariff soon after it is given."""
    site = Site(SPOT)
    site.put(prices(0.1))
    site.kube.fail_next(Refused("hexa needs verb list on configmaps (core)", reason="Forbidden"))
    async with trio.open_nursery() as nursery:
        assert site.files.look(START) == []
        assert site.tariffs.known == {}  # not asked yet: nothing is free meanwhile
        nursery.start_soon(site.files.maps.follow, site.kube)
        await site.settle()
        assert "hexa needs verb list on configmaps" in site.said
        await trio.sleep(130)
        await site.settle()
        assert site.price == 0.1
        nursery.cancel_scope.cancel()


def test_one_place_of_prices_is_enough() -> None:
    """A tariff that names a file and a ConfigMap, or one of them beside a price, is told what counts."""
    written = msgspec.convert({"file": "f", "configMap": {"name": "n", "key": "k"}, "price": 1.0}, WrittenTariff)
    _, problems = tariff_of("spot", written, ())
    assert [problem.field for problem in problems] == ["tariffs.spot.configMap", "tariffs.spot.file"]
