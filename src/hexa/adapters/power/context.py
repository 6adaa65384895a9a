"""What every driver is told besides its settings, and how it words an error: machine, driver, address, what is wrong; remedy.

Credentials are read here, from files, at each use: a Secret that is rotated is picked up live. They are never kept.
"""

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, quote_plus
from weakref import WeakValueDictionary

import trio
from msgspec import Struct, field, structs

from hexa.domain.errors import Refused, Unavailable
from hexa.domain.power.claims import bare_host, plain_host
from hexa.ports.clock import Clock

_USUAL: Final = (22, 80, 161, 443, 623)
"""Ports that need not be written: an address with one of them is the address without."""

_NAME: Final = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9_]*[A-Za-z0-9])?")


class Secrets(Protocol):
    """Where credentials come from."""

    def read(self, secret: str, key: str) -> bytes | None:
        """The value of a key of a Secret as it is now; None if there is none. Raises `OSError` where it can't be read."""
        ...

    def place(self, secret: str, key: str) -> str:
        """Where a person puts that value."""
        ...


class MountedSecrets:
    """Secrets as folders of files, one a key, the way Kubernetes mounts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<MountedSecrets {self._folder}>"

    def read(self, secret: str, key: str) -> bytes | None:
        if not _NAME.fullmatch(secret):
            return None
        try:
            return (self._folder / secret / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def place(self, secret: str, key: str) -> str:
        return str(self._folder / secret / key)


class Turns:
    """One at a time for each address: controllers have few sessions and less patience."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, address: str) -> AsyncIterator[None]:
        """Wait for the turn, and have it during the block. The same address written otherwise is the same."""
        lock = self._locks.setdefault(plain_host(address, None, usual=_USUAL), trio.Lock())
        async with lock:
            yield


class Spoken:
    """What must not be told again: the secrets that were read for one question, in the ways in which they travel."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def __repr__(self) -> str:
        return f"<Spoken {len(self._secrets)}>"

    def add(self, *secrets: str) -> None:
        """Secrets that the other side may have heard."""
        for text in filter(None, secrets):
            self._secrets |= {text, b64encode(text.encode()).decode(), quote(text, safe=""), quote_plus(text)}

    def without(self, text: str) -> str:
        """The text, each secret in it left out."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


MOST_METERS: Final = 4096
"""Outlets whose last figure is remembered."""


class Memory:
    """What was learned of other sides and counts for the next question too: it holds no secret, and may be lost."""

    def __init__(self) -> None:
        self.by_session: set[str] = set()
        """Addresses that take a login by session only."""
        self.drawn: dict[str, tuple[float, float]] = {}
        """Watts that an outlet last gave a running machine, and when, by Trio's clock."""

    def __repr__(self) -> str:
        return f"<Memory {len(self.by_session)} {len(self.drawn)}>"

    def drew(self, outlet: str, watts: float, *, now: float) -> None:
        """Remember what a running machine drew; the oldest is forgotten where there are too many."""
        self.drawn.pop(outlet, None)
        self.drawn[outlet] = (watts, now)
        if len(self.drawn) > MOST_METERS:
            del self.drawn[next(iter(self.drawn))]


class Context(Struct, frozen=True, kw_only=True):
    """About whose power it goes, by which driver, and where its credentials are."""

    machine: str = ""
    """Its name, for people; empty: they know."""
    driver: str = ""
    address: str = ""
    secrets: Secrets = MountedSecrets(Path("/etc/hexa/power"))
    turns: Turns = field(default_factory=Turns)
    """Shared by all that may ask the same controllers."""
    memory: Memory = field(default_factory=Memory)
    """Shared likewise."""
    spoken: Spoken = field(default_factory=Spoken)
    clock: Clock | None = None
    """What the age of a reading is told by where the other side does not tell its time."""
    patience: float = 10.0
    """Seconds that the other side may take to answer one question, waiting for a turn not counted."""

    def at(self, driver: str, address: str = "") -> "Context":
        """The same for one driver and the other side's address."""
        return structs.replace(self, driver=driver, address=address)

    def refused(self, what: str, remedy: str, *, reason: str) -> Refused:
        """A person must act."""
        return Refused(self._sentence(what, remedy), reason=reason)

    def unavailable(self, what: str, remedy: str, *, reason: str) -> Unavailable:
        """It may go by itself."""
        return Unavailable(self._sentence(what, remedy), reason=reason)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """The other side must answer during the block. Raises `Unavailable` where it does not in time."""
        with trio.move_on_after(self.patience) as scope:
            yield
        if scope.cancelled_caught:
            raise self.silent()

    def silent(self) -> Unavailable:
        """Nothing came back."""
        what = f"no answer within {self.patience:g} s"
        return self.unavailable(what, "check its address, its network and its power", reason="NoAnswer")

    async def resolved(self, address: str, *, family: int = 0) -> list[str]:
        """The address in numbers, best first. Raises `Unavailable` where it can't be resolved."""
        try:
            found = await trio.socket.getaddrinfo(bare_host(address), None, family, trio.socket.SOCK_DGRAM)
        except OSError as error:
            what = f"{address} cannot be resolved ({error.strerror})"
            raise self.unavailable(what, "correct its address, or write it in numbers", reason="UnknownHost") from error
        except UnicodeError as error:
            what, remedy = f"{address} is no name of a host", "correct its address, or write it in numbers"
            raise self.refused(what, remedy, reason="BadAddress") from error
        return [_numbers(*where) for *_, where in found]

    def secret(self, name: str, key: str) -> str | None:
        """The text of a key without surrounding blanks; None if there is none. Raises `Refused` where it can't be read."""
        try:
            value = self.secrets.read(name, key)
            text = None if value is None else value.decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            what = f"{self.secrets.place(name, key)} cannot be read ({said})"
            raise self.refused(what, "correct the Secret and how it is mounted", reason="BadSecret") from None
        self.spoken.add(text or "")
        return text

    def quoted(self, text: str) -> str:
        """Words of the other side, fit for people: devices, and scripts, repeat what they were told."""
        return self.spoken.without(text)

    def needed(self, name: str, key: str) -> str:
        """The text of a key. Raises `Refused` if it is missing or empty."""
        value = self.secret(name, key) if name else None
        if value:
            return value
        if not name:
            raise self.refused("no secretName is set", f"name a Secret with the key {key}", reason="NoCredentials")
        what, remedy = f"the key {key} of Secret {name} is missing", f"put it at {self.secrets.place(name, key)}"
        raise self.refused(what, remedy, reason="NoCredentials")

    def _sentence(self, what: str, remedy: str) -> str:
        driver = f"{self.driver} at {self.address}" if self.address else self.driver
        return f"{': '.join(filter(None, (self.machine, driver, what)))}; {remedy}"


def _numbers(host: str, _port: int, _flow: int = 0, scope: int = 0) -> str:
    """The address of a socket; a link-local one means nothing without its interface."""
    return f"{host}%{scope}" if scope else host
