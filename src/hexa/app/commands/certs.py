"""hexa certs: a CA, and what it signs for hexa's gRPC service and for Cluster Autoscaler; as files or as Secrets.

It opens no file and prints nothing. Keys leave it in `File`s and in Secrets only.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from hexa.domain.errors import Refused
from hexa.ports.certificates import Issuer, Owner, Pair, Usage

CA_NAME: Final = "hexa"
CA_DAYS: Final = 3650
CLIENT: Final = Owner(name="cluster-autoscaler", dns=("cluster-autoscaler",))
"""What `grpc.tls.clients` may name."""
SERVER_SECRET: Final = "hexa-grpc-server"  # a name
CLIENT_SECRET: Final = "cluster-autoscaler-cloud-config"  # a name

_SKEW: Final = timedelta(hours=1)
"""Certificates are valid from so long ago: the clocks of a site differ."""
_DAY: Final = timedelta(days=1)


class Order(Struct, frozen=True, kw_only=True):
    """What is wanted."""

    service: str = "hexa"
    namespace: str = "hexa-system"
    dns: tuple[str, ...] = ()
    """DNS names of the server beside those of the Service."""
    ips: tuple[str, ...] = ()
    """Addresses of the server beside the loopback's."""
    address: str = ""
    """HOST:PORT that Cluster Autoscaler calls; by default that of the Service."""
    autoscaler_namespace: str = ""
    """Where Cluster Autoscaler runs; by default where hexa does."""
    mount: str = "/etc/cluster-autoscaler"
    """Folder where Cluster Autoscaler's pod has its Secret."""
    days: int = 365

    @property
    def called(self) -> str:
        """The address that Cluster Autoscaler calls. Its host is the name that the certificate must carry."""
        return self.address or f"{self.service}.{self.namespace}.svc:50051"

    @property
    def server(self) -> Owner:
        """Whom the server's certificate names."""
        service, namespace = self.service, self.namespace
        dns = [
            service,
            f"{service}.{namespace}",
            f"{service}.{namespace}.svc",
            f"{service}.{namespace}.svc.cluster.local",
            "localhost",
        ]
        ips = ["127.0.0.1", "::1"]
        host = self.called.rpartition(":")[0].removeprefix("[").removesuffix("]")
        (ips if _is_ip(host) else dns).append(host)
        return Owner(name=dns[2], dns=_unique([*dns, *self.dns]), ips=_unique([*ips, *self.ips]))


class File(Struct, frozen=True):
    """One file of the set."""

    name: str
    content: str
    private: bool = False
    """Whether only its owner may read it."""

    def __repr__(self) -> str:
        return f"File({self.name!r})"


class CertSet(Struct, frozen=True):
    """A working set."""

    authority: Pair
    server: Pair
    client: Pair
    ends: datetime
    """When the first of them ends."""


def make(issuer: Issuer, order: Order, *, now: datetime) -> CertSet:
    """A set with a CA of its own."""
    authority = issuer.authority(CA_NAME, starts=now - _SKEW, ends=now + CA_DAYS * _DAY)
    return renew(issuer, authority, order, now=now)


def renew(
    issuer: Issuer, authority: Pair, order: Order, *, now: datetime, replaced: str | None = None, client: Owner = CLIENT
) -> CertSet:
    """New keys and certificates from a CA that exists. `replaced`: the server's certificate so far, whose names stay.

    Raises Refused where the CA cannot sign or ends before they would.
    """
    owner = order.server
    if replaced is not None:
        old = issuer.describe(replaced).owner
        owner = Owner(name=owner.name, dns=_unique([*owner.dns, *old.dns]), ips=_unique([*owner.ips, *old.ips]))
    ends = now + order.days * _DAY
    last = issuer.describe(authority.certificate).ends
    if last < ends:
        raise Refused(
            f"the CA ends on {last:%Y-%m-%d}, before certificates of {order.days} days would: ask for fewer --days, or make a "
            "new set in another folder",
            reason="AuthorityEnds",
        )
    starts = now - _SKEW
    server = issuer.issue(authority, owner, Usage.SERVER, starts=starts, ends=ends)
    return CertSet(authority, server, issuer.issue(authority, client, Usage.CLIENT, starts=starts, ends=ends), ends)


def files(made: CertSet, order: Order, *, folder: str) -> list[File]:
    """All of it as files; `folder` is where they will be."""
    return [
        File("ca.key", made.authority.key, private=True),
        File("ca.crt", made.authority.certificate),
        File("server.key", made.server.key, private=True),
        File("server.crt", made.server.certificate),
        File("client.key", made.client.key, private=True),
        File("client.crt", made.client.certificate),
        File("cloud-config.yaml", cloud_config(order, folder, key="client.key", cert="client.crt")),
    ]


def cloud_config(order: Order, folder: str, *, key: str = "tls.key", cert: str = "tls.crt") -> str:
    """What `--cloud-config` of Cluster Autoscaler names."""
    values = {
        "address": order.called,
        "key": f"{folder}/{key}",
        "cert": f"{folder}/{cert}",
        "cacert": f"{folder}/ca.crt",
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


def secrets(made: CertSet, order: Order) -> list[dict[str, Any]]:
    """What the server and Cluster Autoscaler mount. The CA's key is in none of them."""
    server = {
        "tls.crt": made.server.certificate,
        "tls.key": made.server.key,
        "ca.crt": made.authority.certificate,
    }
    client = {
        "cloud-config.yaml": cloud_config(order, order.mount.rstrip("/")),
        "tls.crt": made.client.certificate,
        "tls.key": made.client.key,
        "ca.crt": made.authority.certificate,
    }
    return [
        _secret(SERVER_SECRET, order.namespace, "kubernetes.io/tls", server),
        _secret(CLIENT_SECRET, order.autoscaler_namespace or order.namespace, "Opaque", client),
    ]


def _secret(name: str, namespace: str, type_: str, values: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "hexa"}},
        "type": type_,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _is_ip(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
