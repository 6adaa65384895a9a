"""`hexa enrol` prints Groups and Nodes that validate, says what is missing, and leaves nothing behind."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sites import add_agent, add_node, cluster, opens
from typer.testing import CliRunner, Result

from hexa.adapters.memory.cluster.store import Event
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.cli.app import app
from hexa.domain.errors import Refused
from hexa.domain.resources.core import NODES, PODS
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES
from hexa.ports.kube import ChangeType
from hexa.yaml import read_documents

MAC = "52:54:00:12:34:56"
GOOD: Mapping[str, Any] = {"interface": "eno1", "card": "eno1", "mac": MAC, "supported": "pumbg", "current": "g"}


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> MemoryKube:
    """A cluster with a control plane and hexa's pod."""
    kube = cluster()
    opens(monkeypatch, kube)
    add_node(kube, "master", labels={"node-role.kubernetes.io/control-plane": ""})
    add_agent(kube)
    return kube


class Kubelets:
    """Run each probe pod at once, and end it with what its machine's card is."""

    def __init__(self, kube: MemoryKube, **cards: Mapping[str, Any]) -> None:
        self.kube, self.cards, self.pods = kube, cards, list[dict[str, Any]]()
        kube.api.listen(PODS, self.notice)

    def notice(self, event: Event) -> None:
        """A pod came or went."""
        if event.type is not ChangeType.ADDED:
            return
        pod = event.stored.raw
        self.pods.append(pod)
        card = self.cards.get(pod["spec"]["nodeName"], {})
        ended = {"exitCode": card.get("exit", 0), "message": card.get("said", json.dumps(card)), "reason": "Error"}
        state = card.get("state", {"terminated": ended})
        status = {"phase": "Succeeded", "containerStatuses": [{"name": "probe", "state": state}]}
        self.kube.api.write(PODS, event.stored, status=status)


def enrol(*arguments: str | Path, stdin: str = "") -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, ["enrol", *map(str, arguments)], input=stdin)


def objects(result: Result) -> dict[str, dict[str, Any]]:
    """What was printed, by kind and name."""
    documents = read_documents(result.stdout, source="stdout")
    return {f"{each.value['kind']} {each.value['metadata']['name']}": each.value for each in documents}


def problems(result: Result) -> list[dict[str, Any]]:
    """What `hexa validate` says of what was printed."""
    checked = CliRunner().invoke(app, ["validate", "--json", "-"], input=result.stdout)
    found: list[dict[str, Any]] = json.loads(checked.stdout)["problems"]
    return found


def test_machines_of_one_shape_are_one_group(kube: MemoryKube) -> None:
    """Machines whose memory differs by what firmware keeps share a group; what is printed validates and wakes by magic packet."""
    add_node(kube, "a")
    add_node(kube, "b", capacity={"memory": "32700000Ki"})
    add_node(kube, "big", capacity={"cpu": "16", "memory": "65600000Ki", "nvidia.com/gpu": "2"})
    kubelets = Kubelets(kube, a=GOOD, b=GOOD | {"mac": MAC[:-1] + "7"}, big=GOOD | {"mac": MAC[:-1] + "8"})
    result = enrol()
    found = objects(result)
    assert [*found] == [
        "Group amd64-16cpu-64gi-2gpu",
        "Node big",
        "Group amd64-8cpu-32gi",
        "Node a",
        "Node b",
    ]
    node = found["Node a"]
    assert (node["metadata"]["namespace"], node["metadata"]["labels"]) == ("homelab", {"group": "amd64-8cpu-32gi"})
    assert node["spec"] == {
        "kubernetesNodeName": "a",
        "power": {"wakeOnLan": {"macs": [MAC]}},
    }
    assert {problem["reason"] for problem in problems(result)} == {"PowerOffUnavailable"}
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "# master: left out: it belongs to the control plane, which hexa does not switch\n"
    assert {pod["spec"]["nodeName"] for pod in kubelets.pods} == {"a", "b", "big"}


