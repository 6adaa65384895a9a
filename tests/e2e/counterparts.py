"""Power supplies and controllers that others wrote, each on a port of loopback unless told otherwise, and ended with its block."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.controlplane import LOOPBACK, free_port

OUTLETS: Final = "1.3.6.1.4.1.318.1.1.12.3.3.1.1.4"  # PowerNet-MIB rPDUOutletControlOutletCommand
_PATIENCE: Final = 20.0


@contextmanager
def running(*command: str, log: Path, up: Callable[[], bool]) -> Iterator[None]:
    """A process, once it is up; it ends with the block, and with us."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def tcp(port: int, address: str = LOOPBACK) -> Callable[[], bool]:
    """Whether somebody listens there."""

    def up() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((address, port)) == 0

    return up


def udp(port: int, address: str = LOOPBACK) -> Callable[[], bool]:
    """Whether somebody has the port."""

    def up() -> bool:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((address, port))
        except OSError:
            return True
        return False

    return up


def _script(file: Path, text: str) -> Path:
    file.write_text(textwrap.dedent(text).lstrip())
    file.chmod(0o755)
    return file


@contextmanager
def ipmi_sim(folder: Path, *, password: str, address: str = LOOPBACK) -> Iterator[int]:
    """OpenIPMI's simulator of a BMC (Debian: openipmi); the machine's power is the file `power`."""
    port, power = free_port(address, socket.SOCK_DGRAM), folder / "power"
    power.write_text("0\n")
    chassis = _script(
        folder / "chassis",
        f"""
        #!/bin/sh
        case "$1 $2" in
        "get power") echo "power:$(cat {power})" ;;
        "set power") echo "$3" >{power} ;;
        "set shutdown") echo 0 >{power} ;;
        esac
        """,
    )
    (folder / "lan.conf").write_text(
        textwrap.dedent(f"""
        name "worker-01"
        set_working_mc 0x20
          startlan 1
            addr {address} {port}
            priv_limit admin
            allowed_auths_callback none md2 md5 straight
            allowed_auths_user none md2 md5 straight
            allowed_auths_operator none md2 md5 straight
            allowed_auths_admin none md2 md5 straight
            guid a123456789abcdefa123456789abcdef
          endlan
          chassis_control "{chassis}"
          user 2 true "admin" "{password}" admin 10 none md2 md5 straight
          user 3 true "guest" "{password}" user 10 none md2 md5 straight
        """)
    )
    emulated = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n"
    (folder / "bmc.emu").write_text(emulated)
    state = folder / "state"
    state.mkdir()
    files = ("-c", str(folder / "lan.conf"), "-f", str(folder / "bmc.emu"), "-s", str(state))
    with running("ipmi_sim", *files, "-n", log=folder / "ipmi_sim.log", up=udp(port, address)):
        yield port


@contextmanager
def snmpd(folder: Path, *, secret: str) -> Iterator[int]:
    """net-snmp's agent (Debian: snmpd) as a PDU: an outlet is a file with 1 for on and 2 for off."""
    port, outlets = free_port(LOOPBACK, socket.SOCK_DGRAM), folder / "outlets"
    outlets.mkdir()
    for number in range(1, 5):
        (outlets / str(number)).write_text("2\n")
    answer = _script(
        folder / "answer",
        f"""
        #!/bin/sh
        file={outlets}/${{2##*.}}
        case "$1" in
        -g) [ -e "$file" ] && printf '%s\\ninteger\\n%s\\n' "$2" "$(cat "$file")" ;;
        -s) if [ -e "$file" ]; then echo "$4" >"$file"; else echo not-writable; fi ;;
        esac
        exit 0
        """,
    )
    (folder / "snmpd.conf").write_text(
        textwrap.dedent(f"""
        agentaddress udp:127.0.0.1:{port}
        rwcommunity {secret}
        createUser operator SHA "{secret}-auth" AES "{secret}-priv"
        rwuser operator priv
        createUser old MD5 "{secret}-auth" DES "{secret}-priv"
        rwuser old priv
        pass .{OUTLETS} {answer}
        """)
    )
    command = ("env", f"SNMP_PERSISTENT_DIR={folder}/kept", _sbin("snmpd"), "-f", "-Lo", "-C")
    with running(*command, "-c", str(folder / "snmpd.conf"), log=folder / "snmpd.log", up=udp(port)):
        yield port


