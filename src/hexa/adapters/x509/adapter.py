"""ports.certificates on `cryptography`: keys on the curve P-256, which each TLS of today speaks, signed with SHA-256.

It touches no file and no clock. Foreign errors become Refused here.
"""

from datetime import datetime
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hexa.domain.errors import Refused
from hexa.ports.certificates import Described, Owner, Pair, Usage

_PURPOSES: Final = {Usage.SERVER: ExtendedKeyUsageOID.SERVER_AUTH, Usage.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH}


class X509Issuer:
    """`ports.certificates.Issuer`."""

    def authority(self, name: str, *, starts: datetime, ends: datetime) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        certificate = (
            _builder(key, subject, subject, starts=starts, ends=ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return _pair(certificate, key)

    def issue(self, authority: Pair, owner: Owner, usage: Usage, *, starts: datetime, ends: datetime) -> Pair:
        above, above_key = _certificate(authority.certificate), _key(authority)
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.SubjectKeyIdentifier.from_public_key(above_key.public_key())
        certificate = (
            _builder(key, _subject(owner.name), above.subject, starts=starts, ends=ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_PURPOSES[usage]]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .add_extension(x509.SubjectAlternativeName(_names(owner)), critical=False)
            .sign(above_key, hashes.SHA256())
        )
        return _pair(certificate, key)

    def describe(self, certificate: str) -> Described:
        read = _certificate(certificate)
        try:
            names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = x509.SubjectAlternativeName([])
        common = read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        owner = Owner(
            name=str(common[0].value) if common else "",
            dns=tuple(names.get_values_for_type(x509.DNSName)),
            ips=tuple(map(str, names.get_values_for_type(x509.IPAddress))),
            uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        )
        return Described(owner, read.not_valid_before_utc, read.not_valid_after_utc)

    def vouched(self, certificate: str, authorities: str) -> bool:
        leaf, *chain = _certificates(certificate)
        above = _certificates(authorities)
        while not any(_signed(leaf, each) for each in above):
            following = next((each for each in chain if _signed(leaf, each)), None)
            if following is None:
                return False
            leaf, chain = following, [each for each in chain if each is not following]
        return True


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, *, starts: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError as error:
        raise Refused(f"{name!r} cannot be the name in a certificate: {error}", reason="BadName") from error


def _names(owner: Owner) -> list[x509.GeneralName]:
    try:
        return [
            *map(x509.DNSName, owner.dns),
            *(x509.IPAddress(ip_address(ip)) for ip in owner.ips),
            *map(x509.UniformResourceIdentifier, owner.uris),
        ]
    except ValueError as error:
        raise Refused(f"a name that no certificate can hold: {error}", reason="BadName") from error


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate.public_bytes(pem).decode(), private.decode())


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise Refused("holds no certificate in PEM", reason="BadCertificate") from error


def _certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise Refused("holds no certificate in PEM", reason="BadCertificate") from error


def _key(pair: Pair) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pair.key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Refused("holds no private key in PEM that hexa could read", reason="BadKey") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused("holds a key of another kind than hexa makes (elliptic curve)", reason="BadKey")
    if key.public_key() != _certificate(pair.certificate).public_key():
        raise Refused("the key does not belong to the certificate", reason="BadKey")
    return key
