"""Runs the screen: what is seen, pressed and resized makes a new frame. What a frame shows is in `view`, what keys do in `keys`."""

import os
import signal
import sys
from typing import Final

import trio

from hexa.app.commands.shared.snapshot import NotThere
from hexa.app.commands.shared.watching import LiveSnapshot
from hexa.app.questions.overview import Looks, overview
from hexa.cli.screen.keys import decoded, press
from hexa.cli.screen.state import Page, UiState
from hexa.cli.screen.terminal import Painter, open_terminal, size, write
from hexa.cli.screen.view import Frame, lines
from hexa.cli.shared.cluster import Site
from hexa.cli.shared.output import colourful
from hexa.domain.errors import HexaError
from hexa.domain.words.overview import Overview

TICK: Final = 1.0
"""Seconds after which ages are counted on."""
ANEW: Final = 1.0
"""Seconds that one overview stands at least, whatever changes."""
COUNTED: Final = 15.0
"""Seconds after which energy and money are counted on, though nothing changed."""


async def show(site: Site, live: LiveSnapshot) -> None:
    """Show the site until a person quits."""
    with open_terminal():
        screen = Screen(site, live)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(screen.look)
            nursery.start_soon(screen.listen)
            nursery.start_soon(screen.follow_size)
            nursery.start_soon(screen.explain)
            await screen.draw()
            nursery.cancel_scope.cancel()


class Screen:
    """What is shown now."""

    def __init__(self, site: Site, live: LiveSnapshot) -> None:
        self._site, self._live = site, live
        self._painter = Painter(colours=colourful())
        self._state = UiState()
        self._looks = Looks()
        self._notes: tuple[str, ...] = ()
        self._overview: Overview = self._seen()
        self._answers: tuple[str, tuple[str, ...]] = ("", ())
        self._asked = trio.Event()
        self._stirred = trio.Event()

    def _seen(self) -> Overview:
        snapshot = self._live.snapshot()
        self._notes = snapshot.notes
        return overview(snapshot, looks=self._looks)

    async def draw(self) -> None:
        """A frame for whatever stirs, and one each `TICK`."""
        while not self._state.done:
            self._stirred = trio.Event()
            width, height = size()
            whose, answer = self._answers
            frame = Frame(
                now=self._site.clock.now(),
                width=width,
                height=height,
                trouble=self._live.trouble,
                notes=self._notes,
                answer=answer if whose == self._state.selected else (),
            )
            write(self._painter.frame(lines(self._overview, self._state, frame), width=width, height=height))
            with trio.move_on_after(TICK):
                await self._stirred.wait()

    async def look(self) -> None:
        """Follow what the snapshot says."""
        while True:
            with trio.move_on_after(COUNTED):
                await self._live.changed()
            self._overview = self._seen()
            self._stirred.set()
            await trio.sleep(ANEW)

    async def listen(self) -> None:
        """Follow what is pressed."""
        descriptor = sys.stdin.fileno()
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            data = os.read(descriptor, 1024)
            for key in decoded(data):
                self._press(key)
            if not data:  # the terminal is gone
                self._state = self._state.but(done=True)
            self._stirred.set()

    def _press(self, key: str) -> None:
        before, self._state = self._state.page, press(self._state, key, self._overview)
        if self._state.page is Page.WHY and before is not Page.WHY:
            self._asked.set()

    async def follow_size(self) -> None:
        """Follow what the terminal's window does."""
        with trio.open_signal_receiver(signal.SIGWINCH) as signals:
            async for _ in signals:
                self._stirred.set()

    async def explain(self) -> None:
        """Answer why the selected machine is as it is, anew for each time that somebody asks."""
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            selected = self._state.selected
            if self._answers[0] == selected:
                self._answers = ("", ())
            self._answers = (selected, await self._told(selected))
            self._stirred.set()

    async def _told(self, name: str) -> tuple[str, ...]:
        from hexa.app.commands.why import explain_machine
        from hexa.cli.why import why_lines

        snapshot = self._live.snapshot()
        try:
            (key,) = snapshot.pick(name, namespace=None, groups=False).machines
            answer = await explain_machine(self._site.kube, snapshot, key)
        except (NotThere, HexaError) as error:
            return (str(error),)
        return tuple(why_lines(answer, snapshot.now))
