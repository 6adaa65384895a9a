"""Cluster Autoscaler as it is set up here: its flags, how it finds hexa, whether it has called."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

from msgspec import Struct

from hexa.domain.duration import format_duration, parse_duration
from hexa.domain.names import GROUP_LABEL
from hexa.domain.people.doctor.finding import Finding, error, unseen, warning
from hexa.domain.pods.undrainable import Skips
from hexa.domain.policy.conventions import matches, told_to_autoscaler
from hexa.domain.policy.policy import Policy

PAGE: Final = "docs/cluster-autoscaler.md"
SCAN: Final = timedelta(seconds=2)
"""What the manifests set."""
IDLE_FLAGS: Final = (
    ("scale-down-delay-after-add", timedelta(minutes=10), "after any scale-up idle machines stay on for that long"),
    (
        "unremovable-node-recheck-timeout",
        timedelta(minutes=5),
        "a machine with pods that fit nowhere else is not looked at again for that long, also when they have ended",
    ),
)
"""Flags that are the least idle time of every group: name, default, and what comes of it."""
SHORT_IDLE: Final = timedelta(minutes=1)
"""What the manifests set for each."""
NEW_POD: Final = timedelta(seconds=2)
"""A loop that finds only pods younger than this leaves them to the next one (its log: "very new, waiting one iteration")."""
SILENT: Final = timedelta(minutes=5)
"""A status older than this is not being written any more: loops take seconds."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1", "[::1]")


# --- flags ----------------------------------------------------------------------------------------


class Flags(Struct, frozen=True):
    """What stands on its command line."""

    given: Mapping[str, str]
    repeated: Mapping[str, tuple[str, ...]] = {}
    """Every value of each, in order; `given` has the last."""

    def all(self, name: str) -> tuple[str, ...]:
        """The values of a flag that may be repeated."""
        return self.repeated.get(name, ())

    def text(self, name: str, default: str = "") -> str:
        return self.given.get(name, default)

    def yes(self, name: str, *, default: bool) -> bool:
        value = self.given.get(name, str(default)).lower()
        return value in ("true", "1", "t")

    def duration(self, name: str, default: timedelta) -> timedelta:
        try:
            return parse_duration(self.given[name]) if name in self.given else default
        except ValueError:
            return default


def flags_of(words: Iterable[str]) -> Flags:
    """--name=value and --name; dashes and underscores are one to Cluster Autoscaler."""
    repeated: dict[str, tuple[str, ...]] = {}
    for name, equals, value in (word.lstrip("-").partition("=") for word in words if word.startswith("-")):
        key = name.replace("_", "-")
        repeated[key] = (*repeated.get(key, ()), value if equals else "true")
    return Flags({name: values[-1] for name, values in repeated.items()}, repeated)


def skips_of(flags: Flags) -> Skips:
    """Which nodes it leaves alone."""
    timeout = flags.duration("blocking-system-pod-distruption-timeout", timedelta(hours=1))
    return Skips(
        skip_nodes_with_system_pods=flags.yes("skip-nodes-with-system-pods", default=True),
        blocking_system_pod_disruption_timeout=timeout.total_seconds(),
        skip_nodes_with_local_storage=flags.yes("skip-nodes-with-local-storage", default=True),
        skip_nodes_with_custom_controller_pods=flags.yes("skip-nodes-with-custom-controller-pods", default=True),
    )


def judge_flags(flags: Flags, policies: Sequence[Policy], about: str, *, nodes: int) -> Iterator[Finding]:
    """Flags that are missing or work against hexa. `nodes`: how many there would be with every machine on."""
    if not flags.text("cloud-config"):
        yield error(about, "has no --cloud-config, so it does not know where hexa listens", f"add the file, see {PAGE}")
    if not flags.yes("scale-down-enabled", default=True):
        yield warning(about, "--scale-down-enabled=false: no machine is ever given up", "remove the flag")
    if flags.yes("enforce-node-group-min-size", default=False):
        text = "--enforce-node-group-min-size: hexa wakes up to minSize by itself, and both together wake too many"
        yield warning(about, text, "remove the flag")
    scan = flags.duration("scan-interval", timedelta(seconds=10))
    if scan > SCAN:
        text = (
            f"--scan-interval={format_duration(scan)}: pods that are younger than {format_duration(NEW_POD)} wait for the next "
            f"loop, so it takes up to {format_duration(scan + NEW_POD)} until a machine is woken for a pod"
        )
        yield warning(about, text, f"use --scan-interval={format_duration(SCAN)}: a loop is cheap for hexa")
    if flags.yes("balance-similar-node-groups", default=False):
        yield from _balancing(flags, about)
    yield from _too_few(flags, about, nodes)
    yield from _too_short(flags, policies, about)
    yield from _idle_too_long(flags, policies, about)


