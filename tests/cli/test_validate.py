"""`hexa validate` tells every mistake in Groups and Nodes with object, field and remedy, without a cluster."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hexa.cli.app import app
from hexa.yaml import read_documents, write_document

OBJECTS = Path(__file__).parent.parent / "objects"
BAD = [document.value for document in read_documents((OBJECTS / "bad.yaml").read_text(), source="bad.yaml")]
API_VERSION = "infra.homecluster.dev/v1alpha1"


def run(*arguments: str | Path, stdin: str = "") -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, ["validate", *map(str, arguments)], input=stdin)


def problems(*objects: dict[str, Any], namespace: str = "homelab") -> list[dict[str, Any]]:
    """The problems of objects that are written to standard input."""
    text = "---\n".join(write_document(each) for each in objects)
    found: list[dict[str, Any]] = json.loads(run("--json", "-n", namespace, "-", stdin=text).stdout)["problems"]
    return found


def group(name: str, **spec: Any) -> dict[str, Any]:
    """A Group."""
    return {"apiVersion": API_VERSION, "kind": "Group", "metadata": {"name": name}, "spec": spec}


def node(name: str, of: str = "", **spec: Any) -> dict[str, Any]:
    """A Node that can be switched, of a group."""
    metadata = {"name": name, "labels": {"group": of} if of else {}}
    jobs = {"startupPodSpec": {"image": "wake"}, "shutdownPodSpec": {"image": "off"}}
    return {"apiVersion": API_VERSION, "kind": "Node", "metadata": metadata, "spec": {**jobs, **spec}}


def object_of(case: dict[str, Any]) -> dict[str, Any]:
    """The object of an entry of bad.yaml."""
    whole = node("bad", of="full") if case["kind"] == "Node" else group("bad")
    metadata = {**whole["metadata"], **case.get("metadata", {})}
    spec = {**whole["spec"], **case["spec"]} if isinstance(case["spec"], dict) else case["spec"]
    return {
        **whole,
        "apiVersion": case.get("apiVersion", API_VERSION),
        "kind": case["kind"],
        "metadata": metadata,
        "spec": spec,
    }


@pytest.mark.parametrize("case", BAD, ids=[f"{each['field']}: {each['says']}" for each in BAD])
def test_each_mistake_is_told_with_field_and_remedy(case: dict[str, Any]) -> None:
    """Each mistake of bad.yaml is the only one told of its object, with its field and what to do."""
    bad = object_of(case)
    around = [group("full"), node("other", of="full"), node("member", of=bad["metadata"]["name"])]
    found = [each for each in problems(bad, *around) if each["object"]["name"] == bad["metadata"]["name"]]
    assert [each["field"] for each in found] == [case["field"]]
    assert case["says"] in f"{found[0]['text']}; {found[0]['remedy']}"
    assert found[0]["severity"] == case.get("severity", "error")
    assert found[0]["remedy"]


@pytest.mark.parametrize("file", ["seed.yaml", "full.yaml"])
def test_good_objects_have_no_error(file: str) -> None:
    """Objects of the seed system's shape, every field once, and the least that can be written are right."""
    result = run(OBJECTS / file)
    assert result.exit_code == 0, result.stdout
    assert " 0 errors" in result.stdout


# --- objects together ---------------------------------------------------------------------------


