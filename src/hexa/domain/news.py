"""What hexa tells: each thing that happened is one value. Who is told subscribes (`app.news`), and the core knows none of them."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from hexa.domain.resources.v1alpha1 import Lookup


class Severity(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


class About(StrEnum):
    """The kind of the object that something happened to."""

    NODE = "Node"
    GROUP = "Group"


class Change(Struct, frozen=True):
    """From one phase to another."""

    was: str
    phase: str
    noticed: str
    """The event of the lifecycle table."""


class News(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. It is told after what it tells of was stored or done."""

    of: Lookup
    """The object that it happened to."""
    about: About = About.NODE
    uid: str = ""
    """Of that object; empty: not known."""
    what: str
    """What happened: the reason of the Kubernetes Event, in CamelCase."""
    why: str
    """In one sentence, for people."""
    severity: Severity = Severity.NORMAL
    by: str = ""
    """Who asked for it, where somebody did: the asker of the wish."""
    change: Change | None = None
    """The step in the machine's life that it is about."""
    put_off: bool = False
    """Work on the object failed, and is tried again later."""
    quiet: bool = False
    """For logs only: nothing that anybody could mend."""
    cause: str = ""
    """The call or the decision that began it, for those who follow one through the logs; empty: hexa's own look at the object."""


NOTHING: Final[tuple[News, ...]] = ()
