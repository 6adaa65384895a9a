"""Who may do what over HTTP, by tokens that a real API server gives out and judges: its TokenReview, its RBAC."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import httpx
import lab as labs
import pytest
from agent import API, open_agent, waking_token
from lab import Api, eventually
from lab.controlplane import free_port

CRDS = Path(__file__).parents[2] / "deploy" / "crds"
POD = {"image": "power.example/switch"}
Kubectl = Callable[..., str]


@pytest.fixture
async def http(
    lab: labs.Lab, api: Api, namespace: str, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an agent that serves HTTP on loopback; its namespace has two machines."""
    kubectl("apply", "-f", str(CRDS))
    crds = [f"{plural}.infra.homecluster.dev" for plural in ("groups", "nodes", "powerprofiles")]
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", *crds)
    for name in ("rack-1", "rack-2"):
        metadata = {"namespace": namespace, "name": name}
        spec = {"startupPodSpec": POD, "shutdownPodSpec": POD, "kubernetesNodeName": f"{namespace}-{name}"}
        await api.create({"apiVersion": API, "kind": "Node", "metadata": metadata, "spec": spec})
    address = f"127.0.0.1:{free_port('127.0.0.1')}"
    on = {"HEXA_HTTP_ADDRESS": address}
    async with (
        open_agent(lab.control_plane.kubeconfig(), namespace, tmp_path, environment=on),
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client,
    ):
        await eventually(partial(answers, client, "/readyz"), within=20)
        yield client


async def answers(client: httpx.AsyncClient, path: str) -> bool:
    """Whether the answer is good."""
    try:
        return (await client.get(path)).is_success
    except httpx.TransportError:
        return False


async def reading(api: Api, namespace: str) -> str:
    """The token of somebody who may list machines."""
    named, rbac = {"name": "reader", "namespace": namespace}, "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["infra.homecluster.dev"], "resources": ["nodes"], "verbs": ["get", "list"]}
    bound = {"kind": "ServiceAccount", **named}
    role = {"apiGroup": rbac, "kind": "Role", "name": "reader"}
    await api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named})
    await api.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": named, "rules": [rule]})
    await api.create(
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": named, "roleRef": role, "subjects": [bound]}
    )
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/reader/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    return str((await api.request("POST", path, json=asked))["status"]["token"])


async def test_a_token_may_do_what_its_role_says(
    lab: labs.Lab, api: Api, namespace: str, kubectl: Kubectl, http: httpx.AsyncClient
) -> None:
    """Who has the token of `hexa token rack-1` wakes rack-1 and nothing else, and sees no list; a reader reads and wakes nothing;
    without a token there is nothing, metrics neither."""
    kubeconfig = lab.control_plane.kubeconfig()
    waker = await waking_token("rack-1", kubeconfig=kubeconfig, api=api, namespace=namespace, kubectl=kubectl)
    reader = await reading(api, namespace)
    admin = json.loads(lab.control_plane.kubeconfig("token").read_text())["users"][0]["user"]["token"]

    async def code(method: str, path: str, token: str = "") -> int:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return (await http.request(method, path, headers=headers)).status_code

    state, one, two = "/api/v1/state", *(f"/api/v1/machines/{namespace}/rack-{each}" for each in (1, 2))
    found = {
        who: [
            await code(method, path, token)
            for method, path in (
                ("GET", state),
                ("GET", one),
                ("GET", two),
                ("GET", "/metrics"),
                ("POST", f"{two}/wake"),
                ("POST", f"{one}/hold"),
            )
        ]
        for who, token in (("nobody", ""), ("a stranger", "x" * 40), ("the waker", waker), ("the reader", reader))
    }
    assert found == {
        "nobody": [401] * 6,
        "a stranger": [401] * 6,
        "the waker": [403, 200, 403, 403, 403, 403],
        "the reader": [200, 200, 200, 403, 403, 403],
    }
    assert await code("GET", "/metrics", admin) == 200
    assert await code("POST", f"{one}/wake", waker) == 200
    assert await code("POST", f"{one}/wake", reader) == 403
    holds = {name: await hold_of(api, namespace, name) for name in ("rack-1", "rack-2")}
    assert holds == {"rack-1": "on", "rack-2": None}


async def hold_of(api: Api, namespace: str, name: str) -> str | None:
    """What the machine is held on."""
    spec = (await api.read(f"{API}/nodes", name, namespace=namespace))["spec"]
    return (spec.get("hold") or {}).get("power")
