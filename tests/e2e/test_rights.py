"""hexa as it is installed: the shipped manifests on a real API server, and the main path with their rights, never as administrator.

The agent is a process that has the token of its ServiceAccount; an independent gRPC client plays Cluster Autoscaler.
"""

import base64
import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import lab as labs
import pytest
import trio
import yaml
from agent import (
    API,
    HEXA,
    Agent,
    ClusterAutoscaler,
    group,
    in_phase,
    machine,
    messages_in,
    open_agent,
)
from lab import Api, ApiError, Machine, Machines, Resource, eventually
from lab.controlplane import free_port
from tests.cloudprovider_client import Client, Messages

from hexa.adapters.http.auth import Door, Judge
from hexa.adapters.http.errors import HttpError
from hexa.adapters.kube_jobs.manifest import manifest
from hexa.domain.people.rights import RIGHTS, Right, Scope, for_http, for_tenant
from hexa.domain.resources.v1alpha1 import Lookup, PowerPodSpec
from hexa.ports.jobs import Action, Order
from hexa.wiring import open_cluster

DEPLOY = Path(__file__).parents[2] / "deploy"
UP, DOWN, GONE = 40.0, 60.0, 100.0
OVERLAYS = ("minimal", "production", "tenant")
RBAC = "rbac.authorization.k8s.io/v1"
Kubectl = Callable[..., str]


def printed(*arguments: str) -> list[Resource]:
    """What `hexa manifests` prints."""
    answer = subprocess.run([*HEXA, "manifests", *arguments], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(answer.stdout))


def keyed(resources: Iterable[Resource]) -> dict[tuple[str, str, str], Resource]:
    """Objects by what they are called, defaults of writing aside."""
    return {(r["kind"], r["metadata"].get("namespace", ""), r["metadata"]["name"]): r for r in resources if r}


@dataclass
class Installed:
    """An installation of hexa in namespaces of its own."""

    api: Api
    overlay: str
    namespace: str
    """Where hexa runs."""
    machines: str
    """Where Groups and Nodes are."""
    resources: dict[tuple[str, str, str], Resource]
    kubeconfig: Path
    """hexa's own, by token."""

    async def may(self, right: Right, verb: str, namespace: str) -> bool:
        """Whether the API server lets hexa's account do it."""
        what = {"group": right.group, "resource": right.plural, "subresource": right.subresource, "verb": verb}
        user = f"system:serviceaccount:{self.namespace}:hexa"
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": {**what, "namespace": namespace}},
        }
        answer = await self.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review)
        return bool(answer["status"]["allowed"])

    def named(self, kind: str, name: str, namespace: str = "") -> Resource:
        """One of the objects."""
        return self.resources[kind, namespace, name]


@asynccontextmanager
async def open_installed(
    api: Api, kubectl: Kubectl, overlay: str, *, machines: str, admin: Path, folder: Path
) -> AsyncIterator[Installed]:
    """Apply what `hexa manifests` prints; in the end all that it made goes. No pod is started: the agent is a process here."""
    namespace = f"{machines}-hexa"
    arguments = (overlay, "--namespace", namespace, "--machines", machines, "--with-crds")
    resources = keyed(printed(*arguments))
    for (kind, _, _), resource in resources.items():
        if kind == "Deployment":
            resource["spec"]["replicas"] = 0
    text = yaml.safe_dump_all(resources.values())
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "groups.infra.homecluster.dev")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "nodes.infra.homecluster.dev")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "powerprofiles.infra.homecluster.dev")
    try:
        token = await api.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/hexa/token",
            json={
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": 3600},
            },
        )
        kubeconfig = as_hexa(admin, token["status"]["token"], folder / f"{overlay}.kubeconfig")
        yield Installed(api, overlay, namespace, machines, resources, kubeconfig)
    finally:
        stays = ("CustomResourceDefinition", "Namespace")
        kept = [each for (kind, _, name), each in resources.items() if kind not in stays or name == namespace]
        kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(kept))