def test_probe_pods_are_modest_and_leave(kube: MemoryKube) -> None:
    """A probe sees its host's network, may read the wake flags and nothing else, and is gone afterwards."""
    add_node(kube, "a", address="192.0.2.7")
    kubelets = Kubelets(kube, a=GOOD)
    enrol("a")
    (pod,) = kubelets.pods
    (container,) = pod["spec"]["containers"]
    assert container["command"][:3] == ["hexa", "probe-nic", "--address=192.0.2.7"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert (pod["spec"]["hostNetwork"], pod["spec"]["automountServiceAccountToken"]) == (True, False)
    assert [stored.key[1] for stored in kube.api.find(PODS)] == ["hexa-0"]


def test_nothing_is_written_to_the_cluster(kube: MemoryKube) -> None:
    """Groups and Nodes are printed and never applied; without the probe nothing is created at all."""
    add_node(kube, "a")
    result = enrol("--no-probe")
    assert {verb for verb, _ in kube.calls} == {"list"}
    assert result.exit_code == 1
    assert "a: no MAC address is known: fill in spec.power, or list the address with --from" in result.stderr
    assert "power" not in objects(result)["Node a"]["spec"]
    assert "  # power:\n" in result.stdout
    assert all(problem["severity"] == "warning" for problem in problems(result))


@pytest.mark.parametrize(
    ("card", "says"),
    [
        (GOOD | {"current": "d"}, "Wake-on-LAN of eno1 is off: `ethtool -s eno1 wol g`"),
        (GOOD | {"supported": "pumb"}, "eno1 does not wake on magic packets (it supports pumb)"),
        (
            {"card": "eno1", "mac": MAC, "wakeup": "enabled", "hidden": "Operation not permitted"},
            "its wake flags could not be read (Operation not permitted); /sys says wakeup enabled",
        ),
        (GOOD | {"physical": False}, "eno1 is no physical card"),
        (GOOD | {"mac": "00:00:00:00:00:00"}, "no MAC address is known"),
        ({"error": "no interface carries 192.0.2.1"}, "no interface carries 192.0.2.1"),
        ({"said": "Traceback", "exit": 1}, "its pod failed (Error, exit code 1): Traceback"),
        ({"said": "hello"}, "its pod said nothing that hexa understands: 'hello'"),
        (
            {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}},
            "its pod cannot start: ErrImagePull: no such image",
        ),
    ],
)
def test_what_a_card_lacks_is_said(kube: MemoryKube, card: Mapping[str, Any], says: str) -> None:
    """What keeps a machine from waking is named with the remedy; the machine is printed all the same, and validates."""
    add_node(kube, "a")
    Kubelets(kube, a=card)
    result = enrol()
    assert result.exit_code == 1
    assert says in result.stderr
    assert f"# TODO {result.stderr.partition('# a: ')[2].splitlines()[0]}" in result.stdout
    assert "Node a" in objects(result)
    assert all(problem["severity"] == "warning" for problem in problems(result))
    assert [stored.key[1] for stored in kube.api.find(PODS)] == ["hexa-0"]


def test_a_probe_that_is_refused_is_said(kube: MemoryKube) -> None:
    """Where pods on the host's network are forbidden, the rest is printed and the refusal told."""
    add_node(kube, "a")
    kube.fail_next(Refused("cannot create pods: violates PodSecurity"), verb="create")
    result = enrol()
    assert result.exit_code == 1
    assert "a: its network card could not be read: cannot create pods: violates PodSecurity" in result.stderr
    assert "Node a" in objects(result)