@contextmanager
def sshd(folder: Path, *, address: str = LOOPBACK) -> Iterator[int]:
    """OpenSSH's server; keys `host` and `user` in the folder, and only the second may log in."""
    port = free_port(address)
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    (folder / "sshd_config").write_text(
        textwrap.dedent(f"""
        Port {port}
        ListenAddress {address}
        HostKey {folder}/host
        AuthorizedKeysFile {folder}/authorized_keys
        PasswordAuthentication no
        StrictModes no
        PidFile {folder}/sshd.pid
        """)
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # where it keeps its privileges apart
    with running(
        _sbin("sshd"), "-D", "-e", "-f", str(folder / "sshd_config"), log=folder / "sshd.log", up=tcp(port, address)
    ):
        yield port


class DummyUps:
    """A UPS that is a file, behind a driver that may hang."""

    def __init__(self, folder: Path, environment: tuple[str, ...]) -> None:
        self._file, self._log = folder / "rack.dev", folder / "driver.log"
        self._command = ("env", *environment, "/lib/nut/dummy-ups", "-a", "rack", "-u", "root", "-F", "-D")
        self._socket = folder / "dummy-ups-rack"
        self.hang: Callable[[], None] = lambda: None
        """Its driver says nothing any more."""

    def say(self, **variables: str) -> None:
        """Its variables from now on, with _ for a dot."""
        said = "".join(f"{name.replace('_', '.')}: {value}\n" for name, value in variables.items())
        new = self._file.with_suffix(".new")
        new.write_text(said)
        new.replace(self._file)

    @contextmanager
    def driven(self) -> Iterator[None]:
        """With its driver."""
        self.say(ups_status="OL", battery_charge="100", battery_runtime="3600")
        log = self._log.open("wb")
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *self._command], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        self.hang = lambda: process.send_signal(signal.SIGSTOP)
        try:
            deadline = time.monotonic() + _PATIENCE
            while not self._socket.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"dummy-ups did not start:\n{self._log.read_text()}")
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()
            log.close()


@contextmanager
def upsd(folder: Path) -> Iterator[tuple[int, DummyUps]]:
    """The server of Network UPS Tools with its dummy driver (Debian: nut-server); the UPS is called rack."""
    port = free_port(LOOPBACK)
    environment = tuple(f"NUT_{name}={folder}" for name in ("CONFPATH", "STATEPATH", "ALTPIDPATH"))
    (folder / "ups.conf").write_text("[rack]\n  driver = dummy-ups\n  port = rack.dev\n  mode = dummy-once\n")
    (folder / "upsd.conf").write_text(f"LISTEN {LOOPBACK} {port}\nMAXAGE 5\n")
    (folder / "upsd.users").write_text("")
    folder.chmod(0o700)
    ups = DummyUps(folder, environment)
    with ups.driven():
        # Debian wraps /sbin/upsd in a script that asks the MODE of /etc/nut/nut.conf
        command = ("env", *environment, "/lib/nut/upsd", "-F", "-u", "root", "-D")
        with running(*command, log=folder / "upsd.log", up=tcp(port)):
            yield port, ups


@contextmanager
def redfish_emulator(folder: Path, *, password: str, address: str = LOOPBACK) -> Iterator[int]:
    """sushy's emulator of a BMC, with a system that is no more than its state; it obeys within a second instead of eleven."""
    import bcrypt

    port = free_port(address)
    users = folder / "htpasswd"
    users.write_text(f"admin:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")
    system = {"uuid": "11111111-1111-1111-1111-111111111111", "name": "worker-01", "power_state": "Off", "nics": []}
    settings = {
        "LISTEN_IP": address,
        "LISTEN_PORT": port,
        "FAKE_DRIVER": True,
        "FAKE_SYSTEMS": [system],
        "AUTH_FILE": str(users),
        "STATE_DIR": str(folder),
    }
    config = folder / "emulator.conf"
    config.write_text("".join(f"SUSHY_EMULATOR_{key} = {value!r}\n" for key, value in settings.items()))
    quick = "import random; random.randint = lambda *_: 1; from sushy_tools.emulator.main import main; main()"
    with running(
        sys.executable, "-c", quick, "--config", str(config), log=folder / "emulator.log", up=tcp(port, address)
    ):
        yield port


@contextmanager
def nginx(folder: Path, servers: str, *, port: int) -> Iterator[None]:
    """nginx (Debian: nginx) with the text of a file of conf.d, which listens on the port; it writes below the folder only."""
    written = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{name}_temp_path {folder}/{name};" for name in written)
    settings = folder / "nginx.conf"
    # one process, so that it ends as a whole
    settings.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr notice;\nevents {{}}\n"
        f"http {{\n{paths}\naccess_log off;\n{servers}\n}}\n"
    )
    command = (_sbin("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(settings))
    with running(*command, log=folder / "nginx.log", up=tcp(port)):
        yield


def _sbin(name: str) -> str:
    """A command that Debian keeps for root."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or name