def as_hexa(admin: Path, token: str, file: Path) -> Path:
    """A kubeconfig for the same API server, with this token and no other credentials."""
    config = json.loads(admin.read_text())
    config["users"] = [{"name": "hexa", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "hexa"
    file.write_text(json.dumps(config))
    return file


@pytest.fixture
async def installed(
    request: pytest.FixtureRequest, lab: labs.Lab, api: Api, namespace: str, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[Installed]:
    """The overlay that the test names."""
    overlay = getattr(request, "param", "production")
    admin = lab.control_plane.kubeconfig()
    made = open_installed(api, kubectl, overlay, machines=namespace, admin=admin, folder=tmp_path)
    async with made as installed:
        yield installed


@pytest.fixture(scope="session")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Messages:
    """The gRPC messages."""
    return messages_in(tmp_path_factory.mktemp("proto"))


@pytest.fixture
async def hexa(installed: Installed, tmp_path: Path) -> AsyncIterator[Agent]:
    """The agent, with the rights of its ServiceAccount."""
    async with open_agent(installed.kubeconfig, installed.machines, tmp_path) as agent:
        try:
            yield agent
        except BaseException:
            print(agent.words())
            raise


def forbidden(agent: Agent) -> list[str]:
    """Lines of its log that tell of a missing right."""
    return [line for line in agent.log.read_text().splitlines() if "orbidden" in line or "needs verb" in line]


@pytest.fixture
def autoscaler(hexa: Agent, messages: Messages) -> Any:
    """Cluster Autoscaler's part."""
    client = ClusterAutoscaler(hexa.address, messages)
    yield client
    client.close()


async def machines_off(api: Api, namespace: str, machines: Machines, count: int) -> list[Machine]:
    """Machines that are off, in the group `rack`."""
    boxes = [machines.add(boot_delay=2.0, cpu=1.0) for _ in range(count)]
    await api.create(group(namespace, retries={"wakeInterval": "30s"}))
    for box in boxes:
        await api.create(machine(namespace, box))
    await eventually(partial(in_phase, api, namespace, "Off", [box.name for box in boxes]), within=20)
    return boxes


def load(namespace: str, replicas: int) -> Resource:
    """A Deployment whose pods run on machines of the group only, one on each."""
    labels = {"app": "load"}
    container = {
        "name": "c",
        "image": labs.TOOLS_IMAGE,
        "command": ["sleep", "100000"],
        "resources": {"requests": {"cpu": "600m"}},
    }
    pod = {
        "nodeSelector": {"infra.homecluster.dev/group": "rack"},
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "load", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


async def hosts(api: Api, namespace: str) -> set[str]:
    """Where pods of the load run."""
    pods = await api.list("v1/pods", namespace=namespace, labelSelector="app=load")
    return {pod["spec"]["nodeName"] for pod in pods if pod["status"].get("phase") == "Running"}


async def run_on(api: Api, namespace: str, count: int) -> bool:
    """Whether the load runs on so many machines."""
    return len(await hosts(api, namespace)) == count


async def has_left(api: Api, name: str) -> bool:
    """Whether there is no Kubernetes node of that name."""
    return await api.find("v1/nodes", name) is None


async def cheapest_to_lose(api: Api, namespace: str, node: str) -> None:
    """The pod there is the first that its ReplicaSet takes away: by itself it may choose either."""
    for pod in await api.list("v1/pods", namespace=namespace, labelSelector="app=load"):
        if pod["spec"].get("nodeName") == node:
            change = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}}}
            await api.patch("v1/pods", pod["metadata"]["name"], change, namespace=namespace)


async def hosts_only(api: Api, namespace: str, node: str) -> bool:
    """The load runs on that node alone."""
    return await hosts(api, namespace) == {node}


async def test_the_main_path_under_the_shipped_rights(
    api: Api, namespace: str, machines: Machines, installed: Installed, hexa: Agent, autoscaler: ClusterAutoscaler
) -> None:
    """From zero to pods that run, then drained, off, and the node gone: with what the manifests allow and no refusal."""
    boxes = await machines_off(api, namespace, machines, 2)
    await api.create(load(namespace, 2))
    await autoscaler.increase(f"{namespace}/rack", 2)
    await eventually(partial(run_on, api, namespace, 2), within=UP, what="the pods run")
    leaves, stays = boxes
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": "load"}}},
    }
    await api.create(budget)
    await cheapest_to_lose(api, namespace, stays.name)
    await api.patch("apps/v1/deployments", "load", {"spec": {"replicas": 1}}, namespace=namespace)
    await eventually(
        partial(hosts_only, api, namespace, leaves.name), within=UP, what="the pod that has to move is left"
    )
    await api.patch(f"{API}/nodes", leaves.name, {"spec": {"powerState": "off"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Off", [leaves.name]), within=DOWN)
    await eventually(partial(has_left, api, leaves.name), within=GONE, what="the Kubernetes node has left")
    await eventually(partial(run_on, api, namespace, 1), within=UP, what="the pod runs on the other")
    assert (leaves.power, stays.power) == ("off", "on")
    events = await api.list("v1/events", namespace=namespace, fieldSelector=f"involvedObject.name={leaves.name}")
    assert {"NodeLeft", "StartupJob", "ShutdownJob"} <= {event["reason"] for event in events}
    assert forbidden(hexa) == []


@pytest.mark.parametrize("installed", ["tenant"], indirect=True)
async def test_a_tenant_s_machine_rests(
    api: Api, namespace: str, machines: Machines, installed: Installed, hexa: Agent, autoscaler: ClusterAutoscaler
) -> None:
    """A tenant's hexa wakes its machines, moves its own pods and switches off, with rights in its namespace only; a machine with a
    pod of somebody else stays on, and the pod is named."""
    box, other = await machines_off(api, namespace, machines, 2)
    await autoscaler.increase(f"{namespace}/rack", 2)
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name, other.name]), within=UP)
    await api.create(load(namespace, 1))
    await eventually(partial(run_on, api, namespace, 1), within=UP)
    (host,) = await hosts(api, namespace)
    await api.patch(f"{API}/nodes", host, {"spec": {"powerState": "off"}}, namespace=namespace)
    await eventually(partial(in_phase, api, namespace, "Off", [host]), within=DOWN)
    await eventually(partial(run_on, api, namespace, 1), within=UP, what="the pod runs on the other")
    assert forbidden(hexa) == []
    (stays,) = {box.name, other.name} - {host}
    await api.delete("apps/v1/deployments", "load", namespace=namespace)
    async with labs.open_namespace(api, f"{namespace}-other") as somebody:
        await api.create(of_somebody(somebody, stays))
        (theirs,) = await eventually(partial(running_in, api, somebody), within=UP)
        await api.patch(f"{API}/nodes", stays, {"spec": {"powerState": "off"}}, namespace=namespace)
        told = await eventually(partial(blocker, api, namespace, stays), within=UP, what="the drain is blocked")
        assert f"{somebody}/{theirs}" in told
        assert "pods/eviction" in told
        assert await running_in(api, somebody) == [theirs]
        assert machines[stays].power == "on"