def test_without_an_image_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hexa does not run yet, its image is asked for, once, and nothing is probed."""
    kube = cluster()
    opens(monkeypatch, kube)
    add_node(kube, "a")
    result = enrol()
    assert result.exit_code == 1
    assert "name it by --image" in result.stderr
    kubelets = Kubelets(kube, a=GOOD)
    result = enrol("--image", "mine:2")
    assert [pod["spec"]["containers"][0]["image"] for pod in kubelets.pods] == ["mine:2"]
    assert result.exit_code == 0


def test_nodes_that_are_not_ready_are_not_probed(kube: MemoryKube) -> None:
    """A node that cannot run a pod is printed without its MAC address, and that is said."""
    add_node(kube, "a", ready=False)
    kubelets = Kubelets(kube)
    result = enrol()
    assert "a: its node is not Ready, so its network card was not looked at" in result.stderr
    assert (kubelets.pods, result.exit_code) == ([], 1)


def test_enrolled_ones_are_left_out(kube: MemoryKube) -> None:
    """A node that a Node resource declares is left out unless --all asks for it; a group that exists is not printed anew."""
    add_node(kube, "a")
    add_node(kube, "b")
    kube.api.create(GROUPS, {"metadata": {"name": "amd64-8cpu-32gi", "namespace": "homelab"}, "spec": {}})
    spec = {"kubernetesNodeName": "a"}
    kube.api.create(MACHINES, {"metadata": {"name": "rack-1", "namespace": "homelab"}, "spec": spec})
    Kubelets(kube, a=GOOD, b=GOOD)
    result = enrol()
    assert [*objects(result)] == ["Node b"]
    assert "# a: left out: Node homelab/rack-1 declares it already" in result.stderr
    assert "# Group amd64-8cpu-32gi is there already" in result.stdout
    assert [*objects(enrol("--all"))] == ["Node a", "Node b"]


def test_it_prints_for_the_namespace_that_hexa_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without -n it is the namespace that hexa's pod was told to watch; another one is printed for, and that is said."""
    kube = cluster()
    opens(monkeypatch, kube)
    env = [{"name": "HEXA_NAMESPACES", "value": "hexa-machines"}]
    add_agent(kube, containers=[{"name": "hexa", "image": "hexa:1", "env": env}])
    add_node(kube, "a")
    Kubelets(kube, a=GOOD)
    result = enrol()
    assert (result.exit_code, objects(result)["Node a"]["metadata"]["namespace"]) == (0, "hexa-machines")
    result = enrol("-n", "attic")
    assert (result.exit_code, objects(result)["Node a"]["metadata"]["namespace"]) == (1, "attic")
    assert "# hexa does not watch namespace attic: print for hexa-machines by -n" in result.stderr


def test_named_nodes_only(kube: MemoryKube) -> None:
    """Nodes named by the user are printed alone; one that is not there, or belongs to the control plane, makes it end with 1."""
    add_node(kube, "a")
    add_node(kube, "b")
    Kubelets(kube, b=GOOD)
    assert [*objects(enrol("b"))] == ["Group amd64-8cpu-32gi", "Node b"]
    result = enrol("b", "c", "master")
    assert result.exit_code == 1
    assert "# c: left out: there is no such Kubernetes node" in result.stderr
    assert "# master: left out: it belongs to the control plane" in result.stderr
    assert "Node b" in objects(result)


LIST = """\
# what stands in the cellar
name, group, mac, bmc, bmc_secret, cpu, memory, arch
rack-1, rack, 52-54-00-12-34-56, , , 8, 32Gi, amd64
rack-2, rack, , 192.0.2.50, rack-2-bmc, 8, 32Gi, amd64
pi-1, rack, 5254.0012.3458, , , 4, 8Gi, arm64
a, , , bmc-a.example, , , ,
"""


