"""What a user may rely on of kubeconfigs and pods: what kubectl takes is taken, and what is wrong is named."""

import ssl
import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from hexa.adapters.kube_http.adapter import open_kube
from hexa.adapters.kube_http.cluster import Basic, Cluster, Exec, Pem, Token, TokenFile
from hexa.adapters.kube_http.config import load
from hexa.adapters.kube_http.credentials import Identity, identity, show_certificate, tls_context
from hexa.domain.errors import Refused, Unavailable

CERTS = Path(__file__).parent / "certs"
EXEC_V1 = "client.authentication.k8s.io/v1"


class FixedClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 5, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


def kubeconfig(folder: Path, *, name: str = "config", cluster: Any = None, user: Any = None, **top: Any) -> Path:
    """Write a kubeconfig with one cluster, user and context."""
    content = {
        "clusters": [{"name": "home", "cluster": {"server": "https://kube:6443", **(cluster or {})}}],
        "users": [{"name": "me", "user": user or {}}],
        "contexts": [{"name": "home", "context": {"cluster": "home", "user": "me", "namespace": "lab"}}],
        "current-context": "home",
        **top,
    }
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(content))
    return file


def loaded(file: Path, **options: Any) -> Cluster:
    """Load one file."""
    return load(str(file), environment={}, **options)


def data(file: str) -> str:
    """A file of the certificates, as the -data fields have it."""
    return b64encode((CERTS / file).read_bytes()).decode()


# --- where it comes from ----------------------------------------------------------------------------


def test_a_flag_beats_the_environment_and_that_beats_the_pod(tmp_path: Path) -> None:
    """The nearer word wins: --kubeconfig, KUBECONFIG, the pod, ~/.kube/config."""
    flag = kubeconfig(tmp_path, name="flag", cluster={"server": "https://flag"})
    listed = kubeconfig(tmp_path, name="listed", cluster={"server": "https://listed"})
    home = kubeconfig(tmp_path / ".kube", name="config", cluster={"server": "https://home"})
    (tmp_path / "token").write_text("t")
    environment = {"KUBECONFIG": str(listed), "KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOME": str(tmp_path)}
    assert load(str(flag), environment=environment).server == "https://flag"
    assert load(environment=environment).server == "https://listed"
    del environment["KUBECONFIG"]
    assert load(environment=environment, account=tmp_path).server == "https://10.0.0.1:443"
    del environment["KUBERNETES_SERVICE_HOST"]
    assert load(environment=environment).server == "https://home"
    home.unlink()
    with pytest.raises(Refused, match="--kubeconfig") as refusal:
        load(environment=environment)
    assert refusal.value.reason == "NoKubeconfig"


def test_a_pod_uses_its_service_account(tmp_path: Path) -> None:
    """Inside a cluster nothing needs to be configured, with IPv6 as well."""
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "namespace").write_text("hexa\n")
    (tmp_path / "ca.crt").write_bytes((CERTS / "ca.crt").read_bytes())
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    cluster = load(environment=environment, account=tmp_path)
    assert (cluster.server, cluster.namespace) == ("https://[fd00::1]:6443", "hexa")
    assert cluster.credentials == TokenFile(tmp_path / "token")
    assert cluster.authority is not None


