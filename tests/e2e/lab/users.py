"""The users of a control plane's API server, and a kubeconfig for each way to be one.

Owns names, groups, tokens and the files; refuses to know what they are allowed: that is RBAC's.
"""

import base64
import json
import secrets
from pathlib import Path
from typing import Any, Final, Literal, get_args

from .pki import Pki

Context = Literal["certificate", "token", "exec", "insecure", "nobody"]
CONTEXTS: Final[tuple[Context, ...]] = get_args(Context)
ADMINS = "system:masters"
NODES = "system:nodes"


class Users:
    """An administrator by certificate, token and exec plugin; `nobody`, who may do nothing; machines."""

    def __init__(self, folder: Path, pki: Pki, *, server: str) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._pki = pki
        self._server = server
        self._token = secrets.token_hex(16)
        nobody = secrets.token_hex(16)
        certificate, key = pki.sign_user("admin", group=ADMINS)
        self.certificate = certificate, key
        self.tokens = folder / "tokens.csv"
        self.tokens.write_text(f"{self._token},admin,admin,{ADMINS}\n{nobody},nobody,nobody,\n")
        self._write("certificate", _by_certificate(certificate, key))
        self._write("token", {"token": self._token})
        self._write("exec", {"exec": self._plugin()})
        self._write("insecure", {"token": self._token}, insecure=True)
        self._write("nobody", {"token": nobody})

    def kubeconfig(self, context: Context = "certificate") -> Path:
        """The kubeconfig of one way to be a user."""
        return self._folder / f"{context}.kubeconfig"

    def machine(self, name: str) -> Path:
        """The kubeconfig of a machine's kubelet."""
        certificate, key = self._pki.sign_user(f"system:node:{name}", group=NODES)
        return self._write(name, _by_certificate(certificate, key))

    def _write(self, name: str, user: dict[str, Any], *, insecure: bool = False) -> Path:
        trust = {"insecure-skip-tls-verify": True} if insecure else {"certificate-authority-data": _data(self._pki.ca)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": {"server": self._server, **trust}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": "e2e", "user": name, "namespace": "default"}}],
            "current-context": name,
        }
        file = self._folder / f"{name}.kubeconfig"
        file.write_text(json.dumps(config, indent=1))
        return file

    def _plugin(self) -> dict[str, Any]:
        """An exec plugin that prints the administrator's token and counts its calls in a file beside it."""
        version = "client.authentication.k8s.io/v1"
        answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": self._token}}
        answer_file = self._folder / "credential.json"
        answer_file.write_text(json.dumps(answer))
        script = 'echo called >>"$0.calls" && cat "$0"'
        return {
            "apiVersion": version,
            "command": "sh",
            "args": ["-c", script, str(answer_file)],
            "interactiveMode": "Never",
        }


def _by_certificate(certificate: Path, key: Path) -> dict[str, str]:
    return {"client-certificate-data": _data(certificate), "client-key-data": _data(key)}


def _data(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
