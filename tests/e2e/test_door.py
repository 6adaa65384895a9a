"""The door of docs/door.md for a service outside Kubernetes: nginx with our file, before hexa's real HTTP port (.ci/packages)."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import lab as labs
import pytest
import trio
from agent import API, Agent, group, in_phase, machine, open_agent, waking_token
from counterparts import nginx
from lab import Api, Machine, Machines, eventually
from lab.controlplane import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]
HOST = {"host": "films.example.org", "accept": "text/html"}
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nfilms"
Kubectl = Callable[..., str]

pytestmark = pytest.mark.skipif(
    not shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), reason="nginx is not installed (.ci/packages)"
)


def door(**values: str) -> str:
    """Our file with what a user puts into it."""
    text = (ROOT / "examples" / "door" / "nginx.conf").read_text(encoding="utf-8")
    for shown, own in {
        "listen 80;": f"listen {values['listen']};",
        "192.0.2.20:8096": values["service"],
        "192.0.2.10:8080": values["hexa"],
        "hexa-machines/nas": values["machine"],
        "/etc/nginx/hexa-token.conf": values["token"],
    }.items():
        assert shown in text
        text = text.replace(shown, own)
    return text


async def serve(box: Machine, port: int) -> None:
    """The service: it answers as soon as its machine is on."""
    await eventually(lambda: box.power == "on", within=60)

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(4096)
            await stream.send_all(ANSWER)

    await trio.serve_tcp(answer, port, host=LOOPBACK)


async def shown(client: httpx.AsyncClient) -> bool:
    """Whether the service answers through the door."""
    answer = await client.get("/library")
    return (answer.status_code, answer.text) == (200, "films")


@pytest.fixture
async def hexa(lab: labs.Lab, namespace: str, kubectl: Kubectl, tmp_path: Path) -> object:
    """The agent, with its HTTP port on loopback."""
    kubectl("apply", "-f", str(ROOT / "deploy" / "crds"))
    crds = [f"{plural}.infra.homecluster.dev" for plural in ("groups", "nodes", "powerprofiles")]
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", *crds)
    on = {"HEXA_HTTP_ADDRESS": f"{LOOPBACK}:{free_port(LOOPBACK)}"}
    async with open_agent(lab.control_plane.kubeconfig(), namespace, tmp_path, environment=on) as agent:
        yield agent


async def test_nginx_wakes_and_shows_the_waiting_page(
    lab: labs.Lab, api: Api, namespace: str, machines: Machines, hexa: Agent, kubectl: Kubectl, tmp_path: Path
) -> None:
    """The first page wakes the machine by one packet and two hours' hold, hexa's page stands for its boot, then the service."""
    box = machines.add(boot_delay=2.0)
    await api.create(group(namespace, retries={"wakeInterval": "30s"}))
    await api.create(machine(namespace, box))
    await eventually(partial(in_phase, api, namespace, "Off", [box.name]), within=20)
    kubeconfig = lab.control_plane.kubeconfig()
    token = await waking_token(box.name, kubeconfig=kubeconfig, api=api, namespace=namespace, kubectl=kubectl)
    (tmp_path / "token.conf").write_text(f'proxy_set_header Authorization "Bearer {token}";\n')
    port, service = free_port(LOOPBACK), free_port(LOOPBACK)
    text = door(
        listen=f"{LOOPBACK}:{port}",
        service=f"{LOOPBACK}:{service}",
        hexa=hexa.environment["HEXA_HTTP_ADDRESS"],
        machine=f"{namespace}/{box.name}",
        token=str(tmp_path / "token.conf"),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, box, service)
        with nginx(tmp_path, text, port=port):
            async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", headers=HOST, trust_env=False) as client:
                waiting = await client.get("/library")
                assert (waiting.status_code, "retry-after" in waiting.headers) == (503, True)
                assert box.name in waiting.text
                assert (await client.get("/eta.css")).headers["content-type"].startswith("text/css")
                await eventually(partial(shown, client), within=40, what="the service answers in its place")
        nursery.cancel_scope.cancel()
    hold = (await api.read(f"{API}/nodes", box.name, namespace=namespace))["spec"]["hold"]
    assert hold["power"] == "on"
    assert hold["reason"].startswith("films.example.org (system:serviceaccount:")  # and who asked
    assert (box.power, len(box.seen.wakes)) == ("on", 1)