def of_somebody(namespace: str, node: str) -> Resource:
    """A Deployment of one pod on the node."""
    labels = {"app": "theirs"}
    container = {"name": "c", "image": labs.TOOLS_IMAGE, "command": ["sleep", "100000"]}
    pod = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "theirs", "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


async def running_in(api: Api, namespace: str) -> list[str]:
    """Names of the pods that run there."""
    pods = await api.list("v1/pods", namespace=namespace)
    return [pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running"]


async def blocker(api: Api, namespace: str, name: str) -> str:
    """What blocks the machine's drain; empty if nothing does."""
    node = await api.read(f"{API}/nodes", name, namespace=namespace)
    return str(node["status"].get("blocker", ""))


@pytest.mark.parametrize("installed", ["production", "tenant"], indirect=True)
async def test_the_api_server_allows_the_table_and_no_more(installed: Installed) -> None:
    """Each right of the table holds where it says; the same verbs elsewhere, Secrets and pods to be made do not."""
    assert [await installed.may(right, "create", "") for right in for_http()] == [installed.overlay == "production"] * 2
    for right in for_tenant() if installed.overlay == "tenant" else RIGHTS:
        place = right.namespace or ("default" if right.scope is Scope.CLUSTER else installed.machines)
        for verb in right.verbs:
            assert await installed.may(right, verb, place), f"{verb} {right.resource} in {place}"
            if right.scope is Scope.NAMESPACE:
                assert not await installed.may(right, verb, "default"), f"{verb} {right.resource} in default"

    def other(resource: str, *, of: str = "") -> Right:
        anywhere = Scope.CLUSTER
        return Right(group=of, resource=resource, verbs=(), scope=anywhere, tenant=anywhere, used_by="", reason="")

    for place in ("default", installed.namespace, installed.machines):
        for verb in ("get", "list", "create"):
            assert not await installed.may(other("secrets"), verb, place)
        assert not await installed.may(other("pods"), "create", place)
        assert not await installed.may(other("serviceaccounts/token"), "create", place)
        assert not await installed.may(other("rolebindings", of="rbac.authorization.k8s.io"), "create", place)
    assert not await installed.may(other("jobs", of="batch"), "create", installed.namespace)


async def test_who_calls_over_http_sees_what_kubernetes_lets_them_see(installed: Installed) -> None:
    """By the rights of production hexa knows a real token's owner and what they may do; of a token that nobody has, nothing."""
    token = json.loads(installed.kubeconfig.read_text())["users"][0]["user"]["token"]
    async with open_cluster(kubeconfig=str(installed.kubeconfig)) as (kube, _):
        door = Door(Judge(kube, places=lambda: ["default", installed.machines], tell=print))
        caller = await door.admit(f"Bearer {token}", "GET")
        assert caller.name == f"system:serviceaccount:{installed.namespace}:hexa"
        assert await caller.namespaces() == {installed.machines}
        assert await caller.may_read(installed.machines, "box")
        assert not await caller.may_update(installed.machines, "box")
        with pytest.raises(HttpError, match="does not know this token"):
            await door.admit(f"Bearer {token}x", "GET")


REMOVED = {
    "leases": ("roles", "kube-node-lease"),
    "pods": ("clusterroles", ""),
    "jobs": ("roles", "machines"),
}


@pytest.mark.parametrize("resource", REMOVED)
async def test_a_removed_verb_is_named(lab: labs.Lab, installed: Installed, resource: str) -> None:
    """Without a right that it needs at the start, hexa ends with 3 and names verb and resource, and so does the doctor."""
    kind, place = REMOVED[resource]
    namespace = installed.machines if place == "machines" else place or None
    role = await installed.api.read(f"{RBAC}/{kind}", "hexa", namespace=namespace)
    for rule in role["rules"]:
        if rule["resources"] == [resource]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != "list"] or ["get"]
    await installed.api.patch(f"{RBAC}/{kind}", "hexa", {"rules": role["rules"]}, namespace=namespace)
    right = next(right for right in RIGHTS if right.resource == resource)

    async def refused() -> bool:
        return not await installed.may(right, "list", namespace or "default")

    await eventually(refused, within=10)
    command = [*HEXA, "run", f"--kubeconfig={installed.kubeconfig}", f"--namespace={installed.machines}"]
    ended = await _run([*command, "--grpc-address=127.0.0.1:0"])
    assert ended.returncode == 3, ended.stderr
    assert f"list {resource}" in ended.stderr
    account = f"system:serviceaccount:{installed.namespace}:hexa"
    admin = lab.control_plane.kubeconfig()
    doctor = ["doctor", f"--kubeconfig={admin}", f"--namespace={installed.machines}", f"--as={account}"]
    looked = await _run([*HEXA, *doctor])
    assert looked.returncode == 1, looked.stderr
    assert re.search(rf"list\b.*\b{resource}", looked.stdout), looked.stdout