def _balancing(flags: Flags, about: str) -> Iterator[Finding]:
    """Every template carries the name of its group in a label, so no two are similar unless that label is left out."""
    if flags.text("balancing-label") or GROUP_LABEL in flags.all("balancing-ignore-label"):
        return
    text = f"--balance-similar-node-groups finds no two groups similar: their nodes differ in the label {GROUP_LABEL}"
    yield warning(about, text, f"add --balancing-ignore-label={GROUP_LABEL}")


def judge_startup_taints(flags: Flags, taints: Sequence[str], about: str) -> Iterator[Finding]:
    """`taints`: what hexa waits for. Where one side does not know a taint, a node that is being set up is taken for
    one that is up and full."""
    told = (*flags.all("startup-taint"), *flags.all("ignore-taint"))
    missing = [key for key in told_to_autoscaler(taints) if key not in told]
    if missing:
        names = ", ".join(missing)
        text = (
            f"is not told of the startup taints {names}: a node that carries one is taken for an example of its group"
        )
        yield warning(about, text, f"add {' '.join(f'--startup-taint={key}' for key in missing)}")
    unknown = sorted({key for key in told if not matches(key, taints)})
    if unknown:
        text = f"has --startup-taint={', '.join(unknown)}, and hexa does not wait for it: more machines are woken than are needed"
        yield warning(about, text, "add it to startup.taints in hexa's configuration (HEXA_STARTUP_TAINTS)")


def _too_few(flags: Flags, about: str, nodes: int) -> Iterator[Finding]:
    limit = flags.text("max-nodes-total", "0")
    if limit.isdecimal() and 0 < int(limit) < nodes:
        text = f"--max-nodes-total={limit}: with every machine on there are {nodes} nodes, so some are never woken"
        yield warning(about, text, f"raise it to {nodes} at least, or remove it")


def _too_short(flags: Flags, policies: Sequence[Policy], about: str) -> Iterator[Finding]:
    """A group that sets maxNodeProvisionTime overrides the flag."""
    limit = flags.duration("max-node-provision-time", timedelta(minutes=15))
    for policy in policies:
        needs = policy.limits.power_on + policy.limits.boot
        if policy.options.max_node_provision_time is None and limit < needs:
            text = (
                f"--max-node-provision-time={format_duration(limit)} is shorter than what a machine of group "
                f"{policy.namespace}/{policy.name} may take ({format_duration(needs)}): it gives up machines that still come"
            )
            yield error(about, text, "raise the flag, or set maxNodeProvisionTime on the group")


def _idle_too_long(flags: Flags, policies: Sequence[Policy], about: str) -> Iterator[Finding]:
    """What keeps idle machines on for longer than their group says."""
    for (name, default, effect), policy in product(IDLE_FLAGS, policies):
        delay, unneeded = flags.duration(name, default), policy.options.scale_down_unneeded_time
        if unneeded is not None and max(unneeded, SHORT_IDLE.total_seconds()) < delay.total_seconds():
            text = (
                f"--{name}={format_duration(delay)} is longer than scaleDownUnneededTime of group "
                f"{policy.namespace}/{policy.name} ({format_duration(timedelta(seconds=unneeded))}): {effect}"
            )
            yield warning(about, text, f"use --{name}={format_duration(SHORT_IDLE)}")


# --- how it finds hexa ----------------------------------------------------------------------------


class Connection(Struct, frozen=True, kw_only=True):
    """What its cloud-config says."""

    address: str
    key: str = ""
    cert: str = ""
    cacert: str = ""

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]

    @property
    def encrypted(self) -> bool:
        return bool(self.key or self.cert or self.cacert)


def connection_of(value: Any) -> Connection:
    """A cloud-config as it was read from YAML."""
    settings = value if isinstance(value, Mapping) else {}
    names = ("address", "key", "cert", "cacert")
    return Connection(**{name: str(settings.get(name) or "") for name in names})