def test_a_pod_without_a_token_says_which_setting_is_missing(tmp_path: Path) -> None:
    """automountServiceAccountToken: false is a common cause, so it is named."""
    with pytest.raises(Refused, match="automountServiceAccountToken"):
        load(environment={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, account=tmp_path)


def test_several_files_are_one_and_the_first_word_counts(tmp_path: Path) -> None:
    """KUBECONFIG=a:b merges as kubectl does; files that do not exist are passed over."""
    first = tmp_path / "first"
    first.write_text(yaml.safe_dump({"current-context": "work", "users": [{"name": "me", "user": {"token": "one"}}]}))
    contexts = [{"name": "work", "context": {"cluster": "home", "user": "me"}}]
    second = kubeconfig(tmp_path, name="second", user={"token": "two"}, contexts=contexts)
    cluster = load(environment={"KUBECONFIG": f"{tmp_path}/none:{first}:{second}"})
    assert (cluster.server, cluster.credentials, cluster.namespace) == ("https://kube:6443", Token("one"), "default")


def test_relative_paths_start_at_the_file_they_stand_in(tmp_path: Path) -> None:
    """A kubeconfig works from any folder."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_text("PEM")
    plugin = {"apiVersion": EXEC_V1, "command": "./bin/login"}
    file = kubeconfig(tmp_path, cluster={"certificate-authority": "pki/ca.crt"}, user={"exec": plugin})
    cluster = loaded(file)
    assert cluster.authority == Pem(b"PEM", str(tmp_path / "pki" / "ca.crt"))
    assert isinstance(cluster.credentials, Exec)
    assert cluster.credentials.command == str(tmp_path / "bin" / "login")


@pytest.mark.parametrize(
    ("user", "credentials"),
    [
        ({}, None),
        ({"token": "t"}, Token("t")),
        ({"token": "t", "tokenFile": "/run/token"}, TokenFile(Path("/run/token"))),
        ({"username": "ann", "password": "pw"}, Basic("ann", "pw")),
        ({"token": "t", "exec": {"apiVersion": EXEC_V1, "command": "x"}}, Token("t")),
    ],
)
def test_the_ways_to_be_somebody(tmp_path: Path, user: dict[str, Any], credentials: object) -> None:
    """Token, token file, password: the same as kubectl takes, in the same order."""
    assert loaded(kubeconfig(tmp_path, user=user)).credentials == credentials


def test_another_context_can_be_named(tmp_path: Path) -> None:
    """--context picks one that is not the current one."""
    contexts = [
        {"name": "home", "context": {"cluster": "none"}},
        {"name": "other", "context": {"cluster": "home", "namespace": "there"}},
    ]
    assert loaded(kubeconfig(tmp_path, contexts=contexts), context="other").namespace == "there"


def test_the_settings_of_a_cluster_are_kept(tmp_path: Path) -> None:
    """Insecure, server name, proxy and impersonation reach the client."""
    settings = {"insecure-skip-tls-verify": True, "tls-server-name": "kube.test", "proxy-url": "http://proxy:3128"}
    cluster = loaded(kubeconfig(tmp_path, cluster=settings, user={"as": "ann", "as-uid": "7"}))
    assert (cluster.insecure, cluster.server_name, cluster.proxy) == (True, "kube.test", "http://proxy:3128")
    assert cluster.impersonate == {"Impersonate-User": "ann", "Impersonate-Uid": "7"}


async def test_a_user_of_any_name_can_be_impersonated(tmp_path: Path) -> None:
    """A name that is not ASCII goes out as UTF-8, as from kubectl; it was a traceback."""
    cluster = loaded(kubeconfig(tmp_path, cluster={"insecure-skip-tls-verify": True}, user={"as": "jürgen"}))
    async with open_kube(cluster, clock=FixedClock()) as kube:
        assert kube is not None


# --- what is wrong with it --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cluster": {"server": "kube:6443"}}, r"clusters\[home\]\.cluster\.server: .*https://HOST:PORT"),
        (
            {"cluster": {"certificate-authority": "none.crt"}},
            r"cluster\.certificate-authority: cannot read .*none\.crt",
        ),
        ({"cluster": {"certificate-authority-data": "%%"}}, r"cluster\.certificate-authority-data: is not base64"),
        ({"cluster": {"proxy-url": "socks5://p"}}, r"cluster\.proxy-url: .*only http and https"),
        (
            {"cluster": {"insecure-skip-tls-verify": True, "certificate-authority-data": "YQ=="}},
            r"insecure-skip-tls-verify: contradicts certificate-authority",
        ),
        ({"user": {"client-key-data": "YQ=="}}, r"users\[me\]\.user\.client-certificate: is missing"),
        ({"user": {"client-certificate-data": "YQ=="}}, r"users\[me\]\.user\.client-key: is missing"),
        ({"user": {"token": 12345}}, r"Expected `str`, got `int` - at `\$\.users\[0\]\.user\.token`; .*quotes"),
        ({"user": {"auth-provider": {"name": "gcp"}}}, r"user\.auth-provider: .*exec plugin"),
        ({"user": {"exec": {"apiVersion": "v1alpha1", "command": "x"}}}, r"exec\.apiVersion: 'v1alpha1' is not supp"),
        ({"user": {"exec": {"apiVersion": EXEC_V1}}}, r"user\.exec\.command: is missing"),
        (
            {"user": {"exec": {"apiVersion": EXEC_V1, "command": "x", "interactiveMode": "Always"}}},
            r"exec\.interactiveMode: Always needs a terminal",
        ),
        ({"cluster": {"server": "https://[::1"}}, r"cluster\.server: 'https://\[::1' is no URL; write"),
        ({"cluster": {"server": "https://kube:99999"}}, r"cluster\.server: 'https://kube:99999' is no URL; write"),
        ({"cluster": {"server": f"https://{'k' * 64}.test"}}, r"cluster\.server: .* is no URL; write"),
        ({"cluster": {"proxy-url": "http://[::1"}}, r"cluster\.proxy-url: "),
        ({"cluster": {"certificate-authority-data": "é"}}, r"cluster\.certificate-authority-data: is not base64"),
        ({"user": {"client-certificate": "/a\0b"}}, r"holds a NUL character; remove it"),
        ({"user": {"exec": {"apiVersion": EXEC_V1, "command": "a\0b"}}}, r"holds a NUL character; remove it"),
        ({"current-context": "work"}, r"there is no context 'work'; known: home"),
        ({"current-context": ""}, r"no current-context; .*--context"),
        ({"clusters": []}, r"contexts\[home\]\.context: there is no cluster 'home'; known: none"),
        ({"users": None}, r"contexts\[home\]\.context: there is no user 'me'; known: none"),
    ],
)
def test_a_mistake_is_named_with_file_field_and_remedy(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """Nobody has to guess which line of which kubeconfig is wrong."""
    file = kubeconfig(tmp_path, **change)
    with pytest.raises(Refused, match=said) as refusal:
        loaded(file)
    assert str(file) in str(refusal.value)
    assert refusal.value.reason == "BadKubeconfig"


@pytest.mark.parametrize(
    ("content", "said"), [("a: [", "is not YAML"), ("- 1", "Expected `object`"), ("", "current-context")]
)
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, content: str, said: str) -> None:
    """The wrong file, an empty one and a truncated one are told from a wrong field."""
    file = tmp_path / "config"
    file.write_text(content)
    with pytest.raises(Refused, match=said):
        loaded(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A typing mistake in --kubeconfig or KUBECONFIG shows at once."""
    with pytest.raises(Refused, match="none: cannot be read"):
        loaded(tmp_path / "none")
    with pytest.raises(Refused, match="none: cannot be read"):
        load(environment={"KUBECONFIG": str(tmp_path / "none")})


def test_secrets_do_not_show_in_a_repr(tmp_path: Path) -> None:
    """A configuration can be logged."""
    user = {"client-certificate-data": data("client.crt"), "client-key-data": data("client.key")}
    for secret in ({"token": "s3cret"}, {"username": "ann", "password": "s3cret"}, user):
        shown = repr(loaded(kubeconfig(tmp_path, user=secret)))
        assert "s3cret" not in shown
        assert "PRIVATE" not in shown


# --- TLS --------------------------------------------------------------------------------------------


def test_a_client_certificate_is_taken_from_files_and_from_data(tmp_path: Path) -> None:
    """Both forms load, and no copy of the key stays behind."""
    files = {"client-certificate": str(CERTS / "client.crt"), "client-key": str(CERTS / "client.key")}
    inline = {"client-certificate-data": data("client.crt"), "client-key-data": data("client.key")}
    for user in (files, inline):
        assert isinstance(tls_context(loaded(kubeconfig(tmp_path, user=user))), ssl.SSLContext)


@pytest.mark.parametrize(
    ("cluster", "user", "said"),
    [
        ({"certificate-authority-data": "YQ=="}, {}, r"certificate-authority-data: holds no certificate in PEM"),
        (
            {},
            {"client-certificate-data": "YQ==", "client-key-data": "YQ=="},
            r"client-certificate-data and .*PEM of one",
        ),
    ],
)
def test_a_certificate_that_does_not_read_is_named(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], said: str
) -> None:
    """Truncated or swapped PEM files show where they were given."""
    with pytest.raises(Refused, match=said):
        tls_context(loaded(kubeconfig(tmp_path, cluster=cluster, user=user)))


