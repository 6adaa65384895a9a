"""Checks of Cluster Autoscaler: its flags, its way to hexa, certificates, and whether it has called."""

import base64
import binascii
from collections.abc import Iterable, Iterator

from msgspec import Struct

from hexa.app.commands.doctor.hexa import running
from hexa.app.commands.doctor.sight import Sight
from hexa.app.commands.shared.agents import agent_container, autoscaler_container, setting, words
from hexa.app.manifests.options import STARTUP_TAINTS_VARIABLE
from hexa.domain.errors import Refused
from hexa.domain.names import group_id
from hexa.domain.people.doctor import autoscaler as judges
from hexa.domain.people.doctor.finding import Finding, error, unseen
from hexa.domain.policy.conventions import STARTUP_TAINTS
from hexa.domain.policy.policy import policy_of
from hexa.domain.resources.cluster import CONFIG_MAPS, SECRETS, DetailedContainer, DetailedPod
from hexa.domain.resources.core import NODES
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES
from hexa.ports.certificates import Issuer
from hexa.yaml import YamlError, read_document

NAME = "Cluster Autoscaler"
GRPC_PORT = "50051"
STATUS = "cluster-autoscaler-status"


async def check_flags(sight: Sight) -> Iterable[Finding]:
    """That it runs, with flags that go with hexa."""
    pods = await sight.autoscalers()
    if not pods:
        text = "no pod with --cloud-provider=externalgrpc and one of the usual labels was found"
        return [unseen(NAME, text, f"install it (see {judges.PAGE}), or give its pod the label app=cluster-autoscaler")]
    policies = [policy_of(group)[0] for group in await sight.ours(GROUPS)]
    members, nodes = await sight.members(), await sight.good(NODES)
    total = len(members | {node.metadata.name for node in nodes})
    found: list[Finding] = []
    for pod in pods:
        found += running(pod, NAME)
        found += judges.judge_flags(flags_of(pod), policies, _about(pod), nodes=total)
        for taints in await _startup_taints(sight):
            found += judges.judge_startup_taints(flags_of(pod), taints, _about(pod))
    return found


async def _startup_taints(sight: Sight) -> list[tuple[str, ...]]:
    """What hexa's pods wait for on a new node; a configuration file that one may have is not read."""
    given = [setting(pod, STARTUP_TAINTS_VARIABLE, "--startup-taints") for pod in await sight.agents()]
    lists = [tuple(part.strip() for part in text.split(",") if part.strip()) for text in dict.fromkeys(given)]
    return [taints or STARTUP_TAINTS for taints in lists]


def flags_of(pod: DetailedPod) -> judges.Flags:
    """The flags of the autoscaler in a pod."""
    container = autoscaler_container(pod)
    return judges.flags_of(words(container) if container else ())


def _about(pod: DetailedPod) -> str:
    return f"{NAME} (Pod {pod.metadata.namespace}/{pod.metadata.name})"


async def check_connection(sight: Sight) -> Iterable[Finding]:
    """The address in its cloud-config, and the certificates on both sides."""
    found: list[Finding] = []
    for pod in await sight.autoscalers():
        container = autoscaler_container(pod)
        path = flags_of(pod).text("cloud-config")
        if container is None or not path:
            continue
        file = await read_mounted(sight, pod, container, path)
        if isinstance(file, Finding):
            found.append(file)
            continue
        try:
            document = read_document(file.text, source=path)
        except YamlError as failure:
            found.append(error(file.about, str(failure), "correct the YAML"))
            continue
        connection = judges.connection_of(document.value if document else None)
        beside = pod.spec.host_network or await _beside(sight, pod)
        services = await _listening(sight) if beside else {}
        found += judges.judge_connection(connection, file.about, beside_hexa=beside, services=services)
        if sight.certificates is not None and connection.encrypted:
            found += await _judge_certificates(sight, sight.certificates, pod, container, connection)
    return found


async def _beside(sight: Sight, pod: DetailedPod) -> bool:
    return any(each.metadata.uid == pod.metadata.uid for each in await sight.agents())


async def _listening(sight: Sight) -> dict[str, str]:
    """The port that each of hexa's pods serves on."""
    ports = {}
    for pod in await sight.agents():
        address = setting(pod, "HEXA_GRPC_ADDRESS", "--grpc-address")
        port = address.rpartition(":")[2] or GRPC_PORT
        if not address.startswith("unix:"):
            ports[f"Pod {pod.metadata.namespace}/{pod.metadata.name}"] = port
    return ports


# --- certificates ---------------------------------------------------------------------------------


async def _judge_certificates(
    sight: Sight, issuer: Issuer, pod: DetailedPod, container: DetailedContainer, connection: judges.Connection
) -> list[Finding]:
    """Those of Cluster Autoscaler, those of hexa, and whether each side trusts the other's."""
    mine = [await _file(sight, pod, container, path) for path in (connection.cert, connection.cacert)]
    found = [finding for file in mine for finding in _judge(sight, issuer, file)]
    for agent in await sight.agents():
        theirs = [await _setting_file(sight, agent, *setting) for setting in _TLS]
        found += _judge(sight, issuer, theirs[0], host=connection.host)
        found += _judge(sight, issuer, theirs[1])
        found += _trust(issuer, mine[0], theirs[1])
        found += _trust(issuer, theirs[0], mine[1])
    return found


