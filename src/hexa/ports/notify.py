"""Sends notifications."""

from typing import Protocol

from hexa.domain.notify.letter import Letter


class Courier(Protocol):
    """Brings letters to one receiver."""

    async def deliver(self, letter: Letter) -> str:
        """Send it once; what came back, in a few words. A second time with the same id is the same letter.

        Raises `Unavailable` where it may work later, `Refused` where a person must change something. No text of it has a secret."""
        ...
