"""Kubeconfig files to a `Cluster`. Each mistake is a `Refused` that names the file, the field and what to do."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from hexa.adapters.kube_http.client import httpx
from hexa.adapters.kube_http.cluster import Basic, Cluster, Credentials, Exec, KeyPair, Pem, Token, TokenFile
from hexa.domain.errors import Refused
from hexa.yaml import YamlError, read_document

T = TypeVar("T")

EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_EXEC_EXTENSION: Final = "client.authentication.k8s.io/exec"


class _Kebab(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Base of the shapes in a kubeconfig; what they do not name is ignored, as kubectl does."""


class _Camel(Struct, frozen=True, kw_only=True, rename="camel"):
    """The same for the parts that are camelCase."""


class _Variable(_Camel, frozen=True, kw_only=True):
    name: str
    value: str = ""


class _Exec(_Camel, frozen=True, kw_only=True):
    api_version: str = ""
    command: str = ""
    args: tuple[str, ...] | None = None
    env: tuple[_Variable, ...] | None = None
    install_hint: str | None = None
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class _Cluster(_Kebab, frozen=True, kw_only=True):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: tuple[dict[str, Any], ...] | None = None


class _User(_Kebab, frozen=True, kw_only=True):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    exec: _Exec | None = None
    auth_provider: dict[str, Any] | None = None
    as_: str = field(name="as", default="")
    as_uid: str = ""


class _Context(_Kebab, frozen=True, kw_only=True):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(_Kebab, frozen=True, kw_only=True):
    name: str
    cluster: _Cluster | None = None


class _NamedUser(_Kebab, frozen=True, kw_only=True):
    name: str
    user: _User | None = None


class _NamedContext(_Kebab, frozen=True, kw_only=True):
    name: str
    context: _Context | None = None


class _Kubeconfig(_Kebab, frozen=True, kw_only=True):
    clusters: tuple[_NamedCluster, ...] | None = None
    users: tuple[_NamedUser, ...] | None = None
    contexts: tuple[_NamedContext, ...] | None = None
    current_context: str = ""


