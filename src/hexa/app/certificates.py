"""When the certificates end that hexa serves with. Who loads one tells it here; metrics, page and notifications ask."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

Told = Callable[[str, datetime], None]


class Certificates:
    """By what they are for."""

    def __init__(self) -> None:
        self.ends: Final[dict[str, float]] = {}
        """In seconds since 1970."""
        self._told: Final[list[Told]] = []

    def __repr__(self) -> str:
        return f"<Certificates {', '.join(self.ends) or 'none'}>"

    def loaded(self, name: str) -> Callable[[float], None]:
        """To be called with the end of this one, in seconds since 1970, whenever it is loaded."""
        return partial(self._loaded, name)

    def _loaded(self, name: str, ends: float) -> None:
        self.ends[name] = ends
        for told in self._told:
            told(name, datetime.fromtimestamp(ends, UTC))

    def subscribe(self, told: Told) -> None:
        """Call `told(name, ends)` for each that is known, and for each that is loaded from now on."""
        self._told.append(told)
        for name, ends in self.ends.items():
            told(name, datetime.fromtimestamp(ends, UTC))
