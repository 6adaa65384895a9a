"""What a receiver that fails costs the messages behind it."""

import trio
from trio.testing import MockClock

from hexa.adapters.memory.clock import MemoryClock
from hexa.adapters.memory.ports.journal import MemoryJournal
from hexa.app.notifier import Notifier, Post
from hexa.app.store import Store
from hexa.app.views.views import Views
from hexa.domain.errors import Unavailable
from hexa.domain.notify.letter import Letter
from hexa.domain.notify.written import WrittenReceiver, receivers_of
from hexa.domain.resources.core import Malformed, decode
from hexa.domain.resources.v1alpha1 import GROUPS, Lookup


class Line:
    """A courier over a line that is down until it is not."""

    def __init__(self) -> None:
        self.down = True
        self.taken: list[tuple[float, str]] = []

    async def deliver(self, letter: Letter) -> str:
        if self.down:
            raise Unavailable("no connection to it")
        self.taken.append((trio.current_time(), letter.body))
        return "taken"


async def test_what_is_critical_does_not_wait_for_the_next_try(autojump_clock: MockClock) -> None:
    """A line was down for minutes and works again: that the battery is low is told at once, with what waited before it, and not
    when that is tried again, ten minutes later. While the line is down, something critical costs one more try and loses nothing."""
    clock, line = MemoryClock(), Line()
    store = Store(clock=clock)
    written = WrittenReceiver(name="me", url="https://x/", body="{what}", content_type="text/plain")
    (receiver,), _ = receivers_of([written])
    notifier = Notifier(
        [Post(receiver, line)],
        store=store,
        views=Views(store),
        clock=clock,
        journal=MemoryJournal(clock),
        born=clock.now(),
    )

    def says(*types: str) -> None:
        conditions = [{"type": each, "status": "True", "reason": "OrderedOff"} for each in types]
        metadata = {"name": "g", "namespace": "n", "resourceVersion": str(len(types))}
        group = decode(GROUPS, {"metadata": metadata, "status": {"conditions": conditions}})
        assert not isinstance(group, Malformed)
        store.groups.put(group)
        notifier.group_changed(Lookup("n", "g"), None, group)

    async with trio.open_nursery() as nursery:
        await nursery.start(notifier.run)
        says("RemediationStopped")
        await trio.sleep(170)  # it is tried again at 155 s, and then at 755 s
        says("RemediationStopped", "SafeHands")
        await trio.sleep(10)
        line.down = False
        await trio.sleep(10)
        assert not line.taken
        begun = trio.current_time()
        says("RemediationStopped", "SafeHands", "OnBattery")
        await trio.sleep(100)
        assert [what for _, what in line.taken] == ["RemediationStopped", "SafeHands", "BatteryLow"]
        assert all(at - begun < 5 for at, _ in line.taken)
        nursery.cancel_scope.cancel()
