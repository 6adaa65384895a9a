"""An orderly shutdown by SSH, with the OpenSSH client. The host key is pinned; no password, no agent, no file of the user's.

Key and host keys reach the client as files in memory, so their modes are right however a Secret is mounted.
"""

import os
import shlex
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio

from hexa.adapters.power.context import Context
from hexa.domain.errors import HexaError
from hexa.domain.power.claims import bare_host
from hexa.domain.resources.power_spec import Ssh
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import Power

GOING: Final = "hexa: going down"
"""What the machine prints before it shuts down: what breaks after it is success."""

NOT_ARMED: Final = 71
"""Exit code of the machine's side where a card does not keep its wake flag."""

DEFAULT: Final = "if command -v systemctl >/dev/null; then systemctl poweroff; else poweroff; fi"

_ALIAS: Final = "pinned"
_OPTIONS: Final = {
    "BatchMode": "yes",
    "CheckHostIP": "no",
    "ConnectionAttempts": "1",
    "GlobalKnownHostsFile": "/dev/null",
    "HostKeyAlias": _ALIAS,
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "KbdInteractiveAuthentication": "no",
    "LogLevel": "ERROR",
    "PasswordAuthentication": "no",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
}

_KEY = "correct the key ssh-privatekey of the Secret that secretName names"
_HOST = "compare the key known_hosts of the Secret with the machine's own, and replace it only if the machine was installed anew"

ERRORS: Final = (
    ("host key verification failed", "its host key is another than the pinned one", _HOST, "HostKeyMismatch"),
    ("identification has changed", "its host key is another than the pinned one", _HOST, "HostKeyMismatch"),
    ("load key", "the private key can't be read", f"{_KEY}; it must have no passphrase", "BadSecret"),
    (
        "permission denied",
        "it does not take the key for this user",
        f"put the public key there, or {_KEY}",
        "BadCredentials",
    ),
    ("no matching", "it and the SSH client have no algorithm in common", "update its SSH server", "NoCommonAlgorithm"),
    ("no user exists for uid", "the account of this process has no name", "run as a user of /etc/passwd", "NoAccount"),
    ("could not resolve", "its name cannot be resolved", "", "UnknownHost"),
    ("connection refused", "nothing listens there", "", "Unreachable"),
    ("timed out", "no answer", "", "NoAnswer"),
    ("no route", "there is no route to it", "", "Unreachable"),
    ("unreachable", "there is no route to it", "", "Unreachable"),
    ("closed", "it closed the connection", "", "BrokenConnection"),
    ("reset", "it closed the connection", "", "BrokenConnection"),
)
"""Words of the client -> what, remedy (none: it may go by itself), reason; the first that fits."""


@asynccontextmanager
async def open_power(settings: Ssh, context: Context) -> AsyncIterator[Power]:
    """A machine's SSH server. Nothing is asked yet."""
    address = settings.address if settings.port == 22 else f"{settings.address}:{settings.port}"
    yield SshPower(settings, context.at("ssh", address))


