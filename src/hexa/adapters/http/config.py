"""Settings of the HTTP port. It opens nothing."""

from pathlib import Path

from msgspec import Struct


class Files(Struct, frozen=True, kw_only=True):
    """What the port shows that it is: read again when they change."""

    certificate: Path
    """The certificate and the chain above it, PEM."""
    key: Path
