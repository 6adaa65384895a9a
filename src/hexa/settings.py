"""The sections of the agent's configuration, each with its defaults and what its keys mean."""

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from hexa.domain.policy.battery import Threshold
from hexa.domain.policy.conventions import GPU_LABEL, GPU_RESOURCES, STARTUP_TAINTS
from hexa.domain.power.ups import endpoint
from hexa.domain.rules.battery import Rules

UPS_PORT: Final = 3493
UPS_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

HTTP_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.%a-z]{2,64}\]|[A-Za-z0-9._-]{0,253}):[0-9]{1,5}")

Seconds = Annotated[float, Meta(gt=0, extra={"duration": True})]
"""Written as a duration ("10s", "1m30s"), kept as seconds."""


def _off_loopback(address: str) -> bool:
    """Whether others reach HOST:PORT; of a name it is not known, and of a Unix socket not so."""
    host, colon, _ = address.rpartition(":")
    try:
        return bool(colon) and (not host or not ip_address(host.strip("[]")).is_loopback)
    except ValueError:
        return False


class Settings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base: camelCase in the file."""


class TlsSettings(Settings, frozen=True, kw_only=True):
    """Mutual TLS of the gRPC service: the three files or none. They are read again when they change."""

    certificate: Annotated[
        str, Meta(description="File with the server's certificate and the chain above it, PEM; for example tls.crt.")
    ] = ""
    key: Annotated[str, Meta(description="File with the certificate's private key, PEM; for example tls.key.")] = ""
    client_ca: Annotated[
        str, Meta(description="File with the certificates that clients must be signed by, PEM; for example ca.crt.")
    ] = ""
    clients: Annotated[
        tuple[str, ...],
        Meta(description="Clients that may call: SPIFFE URI, DNS name or CN. Default: all that clientCa signed."),
    ] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys without which the others are of no use."""
        files = {"certificate": self.certificate, "key": self.key, "clientCa": self.client_ca}
        return tuple(key for key, file in files.items() if not file) if any(files.values()) or self.clients else ()


class GrpcSettings(Settings, frozen=True, kw_only=True):
    """Where Cluster Autoscaler calls."""

    address: Annotated[str, Meta(description="HOST:PORT or unix:///PATH that the gRPC service listens on.")] = (
        "127.0.0.1:50051"
    )
    insecure: Annotated[
        bool,
        Meta(
            description="Serve without TLS on an address that others can reach. Whoever reaches it switches machines."
        ),
    ] = False
    health_address: Annotated[
        str,
        Meta(
            description="HOST:PORT where grpc.health.v1, and nothing else, is answered without TLS. Default: nowhere."
        ),
    ] = ""
    tls: TlsSettings = TlsSettings()

    @property
    def exposed(self) -> bool:
        """Whether it would listen off the loopback without TLS, and is not told to. Of a name only the listener knows."""
        return not (self.insecure or self.tls.certificate) and _off_loopback(self.address)


class HttpTlsSettings(Settings, frozen=True, kw_only=True):
    """TLS of the HTTP port: both files or none. They are read again when they change."""

    certificate: Annotated[str, Meta(description="File with the port's certificate and the chain above it, PEM.")] = ""
    key: Annotated[str, Meta(description="File with the certificate's private key, PEM.")] = ""


class HttpSettings(Settings, frozen=True, kw_only=True):
    """Probes, metrics, the page and the API over HTTP."""

    address: Annotated[str, Meta(description="HOST:PORT of the HTTP port. Default: there is none.")] = ""
    anonymous_read: Annotated[
        bool,
        Meta(
            description="Page, metrics and reads of the API need no token: whoever reaches the port sees all machines."
        ),
    ] = False
    insecure: Annotated[
        bool,
        Meta(description="Serve without TLS on an address that others can reach: they can read tokens on the way."),
    ] = False
    tls: HttpTlsSettings = HttpTlsSettings()
    metrics: Annotated[bool, Meta(description="Serve /metrics.")] = True
    page: Annotated[bool, Meta(description="Serve the page at /, which needs the API.")] = True
    api: Annotated[bool, Meta(description="Serve the API under /api/v1.")] = True

    @property
    def problem(self) -> str:
        """Which of its keys cannot be used, and why; empty: none."""
        if not self.address:
            return ""
        if not HTTP_ADDRESS.fullmatch(self.address) or int(self.address.rpartition(":")[2]) > 65_535:
            return f"http.address: {self.address[:80]!r} is not HOST:PORT; for example 127.0.0.1:8080"
        if bool(self.tls.certificate) != bool(self.tls.key):
            missing = "key" if self.tls.certificate else "certificate"
            return f"http.tls.{missing}: is not set; certificate and key go together, or none of them"
        return ""

    @property
    def exposed(self) -> bool:
        """Whether it would listen off the loopback without TLS, and is not told to. Of a name only the listener knows."""
        return not (self.insecure or self.tls.certificate) and _off_loopback(self.address)