class SshPower:
    """Implements `ports.power`."""

    def __init__(self, settings: Ssh, context: Context) -> None:
        self._settings = settings
        self._context = context

    def __repr__(self) -> str:
        return f"<SshPower {self._settings.user}@{self._context.address}>"

    async def turn_on(self) -> None:
        raise self._context.refused(
            "a machine that is off answers nobody", "name another driver for on, such as wakeOnLan", reason="NoWayOn"
        )

    async def turn_off(self) -> None:
        with self._context.answering(), self._files() as (key, hosts):
            try:
                done = await trio.run_process(
                    self._command(key, hosts), stdin=b"", capture_stdout=True, capture_stderr=True, check=False
                )
            except OSError as error:
                remedy = "install the OpenSSH client (hexa's image has it)"
                raise self._context.refused("there is no command ssh here", remedy, reason="NoSshClient") from error
        cut_off = done.returncode == 255 and GOING.encode() in done.stdout
        if done.returncode != 0 and not cut_off:
            raise self._failed(done)

    async def sense(self) -> Reading:
        """On if an SSH server greets. Silence has many reasons."""
        settings = self._settings
        with trio.move_on_after(self._context.patience):
            try:
                async with await trio.open_tcp_stream(bare_host(settings.address), settings.port) as stream:
                    greeting = await stream.receive_some(4)
                    return Reading.ON if greeting[:1] == b"S" else Reading.UNKNOWN
            except (OSError, UnicodeError):  # one that is no name of a host
                return Reading.UNKNOWN
        return Reading.UNKNOWN

    def _command(self, key: str, hosts: str) -> list[str]:
        settings = self._settings
        options = {
            **_OPTIONS,
            "ConnectTimeout": str(max(1, round(self._context.patience))),
            "IdentityFile": key,
            "UserKnownHostsFile": hosts,
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        target = ["-p", str(settings.port), "-l", settings.user, "--", bare_host(settings.address)]
        return ["ssh", "-F", "none", "-T", *words, *target, *self._request()]

    def _request(self) -> list[str]:
        settings = self._settings
        if settings.forced_command:
            return []
        lines = [
            "set -e",
            *map(_arm, settings.wake_interfaces),
            f"echo {shlex.quote(GOING)}",
            settings.command or DEFAULT,
        ]
        script = shlex.join(["sh", "-c", "\n".join(lines)])
        return [f"sudo -n {script}" if settings.sudo else script]

    @contextmanager
    def _files(self) -> Iterator[tuple[str, str]]:
        """The private key and the pinned host keys, as files that only this process and its children can open."""
        secret, context = self._settings.secret_name, self._context
        hosts = _pinned(context.needed(secret, "known_hosts"))
        if not hosts:
            what, remedy = (
                f"the key known_hosts of Secret {secret} has no host key",
                "put the output of ssh-keyscan there",
            )
            raise context.refused(what, remedy, reason="BadSecret")
        with _in_memory(context.needed(secret, "ssh-privatekey") + "\n") as key, _in_memory(hosts) as known:
            yield key, known

    def _failed(self, done: "subprocess.CompletedProcess[bytes]") -> HexaError:
        context, said = self._context, (done.stderr or b"").decode(errors="replace")
        if done.returncode == 255:
            for words, what, remedy, reason in ERRORS:
                if words in said.lower():
                    if remedy:
                        return context.refused(what, remedy, reason=reason)
                    return context.unavailable(what, "check its address, its network and its power", reason=reason)
            return context.unavailable(f"no connection{context.quoted(_last(said))}", "try again", reason="Unreachable")
        if done.returncode == NOT_ARMED:
            card = (done.stdout or b"").decode(errors="replace").strip().rpartition(" ")[2]
            what = f"its network card {card} does not keep the wake flag, so it was left on"
            remedy = (
                "install ethtool, and allow Wake-on-LAN in firmware and driver, or remove the card from wakeInterfaces"
            )
            return context.refused(what, remedy, reason="WakeNotArmed")
        remedy = "try the command on the machine; accounts other than root need sudo"
        return context.refused(
            f"the shutdown failed there{context.quoted(_last(said))}", remedy, reason="CommandFailed"
        )


def _arm(card: str) -> str:
    """Shell that sets a card's wake flag and reads it back."""
    name = shlex.quote(card)
    read = f"ethtool {name} | sed -n 's/^[[:space:]]*Wake-on: //p'"
    missing = f"{{ echo wol {name}; exit {NOT_ARMED}; }}"
    return f'ethtool -s {name} wol g || {missing}\ncase "$({read})" in *g*) ;; *) {missing} ;; esac'


def _pinned(text: str) -> str:
    """Lines of known_hosts whose host is the alias, whatever name or address they were collected by."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = [words.pop(0)] if words[0].startswith("@") else []
        at = next((n for n, word in enumerate(words[:2]) if word.startswith(("ssh-", "ecdsa-", "sk-"))), None)
        if at is not None and len(words) > at + 1:
            lines.append(" ".join([*marker, _ALIAS, words[at], words[at + 1]]))
    return "".join(f"{line}\n" for line in lines)


@contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A file without a name; the client, which closes what it inherits, opens it by our process."""
    descriptor = os.memfd_create("hexa")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, text.encode())
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f" ({lines[-1][:200].rstrip('.')})" if lines else ""