def reasons(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Who has which problem."""
    return [(f"{each['object']['kind']} {each['object']['name']}", each["reason"]) for each in found]


def test_node_without_group_is_an_error() -> None:
    """A Node without the label group is told which label to set."""
    (problem,) = problems(node("a"))
    assert (problem["reason"], problem["severity"]) == ("NoGroup", "error")
    assert "set the label group" in problem["remedy"]


def test_missing_group_is_an_error_where_groups_are_given() -> None:
    """A group that is not in the files is missing, with a guess at what was meant."""
    found = problems(group("workers"), node("a", of="workers"), node("b", of="worker"), node("c", of="cellar"))
    assert reasons(found) == [("Node b", "GroupMissing"), ("Node c", "GroupMissing")]
    assert found[0]["remedy"] == "did you mean workers?"


def test_missing_group_is_no_error_where_no_group_is_given() -> None:
    """Files with Nodes alone are checked alone: their groups may be in the cluster."""
    assert problems(node("a", of="workers")) == []


def test_group_of_another_namespace_is_named() -> None:
    """A group of the right name in another namespace is the likely mistake."""
    elsewhere = group("workers")
    elsewhere["metadata"]["namespace"] = "elsewhere"
    found = problems(elsewhere, node("a", of="workers"))
    (problem,) = [each for each in found if each["severity"] == "error"]
    assert problem["remedy"] == "elsewhere/workers is in another namespace: bring them together"


def test_two_machines_of_one_kubernetes_node_are_errors() -> None:
    """Machines of one kubernetesNodeName blame each other, in whatever namespaces they are."""
    twin = node("b", of="workers", kubernetesNodeName="a")
    twin["metadata"]["namespace"] = "elsewhere"
    found = problems(node("a", of="workers"), twin, node("c", of="workers"))
    assert reasons(found) == [("Node a", "DuplicateKubernetesNode"), ("Node b", "DuplicateKubernetesNode")]
    assert "elsewhere/b" in found[0]["text"]
    assert "homelab/a" in found[1]["text"]


def test_two_architectures_in_one_group_are_an_error() -> None:
    """Templates with different architectures in one group mislead Cluster Autoscaler."""
    arm = node("a", of="mixed", template={"labels": {"kubernetes.io/arch": "arm64"}})
    amd = node(
        "b", of="mixed", template={"labels": {"kubernetes.io/arch": "amd64"}, "capacity": {"cpu": 4, "memory": "8Gi"}}
    )
    (problem,) = problems(group("mixed"), arm, amd)
    assert (problem["object"]["name"], problem["reason"], problem["severity"]) == ("mixed", "MixedShape", "error")
    assert "amd64, arm64" in problem["text"]


def test_uneven_machines_in_one_group_are_a_warning() -> None:
    """A 4-core and a 16-core machine in one group work, with the larger one half used."""
    small = node("a", of="uneven", template={"capacity": {"cpu": 4, "memory": "16Gi"}})
    large = node("b", of="uneven", template={"capacity": {"cpu": "16", "memory": "16Gi"}})
    (problem,) = problems(group("uneven"), small, large)
    assert (problem["reason"], problem["severity"]) == ("UnevenShape", "warning")
    assert "from 4 to 16" in problem["text"]


def test_label_that_contradicts_the_selector_is_an_error() -> None:
    """A template's label that the group's nodeSelector sets otherwise is told."""
    machine = node("a", of="workers", template={"labels": {"room": "attic"}})
    (problem,) = problems(group("workers", nodeSelector={"room": "cellar"}), machine)
    assert (problem["field"], problem["reason"]) == ("spec.template.labels.room", "SelectorMismatch")


def test_control_plane_member_is_an_error_unless_allowed() -> None:
    """A control-plane machine is refused as a member, unless the group allows it."""
    machine = node("a", of="workers", template={"labels": {"node-role.kubernetes.io/control-plane": ""}})
    assert reasons(problems(group("workers"), machine)) == [("Node a", "ControlPlane")]
    assert problems(group("workers", allowControlPlane=True), machine) == []


def test_group_without_machines_is_a_warning() -> None:
    """A group that no Node names does nothing."""
    (problem,) = problems(group("workers"))
    assert (problem["reason"], problem["severity"]) == ("NoMachines", "warning")


def test_object_that_stands_twice_is_an_error() -> None:
    """The second object of a name is told where the first stands."""
    (problem,) = problems(group("workers"), node("a", of="workers"), node("a", of="workers"))
    assert problem["reason"] == "Duplicate"
    assert "line 7" in problem["text"]


def test_broken_objects_do_not_blame_others() -> None:
    """A group with a mistake is still the group of its machines, and a machine with one still its member."""
    found = problems(group("workers", minSize="x"), node("a", of="workers", powerState="x"))
    assert [each["field"] for each in found] == ["spec.minSize", "spec.powerState"]


def test_all_mistakes_of_an_object_are_told_at_once() -> None:
    """Nobody has to run it once for each mistake."""
    wrong = node("a", of="workers", powerState="x", kubernetesNodeName=5, colour="red", paused={"until": "x"})
    assert len(problems(wrong)) == 4


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of manifests, ours among others."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "group.yaml").write_text(write_document(group("workers", minSize=-1)))
    (tmp_path / "deep" / "nodes.yml").write_text(
        f"# two\n{write_document(node('a', of='workers'))}---\n{write_document(node('b', of='wrong'))}"
    )
    (tmp_path / "deep" / "list.json").write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": [group("cellar", maxSize="x"), node("c", of="cellar")]},
            indent=1,
        )
    )
    (tmp_path / "other.yaml").write_text("apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n---\n- a list\n---\ntext\n")
    (tmp_path / "notes.txt").write_text("kind: [")
    return tmp_path


def test_folders_are_searched_and_lines_are_told(folder: Path) -> None:
    """A folder stands for the YAML and JSON in it; each error begins with file and line, its remedy follows."""
    result = run(folder, "-n", "homelab")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines == [
        f'{folder}/deep/list.json:12: error: Group homelab/cellar: spec.maxSize: is "x"; a whole number is wanted',
        "    write a whole number",
        f"{folder}/deep/nodes.yml:19: error: Node homelab/b: metadata.labels.group: there is no Group homelab/wrong",
        "    create it, or correct the label",
        f"{folder}/group.yaml:6: error: Group homelab/workers: spec.minSize: is -1",
        "    0 is the least",
        "2 groups, 3 nodes: 3 errors, 0 warnings",
    ]


def test_files_without_our_objects_are_right(folder: Path) -> None:
    """Foreign kinds are ignored, and it is said that nothing was checked."""
    result = run(folder / "other.yaml")
    assert result.exit_code == 0
    assert "nothing to check" in result.stdout


def test_file_that_is_no_yaml_is_an_error_and_others_are_still_checked(folder: Path) -> None:
    """A file that cannot be read as YAML is told with its line, beside the other files' mistakes."""
    (folder / "broken.yaml").write_text("kind: Group\nspec: {\n")
    result = run(folder, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["checked"] == {"groups": 2, "nodes": 3, "profiles": 0, "errors": 4, "warnings": 0}
    assert [each["file"] for each in found["problems"] if each["object"] is None] == [str(folder / "broken.yaml")]


def test_warnings_alone_are_no_failure() -> None:
    """Warnings end with 0: the objects work."""
    result = run("-", stdin=write_document(group("lonely")))
    assert result.exit_code == 0
    assert "1 group, 0 nodes: 0 errors, 1 warning" in result.stdout


def test_objects_without_namespace_get_the_given_one() -> None:
    """As kubectl does with -n."""
    assert problems(node("a"), namespace="lab")[0]["object"]["namespace"] == "lab"


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    """A file that is not there ends with 2 and one line, without a traceback."""
    result = run(tmp_path / "absent.yaml")
    assert result.exit_code == 2
    assert result.stderr == f"hexa: {tmp_path}/absent.yaml: No such file or directory\n"


def test_folder_without_manifests_is_a_usage_error(tmp_path: Path) -> None:
    """An empty folder is probably the wrong one."""
    assert run(tmp_path).exit_code == 2


def test_binary_file_is_a_usage_error(tmp_path: Path) -> None:
    """What is no text cannot be checked."""
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    result = run(tmp_path / "a.yaml")
    assert result.exit_code == 2
    assert "is not UTF-8 text" in result.stderr


def test_dependencies_are_checked_together() -> None:
    """Circles and names that no Node of the files has; what may be in the cluster is not told where no group is given."""
    machines = [node("a", of="rack", dependsOn=["b"]), node("b", of="rack", dependsOn=["a"])]
    found = problems(group("rack"), *machines, node("c", of="rack", dependsOn=["bb"]))
    assert [(each["object"]["name"], each["field"]) for each in found] == [
        ("a", "spec.dependsOn"),
        ("b", "spec.dependsOn"),
        ("c", "spec.dependsOn[0]"),
    ]
    assert "a -> b -> a" in found[0]["text"]
    assert problems(node("c", of="rack", dependsOn=["nas"])) == []


def test_a_chain_that_is_longer_than_its_groups_max_size_is_told() -> None:
    """With the group, its maxSize and the machines, for each that needs them all; without the group nobody knows."""
    machines = [node("a", of="rack"), node("b", of="rack", dependsOn=["a"]), node("c", of="shelf", dependsOn=["b"])]
    found = problems(group("rack", maxSize=1), group("shelf"), *machines)
    assert [each["object"]["name"] for each in found] == ["b", "c"]
    assert {each["text"] for each in found} == {"Group rack has maxSize 1, and b, a of it must be on together"}
    assert problems(group("rack", maxSize=2), group("shelf"), *machines) == []


def test_a_machine_that_others_depend_on_needs_no_group() -> None:
    """It is switched for them."""
    assert problems(node("c", of="rack", dependsOn=["nas"]), node("nas")) == []


def test_machines_inside_a_group_get_the_way_over() -> None:
    """Of the first schema of homelab-autoscaler, with machines and prices inside the Group, validate says what to make."""
    old = group("attic", nodesSpecs=[{"kubernetesNodeName": "attic-1"}], pricing={"hourlyRate": "1.00"})
    remedies = {each["field"]: each["remedy"] for each in problems(old) if each["severity"] == "error"}
    assert remedies == {
        "spec.nodesSpecs": "make a Node for each item of spec.nodesSpecs, with the label group: attic and the item as its "
        "spec (docs/migrate.md, the first schema)",
        "spec.pricing": "write it as spec.pricing of each Node of the group",
    }


def test_fields_of_the_other_kind_are_sent_there() -> None:
    """A field that a Node has and a Group has not, and the other way round, is named with its place."""
    told = problems(group("rack", taintsToRemove=[]), node("m", "rack", minSize=1, drain={"power": "on"}))
    remedies = {each["field"]: each["remedy"] for each in told if each["reason"] == "UnknownField"}
    assert remedies == {
        "spec.taintsToRemove": "it is a field of Node: write it as spec.taintsToRemove of each Node of the group",
        "spec.minSize": "it is a field of Group: write it as spec.minSize of its Group",
        "spec.drain": "it is a field of Group: write it as spec.drain of its Group",
    }


def test_failure_56_machines_that_are_all_off_and_undescribed_are_a_warning() -> None:
    """Migrated with every machine off and no template, a group can't be scaled up before a machine was on once."""
    (problem,) = problems(group("rack"), node("m", "rack", powerState="off"), node("n", "rack", powerState=False))
    assert (problem["reason"], problem["severity"]) == ("ShapeUnknown", "warning")
    assert "hexa on m" in problem["remedy"]


def profile(name: str, **spec: Any) -> dict[str, Any]:
    """A PowerProfile."""
    return {"apiVersion": API_VERSION, "kind": "PowerProfile", "metadata": {"name": name}, "spec": spec}


def taking(name: str, profile: str, **parameters: str) -> dict[str, Any]:
    """A Node that has its power from a profile."""
    spec = {"profile": profile, "parameters": parameters}
    return {
        "apiVersion": API_VERSION,
        "kind": "Node",
        "metadata": {"name": name, "labels": {"group": "rack"}},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("kept", "lacks"),
    [
        ({"stringData": {"username": "root", "password": "x"}}, ""),
        ({"data": {"username": "ENC[x]"}, "stringData": {"password": "x"}}, ""),
        ({"data": {"username": "cm9vdA==", "password": ""}}, "has no password"),
        ({"data": None}, "has no username and no password"),
        ({"metadata": {"name": "bmc", "namespace": "elsewhere"}}, ""),
    ],
)
def test_keys_that_a_secret_in_the_files_lacks_are_told(kept: dict[str, Any], lacks: str) -> None:
    """A Secret beside a Node that names it is looked at for its keys, wherever they are written; one that is not there is made
    elsewhere."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bmc"}, **kept}
    machine = node("a", of="rack", power={"ipmi": {"address": "bmc.lan", "secretName": "bmc"}})
    found = problems(group("rack"), machine, secret)
    assert [(each["field"], each["severity"], each["text"]) for each in found] == (
        [("spec.power.ipmi.secretName", "warning", f"Secret bmc {lacks}")] if lacks else []
    )


def test_a_machine_is_judged_with_its_profile() -> None:
    """What is filled in is judged like what a Node says itself, also between Nodes; where a file has no profiles, those of the
    cluster may be meant."""
    bmc = profile("bmc", power={"ipmi": {"address": "{bmc}", "secretName": "{machine}-bmc"}})
    assert problems(group("rack"), bmc, taking("a", "bmc", bmc="10.0.0.1"), taking("b", "bmc", bmc="10.0.0.2")) == []
    found = problems(group("rack"), bmc, taking("a", "bmc", bmc="10.0.0.1"), taking("b", "bmc", bmc="10.0.0.1"))
    assert {each["reason"] for each in found} == {"DuplicatePower"}
    (bad,) = problems(group("rack"), bmc, taking("a", "bmc", bmc="a b/c"))
    assert (bad["object"]["name"], bad["field"], bad["reason"]) == ("a", "spec.power.ipmi.address", "BadAddress")
    assert problems(group("rack"), taking("a", "bmc")) == []


@pytest.mark.parametrize("version", [1, ["v1"], {"a": "b"}])
def test_a_version_that_is_no_text_is_told(version: Any) -> None:
    """A Node whose apiVersion is a number or a list is no foreign object."""
    found = problems(group("rack"), node("b", of="rack"), {**node("a", of="rack"), "apiVersion": version})
    assert [(each["object"]["name"], each["field"]) for each in found] == [("a", "apiVersion")]


@pytest.mark.parametrize(
    ("metadata", "text"), [(None, "is missing"), (["name"], "is no mapping"), ("a", "is no mapping")]
)
def test_metadata_that_is_none_is_told_as_what_it_is(metadata: Any, text: str) -> None:
    """Metadata that is not there, and metadata of another kind."""
    found = problems(group("rack"), node("b", of="rack"), {**node("a"), "metadata": metadata})
    assert [each["text"] for each in found if each["field"] == "metadata"] == [text]


def test_power_that_the_group_forbids_to_be_cut_is_told() -> None:
    """A plug that may cut by its Node and not by its Group: the field without effect, and that nothing switches the machine off."""
    plug = {"http": {"address": "plug.lan", "device": "shelly"}, "hard": True}
    machine = {**node("a", of="rack"), "spec": {"power": plug, "template": {"capacity": {"cpu": 4, "memory": "8Gi"}}}}
    assert problems(group("rack"), machine) == []
    found = problems(group("rack", hardOff="Forbid"), machine)
    assert [(each["field"], each["reason"]) for each in found] == [
        ("spec.power", "PowerOffUnavailable"),
        ("spec.power.hard", "HardOffForbidden"),
    ]


def test_a_profile_that_does_not_decode_is_told_alone() -> None:
    """Nodes that name it are not told that it is missing."""
    broken = profile("bmc", power=["ipmi"])
    (found,) = problems(group("rack"), broken, taking("a", "bmc", bmc="10.0.0.1"))
    assert (found["object"]["kind"], found["field"]) == ("PowerProfile", "spec.power")


@pytest.mark.parametrize(
    ("of", "parameters", "field", "text"),
    [
        ("bmcs", {"bmc": "b"}, "spec.profile", "there is no PowerProfile bmcs in namespace homelab"),
        ("bmc", {}, "spec.parameters", "has no bmc, which PowerProfile bmc needs"),
    ],
)
def test_a_profile_that_cannot_be_used_is_an_error(of: str, parameters: Any, field: str, text: str) -> None:
    """One that is not among those of the files, or of which a parameter is left open: field, text and remedy, and nothing else."""
    bmc = profile("bmc", power={"ipmi": {"address": "{bmc}", "secretName": "s"}})
    (found,) = problems(group("rack"), bmc, taking("a", of, **parameters))
    assert (found["severity"], found["field"], found["text"]) == ("error", field, text)


def test_the_examples_can_stand_side_by_side() -> None:
    """All of examples/machines in one site: no name, address or machine is claimed twice, as the page of GitOps checks it."""
    found = run(Path(__file__).parents[2] / "examples" / "machines")
    assert found.exit_code == 0, found.output


LISTED = {"metadata": {"name": "a"}, "spec": {"maxsize": 3}}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (write_document({"apiVersion": API_VERSION, "kind": "GroupList", "items": [LISTED]}), "spec.maxsize"),
        (write_document({"kind": "Group", **LISTED}), "apiVersion"),
        (write_document({"apiVersion": None, "kind": "Node", "metadata": {"name": "a"}}), "apiVersion"),
        (json.dumps([{"apiVersion": API_VERSION, "kind": "Group", **LISTED}]), ""),
    ],
    ids=["typed list", "no apiVersion", "apiVersion without a value", "top-level list"],
)
def test_objects_that_are_meant_are_not_passed_over(text: str, field: str) -> None:
    """What is clearly ours is checked or refused in whatever form it is written: "nothing to check" would pass for right."""
    result = run("--json", "-", stdin=text)
    assert result.exit_code == 1
    assert field in [each["field"] for each in json.loads(result.stdout)["problems"]]


def test_what_objects_name_of_the_configuration_is_looked_for_there(tmp_path: Path) -> None:
    """A tariff and a circuit that are not configured, and a circuit that one machine alone overloads, are warnings."""
    config = tmp_path / "hexa.yaml"
    config.write_text("circuits: {garage: {maxWatts: 100}}\ntariffs: {house: {price: 0.3}}\n")
    watts = {"energy": {"maxWatts": 140}}
    objects = (
        group("rack", cost={"tariff": "hause"}),
        node("a", of="rack", circuit="garag", **watts),
        node("b", of="rack", circuit="garage", **watts),
    )
    text = "---\n".join(write_document(each) for each in objects)
    found = json.loads(run("--json", "--config", config, "-", stdin=text).stdout)["problems"]
    assert [(each["object"]["name"], each["reason"]) for each in found if each["reason"] != "ShapeUnknown"] == [
        ("rack", "UnknownTariff"),
        ("a", "UnknownCircuit"),
        ("b", "CircuitTooSmall"),
    ]
    known = json.loads(run("--json", "-", stdin=text).stdout)["problems"]
    assert {each["reason"] for each in known} <= {"ShapeUnknown"}


def test_an_empty_list_of_groups_is_right() -> None:
    """`kubectl get groups -o yaml` in an empty namespace."""
    for items in ("[]", "null"):
        assert run("-", stdin=f"apiVersion: {API_VERSION}\nkind: GroupList\nitems: {items}\n").exit_code == 0


@pytest.mark.parametrize(
    ("written", "field", "says"),
    [
        ("{name: yes}", "metadata.name", "which is how YAML reads yes, on, true or y"),
        ("{name: a, namespace: 1}", "metadata.namespace", "is the number 1; a text is wanted"),
        ("{name: a, namespace: a.b}", "metadata.namespace", "is no name of a namespace"),
        ("{name: a, uid: 5}", "metadata.uid", "a text is wanted"),
        ("{name: a, labels: {a b: c}}", 'metadata.labels["a b"]', "is no key of a label"),
        ("{name: a, labels: {/b: c}}", 'metadata.labels["/b"]', "is no key of a label"),
        ("{name: a, annotations: {a: {b: c}}}", "metadata.annotations.a", "is a mapping; a text is wanted"),
        ("{name: a, annotations: {example.com/A_b: c}}", "", ""),
        ("{name: a, annotations: {Example.com/x: c}}", "", ""),
    ],
)
def test_metadata_that_the_api_server_refuses_is_an_error(written: str, field: str, says: str) -> None:
    """Texts, names and keys of metadata are those that Kubernetes takes, and the remedy never names a word that it refuses."""
    text = f"apiVersion: {API_VERSION}\nkind: Group\nmetadata: {written}\n"
    found = json.loads(run("--json", "-", stdin=text).stdout)["problems"]
    errors = [(each["field"], each["text"]) for each in found if each["severity"] == "error"]
    assert [name for name, _ in errors] == ([field] if field else [])
    assert all(says in text for _, text in errors)


@pytest.mark.parametrize("kind", ["", "kind:", "kind: [Group]"])
def test_an_object_of_ours_without_a_kind_is_told_so(kind: str) -> None:
    """The missing kind is named as missing, in words for people."""
    result = run("-", stdin=f"apiVersion: {API_VERSION}\n{kind}\nmetadata: {{name: a}}\n")
    assert "object default/a: kind: is " in result.stdout
    assert "None" not in result.stdout
