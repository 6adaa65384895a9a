"""Keys and certificates of one control plane, made by openssl.

Owns the files; refuses to know who uses them. Elliptic keys, because making them takes no time.
"""

import subprocess
from pathlib import Path

_DAYS = "30"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Pki:
    """A certificate authority in a folder, and what it signed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._config = folder / "openssl.cnf"
        self._config.write_text("[req]\ndistinguished_name = name\n[name]\n")  # no extension but ours
        self.service_account_key = folder / "service-account.key"
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.service_account_key))
        self.ca, self._ca_key = self._request("ca", "/CN=hexa e2e", "CA:true", "keyCertSign,cRLSign")

    def sign_server(self, name: str, *, addresses: list[str], names: list[str]) -> tuple[Path, Path]:
        """The certificate and key of a server that is reached by these addresses and names."""
        reached_by = [f"IP:{address}" for address in addresses] + [f"DNS:{name}" for name in names]
        extra = ["-addext", "subjectAltName=" + ",".join(reached_by), "-addext", "extendedKeyUsage=serverAuth"]
        return self._request(name, f"/CN={name}", "CA:false", "digitalSignature", *self._signed(), *extra)

    def sign_user(self, user: str, *, group: str) -> tuple[Path, Path]:
        """The certificate and key of a user of the API server."""
        extra = ["-addext", "extendedKeyUsage=clientAuth"]
        return self._request(user, f"/O={group}/CN={user}", "CA:false", "digitalSignature", *self._signed(), *extra)

    def _signed(self) -> list[str]:
        by_us = ["-CA", str(self.ca), "-CAkey", str(self._ca_key)]
        return [*by_us, "-addext", "authorityKeyIdentifier=keyid"]

    def _request(self, name: str, subject: str, constraints: str, usage: str, *extra: str) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        self._openssl(
            *("req", "-x509", "-config", str(self._config), "-days", _DAYS, *_NEW_KEY),
            *("-subj", subject, "-keyout", str(key), "-out", str(certificate)),
            *("-addext", f"basicConstraints=critical,{constraints}"),
            *("-addext", f"keyUsage=critical,{usage}", "-addext", "subjectKeyIdentifier=hash", *extra),
        )
        return certificate, key

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