def test_a_list_of_machines(kube: MemoryKube, tmp_path: Path) -> None:
    """Machines that are off come from a list; a group that would mix processors is split, and one that is up is completed."""
    add_node(kube, "a")
    add_node(kube, "not-listed")
    Kubelets(kube, a=GOOD | {"mac": MAC[:-1] + "9"})
    (tmp_path / "list.csv").write_text(LIST)
    result = enrol("--from", tmp_path / "list.csv")
    found = objects(result)
    assert [*found] == [
        "Group amd64-8cpu-32gi",
        "Node a",
        "Group rack-amd64",
        "Node rack-1",
        "Node rack-2",
        "Group rack-arm64",
        "Node pi-1",
    ]
    assert found["Node pi-1"]["spec"]["power"]["wakeOnLan"]["macs"] == ["52:54:00:12:34:58"]
    assert found["Node rack-1"]["spec"]["template"]["capacity"] == {"cpu": "8", "memory": "32Gi", "pods": "110"}
    assert "  # power:\n  #   ipmi: {address: 192.0.2.50, secretName: rack-2-bmc}  # or redfish\n" in result.stdout
    assert "# ipmi: {address: bmc-a.example, secretName: SECRET}  # or redfish" in result.stdout
    assert "# group rack: it would mix amd64, arm64: printed as one group for each\n" in result.stderr
    assert result.exit_code == 1
    assert all(problem["severity"] == "warning" for problem in problems(result))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,macc\nx,y\n", "<stdin>:1: macc is no column that hexa knows; did you mean mac?"),
        ("name,colour\nx,y\n", "<stdin>:1: colour is no column that hexa knows; known are name, node, group, mac"),
        ("mac\ny\n", "<stdin>:1: there is no column name; add it"),
        ("name,name\nx,y\n", "<stdin>:1: name stands twice; remove one of them"),
        ("name,mac\nx\n", "<stdin>:2: has 1 values, and there are 2 columns"),
        ("name,mac\n\nx,52:54\n", "<stdin>:3: mac: '52:54' cannot be used; write six bytes such as 52:54:00:12:34:56"),
        ("name,mac\nRack_1,\n", "<stdin>:2: name: 'Rack_1' cannot be used; use lower case letters"),
        ("name;cpu\nx;many\n", "<stdin>:2: cpu: 'many' cannot be used; write a quantity such as 8"),
        ("name,bmc_secret\nx,s\n", "<stdin>:2: bmc_secret is given and bmc is empty"),
        ("name\nx\nx\n", "<stdin>:3: name x stands in line 2 already; give each its own"),
        ("", "<stdin>: is empty; the first line names the columns"),
    ],
)
def test_a_list_that_cannot_be_used(kube: MemoryKube, text: str, says: str) -> None:
    """A mistake in the list ends with 2, and one line that names file, line, what is wrong and the remedy; nothing is asked."""
    result = enrol("--from", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"hexa: {says}"), result.stderr
    assert not kube.calls


def test_output_goes_to_a_new_file(kube: MemoryKube, tmp_path: Path) -> None:
    """--output writes a file, and never over one that a person may have edited."""
    add_node(kube, "a")
    Kubelets(kube, a=GOOD)
    file = tmp_path / "site.yaml"
    assert (enrol("-o", file).exit_code, enrol("-o", file).exit_code) == (0, 2)
    assert "kind: Node" in file.read_text()


def test_machines_with_a_bmc_share_a_profile(kube: MemoryKube, tmp_path: Path) -> None:
    """Sixty machines of one make are one PowerProfile and sixty Nodes of at most eight lines; once the driver is filled in, in one
    place, all of them are switched by their own address."""
    rows = [f"rack-{n:02},rack,192.0.2.{n},rack-{n:02}-bmc,16,64Gi,amd64" for n in range(1, 61)]
    table = tmp_path / "machines.csv"
    table.write_text("\n".join(["name,group,bmc,bmc_secret,cpu,memory,arch", *rows]))
    result = enrol("--from", table)
    found = objects(result)
    assert [*found][:2] == ["Group rack", "PowerProfile rack"]
    assert [*found][2:] == [f"Node rack-{n:02}" for n in range(1, 61)]
    assert found["Node rack-07"]["spec"] == {"profile": "rack", "parameters": {"bmc": "192.0.2.7"}}
    assert found["Node rack-07"]["metadata"]["labels"] == {"group": "rack"}
    assert found["PowerProfile rack"]["spec"]["template"]["capacity"] == {"cpu": "16", "memory": "64Gi", "pods": "110"}
    nodes = [text for text in result.stdout.split("---\n") if "kind: Node" in text]
    assert max(len(text.splitlines()) for text in nodes) <= 8
    assert {problem["reason"] for problem in problems(result)} == {"PowerOnUnavailable", "PowerOffUnavailable"}
    lines = result.stdout.splitlines()
    todo = next(number for number, line in enumerate(lines) if line == "  # power:")
    lines[todo : todo + 2] = [line.replace("# ", "", 1) for line in lines[todo : todo + 2]]
    assert lines[todo + 1] == '    ipmi: {address: "{bmc}", secretName: "{machine}-bmc"}  # or redfish'
    checked = CliRunner().invoke(app, ["validate", "-"], input="\n".join(lines))
    assert checked.stdout == "1 group, 60 nodes, 1 profile: 0 errors, 0 warnings\n"


