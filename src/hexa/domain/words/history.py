"""What machines were in the last hours, as page, API and `hexa top` draw it. How it is found out, `app.questions.history` knows."""

from datetime import datetime

from msgspec import Struct


class Stretch(Struct, frozen=True, kw_only=True, rename="camel"):
    """A machine was in a phase from `start` to `end`."""

    namespace: str
    name: str
    start: datetime
    end: datetime | None = None
    """Null: it still is."""
    phase: str