class LogSettings(Settings, frozen=True, kw_only=True):
    """What hexa writes to standard error."""

    format: Annotated[
        Literal["auto", "json", "text"],
        Meta(description="json, text, or auto: text on a terminal and json elsewhere."),
    ] = "auto"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least severe lines that are written.")
    ] = "info"


class KubeSettings(Settings, frozen=True, kw_only=True):
    """How patient hexa is with the API server."""

    connect_timeout: Annotated[Seconds, Meta(description="Until a connection must stand.")] = 10.0
    answer_timeout: Annotated[
        Seconds, Meta(description="Between two pieces of an answer; the API server itself gives up after 60s.")
    ] = 65.0
    watch_period: Annotated[
        Seconds,
        Meta(description="The API server ends each watch after 1 to 1.5 times this; a dead one is noticed so."),
    ] = 60.0


class JobsSettings(Settings, frozen=True, kw_only=True):
    """The power Jobs of `spec.power`."""

    image: Annotated[
        str,
        Meta(
            description="Image that they run: hexa's own, of the agent's version. Unset: machines are not switched by "
            "`spec.power`, and say so."
        ),
    ] = ""


class StartupSettings(Settings, frozen=True, kw_only=True):
    """Taints that stand until others have set a Kubernetes node up."""

    taints: Annotated[
        tuple[str, ...],
        Meta(
            description="Their keys; * stands for any text. Until they go the node is hidden from Cluster Autoscaler, and they are "
            "neither in a template nor given back. Those without * belong into its --startup-taint too."
        ),
    ] = STARTUP_TAINTS
    limit: Annotated[
        Seconds,
        Meta(description="How long after Ready a node is waited for on their account; then it is shown as it is."),
    ] = 300.0


class UpsOffSettings(Settings, frozen=True, kw_only=True):
    """When machines go off on battery, for Groups that do not say so themselves by spec.onBattery."""

    charge: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="Percent of charge from which machines are drained and switched off; 0: never by charge.",
        ),
    ] = 40
    runtime: Annotated[
        Seconds, Meta(description="The same for what the UPS says is left at this load, whichever comes first.")
    ] = 600.0


class UpsBackSettings(Settings, frozen=True, kw_only=True):
    """When they come back."""

    charge: Annotated[
        int, Meta(ge=0, le=100, description="Percent of charge, with mains, from which what was wanted comes back.")
    ] = 80


class UpsSettings(Settings, frozen=True, kw_only=True):
    """The UPS that feeds the machines, by Network UPS Tools. It is only read."""

    address: Annotated[str, Meta(description="HOST or HOST:PORT of upsd. Default: no UPS is asked.")] = ""
    name: Annotated[str, Meta(description="The UPS as ups.conf of that server calls it.")] = "ups"
    interval: Annotated[Seconds, Meta(description="Between two questions.")] = 15.0
    off_at: UpsOffSettings = UpsOffSettings()
    back_at: UpsBackSettings = UpsBackSettings()

    @property
    def problem(self) -> str:
        """Which of its keys cannot be used, and why; empty: none."""
        if not self.address:
            return ""
        try:
            endpoint(self.address, port=UPS_PORT)
        except ValueError as error:
            return f"ups.address: {error}"
        if not UPS_NAME.fullmatch(self.name):
            return f"ups.name: {self.name[:40]!r} is no name of a UPS: write it as ups.conf has it, without @HOST"
        if self.interval < 1:
            return f"ups.interval: {self.interval:g} s is too often to ask a UPS: write 1s or more"
        if self.back_at.charge <= self.off_at.charge:
            low = f"ups.offAt.charge ({self.off_at.charge})"
            return f"ups.backAt.charge: {self.back_at.charge} is not above {low}: machines would go off and on by turns"
        return ""

    @property
    def rules(self) -> Rules:
        """For the core."""
        off = Threshold(float(self.off_at.charge), timedelta(seconds=self.off_at.runtime))
        return Rules(off, float(self.back_at.charge))


class GpuSettings(Settings, frozen=True, kw_only=True):
    """How GPUs are known."""

    label: Annotated[str, Meta(description="Label of Kubernetes nodes with GPUs; its value is the kind of GPU.")] = (
        GPU_LABEL
    )
    resources: Annotated[tuple[str, ...], Meta(description="Resources that are GPUs; * stands for any text.")] = (
        GPU_RESOURCES
    )