def test_unlike_machines_share_nothing(kube: MemoryKube, tmp_path: Path) -> None:
    """One that has no management controller, or another shape, keeps each of the group in full; Secrets whose names follow no rule
    are parameters, and so are MAC addresses."""
    table = tmp_path / "machines.csv"
    table.write_text("name,group,bmc,cpu,memory\na,rack,192.0.2.1,8,32Gi\nb,rack,,8,32Gi\n")
    assert [*objects(enrol("--from", table))] == ["Group rack", "Node a", "Node b"]
    table.write_text("name,group,bmc,cpu,memory\na,rack,192.0.2.1,8,32Gi\nb,rack,192.0.2.2,4,32Gi\n")
    assert [*objects(enrol("--from", table))] == ["Group rack", "Node a", "Node b"]
    table.write_text(
        f"name,node,group,mac,bmc,bmc_secret\na,host-a,rack,{MAC},192.0.2.1,one\nb,b,rack,{MAC[:-1]}7,fd00::2,two\n"
    )
    result = enrol("--from", table)
    found = objects(result)
    assert found["PowerProfile rack"]["spec"]["power"] == {"wakeOnLan": {"macs": ["{mac}"]}}
    assert 'secretName: "{secret}"' in result.stdout
    assert found["Node a"]["spec"] == {
        "kubernetesNodeName": "host-a",
        "profile": "rack",
        "parameters": {"bmc": "192.0.2.1", "secret": "one", "mac": MAC},
    }
    assert found["Node b"]["spec"]["parameters"]["bmc"] == "fd00::2"


def test_a_profile_that_is_there_is_not_printed_again(kube: MemoryKube, tmp_path: Path) -> None:
    """What somebody has filled in is not overwritten by the next enrolment; new machines take it. One that can't be looked for is
    told."""
    table = tmp_path / "machines.csv"
    table.write_text("name,group,bmc,bmc_secret\na,rack,192.0.2.1,s\nb,rack,192.0.2.2,s\n")
    kube.api.create(PROFILES, {"metadata": {"name": "rack", "namespace": "homelab"}, "spec": {}})
    result = enrol("--from", table)
    assert [*objects(result)] == ["Group rack", "Node a", "Node b"]
    assert "# PowerProfile rack is there already, and left as it is.\n" in result.stdout
    kube.fail_next(Refused("you may not list powerprofiles"), verb="list", kind=PROFILES)
    result = enrol("--from", table)
    assert "which PowerProfiles are there could not be seen: you may not list powerprofiles" in result.stderr


def test_what_does_not_decode_is_there_all_the_same(kube: MemoryKube) -> None:
    """A Node or Group that does not decode is not printed again, which would overwrite it, and a Kubernetes node that cannot be
    read is told: also to whoever names it."""
    add_node(kube, "a")
    add_node(kube, "b")
    odd = {"metadata": {"name": "c"}, "status": {"capacity": {"cpu": [1]}}}
    kube.api.create(NODES, odd, keep_status=True)
    broken = {"namespace": "homelab"}
    kube.api.create(GROUPS, {"metadata": {"name": "amd64-8cpu-32gi", **broken}, "spec": {"minSize": "x"}})
    kube.api.create(MACHINES, {"metadata": {"name": "a", **broken}, "spec": {"powerState": ["x"]}})
    Kubelets(kube, a=GOOD, b=GOOD)
    result = enrol()
    assert [*objects(result)] == ["Node b"]
    assert "# a: left out: Node homelab/a declares it already" in result.stderr
    assert "# Group amd64-8cpu-32gi is there already" in result.stdout
    for told in (result, enrol("c")):
        assert "# c: left out: its Kubernetes node cannot be read: " in told.stderr
        assert ("no such Kubernetes node" in told.stderr, told.exit_code) == (False, 1)


@pytest.mark.parametrize(
    "mac", ["", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "zz", "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03"]
)
def test_an_address_that_no_card_answers_to_is_none(kube: MemoryKube, mac: str) -> None:
    """What is printed validates: an address of zeros, of many cards, or of Infiniband is not filled in, and that is said."""
    add_node(kube, "a")
    Kubelets(kube, a={**GOOD, "mac": mac})
    result = enrol()
    assert "# a: no MAC address is known" in result.stderr
    assert (result.exit_code, "wakeOnLan" in objects(result)["Node a"]["spec"].get("power", {})) == (1, False)
