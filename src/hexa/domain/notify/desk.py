"""What one receiver is sent, and when: quiet hours, floods and summaries. Sending is somebody else's."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from hexa.domain.notify.events import Level, Telling
from hexa.domain.notify.letter import Letter, single, summary
from hexa.domain.notify.receiver import Receiver

BURST: Final = 10
"""Messages of one kind (critical or not) `WITHIN`; what comes beyond is gathered in a summary."""
WITHIN: Final = timedelta(minutes=10)
KEPT: Final = 500
"""Tellings that wait; what comes beyond is counted and left out."""


class Desk:
    """The tellings that wait for one receiver."""

    def __init__(self, receiver: Receiver, *, born: datetime) -> None:
        self.receiver: Final = receiver
        self.left_out = 0
        """Tellings that were not kept since the last summary."""
        self.lost = 0
        """Messages that could not be sent since the last that was."""
        self._born = born
        self._count = 0
        self._waiting: Final = deque[Telling]()
        self._gathers = ""
        """Why what waits is told as a summary; empty: it is told one by one."""
        self._sent: Final = {True: deque[datetime](maxlen=BURST), False: deque[datetime](maxlen=BURST)}
        """When messages were sent last, of those that were critical and of the others."""

    def __repr__(self) -> str:
        return f"<Desk of {self.receiver.name}, {len(self._waiting)} wait>"

    def take(self, tellings: Iterable[Telling], *, now: datetime) -> None:
        """Keep those that the receiver wants to hear."""
        wanted = [each for each in tellings if self.receiver.wants(each.trouble)]
        kept = wanted[: max(0, KEPT - len(self._waiting))]
        self.left_out += len(wanted) - len(kept)
        self._waiting.extend(kept)
        if kept and self.receiver.quiet_until(now) is not None:
            self._gathers = "in quiet hours"

    def take_back(self, tellings: Iterable[Telling], *, now: datetime) -> None:
        """What the life before kept for the end of these quiet hours, and did not live to tell."""
        span = self.receiver.quiet.span(now)
        if span is not None:
            kept = (each for each in tellings if each.at >= span[0] and each.trouble.level is not Level.CRITICAL)
            self.take(kept, now=now)

    @property
    def urgent(self) -> int:
        """How many critical ones wait."""
        return sum(each.trouble.level is Level.CRITICAL for each in self._waiting)

    def next(self, now: datetime) -> Letter | datetime | None:
        """What is to be sent now, when to look again, or None: when something new comes. What is returned counts as sent."""
        if not self._waiting:
            self._gathers = ""
            return None
        urgent = next((each for each in self._waiting if each.trouble.level is Level.CRITICAL), None)
        urgent_from = self._room(True, now) if urgent is not None else None
        if urgent is not None and urgent_from is None:
            self._waiting.remove(urgent)
            return self._single(urgent, now, critical=True)
        if (until := self.receiver.quiet_until(now)) is not None:
            self._gathers = "in quiet hours"
            return min(until, urgent_from or until)
        free = self._room(False, now)
        if free is not None or urgent is not None:
            self._gathers = self._gathers or f"within {WITHIN.seconds // 60} minutes"
        if free is not None:
            return min(free, urgent_from or free)
        if self._gathers and len(self._waiting) + self.left_out > 1:
            return self._summary(now)
        self._gathers = ""
        return self._single(self._waiting.popleft(), now, critical=False)

    def number(self) -> str:
        """An id that no other message has."""
        self._count += 1
        return f"{self._born:%Y%m%dT%H%M%S}-{self.receiver.name}-{self._count}"

    def moved(self, by: timedelta) -> None:
        """The clock was set."""
        for sent in self._sent.values():
            moved = [each + by for each in sent]
            sent.clear()
            sent.extend(moved)

    def _single(self, telling: Telling, now: datetime, *, critical: bool) -> Letter:
        """`critical`: it is one of the critical messages that are counted apart; a flood of these is told with the others."""
        self._sent[critical].append(now)
        return single(telling, self.receiver, number=self.number(), lost=self.lost)

    def _summary(self, now: datetime) -> Letter:
        self._sent[False].append(now)
        letter = summary(
            tuple(self._waiting),
            self.receiver,
            number=self.number(),
            now=now,
            why=self._gathers,
            left_out=self.left_out,
            lost=self.lost,
        )
        self._waiting.clear()
        self._gathers, self.left_out = "", 0
        return letter

    def _room(self, critical: bool, now: datetime) -> datetime | None:
        """When the next message may be sent; None: now."""
        sent = self._sent[critical]
        if len(sent) < BURST or now - sent[0] >= WITHIN:
            return None
        return sent[0] + WITHIN
