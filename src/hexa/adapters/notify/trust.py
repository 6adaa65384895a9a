"""Which certificates a receiver's server may show."""

import ssl
from pathlib import Path

import trio

from hexa.domain.errors import Refused


async def trust_of(ca_file: str) -> ssl.SSLContext:
    """The system's certificates, or those of the file. Raises `Refused`."""
    try:
        return await trio.to_thread.run_sync(_trust, ca_file)
    except ssl.SSLError:
        raise Refused(f"caFile ({ca_file}) holds no certificate in PEM", reason="BadFile") from None
    except OSError as error:
        raise Refused(f"caFile ({ca_file}) cannot be read: {error.strerror}", reason="BadFile") from None


def _trust(ca_file: str) -> ssl.SSLContext:
    if not ca_file:
        return ssl.create_default_context()
    trust = ssl.create_default_context(cadata=Path(ca_file).read_text(encoding="utf-8", errors="replace"))
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT  # certificates of private CAs seldom keep all rules
    return trust