def judge_connection(
    connection: Connection, about: str, *, beside_hexa: bool, services: Mapping[str, str]
) -> Iterator[Finding]:
    """`beside_hexa`: hexa is in the same pod, or both are on the host's network; `services`: what the agent listens on."""
    if not connection.address or not connection.port.isdecimal():
        yield error(about, f"address {connection.address!r} is no HOST:PORT", f"write where hexa listens, see {PAGE}")
        return
    local = connection.host in LOOPBACK
    if local and not beside_hexa:
        text = f"address {connection.address} is this pod itself, and hexa is in another"
        yield error(about, text, "name hexa's Service, with certificates; or run both in one pod")
    missing = [name for name in ("key", "cert", "cacert") if not getattr(connection, name)]
    if connection.encrypted and missing:
        yield error(about, f"lacks {', '.join(missing)}", "give key, cert and cacert, or none of them")
    if not connection.encrypted and not local:
        text = f"calls {connection.address} in plain text: whoever reaches that port switches machines"
        yield warning(about, text, "give key, cert and cacert (mutual TLS)")
    for name, port in services.items():
        if local and beside_hexa and port != connection.port:
            text = f"address {connection.address} has port {connection.port}, and {name} listens on {port}"
            yield error(about, text, "write the same port in both")


class Certificate(Struct, frozen=True, kw_only=True):
    """What a certificate says."""

    names: tuple[str, ...] = ()
    """CN, DNS names and IP addresses."""
    starts: datetime
    ends: datetime


SOON: Final = timedelta(days=14)


def judge_certificate(certificate: Certificate, about: str, *, now: datetime, host: str = "") -> Iterator[Finding]:
    """`host`: the name that clients call it by; empty: it is a client's, or a CA's."""
    renew = "renew it, by cert-manager or hexa certs; hexa reads changed files by itself"
    if certificate.ends <= now:
        yield error(about, f"has expired at {certificate.ends:%Y-%m-%d %H:%M} UTC", renew)
    elif certificate.ends - now < SOON:
        yield warning(about, f"expires in {(certificate.ends - now).days} days", renew)
    if certificate.starts > now:
        yield error(about, f"is valid from {certificate.starts:%Y-%m-%d %H:%M} UTC only", "look at the clocks")
    if host and not any(_carries(name, host) for name in certificate.names):
        text = f"names {', '.join(certificate.names) or 'nobody'}, and Cluster Autoscaler calls {host}"
        yield error(about, text, f"issue one with the DNS name {host}, or change the address in its cloud-config")


def _carries(name: str, host: str) -> bool:
    first, _, rest = host.partition(".")
    return name.lower() == host.lower() or (bool(first) and name.lower() == f"*.{rest}".lower())


# --- whether it has called ------------------------------------------------------------------------


def judge_status(status: Any, about: str, *, groups: Iterable[str], now: datetime) -> Iterator[Finding]:
    """Its own report (ConfigMap cluster-autoscaler-status, as read from YAML): when it last looked, and at which groups."""
    if not isinstance(status, Mapping):
        yield unseen(about, "its status is not YAML: it is older than 1.30", "look at its log")
        return
    when = _moment(str(status.get("time", "")))
    if when is not None and now - when > SILENT:
        text = f"has written no status for {format_duration(timedelta(minutes=(now - when) // timedelta(minutes=1)))}"
        yield error(about, text, "look at its pod and its log: is hexa reachable?")
    state = str(status.get("autoscalerStatus", ""))
    if state and state != "Running":
        yield error(about, f"says {state}: it has not got through a loop", "look at its log: is hexa reachable?")
    listed = status.get("nodeGroups")
    names = (
        {str(each.get("name")) for each in listed if isinstance(each, Mapping)} if isinstance(listed, list) else set()
    )
    unknown = sorted(set(groups) - names)
    if state == "Running" and unknown:
        text = f"does not know the groups {', '.join(unknown)}: it has not asked hexa since they are there"
        yield warning(about, text, "wait for its next loop; if it stays so, look at its log")


def _moment(text: str) -> datetime | None:
    """2026-11-24 12:00:00.123456789 +0000 UTC: its time, to the second."""
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