async def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    return await trio.to_thread.run_sync(run)


# --- the pod's settings -----------------------------------------------------------------------------


async def test_the_settings_of_the_pod_serve_with_the_secrets_of_hexa_certs(
    installed: Installed, messages: Messages, tmp_path: Path
) -> None:
    """What the manifests set and `hexa certs` makes fit: mutual TLS for Cluster Autoscaler's pod, plain health for kubelets."""
    ended = await _run([*HEXA, "certs", "--secrets", "--namespace", installed.namespace])
    secrets = {each["metadata"]["name"]: each for each in yaml.safe_load_all(ended.stdout)}
    pods = {
        name: installed.named("Deployment", name, installed.namespace)["spec"]["template"]["spec"]
        for name in ("hexa", "cluster-autoscaler")
    }
    folders = {name: mounted(pod, secrets, tmp_path / name) for name, pod in pods.items()}
    (container,) = pods["hexa"]["containers"]
    settings = {each["name"]: each["value"].replace("/etc/hexa/tls", str(folders["hexa"])) for each in container["env"]}
    health = f"127.0.0.1:{free_port('127.0.0.1')}"
    settings["HEXA_GRPC_HEALTH_ADDRESS"] = health
    config = yaml.safe_load((folders["cluster-autoscaler"] / "cloud-config.yaml").read_text())
    assert config["address"] == f"hexa.{installed.namespace}.svc:50051"
    names = {each["metadata"]["name"] for (kind, _, _), each in installed.resources.items() if kind == "Service"}
    assert names == {"hexa"}
    cacert, key, cert = (
        (folders["cluster-autoscaler"] / Path(config[each]).name).read_bytes() for each in ("cacert", "key", "cert")
    )
    async with open_agent(installed.kubeconfig, installed.machines, tmp_path, environment=settings) as agent:
        client = Client(agent.address, grpc.ssl_channel_credentials(cacert, key, cert))
        request, answer = messages.rpcs()["NodeGroups"]
        assert list((await client.call("NodeGroups", request(), answer)).nodeGroups) == []
        client.channel.close()
        service = container["readinessProbe"]["grpc"]["service"]
        assert await served(health, service)
        assert await served(health, "")
        assert forbidden(agent) == []


