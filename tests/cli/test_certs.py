"""hexa certs: a working set for mutual TLS, as files or Secrets, and new ones from the same CA."""

import base64
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hexa.adapters.externalgrpc.config import Tls
from hexa.adapters.externalgrpc.tls import load
from hexa.adapters.x509.adapter import X509Issuer
from hexa.app.commands.certs import Order, renew
from hexa.cli.app import app
from hexa.domain.errors import Refused
from hexa.ports.certificates import Owner, Pair, Usage
from hexa.yaml import read_document, read_documents

FILES = {"ca.crt", "ca.key", "server.crt", "server.key", "client.crt", "client.key", "cloud-config.yaml"}


def certs(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["certs", *map(str, arguments)])


def names(file: Path) -> Owner:
    """Whom a certificate names."""
    return X509Issuer().describe(file.read_text()).owner


def test_files_work_together(tmp_path: Path) -> None:
    """hexa serves with the files, and the client's certificate is signed by the CA that it wants."""
    result = certs("-o", tmp_path / "pki")
    assert (result.exit_code, result.stdout) == (0, "")
    folder = tmp_path / "pki"
    assert {file.name for file in folder.iterdir()} == FILES
    server = Tls(certificate=folder / "server.crt", key=folder / "server.key", client_ca=folder / "ca.crt")
    loaded = load(server)
    assert loaded.doubt == ""
    shake_hands(loaded.context, folder)


def shake_hands(server: ssl.SSLContext, folder: Path) -> None:
    """A client with the set's files and the server agree, by the name of the Service."""
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there, server_hostname="hexa.hexa-system.svc")
    other = server.wrap_bio(there, back, server_side=True)
    for side in (client, other, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    other.do_handshake()
    shown: Any = other.getpeercert()
    assert ("DNS", "cluster-autoscaler") in shown["subjectAltName"]


def test_keys_are_for_their_owner_and_are_not_printed(tmp_path: Path) -> None:
    """Key files have mode 0600, the folder 0700, and no key is on the terminal."""
    result = certs("-o", tmp_path / "pki")
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "pki").iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} == {"ca.key", "server.key", "client.key"}
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    assert "PRIVATE" not in result.output
    assert "PRIVATE" not in repr(X509Issuer().authority("x", starts=WHEN, ends=WHEN))


WHEN = X509Issuer().describe((Path(__file__).parents[1] / "adapters" / "certs" / "ca.crt").read_text()).ends


def test_names_of_the_server(tmp_path: Path) -> None:
    """The server is called by the names of its Service, by localhost, and by what was asked for."""
    certs("-o", tmp_path, "--dns", "hexa.example", "--ip", "10.0.0.5", "-n", "power", "--address", "10.1.1.1:9000")
    owner = names(tmp_path / "server.crt")
    service = ("hexa", "hexa.power", "hexa.power.svc", "hexa.power.svc.cluster.local")
    assert owner.dns == (*service, "localhost", "hexa.example")
    assert owner.ips == ("127.0.0.1", "::1", "10.1.1.1", "10.0.0.5")
    config = read_document((tmp_path / "cloud-config.yaml").read_text(), source="cloud-config.yaml")
    assert config is not None
    assert config.value == {
        "address": "10.1.1.1:9000",
        "key": f"{tmp_path}/client.key",
        "cert": f"{tmp_path}/client.crt",
        "cacert": f"{tmp_path}/ca.crt",
    }


