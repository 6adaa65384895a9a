"""Notifications of a whole site: what needs a hand is told once, its end too, and no receiver is in anybody's way."""

from collections.abc import Callable

import trio
from tests.scenarios.stage import QUICK, boxes, loaded, rack, reach, switch, up
from trio.testing import MockClock

from hexa.app.notifier import FAILED, RETRIED, SENT, Notifier, Post
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.notify.letter import Letter
from hexa.domain.notify.written import WrittenReceiver, receivers_of
from hexa.testing.world import World, open_world
from hexa.wiring_notify import follow


class Mailbox:
    """A courier that keeps what it is given, or fails."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.does: Callable[[], None] = lambda: None
        self.hangs = False

    async def deliver(self, letter: Letter) -> str:
        if self.hangs:
            await trio.sleep_forever()
        self.does()
        self.letters.append(letter)
        return "taken"

    @property
    def titles(self) -> list[str]:
        """Of what was taken."""
        return [each.body.removeprefix("hexa: ") for each in self.letters]


async def told(world: World, mailbox: Mailbox, name: str = "me") -> Notifier:
    """A notifier beside the life that runs, as the wiring starts it."""
    notifier, life = made(world, mailbox, name), world.agent.life
    assert life is not None
    follow(notifier, life.core)
    await life.nursery.start(notifier.run)
    return notifier


def made(world: World, mailbox: Mailbox, name: str = "me") -> Notifier:
    """One that hears nothing yet."""
    life = world.agent.life
    assert life is not None
    whole = WrittenReceiver(name=name, url="https://x/", body="{title}", content_type="text/plain")
    [receiver], _ = receivers_of([whole])
    clock, store = world.site.clock, life.core.store
    return Notifier(
        [Post(receiver, mailbox)],
        store=store,
        views=life.core.views,
        clock=clock,
        journal=world.journal,
        born=clock.now(),
    )


async def test_a_machine_that_does_not_wake_is_told_until_it_comes(autojump_clock: MockClock) -> None:
    """That it does not wake, once, and that this is over once it is Ready. Another machine is not told of."""
    mailbox = Mailbox()
    async with open_world(groups=[rack()], machines=boxes(2), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, within=60)
        notifier = await told(world, mailbox)
        world.hardware("box-1").defects.dead = True
        await switch(world, "on", "box-1", "box-2")
        await reach(world, Phase.START_FAILED, within=300)
        await trio.sleep(2)
        assert mailbox.titles == ["box-1 does not wake"]
        world.hardware("box-1").defects.dead = False
        await reach(world, Phase.READY, within=7200)
        await trio.sleep(2)
        assert mailbox.titles == ["box-1 does not wake", "over: box-1 does not wake"]
        assert notifier.counts["me", SENT] == 2


async def test_a_restart_repeats_nothing_and_tells_the_end(autojump_clock: MockClock) -> None:
    """A drain that is blocked is told by one life, and its end by the next."""
    before, after = Mailbox(), Mailbox()
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await loaded(world, budget={"minAvailable": 1, "name": "keep"}, owner=None)
        await told(world, before)
        await switch(world, "off")
        await world.until(lambda: bool(before.letters), within=7200)
        await trio.sleep(5)
        assert before.titles == ["box-1 cannot be drained"]
        await world.restart_agent()
        await told(world, after)
        await trio.sleep(60)
        assert after.titles == []
        await switch(world, "on")
        await world.until(lambda: bool(after.letters), within=7200)
        assert after.titles == ["over: box-1 cannot be drained"]


async def test_a_receiver_that_hangs_or_fails_costs_nothing_else(autojump_clock: MockClock) -> None:
    """It is tried five times, said once in the log, and counted; the other receiver hears at once, and hexa goes on."""
    hangs, fails, works = Mailbox(), Mailbox(), Mailbox()
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, within=60)

        def raises() -> None:
            raise Unavailable("status 500", reason="ServerError")

        hangs.hangs, fails.does = True, raises
        notifiers = [
            await told(world, each, name) for each, name in ((hangs, "hangs"), (fails, "fails"), (works, "works"))
        ]
        world.hardware("box-1").press_on()
        await reach(world, Phase.READY)
        await trio.sleep(3)
        assert works.titles == ["somebody else switched box-1 on"]
        await trio.sleep(3600)
        assert [each.counts[name, RETRIED] for each, name in zip(notifiers, ("hangs", "fails"), strict=False)] == [4, 4]
        assert [each.counts[name, FAILED] for each, name in zip(notifiers, ("hangs", "fails"), strict=False)] == [1, 1]
        lines = [line.fields for line in world.journal.lines if line.message == "notification not sent"]
        assert sorted((line["receiver"], line["error"]) for line in lines) == [
            ("fails", "status 500"),
            ("hangs", "no answer within 20 s"),
        ]
        fails.does = lambda: None
        await switch(world, "off")
        await reach(world, Phase.OFF)
        world.hardware("box-1").press_on()
        await reach(world, Phase.READY)
        await trio.sleep(5)
        assert fails.titles == ["somebody else switched box-1 on"]
        assert [
            line.fields["receiver"] for line in world.journal.lines if line.message == "notifications are sent again"
        ] == ["fails"]


async def test_a_refusal_is_not_repeated_and_a_defect_is_contained(autojump_clock: MockClock) -> None:
    """A wrong token is told once and not sent again; a courier that breaks harms its message alone."""
    refuses, breaks = Mailbox(), Mailbox()
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, within=60)

        def denied() -> None:
            raise Refused("status 401", reason="NotTaken")

        refuses.does, breaks.does = denied, lambda: print(1 / 0)
        notifiers = [await told(world, refuses, "refuses"), await told(world, breaks, "breaks")]
        world.hardware("box-1").press_on()
        await reach(world, Phase.READY)
        await trio.sleep(60)
        assert [dict(each.counts) for each in notifiers] == [{("refuses", FAILED): 1}, {("breaks", FAILED): 1}]
        errors = [line.fields["error"] for line in world.journal.lines if line.message == "notification not sent"]
        assert sorted(errors) == ["ZeroDivisionError, which nobody foresaw: report it", "status 401"]


async def test_a_dark_site_is_one_message(autojump_clock: MockClock) -> None:
    """Three machines that fall silent at once are one cause, told once, and so is its end; they are not told one by one."""
    mailbox = Mailbox()
    async with open_world(groups=[rack()], machines=boxes(3), autoscaler=None, site=QUICK) as world:
        await up(world, "box-1", "box-2", "box-3")
        await told(world, mailbox)
        for number in (1, 2, 3):
            world.hardware(f"box-{number}").partition(True)
        await world.until(lambda: bool(mailbox.letters), within=600)
        await trio.sleep(90)
        assert mailbox.titles == ["the whole site is in doubt"]
        for number in (1, 2, 3):
            world.hardware(f"box-{number}").partition(False)
        await world.until(lambda: len(mailbox.letters) > 1, within=3600)
        await trio.sleep(120)
        assert mailbox.titles == ["the whole site is in doubt", "over: the whole site is in doubt"]


async def test_a_defect_of_notifications_ends_nothing(autojump_clock: MockClock) -> None:
    """Where telling itself breaks, at the start or later, that is logged, machines are switched as ever, and it goes on later."""
    mailbox = Mailbox()
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await reach(world, Phase.OFF, within=60)
        life = world.agent.life
        assert life is not None
        notifier = made(world, mailbox)
        works, broken = notifier._ledger.due, lambda now: [1 / 0]
        notifier._ledger.due = broken  # type: ignore[method-assign,assignment]
        follow(notifier, life.core)
        await life.nursery.start(notifier.run)
        world.hardware("box-1").press_on()
        await reach(world, Phase.READY)
        await trio.sleep(90)
        assert {line.message for line in world.journal.lines if "error" in line.fields} == {"notifications broke off"}
        notifier._ledger.due = works  # type: ignore[method-assign]
        await switch(world, "off")
        await reach(world, Phase.OFF)
        await trio.sleep(120)
        assert mailbox.titles == ["somebody else switched box-1 on"]
