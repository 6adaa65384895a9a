"""The way in on a real API server: what `hexa enrol` prints is applied unchanged, and `hexa doctor` sees a verb that is missing.

The pod of `hexa enrol` runs with hexa's own image, and with one that has no hexa in it: then it is refused by its kubelet and
removed, and the rest is printed all the same.
"""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import built
import lab as labs
import pytest
import trio
from agent import HEXA
from lab import Api, Machines
from lab.hardware import Hardware
from lab.image import NAME as TOOLS_IMAGE

from hexa.domain.people.rights import RIGHTS, rules
from hexa.yaml import read_documents

CRDS = Path(__file__).parents[2] / "deploy" / "crds"
Kubectl = Callable[..., str]


async def hexa(*arguments: str, kubeconfig: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [*HEXA, *arguments, f"--kubeconfig={kubeconfig}"]
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False)
    return await trio.to_thread.run_sync(run)


@pytest.fixture
def crds(kubectl: Kubectl) -> None:
    """The definitions are installed."""
    kubectl("apply", "-f", str(CRDS))
    for plural in ("groups", "nodes"):
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", f"{plural}.infra.homecluster.dev")


async def test_enrol_is_applied_unchanged(
    lab: labs.Lab, machines: Machines, api: Api, namespace: str, kubectl: Kubectl, crds: None, tmp_path: Path
) -> None:
    """Machines that are up and machines of a list are printed; a strict API server takes it; probe pods are gone afterwards."""
    box = machines.add()
    await machines.start(box)
    (tmp_path / "list.csv").write_text(
        f"name,group,mac,cpu,memory,arch\n{box.name},rack,,,,\nrack-9,rack,525400123456,8,32Gi,amd64\n"
    )
    options = (f"--from={tmp_path}/list.csv", f"--image={TOOLS_IMAGE}", "--timeout=20", f"--namespace={namespace}")
    found = await hexa("enrol", *options, kubeconfig=lab.control_plane.kubeconfig())
    assert found.returncode == 1, found.stderr
    assert f"{box.name}: its network card could not be read: its pod " in found.stderr
    assert await api.list("v1/pods", namespace=namespace) == []
    kubectl("apply", "--validate=strict", "-f", "-", stdin=found.stdout)
    nodes = await api.list("infra.homecluster.dev/v1alpha1/nodes", namespace=namespace)
    assert {node["metadata"]["name"] for node in nodes} == {box.name, "rack-9"}
    again = await hexa(
        "enrol", box.name, "--no-probe", f"--namespace={namespace}", kubeconfig=lab.control_plane.kubeconfig()
    )
    assert f"{box.name}: left out: Node {namespace}/{box.name} declares it already" in again.stderr


async def test_the_probe_reads_the_card_of_the_machine(machines: Machines, api: Api) -> None:
    """On the network of a machine the probe finds the card that carries the node's InternalIP, with the address that wakes it."""
    box = machines.add()
    await machines.start(box)
    addresses = (await api.read("v1/nodes", box.name))["status"]["addresses"]
    address = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    inside = box.body.on_its_network if isinstance(box.body, Hardware) else []
    command = [*inside, *HEXA, "probe-nic", f"--address={address}"]
    answer = await trio.to_thread.run_sync(lambda: subprocess.run(command, capture_output=True, text=True, check=True))
    card = json.loads(answer.stdout)
    if inside:
        assert (card["mac"], card["link"]) == (box.mac, True)
    else:
        assert card == {"error": f"no interface carries {address}"}  # a simulated machine has none


async def test_doctor_names_a_verb_that_was_removed(
    lab: labs.Lab, api: Api, namespace: str, kubectl: Kubectl, crds: None
) -> None:
    """With the rights of the table nothing is missing; a verb removed from the real ClusterRole is named, and it ends with 1."""
    account = f"system:serviceaccount:{namespace}:hexa"
    role: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": namespace},
        "rules": rules(RIGHTS),
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace},
        "subjects": [{"kind": "ServiceAccount", "name": "hexa", "namespace": namespace}],
    }
    try:
        await api.apply(role, binding)
        assert [
            each for each in await findings(lab, account, namespace) if each["check"] in ("rights", "crds", "clocks")
        ] == []
        without = [
            {
                **rule,
                "verbs": [verb for verb in rule["verbs"] if (rule["resources"], verb) != (["pods/eviction"], "create")],
            }
            for rule in role["rules"]
        ]
        await api.apply({**role, "rules": [rule for rule in without if rule["verbs"]]})
        await labs.eventually(lambda: named(lab, account, namespace), within=20, what="the verb is named")
        result = await hexa("doctor", f"--as={account}", kubeconfig=lab.control_plane.kubeconfig())
        assert result.returncode == 1
        assert "error: verb create on pods/eviction: " + account in result.stdout
    finally:
        kubectl("delete", "clusterrole,clusterrolebinding", namespace, "--ignore-not-found")


async def test_the_api_server_tells_its_time(api: Api) -> None:
    """The review that the doctor takes the API server's time from carries it, to the second."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    answer = await api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", json=review)
    told = datetime.fromisoformat(answer["metadata"]["creationTimestamp"])
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=5)


async def named(lab: labs.Lab, account: str, namespace: str) -> bool:
    """Whether the missing verb alone is told."""
    found = [each["object"] for each in await findings(lab, account, namespace) if each["check"] == "rights"]
    return found == ["verb create on pods/eviction"]


async def findings(lab: labs.Lab, account: str, namespace: str) -> list[dict[str, str]]:
    """What the doctor says."""
    options = (f"--as={account}", f"--namespace={namespace}", "-o", "json")
    result = await hexa("doctor", *options, kubeconfig=lab.control_plane.kubeconfig())
    assert result.returncode in (0, 1), result.stderr
    found: list[dict[str, str]] = json.loads(result.stdout)["findings"]
    return found


async def test_doctor_of_somebody_who_may_nothing(lab: labs.Lab, control_plane: labs.ControlPlane) -> None:
    """Who may see nothing is told so in one line, with exit code 3."""
    result = await hexa("doctor", kubeconfig=control_plane.kubeconfig("nobody"))
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("hexa: cannot list ")
    assert len(result.stderr.splitlines()) == 1


async def test_enrol_reads_the_card_by_hexas_own_image(
    lab: labs.Lab, machines: Machines, api: Api, namespace: str, crds: None, say: built.Say
) -> None:
    """On a real kubelet the pod of hexa's own image reads its machine's MAC address, by NET_ADMIN alone, and is gone."""
    if lab.kind != "real":
        pytest.skip("only real kubelets run images")
    before = list(lab.images)
    lab.add_image(built.image(say))
    try:
        box = machines.add()
        await machines.start(box)
        options = (box.name, "--image=localhost/hexa:0.1.0", f"--namespace={namespace}")
        found = await hexa("enrol", *options, kubeconfig=lab.control_plane.kubeconfig())
        documents = [each.value for each in read_documents(found.stdout, source="enrol")]
        node = next(each for each in documents if each["kind"] == "Node")
        assert node["spec"]["power"]["wakeOnLan"]["macs"] == [box.mac], found.stderr
        assert "could not be read" not in found.stderr
        assert await api.list("v1/pods", namespace=namespace) == []
    finally:
        lab.images[:] = before  # other machines boot without it, which is quicker
