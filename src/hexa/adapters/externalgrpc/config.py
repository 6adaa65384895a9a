"""Settings of the gRPC server. It opens nothing."""

from pathlib import Path

from msgspec import Struct


class Tls(Struct, frozen=True, kw_only=True):
    """Mutual TLS: what the server shows, and whom it lets in."""

    certificate: Path
    """The server's certificate and the chain above it, PEM."""
    key: Path
    client_ca: Path
    """Certificates that a client must be signed by, PEM."""
    clients: tuple[str, ...] = ()
    """SPIFFE URIs, DNS names or CNs that may call. Empty: all that `client_ca` signed."""