def test_secrets_are_ready_for_kubectl(tmp_path: Path) -> None:
    """--secrets prints what hexa and Cluster Autoscaler mount; the CA's key is in neither."""
    result = certs("--secrets", "-o", tmp_path, "--autoscaler-namespace", "kube-system")
    server, client = (document.value for document in read_documents(result.stdout, source="stdout"))
    assert (server["metadata"]["namespace"], server["metadata"]["name"]) == ("hexa-system", "hexa-grpc-server")
    assert server["type"] == "kubernetes.io/tls"
    assert client["metadata"]["namespace"] == "kube-system"
    assert client["metadata"]["name"] == "cluster-autoscaler-cloud-config"
    assert set(server["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    files = {key: base64.b64decode(value).decode() for key, value in client["data"].items()}
    assert files["tls.key"] == (tmp_path / "client.key").read_text()
    assert read_document(files["cloud-config.yaml"], source="x").value == {  # type: ignore[union-attr]
        "address": "hexa.hexa-system.svc:50051",
        "key": "/etc/cluster-autoscaler/tls.key",
        "cert": "/etc/cluster-autoscaler/tls.crt",
        "cacert": "/etc/cluster-autoscaler/ca.crt",
    }
    authority = base64.b64encode((tmp_path / "ca.key").read_bytes()).decode()
    assert authority not in result.stdout


def test_secrets_alone_say_that_the_ca_is_lost() -> None:
    """Without a folder nothing is left behind, and the person is told so."""
    result = certs("--secrets")
    assert result.exit_code == 0
    assert "the CA's key is not kept" in result.stderr


def test_renewal_keeps_ca_and_names(tmp_path: Path) -> None:
    """--renew issues new keys and certificates from the same CA, for the same names and those added."""
    certs("-o", tmp_path, "--dns", "hexa.example", "--days", 30)
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    result = certs("-o", tmp_path, "--renew", "--dns", "more.example")
    assert result.exit_code == 0, result.output
    changed = {file.name for file in tmp_path.iterdir() if file.read_text() != before[file.name]}
    assert changed == FILES - {"ca.crt", "ca.key", "cloud-config.yaml"}
    assert {"hexa.example", "more.example"} <= set(names(tmp_path / "server.crt").dns)
    shake_hands(
        load(
            Tls(certificate=tmp_path / "server.crt", key=tmp_path / "server.key", client_ca=tmp_path / "ca.crt")
        ).context,
        tmp_path,
    )


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """A second set does not replace the first one's CA by accident."""
    certs("-o", tmp_path)
    key = (tmp_path / "ca.key").read_text()
    result = certs("-o", tmp_path)
    assert result.exit_code == 2
    assert "has a CA already: add --renew" in result.stderr
    assert (tmp_path / "ca.key").read_text() == key


BAD = {
    (): "say where they shall go: --output DIR for files, --secrets",
    ("--renew",): "--renew needs the folder that holds the CA",
    ("--secrets", "--ip", "10.0.0.300"): "a name that no certificate can hold: '10.0.0.300'",
    ("--secrets", "--dns", "hexä.example"): "a name that no certificate can hold",
    ("--secrets", "--address", "hexa.example"): "--address: 'hexa.example' is not HOST:PORT",
    ("--secrets", "--mount", "etc/ca"): "--mount: 'etc/ca' is not a path from the root",
    ("--renew", "-o", "absent"): "cannot read the CA in absent",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_arguments_are_one_line(arguments: tuple[str, ...]) -> None:
    """What cannot be done ends with 2 and a sentence, and prints no Secret."""
    result = certs(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert BAD[arguments] in result.stderr
    assert "Traceback" not in result.output


def test_damaged_ca_is_one_line(tmp_path: Path) -> None:
    """A CA whose files do not fit each other, or that ends too soon, signs nothing."""
    certs("-o", tmp_path)
    ends = X509Issuer().describe((tmp_path / "ca.crt").read_text()).ends - timedelta(days=3)
    authority = Pair((tmp_path / "ca.crt").read_text(), (tmp_path / "ca.key").read_text())
    with pytest.raises(Refused, match=r"the CA ends on .* before certificates of 365 days would"):
        renew(X509Issuer(), authority, Order(), now=ends)
    (tmp_path / "ca.key").write_text((tmp_path / "client.key").read_text())
    result = certs("-o", tmp_path, "--renew")
    assert (result.exit_code, result.stderr) == (2, f"hexa: {tmp_path}: the key does not belong to the certificate\n")
    (tmp_path / "ca.key").write_text("x")
    assert "holds no private key in PEM" in certs("-o", tmp_path, "--renew").stderr


def test_texts_that_are_no_certificates_are_refused() -> None:
    """What is given as a CA is looked at before it signs."""
    with pytest.raises(Refused, match="holds no certificate in PEM"):
        X509Issuer().issue(Pair("x", "y"), Owner(name="x"), Usage.CLIENT, starts=WHEN, ends=WHEN)