_TLS = (
    ("HEXA_GRPC_TLS_CERTIFICATE", "--grpc-tls-certificate"),
    ("HEXA_GRPC_TLS_CLIENT_CA", "--grpc-tls-client-ca"),
)


async def _setting_file(sight: Sight, pod: DetailedPod, variable: str, flag: str) -> "Mounted | Finding | None":
    container = agent_container(pod)
    return None if container is None else await _file(sight, pod, container, setting(pod, variable, flag))


async def _file(sight: Sight, pod: DetailedPod, container: DetailedContainer, path: str) -> "Mounted | Finding | None":
    return await read_mounted(sight, pod, container, path) if path else None


def _judge(sight: Sight, issuer: Issuer, file: "Mounted | Finding | None", *, host: str = "") -> list[Finding]:
    if not isinstance(file, Mounted):
        return [file] if file is not None else []
    try:
        said = issuer.describe(file.text)
    except Refused as failure:
        return [error(file.about, str(failure), "put a certificate in PEM there")]
    names = tuple(dict.fromkeys((said.owner.name, *said.owner.dns, *said.owner.ips)))
    certificate = judges.Certificate(names=names, starts=said.starts, ends=said.ends)
    return list(judges.judge_certificate(certificate, file.about, now=sight.now(), host=host))


def _trust(issuer: Issuer, shown: "Mounted | Finding | None", by: "Mounted | Finding | None") -> list[Finding]:
    """What one side shows must be signed by what the other trusts."""
    if not isinstance(shown, Mounted) or not isinstance(by, Mounted):
        return []
    try:
        trusted = issuer.vouched(shown.text, by.text)
    except Refused:
        return []  # told as what it is
    remedy = "issue both sides from one CA (hexa certs, cert-manager), or put the other's CA there"
    return [] if trusted else [error(shown.about, f"was not signed by {by.about}: the handshake fails", remedy)]


# --- files in a pod -------------------------------------------------------------------------------


class Mounted(Struct, frozen=True):
    """A file of a Secret or ConfigMap that a container sees."""

    about: str
    text: str


async def read_mounted(sight: Sight, pod: DetailedPod, container: DetailedContainer, path: str) -> Mounted | Finding:
    """What a container reads at `path`, from the Secret or ConfigMap behind it; or why that cannot be said."""
    place = _place(pod, container, path)
    if place is None:
        return unseen(_about(pod), f"{path} comes from no Secret or ConfigMap, so it was not read", "look into the pod")
    kind, name, key = place
    about = f"{kind} {pod.metadata.namespace}/{name}"
    data = await _data(sight, kind, name, pod.metadata.namespace)
    if data is None:
        return error(about, f"is not there, and {pod.metadata.name} reads {path} from it", "create it")
    if key not in data:
        return error(about, f"has no key {key}, and {pod.metadata.name} reads {path} from it", f"add {key}")
    return Mounted(f"{about} ({key})", data[key])


def _place(pod: DetailedPod, container: DetailedContainer, path: str) -> tuple[str, str, str] | None:
    """Kind, name and key behind a path."""
    for mount in sorted(container.volume_mounts, key=lambda each: -len(each.mount_path)):
        inside = path.removeprefix(mount.mount_path.rstrip("/"))
        if inside == path or (inside and not inside.startswith("/")):
            continue
        key = mount.sub_path or inside.lstrip("/")
        for volume in pod.spec.volumes:
            if volume.name == mount.name and volume.secret is not None:
                return "Secret", volume.secret.secret_name, key
            if volume.name == mount.name and volume.config_map is not None:
                return "ConfigMap", volume.config_map.name, key
    return None


async def _data(sight: Sight, kind: str, name: str, namespace: str) -> dict[str, str] | None:
    if kind == "ConfigMap":
        found = await sight.one(CONFIG_MAPS, name, namespace)
        return found.texts if found else None
    secret = await sight.one(SECRETS, name, namespace)
    return dict(_plain(secret.data)) if secret else None


def _plain(data: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        try:
            yield key, base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue


# --- whether it has called ------------------------------------------------------------------------


async def check_calls(sight: Sight) -> Iterable[Finding]:
    """Its own report says when it last looked, and which groups hexa told it."""
    found: list[Finding] = []
    machines = {each.metadata.labels.get("group") for each in await sight.ours(MACHINES)}
    groups = [each.metadata for each in await sight.ours(GROUPS) if each.metadata.name in machines]
    for pod in await sight.autoscalers():
        flags = flags_of(pod)
        name, namespace = flags.text("status-config-map-name", STATUS), flags.text("namespace", "kube-system")
        about = f"ConfigMap {namespace}/{name}"
        report = await sight.one(CONFIG_MAPS, name, namespace)
        if report is None:
            text = "is not there: Cluster Autoscaler has not got through a loop, or --write-status-configmap=false"
            found.append(unseen(about, text, "look at its log: is hexa reachable?"))
            continue
        ids = [group_id(each.namespace, each.name) for each in groups]
        found += judges.judge_status(_report(report.texts.get("status", "")), about, groups=ids, now=sight.now())
    return found


def _report(text: str) -> object:
    try:
        document = read_document(text, source=STATUS)
    except YamlError:
        return None
    return document.value if document else None
