"""Whether a certificate was signed by an authority, as a handshake would find."""

from datetime import UTC, datetime, timedelta

import pytest

from hexa.adapters.x509.adapter import X509Issuer
from hexa.domain.errors import Refused
from hexa.ports.certificates import Owner, Usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = {"starts": NOW, "ends": NOW + timedelta(days=1)}
ISSUER = X509Issuer()


def test_an_authority_vouches_for_what_it_signed() -> None:
    """A certificate is vouched for by its own authority, among others in one file, and by no other of the same name."""
    ours, twin = (ISSUER.authority("ca", **SPAN) for _ in range(2))
    mine = ISSUER.issue(ours, Owner(name="hexa"), Usage.SERVER, **SPAN).certificate
    assert ISSUER.vouched(mine, twin.certificate + ours.certificate)
    assert not ISSUER.vouched(mine, twin.certificate)


def test_a_chain_is_followed_to_its_end() -> None:
    """Certificates that stand below one are followed; where they end at another authority, nobody vouches."""
    root, middle = ISSUER.authority("root", **SPAN), ISSUER.authority("middle", **SPAN)
    leaf = ISSUER.issue(middle, Owner(name="hexa"), Usage.SERVER, **SPAN).certificate
    assert ISSUER.vouched(leaf + middle.certificate, middle.certificate)
    assert not ISSUER.vouched(leaf + middle.certificate, root.certificate)


def test_what_is_no_certificate_is_refused() -> None:
    """A text that is none is said to be none."""
    with pytest.raises(Refused, match="no certificate"):
        ISSUER.vouched("hello", "hello")
