"""A server's certificate, proved by a handshake with itself in memory. It reads no file but the certificate."""

import ssl
from contextlib import suppress
from pathlib import Path


def proved_until(context: ssl.SSLContext, certificate: Path) -> float:
    """When the certificate ends, in seconds since 1970. A client that trusts just this certificate shakes hands with the server: it
    must be valid now, fit for a server, and belong to the key. Raises ssl.SSLError, or OSError where it cannot be read."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = trusting.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    for side in (client, server, client):  # with TLS 1.3 the client is content then; it has no certificate to go on
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    shown = client.getpeercert() or {}
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))