def mounted(pod: Resource, secrets: dict[str, Resource], folder: Path) -> Path:
    """A folder as the kubelet makes it of the pod's Secret."""
    (volume,) = pod["volumes"]
    folder.mkdir()
    for name, data in secrets[volume["secret"]["secretName"]]["data"].items():
        (folder / name).write_bytes(base64.b64decode(data))
    return folder


async def served(address: str, service: str) -> bool:
    """Whether grpc.health.v1 says SERVING, asked as the kubelet does."""

    def ask() -> bytes:
        with grpc.insecure_channel(address) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
            body = bytes([10, len(service)]) + service.encode() if service else b""
            return bytes(check(body, timeout=5))

    return await trio.to_thread.run_sync(ask) == b"\x08\x01"


# --- Pod Security -----------------------------------------------------------------------------------


@pytest.mark.parametrize("installed", ["minimal", "production"], indirect=True)
async def test_the_pods_pass_the_restricted_level(installed: Installed) -> None:
    """Every pod that the manifests make is admitted to the namespace that enforces `restricted`; a careless one is not."""
    deployments = [each for (kind, _, _), each in installed.resources.items() if kind == "Deployment"]
    assert deployments
    for deployment in deployments:
        await admit(installed.api, installed.namespace, deployment["spec"]["template"])
    careless = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        await admit(installed.api, installed.namespace, careless)