def test_insecure_trusts_every_server(tmp_path: Path) -> None:
    """insecure-skip-tls-verify does what it says; without it the server is checked."""
    insecure = tls_context(loaded(kubeconfig(tmp_path, cluster={"insecure-skip-tls-verify": True})))
    assert (insecure.verify_mode, insecure.check_hostname) == (ssl.CERT_NONE, False)
    secure = tls_context(loaded(kubeconfig(tmp_path)))
    assert (secure.verify_mode, secure.check_hostname) == (ssl.CERT_REQUIRED, True)


# --- the Authorization header -----------------------------------------------------------------------


def who(cluster: Cluster, *, clock: FixedClock | None = None, reread: float = 60.0, shown: Any = None) -> Identity:
    """The identity for a cluster."""
    made = identity(cluster, clock=clock or FixedClock(), reread=reread, show=shown or (lambda pair: None))
    assert made is not None
    return made


async def test_headers_of_token_and_password() -> None:
    """What stays the same is sent as it is."""
    assert await who(Cluster("https://x", "t", credentials=Token("abc"))).header() == "Bearer abc"
    assert await who(Cluster("https://x", "t", credentials=Basic("ann", "pw"))).header() == "Basic YW5uOnB3"


async def test_a_token_file_is_read_again_after_a_minute(tmp_path: Path, autojump_clock: Any) -> None:
    """A token that the kubelet renewed is used before the old one ends."""
    file = tmp_path / "token"
    file.write_text("one\n")
    source = who(Cluster("https://x", "t", credentials=TokenFile(file)))
    assert await source.header() == "Bearer one"
    file.write_text("two\n")
    autojump_clock.jump(59)
    assert await source.header() == "Bearer one"
    autojump_clock.jump(2)
    assert await source.header() == "Bearer two"
    file.unlink()
    autojump_clock.jump(61)
    assert await source.header() == "Bearer two"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read the token"),
        (b"", "is empty"),
        (b"\xff\xfe", "holds no text"),
        (b"one\ntwo", "more than one token"),
    ],
    ids=["gone", "empty", "bytes", "lines"],
)
async def test_a_token_file_that_gives_nothing_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    """It shows at the start, with the path; later the token that was read before is used."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Refused, match=said):
        await who(Cluster("https://x", "t", credentials=TokenFile(file))).header()
    file.write_text("one\n")
    source = who(Cluster("https://x", "t", credentials=TokenFile(file)))
    assert await source.header() == "Bearer one"
    file.unlink() if content is None else file.write_bytes(content)
    assert await source.renew("Bearer one") == "Bearer one"


def plugin(folder: Path, script: str, **settings: Any) -> Cluster:
    """A cluster whose user comes from a Python script; $COUNT is a file that counts its runs."""
    file = folder / "plugin.py"
    file.write_text(f"import json, os\nopen({str(folder / 'runs')!r}, 'a').write('x')\n{script}")
    variables = [{"name": "EXTRA", "value": "1"}]
    spec = {"apiVersion": EXEC_V1, "command": sys.executable, "args": [str(file)], "env": variables, **settings}
    return loaded(kubeconfig(folder, user={"exec": spec}, cluster={"certificate-authority-data": "YQ=="}))


def runs(folder: Path) -> int:
    """How often the plugin ran."""
    return len((folder / "runs").read_text())


async def test_a_plugin_runs_again_when_its_token_ends(tmp_path: Path) -> None:
    """It is asked once for as long as its answer holds, and told what kubectl tells it."""
    script = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "assert info['kind'] == 'ExecCredential' and os.environ['EXTRA'] == '1' and os.environ['PATH']\n"
        "token = info['spec']['cluster']['server'] + ' ' + info['spec']['cluster']['certificate-authority-data']\n"
        "print(json.dumps({'status': {'token': token, 'expirationTimestamp': '2026-01-05T00:10:00Z'}}))"
    )
    clock = FixedClock()
    source = who(plugin(tmp_path, script, provideClusterInfo=True), clock=clock)
    assert await source.header() == "Bearer https://kube:6443 YQ=="
    assert await source.header() == "Bearer https://kube:6443 YQ=="
    assert runs(tmp_path) == 1
    clock.time += timedelta(minutes=10)
    await source.header()
    assert runs(tmp_path) == 2


async def test_a_plugin_may_hand_out_a_certificate(tmp_path: Path) -> None:
    """Its certificate is shown to the server from the next connection on."""
    pair = {
        "clientCertificateData": (CERTS / "client.crt").read_text(),
        "clientKeyData": (CERTS / "client.key").read_text(),
    }
    cluster = plugin(tmp_path, f"print(json.dumps({{'status': {pair!r}}}))")
    context = ssl.create_default_context()
    source = who(cluster, shown=lambda pair: show_certificate(context, pair))
    assert await source.header() == ""


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("raise SystemExit('log in first')", Unavailable, "ended with 1: log in first"),
        ("print('hello')", Refused, "did not print an ExecCredential"),
        ("print('{}')", Refused, "neither a token nor a certificate"),
    ],
)
async def test_a_plugin_that_fails_is_quoted(tmp_path: Path, script: str, error: type[Exception], said: str) -> None:
    """Its own words tell what to do."""
    with pytest.raises(error, match=said):
        await who(plugin(tmp_path, script)).header()


async def test_a_plugin_that_is_missing_comes_with_its_hint(tmp_path: Path) -> None:
    """The provider's installation hint is passed on."""
    cluster = plugin(tmp_path, "", command="/none/login", installHint="get it\nfrom the shop")
    with pytest.raises(Refused, match=r"exec\.command: cannot run /none/login .*; get it from the shop"):
        await who(cluster).header()


async def test_a_refused_token_is_fetched_anew_once(tmp_path: Path) -> None:
    """A 401 is answered with a fresh token if there is one, and not repeated for ever."""
    (tmp_path / "token").write_text("old")
    flow = who(Cluster("https://x", "t", credentials=TokenFile(tmp_path / "token"))).async_auth_flow(
        httpx.Request("GET", "https://x")
    )
    assert (await anext(flow)).headers["Authorization"] == "Bearer old"
    (tmp_path / "token").write_text("new")
    assert (await flow.asend(httpx.Response(401))).headers["Authorization"] == "Bearer new"
    with pytest.raises(StopAsyncIteration):
        await flow.asend(httpx.Response(401))
