"""What the adapter needs to know of an API server: where it is and who we are to it. It reads nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct


class Pem(Struct, frozen=True):
    """Certificates or a key in PEM, and where they came from, for messages."""

    data: bytes
    origin: str

    def __repr__(self) -> str:
        return f"Pem(origin={self.origin!r})"


class KeyPair(Struct, frozen=True):
    """A client certificate with its key."""

    certificate: Pem
    key: Pem


class Token(Struct, frozen=True):
    """A bearer token that stays."""

    value: str

    def __repr__(self) -> str:
        return "Token(...)"


class TokenFile(Struct, frozen=True):
    """A bearer token in a file that somebody else renews."""

    path: Path


class Basic(Struct, frozen=True):
    """User and password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Basic(username={self.username!r})"


class Exec(Struct, frozen=True):
    """A command that prints an ExecCredential."""

    api_version: str
    command: str
    origin: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    install_hint: str = ""
    cluster: Mapping[str, Any] | None = None
    """What the command is told of the cluster, where it asks for that."""


Credentials = Token | TokenFile | Basic | Exec


class Cluster(Struct, frozen=True):
    """One API server and one identity."""

    server: str
    origin: str
    """Where this was read, for messages."""
    namespace: str = "default"
    authority: Pem | None = None
    """Who signs the server's certificate; None: the system's authorities."""
    insecure: bool = False
    server_name: str = ""
    """Name in the server's certificate, where it is not the host of `server`."""
    proxy: str = ""
    certificate: KeyPair | None = None
    credentials: Credentials | None = None
    impersonate: Mapping[str, str] = {}
    """Headers that ask the server to act as somebody else."""


class Tuning(Struct, frozen=True):
    """Times in seconds. The defaults suit a cluster; tests shorten them."""

    connect: float = 10.0
    """Until a connection stands."""
    answer: float = 65.0
    """Between two pieces of an answer; the API server itself gives up after 60."""
    watch: float = 60.0
    """The server is asked to end a watch after 1 to 1.5 times this, so that a quiet one still shows signs of life."""
    silence: float = 10.0
    """A watch that stays quiet for longer than it was asked to last, by this much, is dead."""
    reread: float = 60.0
    """A token file is read again after this, and whenever the server refuses the token."""


DEFAULT_TUNING: Final = Tuning()
