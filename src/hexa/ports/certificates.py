"""Certificates and their keys, made from nothing: a CA, and what it signs. Everything is PEM text."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Usage(StrEnum):
    """Which end of a connection a certificate is for."""

    SERVER = "server"
    CLIENT = "client"


class Owner(Struct, frozen=True, kw_only=True):
    """Whom a certificate names."""

    name: str
    """CN."""
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


class Pair(Struct, frozen=True):
    """A certificate and its private key."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Pair(...)"  # keys belong into no log


class Described(Struct, frozen=True):
    """What a certificate says."""

    owner: Owner
    starts: datetime
    ends: datetime


class Issuer(Protocol):
    """Makes keys and signs. Raises `Refused` for texts that are no certificate or key, and names that no certificate can hold."""

    def authority(self, name: str, *, starts: datetime, ends: datetime) -> Pair:
        """A new CA."""
        ...

    def issue(self, authority: Pair, owner: Owner, usage: Usage, *, starts: datetime, ends: datetime) -> Pair:
        """A new key and its certificate, signed by the CA."""
        ...

    def describe(self, certificate: str) -> Described:
        """Read a certificate."""
        ...

    def vouched(self, certificate: str, authorities: str) -> bool:
        """Whether one of the authorities signed the certificate, by way of the chain that stands below it if need be."""
        ...