async def test_a_wake_on_lan_pod_is_admitted_among_machines_only(
    installed: Installed,
) -> None:
    """A power Job's pod may use the host's network where machines are declared, and not where hexa runs."""
    spec = PowerPodSpec(image="hexa:0.1.0", command=("wake-on-lan", "02:00:00:00:00:01"), host_network=True)
    order = Order(
        machine=Lookup(installed.machines, "m"), uid="u", action=Action.STARTUP, attempt=1, spec=spec, deadline=9
    )
    template = manifest(order)["spec"]["template"]
    await admit(installed.api, installed.machines, template)
    with pytest.raises(ApiError, match=r"violates PodSecurity.*host"):
        await admit(installed.api, installed.namespace, template)


async def admit(api: Api, namespace: str, template: Resource) -> None:
    """Ask the API server to make the pod without making it. Raises `ApiError` if it is not admitted."""
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**pod["metadata"], "name": "admitted", "namespace": namespace}
    await api.request("POST", f"/api/v1/namespaces/{namespace}/pods", json=pod, params={"dryRun": "All"})


# --- kustomize and Helm -----------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_renders_what_hexa_prints(binaries: Path, overlay: str) -> None:
    """`kubectl apply -k deploy/kustomize/OVERLAY` applies what `hexa manifests OVERLAY` prints."""
    command = [str(binaries / "kubectl"), "kustomize", str(DEPLOY / "kustomize" / overlay)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert keyed(yaml.safe_load_all(answer.stdout)) == keyed(printed(overlay))


def test_the_cert_manager_component_fits(binaries: Path, tmp_path: Path) -> None:
    """With the component, Cluster Autoscaler's folder is made of the certificate and the cloud config."""
    overlay = {
        "resources": ["kustomize/production"],
        "components": ["kustomize/components/cert-manager"],
        "images": [{"name": "hexa", "newName": "registry.example/hexa", "newTag": "9"}],
    }
    (tmp_path / "kustomize").symlink_to(DEPLOY / "kustomize")
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    command = [str(binaries / "kubectl"), "kustomize", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    objects = keyed(yaml.safe_load_all(answer.stdout))
    pod = objects["Deployment", "hexa-system", "cluster-autoscaler"]["spec"]["template"]["spec"]
    assert [sorted(volume) for volume in pod["volumes"]] == [["name", "projected"]]
    hexa = objects["Deployment", "hexa-system", "hexa"]["spec"]["template"]["spec"]
    assert [container["image"] for container in hexa["containers"]] == ["registry.example/hexa:9"]
    assert sum(kind == "Certificate" for kind, _, _ in objects) == 3


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_helm_renders_what_hexa_prints(helm: Path, overlay: str) -> None:
    """The chart, rendered by Helm, is the same but for the release's namespace, which Helm makes itself."""
    objects = keyed(templated(helm, "--set", f"overlay={overlay}"))
    wanted = keyed(printed(overlay))
    del wanted["Namespace", "", "hexa-system"]
    kept = objects["Namespace", "", "hexa-machines"]["metadata"].pop("annotations")
    assert kept == {"helm.sh/resource-policy": "keep"}
    assert objects == wanted


READS = {"sensors": "true", "readSecrets": "{bmc-1,bmc-2}", "readPrices": "{prices}"}
READ_FLAGS = ("--sensors", "--read-secret", "bmc-1", "--read-secret", "bmc-2", "--read-prices", "prices")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_helm_gives_what_hexa_may_read(helm: Path, overlay: str) -> None:
    """By its values the chart has the rights that the command's flags give; a text where a list is wanted is refused by name."""
    arguments = [word for key, value in READS.items() for word in ("--set", f"{key}={value}")]
    objects = keyed(templated(helm, "--set", f"overlay={overlay}", *arguments))
    plain, wanted = keyed(printed(overlay)), keyed(printed(overlay, *READ_FLAGS))
    assert {key: objects[key] for key in wanted.keys() - plain.keys()} == {
        key: wanted[key] for key in wanted.keys() - plain.keys()
    }
    with pytest.raises(subprocess.CalledProcessError) as caught:
        templated(helm, "--set", "readSecrets=bmc")
    assert ".Values.readSecrets>: range can't iterate over bmc" in caught.value.stderr


def test_the_components_give_what_hexa_may_read(binaries: Path, tmp_path: Path) -> None:
    """The same rights by kustomize, with the names of a patch as in docs/manifests.md."""
    names = '[{"op": "replace", "path": "/rules/0/resourceNames", "value": ["bmc-1", "bmc-2"]}]'
    overlay = {
        "resources": ["kustomize/production"],
        "components": [f"kustomize/components/{each}" for each in ("sensors", "read-secret", "read-prices")],
        "patches": [{"target": {"kind": "Role", "name": "hexa-sensors"}, "patch": names}],
    }
    (tmp_path / "kustomize").symlink_to(DEPLOY / "kustomize")
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    command = [str(binaries / "kubectl"), "kustomize", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert keyed(yaml.safe_load_all(answer.stdout)) == keyed(printed("production", *READ_FLAGS))


def test_helm_takes_its_values(helm: Path) -> None:
    """Images, names, flags and settings are those of the values; a wrong overlay is refused by name."""
    values = {
        "overlay": "production",
        "image": "x/hexa:1",
        "autoscaler.image": "x/ca:2",
        "autoscaler.flags[0]": "--v=4",
        "settings.HEXA_LOG_LEVEL": "debug",
        "machines.namespace": "rack",
        "machines.create": "false",
        "http": "false",
    }
    objects = keyed(templated(helm, *(word for key, value in values.items() for word in ("--set", f"{key}={value}"))))
    (hexa,) = objects["Deployment", "hexa-system", "hexa"]["spec"]["template"]["spec"]["containers"]
    (scaler,) = objects["Deployment", "hexa-system", "cluster-autoscaler"]["spec"]["template"]["spec"]["containers"]
    assert (hexa["image"], scaler["image"], scaler["command"][-1]) == ("x/hexa:1", "x/ca:2", "--v=4")
    assert {"name": "HEXA_LOG_LEVEL", "value": "debug"} in hexa["env"]
    assert ("Role", "rack", "hexa") in objects
    assert ("ClusterRole", "", "hexa-http") not in objects
    assert not [key for key in objects if key[0] == "Namespace"]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        templated(helm, "--set", "overlay=big")
    assert "big is none of minimal, production, tenant" in caught.value.stderr


def test_helm_renders_alerts_and_dashboard(helm: Path) -> None:
    """With their values the chart has what `hexa manifests --alerts --dashboard` prints, to the last brace; labels are added."""
    values = {"alerts.enabled": "true", "alerts.runbooks": "https://wiki/alerts", "dashboard.enabled": "true"}
    arguments = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    objects = keyed(templated(helm, *arguments, "--set", "alerts.labels.release=kps"))
    wanted = keyed(printed("minimal", "--alerts", "--dashboard", "--runbooks", "https://wiki/alerts"))
    for key in (("PrometheusRule", "hexa-system", "hexa-alerts"), ("ConfigMap", "hexa-system", "hexa-dashboard")):
        assert objects[key].get("spec") == wanted[key].get("spec")
        assert objects[key].get("data") == wanted[key].get("data")
    assert objects["PrometheusRule", "hexa-system", "hexa-alerts"]["metadata"]["labels"]["release"] == "kps"


def templated(helm: Path, *arguments: str) -> list[Resource]:
    """What `helm template` renders."""
    command = [str(helm), "template", "hexa", str(DEPLOY / "helm" / "hexa"), "--namespace", "hexa-system", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(answer.stdout))