class _Place(Struct, frozen=True):
    """One entry of a kubeconfig file, for relative paths and for messages."""

    file: Path
    entry: str

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Say what is wrong with one field."""
        raise Refused(f"{self.file}: {self.entry}.{name}: {problem}", reason="BadKubeconfig")

    def resolve(self, path: str) -> Path:
        """Paths are relative to the file that they stand in."""
        return self.file.parent / Path(path).expanduser()

    def pem(self, name: str, *, path: str, data: str) -> Pem | None:
        """PEM from NAME-data or from the file NAME; the former wins."""
        if data:
            return Pem(self._decoded(f"{name}-data", data), f"{self.file}: {self.entry}.{name}-data")
        if not path:
            return None
        target = self.resolve(path)
        try:
            return Pem(target.read_bytes(), str(target))
        except OSError as error:
            self.refuse(name, f"cannot read {target} ({error.strerror}); correct the path or its permissions")

    def _decoded(self, name: str, data: str) -> bytes:
        try:
            return b64decode(data, validate=True)
        except ValueError:  # its own kind, or what is not ASCII
            self.refuse(name, "is not base64; encode the PEM file with base64 -w0")


class _Entries(Struct):
    """Several files as one: of each name the first one counts."""

    clusters: dict[str, tuple[_Place, _Cluster]] = {}
    users: dict[str, tuple[_Place, _User]] = {}
    contexts: dict[str, tuple[_Place, _Context]] = {}
    current: str = ""

    def add(self, file: Path) -> None:
        """Take over what no file before this one named."""
        read = _read(file)
        for cluster in read.clusters or ():
            place = _Place(file, f"clusters[{cluster.name}].cluster")
            self.clusters.setdefault(cluster.name, (place, cluster.cluster or _Cluster()))
        for user in read.users or ():
            place = _Place(file, f"users[{user.name}].user")
            self.users.setdefault(user.name, (place, user.user or _User()))
        for context in read.contexts or ():
            place = _Place(file, f"contexts[{context.name}].context")
            self.contexts.setdefault(context.name, (place, context.context or _Context()))
        self.current = self.current or read.current_context


_NUL: Final = msgspec.json.encode("\0")[1:-1]
"""No path, program or header can have it."""


def _read(file: Path) -> _Kubeconfig:
    try:
        document = read_document(file.read_text(), source=str(file))
        if document is not None and _NUL in msgspec.json.encode(document.value):
            raise Refused(f"{file}: a text holds a NUL character; remove it", reason="BadKubeconfig")
        return msgspec.convert(document.value if document else {}, _Kubeconfig)
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); name another file with --kubeconfig or KUBECONFIG"
        raise Refused(f"{file}: {problem}", reason="BadKubeconfig") from error
    except YamlError as error:  # its words may be a token
        where = f"{file}:{error.line}:{error.column}"
        raise Refused(f"{where}: is not YAML; write it anew with kubectl config", reason="BadKubeconfig") from None
    except UnicodeDecodeError:
        raise Refused(
            f"{file}: is no text in UTF-8; write it anew with kubectl config", reason="BadKubeconfig"
        ) from None
    except msgspec.ValidationError as error:
        raise Refused(
            f"{file}: {error}; correct its type, with quotes if it is text", reason="BadKubeconfig"
        ) from error


def from_kubeconfig(files: Sequence[Path], *, context: str = "") -> Cluster:
    """The cluster and user of a context (default: the current one) of the files, merged as kubectl does."""
    entries = _Entries()
    for file in files:
        entries.add(file)
    named = ", ".join(map(str, files))
    wanted = context or entries.current
    if not wanted:
        raise Refused(f"{named}: no current-context; set one or name one with --context", reason="BadKubeconfig")
    place, chosen = _entry(entries.contexts, wanted, kind="context", asked_by=named)
    cluster = _entry(entries.clusters, chosen.cluster, kind="cluster", asked_by=f"{place.file}: {place.entry}")
    user = (
        _entry(entries.users, chosen.user, kind="user", asked_by=f"{place.file}: {place.entry}")
        if chosen.user
        else None
    )
    return _combine(cluster, user, namespace=chosen.namespace or "default")


def _entry(entries: Mapping[str, tuple[_Place, T]], name: str, *, kind: str, asked_by: str) -> tuple[_Place, T]:
    if name in entries:
        return entries[name]
    known = ", ".join(sorted(entries)) or "none"
    raise Refused(f"{asked_by}: there is no {kind} {name!r}; known: {known}", reason="BadKubeconfig")


def _combine(cluster: tuple[_Place, _Cluster], user: tuple[_Place, _User] | None, *, namespace: str) -> Cluster:
    place, found = cluster
    _check_cluster(place, found)
    target = Cluster(
        server=found.server.rstrip("/"),
        origin=f"{place.file}: {place.entry}",
        namespace=namespace,
        authority=place.pem(
            "certificate-authority", path=found.certificate_authority, data=found.certificate_authority_data
        ),
        insecure=found.insecure_skip_tls_verify,
        server_name=found.tls_server_name,
        proxy=found.proxy_url,
    )
    return _identified(target, found, *user) if user else target


def _shown(url: str) -> str:
    """An address for people: a password may stand before the @."""
    before, at, after = url.rpartition("@")
    return repr(f"...@{after}" if at and before else url)


def _is_address(url: str) -> bool:
    """Whether the text is the URL of something that speaks HTTP. Both parsers must take it: the other one opens connections."""
    try:
        parts, host = urlsplit(url), httpx.URL(url).host.encode("idna")
        return parts.scheme in ("http", "https") and bool(parts.hostname and host) and parts.port != 0
    except (ValueError, httpx.InvalidURL):  # brackets, ports, characters and lengths that no address has
        return False


def _check_cluster(place: _Place, cluster: _Cluster) -> None:
    if not _is_address(cluster.server):
        place.refuse("server", f"{_shown(cluster.server)} is no URL; write it as https://HOST:PORT")
    if cluster.proxy_url and not _is_address(cluster.proxy_url):
        place.refuse("proxy-url", f"{_shown(cluster.proxy_url)}: only http and https proxies are supported")
    if cluster.insecure_skip_tls_verify and (cluster.certificate_authority or cluster.certificate_authority_data):
        place.refuse("insecure-skip-tls-verify", "contradicts certificate-authority; remove one of them")


def _identified(target: Cluster, cluster: _Cluster, place: _Place, user: _User) -> Cluster:
    if user.auth_provider is not None:
        place.refuse("auth-provider", "is no longer supported; use the exec plugin of your provider")
    headers = {"Impersonate-User": user.as_, "Impersonate-Uid": user.as_uid}
    return msgspec.structs.replace(
        target,
        certificate=_key_pair(place, user),
        credentials=_credentials(target, cluster, place, user),
        impersonate={name: value for name, value in headers.items() if value},
    )


def _key_pair(place: _Place, user: _User) -> KeyPair | None:
    certificate = place.pem("client-certificate", path=user.client_certificate, data=user.client_certificate_data)
    key = place.pem("client-key", path=user.client_key, data=user.client_key_data)
    if certificate is None and key is None:
        return None
    if certificate is None:
        place.refuse("client-certificate", "is missing although there is a client-key; add it")
    if key is None:
        place.refuse("client-key", "is missing although there is a client-certificate; add it")
    return KeyPair(certificate, key)


def _credentials(target: Cluster, cluster: _Cluster, place: _Place, user: _User) -> Credentials | None:
    if user.token_file:
        return TokenFile(place.resolve(user.token_file))
    if user.token:
        return Token(user.token)
    if user.username:
        return Basic(user.username, user.password)
    if user.exec is not None:
        return _exec(target, cluster, place, user.exec)
    return None


def _exec(target: Cluster, cluster: _Cluster, place: _Place, plugin: _Exec) -> Exec:
    if plugin.api_version not in EXEC_VERSIONS:
        place.refuse("exec.apiVersion", f"{plugin.api_version!r} is not supported; use {EXEC_VERSIONS[0]}")
    if not plugin.command:
        place.refuse("exec.command", "is missing; name the program that prints the credentials")
    if plugin.interactive_mode == "Always":
        place.refuse("exec.interactiveMode", "Always needs a terminal, and there is none; use IfAvailable or Never")
    return Exec(
        api_version=plugin.api_version,
        command=str(place.resolve(plugin.command)) if "/" in plugin.command else plugin.command,
        origin=f"{place.file}: {place.entry}.exec",
        args=plugin.args or (),
        env={variable.name: variable.value for variable in plugin.env or ()},
        install_hint=plugin.install_hint or "",
        cluster=_cluster_info(target, cluster) if plugin.provide_cluster_info else None,
    )


def _cluster_info(target: Cluster, cluster: _Cluster) -> dict[str, Any]:
    extensions = cluster.extensions or ()
    config = next((item.get("extension") for item in extensions if item.get("name") == _EXEC_EXTENSION), None)
    info = {
        "server": target.server,
        "tls-server-name": target.server_name,
        "insecure-skip-tls-verify": target.insecure,
        "certificate-authority-data": target.authority.data if target.authority else b"",  # base64 on the wire
        "proxy-url": target.proxy,
        "config": config,
    }
    return {name: value for name, value in info.items() if value}
