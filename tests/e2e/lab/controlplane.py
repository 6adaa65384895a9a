"""A Kubernetes control plane of a test run: etcd, API server, controller manager and scheduler.

Owns these four processes and their folder; refuses to know machines. Every run has its own folder and
free ports, so that runs don't meet. All its parts die with us (see process.py), so nothing is left but files.
"""

import base64
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import trio

from .api import Api, open_api, wait_for_namespace
from .audit import audit_flags
from .network import FIRST_SERVICE, SERVICES
from .pki import Pki
from .process import Process
from .users import Context, Users

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
POLL_SECONDS = 0.03
SERVICE_NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a test may want otherwise."""

    node_monitor_grace_period: str = "20s"  # silence after which a Node becomes NotReady
    api_server: tuple[str, ...] = ()  # further flags
    controller_manager: tuple[str, ...] = ()
    scheduler: tuple[str, ...] = ()


class ControlPlane:
    """One control plane, made but not started; `kubeconfig()` and `open_api()` are the ways in."""

    def __init__(
        self, folder: Path, binaries: Path, *, address: str = LOOPBACK, options: Options | None = None
    ) -> None:
        self.folder = folder
        self.binaries = binaries
        self.options = options or Options()
        self.starts = 0  # of the API server
        self.address, self.port = address, free_port(address)
        self.url = f"https://{address}:{self.port}"
        self.pki = Pki(folder / "pki")
        self.users = Users(folder / "users", self.pki, server=self.url)
        self._etcd_url = f"http://{LOOPBACK}:{free_port(LOOPBACK)}"
        self.etcd = self._process("etcd", self._etcd_flags())
        self.api_server = self._process("kube-apiserver", self._api_server_flags())
        self.controller_manager = self._process("kube-controller-manager", self._controller_manager_flags())
        self.scheduler = self._process("kube-scheduler", self._scheduler_flags())

    def __repr__(self) -> str:
        return f"<ControlPlane {self.url} in {self.folder}>"

    def kubeconfig(self, context: Context = "certificate") -> Path:
        """A kubeconfig file for one way to be a user; see users.py."""
        return self.users.kubeconfig(context)

    def open_api(self) -> AbstractAsyncContextManager[Api]:
        """A client of the API server that may do everything."""
        trust = ssl.create_default_context(cafile=self.pki.ca)
        trust.load_cert_chain(*self.users.certificate)
        return open_api(self.url, trust)

    async def start(self) -> None:
        """Starts everything; returns when pods can be made."""
        self.etcd.start()
        await self._until(self._etcd_is_ready)
        await self.start_api_server()
        async with self.open_api() as api:
            await wait_for_namespace(api, "default")

    def stop(self) -> None:
        """Ends everything at once."""
        for process in (self.scheduler, self.controller_manager, self.api_server, self.etcd):
            process.kill()

    def require_running(self) -> None:
        """Raises ProcessDied where a part has ended by itself."""
        for process in (self.etcd, self.api_server, self.controller_manager, self.scheduler):
            process.require_running()

    async def start_api_server(self) -> None:
        """Starts the API server, and anew those who follow it; returns when it is ready.

        The followers have backed off, for up to 30 s after a few restarts, and a test waits for none of that.
        """
        self.api_server.start()
        self.starts += 1
        async with self.open_api() as api:
            await self._until(lambda: _answers(api.client, "/readyz"))
        for follower in (self.controller_manager, self.scheduler):
            follower.kill()
            follower.start()

    def stop_api_server(self) -> None:
        """Ends the API server at once, as a crash would."""
        self.api_server.kill()

    async def restart_api_server(self, *, down_seconds: float = 0.0) -> None:
        """A crash of the API server; returns when it is ready again."""
        self.stop_api_server()
        await trio.sleep(down_seconds)
        await self.start_api_server()

    async def forget_history(self) -> None:
        """Makes every resourceVersion from before the call too old: a watch from it gets 410 Gone.

        Compacting etcd is not enough, since the API server answers watches from its own cache. The cache
        begins with what it finds at start, so it is started anew, and at a revision that it never served.
        """
        self.stop_api_server()
        await self._etcd_call("kv/put", key=_etcd_bytes("e2e/forget"), value="")
        await self.compact()
        await self.start_api_server()

    async def compact(self) -> None:
        """Makes etcd forget all but the present; a `continue` token from before gets 410 Gone."""
        head = await self._etcd_call("kv/range", key=_etcd_bytes("e2e/forget"))
        await self._etcd_call("kv/compaction", revision=head["header"]["revision"], physical=True)

    async def _etcd_call(self, call: str, **body: Any) -> Any:
        async with httpx.AsyncClient(verify=False) as client:
            answer = await client.post(f"{self._etcd_url}/v3/{call}", json=body)
        return answer.raise_for_status().json()

    async def _etcd_is_ready(self) -> bool:
        async with httpx.AsyncClient(verify=False) as client:
            return await _answers(client, f"{self._etcd_url}/health")

    async def _until(self, ready: Callable[[], Awaitable[bool]]) -> None:
        with trio.fail_after(START_SECONDS):
            while not await ready():
                self.require_running()
                await trio.sleep(POLL_SECONDS)

    def _process(self, name: str, flags: list[str]) -> Process:
        return Process(name, [str(self.binaries / name), *flags], log=self.folder / f"{name}.log")

    def _etcd_flags(self) -> list[str]:
        peer = f"http://{LOOPBACK}:{free_port(LOOPBACK)}"
        return [
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ]

    def _api_server_flags(self) -> list[str]:
        reached_by = sorted({self.address, LOOPBACK, FIRST_SERVICE})
        certificate, key = self.pki.sign_server("kube-apiserver", addresses=reached_by, names=SERVICE_NAMES)
        return [
            f"--etcd-servers={self._etcd_url}",
            "--etcd-compaction-interval=0",  # tests say when history ends
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.pki.ca}",
            f"--token-auth-file={self.users.tokens}",
            f"--service-account-key-file={self.pki.service_account_key}",
            f"--service-account-signing-key-file={self.pki.service_account_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",  # no machine routes services but the first, see firmware.sh
            "--kubelet-preferred-address-types=InternalIP",
            *audit_flags(self.folder),
            *self.options.api_server,
        ]

    def _controller_manager_flags(self) -> list[str]:
        return [
            *self._follower_flags(),
            f"--service-account-private-key-file={self.pki.service_account_key}",
            f"--root-ca-file={self.pki.ca}",
            f"--node-monitor-grace-period={self.options.node_monitor_grace_period}",
            "--node-monitor-period=1s",
            *self.options.controller_manager,
        ]

    def _scheduler_flags(self) -> list[str]:
        return [*self._follower_flags(), *self.options.scheduler]

    def _follower_flags(self) -> list[str]:
        kubeconfig = self.kubeconfig()
        return [
            f"--kubeconfig={kubeconfig}",
            "--secure-port=0",  # nobody asks them anything
            "--leader-elect=false",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ]


@asynccontextmanager
async def open_control_plane(
    folder: Path, binaries: Path, *, address: str = LOOPBACK, options: Options | None = None
) -> AsyncIterator[ControlPlane]:
    """A control plane that has started, and ends with the block."""
    control_plane = ControlPlane(folder, binaries, address=address, options=options)
    try:
        await control_plane.start()
        yield control_plane
    finally:
        control_plane.stop()


PORTS: Final = range(10_000, 32_768)
"""Below those that Linux gives to outgoing connections: one of these may take a free port before its server binds to it."""


def free_port(address: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody has at this moment; drawn, so that two runs beside each other don't take the same."""
    while True:
        port = random.choice(PORTS)
        with socket.socket(socket.AF_INET, kind) as probe, suppress(OSError):
            probe.bind((address, port))
            return port


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url, timeout=5.0)).is_success
    except httpx.TransportError:
        return False


def _etcd_bytes(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
