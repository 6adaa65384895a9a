"""A certificate for the loopback, and the CA that signed it."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from hexa.ports.certificates import Owner, Usage
from hexa.wiring import open_issuer


def certificates(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's context, and the file of the CA that a client needs for it."""
    issuer, starts, ends = open_issuer(), datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
    authority = issuer.authority("lan", starts=starts, ends=ends)
    owner = Owner(name="mail", ips=("127.0.0.1",))
    pair = issuer.issue(authority, owner, Usage.SERVER, starts=starts, ends=ends)
    (folder / "ca.crt").write_text(authority.certificate)
    (folder / "server.pem").write_text(pair.key + pair.certificate)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(folder / "server.pem")
    return trust, str(folder / "ca.crt")
