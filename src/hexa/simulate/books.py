"""The energy account of each simulated machine, by what it really drew: booked by the same function as in the agent, as if its plug
had a meter, at each change of its phase and once an hour. Without tariffs in the scenario none is kept."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct, field, structs

from hexa.adapters.memory.cluster.store import Event
from hexa.adapters.memory.site.machine import MemoryMachine
from hexa.app.tariffs import Tariffs
from hexa.domain.decide.accounts import side_of
from hexa.domain.machine.lifecycle import phase_of
from hexa.domain.money.booking import EVERY, Side, Since, booked
from hexa.domain.money.rates import Rates, rates_of
from hexa.domain.money.reporting import Line, lines
from hexa.domain.money.tariff import Tariff
from hexa.domain.money.written_tariff import WrittenTariff, tariff_of
from hexa.domain.policy.policy import policy_of
from hexa.domain.resources.energy import Counter, EnergyAccount
from hexa.domain.resources.v1alpha1 import MACHINES
from hexa.domain.words.tariff import day_of
from hexa.testing.world import World

SOURCE: Final = "simulator"


class Receipt(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a run cost by its tariffs."""

    groups: tuple[Line, ...] = ()
    """Of each group."""
    days: dict[str, str] = field(default_factory=dict)
    """Of each tariff the day on which the run ends, drawn with characters."""

    @property
    def money(self) -> float:
        return sum(line.sums.money for line in self.groups)

    @property
    def saved(self) -> float:
        return sum(line.sums.saved for line in self.groups)

    @property
    def currency(self) -> str:
        paid = (line for line in self.groups if line.sums.money or line.sums.saved)
        return next((line.currency for line in (*paid, *self.groups)), "")


class Book(Struct):
    """Of one machine."""

    group: str
    side: Side
    boots: int
    account: EnergyAccount = EnergyAccount()


class Books:
    """Those of the machines, from now on."""

    def __init__(self, world: World, machines: Mapping[str, str], written: Mapping[str, WrittenTariff]) -> None:
        """`machines`: names, with their group."""
        self._world = world
        self.known: Final[dict[str, Tariff]] = {name: tariff_of(name, each)[0] for name, each in written.items()}
        self._tariffs = Tariffs(self.known)
        self._books: Final[dict[str, Book]] = {}
        if not written:
            return
        for name, group in machines.items():
            side = side_of(phase_of(world.node(name).status))
            self._books[name] = Book(group, side, world.hardware(name).boots)
            self._count(name)
        world.site.api.listen(MACHINES, self._changed)

    def __repr__(self) -> str:
        return f"<Books of {len(self._books)} machines>"

    async def run(self) -> None:
        """Bring them up to date once an hour."""
        while self._books:
            await self._world.site.clock.sleep_until(self._world.now + EVERY)
            self._count(*self._books)

    def receipt(self) -> Receipt:
        """Up to now."""
        self._count(*self._books)
        accounts = ((book.group, book.account) for book in self._books.values())
        today = self._world.now
        days = {name: day_of(each, today.astimezone(each.zone).date(), each.zone) for name, each in self.known.items()}
        return Receipt(groups=tuple(lines(accounts, day="")), days=days)

    def _changed(self, event: Event) -> None:
        name = event.stored.key[1]
        if (book := self._books.get(name)) is None:
            return
        side = side_of(phase_of(self._world.node(name).status))
        if side != book.side:
            self._count(name)
            book.side = side

    def _count(self, *names: str) -> None:
        now = self._world.now
        for name in names:
            book, hardware = self._books[name], self._world.hardware(name)
            policy = policy_of(self._world.group(book.group))[0]
            counter = Counter(kwh=hardware.meter.kwh, at=now, source=SOURCE)
            since = Since(now=now, side=book.side, boots=hardware.boots - book.boots, counter=counter)
            rates = drawn(rates_of(self._world.node(name), price_per_kwh=policy.price_per_kwh), hardware)
            prices = self._tariffs.paid(policy, start=book.account.counted_to or now, end=now)
            book.account = booked(book.account, since, rates=rates, prices=prices).account
            book.boots = hardware.boots


def drawn(rates: Rates, hardware: MemoryMachine) -> Rates:
    """With what the machine really draws, whatever its Node declares."""
    spec = hardware.spec
    return structs.replace(
        rates, idle_watts=spec.idle_watts, off_watts=spec.off_watts, boot_watt_hours=spec.boot_watt_hours
    )


def receipt_rows(receipt: Receipt) -> Iterable[tuple[str, str]]:
    """For the table of a report: what each group cost."""
    for line in receipt.groups:
        sums = line.sums
        hours = f"{sums.on_seconds / 3600:,.0f} h on, {sums.off_seconds / 3600:,.0f} h off, {sums.boots:,} boots"
        saved = f"saved {sums.saved_kwh:,.1f} kWh and {sums.saved:,.2f} {line.currency}"
        yield f"  receipt of {line.name}", f"{hours}; {sums.kwh:,.1f} kWh, {sums.money:,.2f} {line.currency}; {saved}"
