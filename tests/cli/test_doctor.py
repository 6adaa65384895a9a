"""`hexa doctor` names what is wrong around hexa, each with its object and a remedy; what it cannot see stops nothing."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from tests.cli.sites import NOW, add_agent, add_node, add_pod, cluster, opens
from typer.testing import CliRunner

from hexa import wiring
from hexa.adapters.memory.cluster.reviews import Ban
from hexa.adapters.memory.ports.kube import MemoryKube
from hexa.adapters.x509.adapter import X509Issuer
from hexa.app.commands.doctor.examine import CHECKS, Report, examine
from hexa.app.commands.doctor.sight import Asked, Sight
from hexa.cli.app import app
from hexa.domain.errors import Refused, Unavailable
from hexa.domain.names import ACTION_LABEL, MACHINE_LABEL
from hexa.domain.policy.conventions import STARTUP_TAINTS, told_to_autoscaler
from hexa.domain.resources.cluster import CONFIG_MAPS, DEFINITIONS, SECRETS
from hexa.domain.resources.core import BUDGETS, LEASES, NODES, PODS, Kind
from hexa.domain.resources.crd import definitions
from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES, PROFILES
from hexa.ports.certificates import Described, Issuer, Owner
from hexa.ports.kube import EVERYTHING, Listing, Patch, Selector
from hexa.yaml import read_documents

CONFIG = "/etc/ca/cloud-config.yaml"
TOLD = [f"--startup-taint={key}" for key in told_to_autoscaler(STARTUP_TAINTS)]
WORDS = ["--cloud-provider=externalgrpc", f"--cloud-config={CONFIG}", "--scan-interval=2s", *TOLD]
ADDRESS = "hexa.hexa-system.svc:50051"
TLS = f"address: {ADDRESS}\nkey: /etc/ca/tls.key\ncert: /etc/ca/tls.crt\ncacert: /etc/ca/ca.crt\n"
AGE = timedelta(days=36_500)
JOBS = {"startupPodSpec": {"image": "wake"}, "shutdownPodSpec": {"image": "off"}}


@pytest.fixture
def kube() -> MemoryKube:
    """A site in which everything is as it should be."""
    kube = cluster()
    for definition in definitions().values():
        kube.api.create(DEFINITIONS, definition)
    add_node(
        kube,
        "master",
        labels={"node-role.kubernetes.io/control-plane": ""},
        taints=({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},),
    )
    add_node(kube, "rack-1", labels={"infra.homecluster.dev/group": "rack"})
    tls = {"name": "HEXA_GRPC_TLS_CERTIFICATE", "value": "/etc/hexa/tls.crt"}
    client_ca = {"name": "HEXA_GRPC_TLS_CLIENT_CA", "value": "/etc/hexa/ca.crt"}
    watched = {"name": "HEXA_NAMESPACES", "value": "homelab"}
    mounts = [{"name": "tls", "mountPath": "/etc/hexa"}]
    container = {"name": "hexa", "image": "hexa:1", "env": [watched, tls, client_ca], "volumeMounts": mounts}
    add_agent(
        kube, containers=[container], volumes=[{"name": "tls", "secret": {"secretName": "hexa-tls"}}], nodeName="master"
    )
    add_autoscaler(kube)
    secret(kube, "hexa-tls", **{"tls.crt": "SERVER", "ca.crt": "CA-OF-CLIENTS"})
    secret(kube, "ca-config", **{"cloud-config.yaml": TLS, "tls.crt": "CLIENT", "ca.crt": "CA"})
    status(kube)
    kube.api.create(GROUPS, {"metadata": {"name": "rack", "namespace": "homelab"}, "spec": {}})
    add_machine(kube, "rack-1")
    return kube


def add_autoscaler(kube: MemoryKube, *words: str, **pod: Any) -> None:
    """Cluster Autoscaler's pod."""
    mounts = [{"name": "config", "mountPath": "/etc/ca"}]
    container = {
        "name": "ca",
        "image": "ca:1",
        "command": ["./cluster-autoscaler"],
        "args": [*WORDS, *words],
        "volumeMounts": mounts,
    }
    volumes = [{"name": "config", "secret": {"secretName": "ca-config"}}]
    given = {"containers": [container], "volumes": volumes, "nodeName": "master", **pod}
    add_pod(kube, "ca-0", namespace="kube-system", labels={"app": "cluster-autoscaler"}, **given)


def secret(kube: MemoryKube, name: str, **data: str) -> None:
    """A Secret where its pod is."""
    namespace = "kube-system" if name == "ca-config" else "hexa-system"
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    kube.api.create(SECRETS, {"metadata": {"name": name, "namespace": namespace}, "data": encoded})


def status(
    kube: MemoryKube,
    *,
    time: datetime = NOW,
    state: str = "Running",
    group: str = "homelab/rack",
    namespace: str = "kube-system",
) -> None:
    """What Cluster Autoscaler reports."""
    text = f"time: {time:%Y-%m-%d %H:%M:%S}.12 +0000 UTC\nautoscalerStatus: {state}\nnodeGroups:\n- name: {group}\n"
    metadata = {"name": "cluster-autoscaler-status", "namespace": namespace}
    kube.api.create(CONFIG_MAPS, {"metadata": metadata, "data": {"status": text}})


def add_machine(kube: MemoryKube, name: str, *, namespace: str = "homelab", **spec: Any) -> None:
    """A Node resource of the group rack."""
    metadata = {"name": name, "namespace": namespace, "labels": {"group": "rack"}}
    kube.api.create(MACHINES, {"metadata": metadata, "spec": {**JOBS, **spec}})


class Certificates(X509Issuer):
    """Certificates by the texts that stand for them; each names hexa's Service and lasts for long unless told otherwise."""

    def __init__(self, *, strangers: tuple[str, ...] = (), **left: timedelta) -> None:
        self.strangers, self.left = strangers, left

    def describe(self, certificate: str) -> Described:
        """What it says."""
        owner = Owner(name="hexa", dns=("hexa.hexa-system.svc",))
        return Described(owner, NOW - AGE, NOW + self.left.get(certificate, AGE))

    def vouched(self, certificate: str, authorities: str) -> bool:
        """All are of one CA but the strangers."""
        return certificate not in self.strangers


def ask(kube: MemoryKube, *, certificates: Issuer | None = None, now: datetime = NOW, **asked: Any) -> Report:
    """Every check."""
    sight = Sight(kube, Asked(**asked), now=lambda: now, certificates=certificates or Certificates())
    return trio.run(examine, sight)


def told(report: Report) -> list[str]:
    """Findings as lines."""
    return [f"{each.check}: {each.severity}: {each.object}: {each.text}; {each.remedy}" for each in report.findings]


def test_a_sound_site_is_sound(kube: MemoryKube) -> None:
    """Where everything is as it should be, nothing is found, and nothing was written."""
    assert told(ask(kube)) == []
    assert {verb for verb, _ in kube.calls} == {"list", "create"}
    assert {where for verb, where in kube.calls if verb == "create"} == {
        "authorization.k8s.io/v1/subjectaccessreviews",
        "authentication.k8s.io/v1/selfsubjectreviews",
    }


def replaced(kube: MemoryKube, kind: Any, name: str, namespace: str = "") -> None:
    """It is gone, to be made anew otherwise."""
    kube.api.delete(kind, (namespace, name), grace=0)


def break_rights(kube: MemoryKube) -> None:
    """A role lacks a verb."""
    kube.bans.append(Ban(verb="create", resource="pods/eviction"))


def break_definitions(kube: MemoryKube) -> None:
    """An older definition, and one that is missing."""
    replaced(kube, DEFINITIONS, "groups.infra.homecluster.dev")
    replaced(kube, DEFINITIONS, "powerprofiles.infra.homecluster.dev")
    raw = definitions()["nodes.infra.homecluster.dev"]
    raw["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("hold")
    replaced(kube, DEFINITIONS, "nodes.infra.homecluster.dev")
    kube.api.create(DEFINITIONS, raw)


def break_flags(kube: MemoryKube) -> None:
    """Flags that work against hexa."""
    replaced(kube, PODS, "ca-0", "kube-system")
    flags = ("--scale-down-enabled=false", "--enforce-node-group-min-size", "--max-nodes-total", "1")
    add_autoscaler(kube, *flags, "--max-node-provision-time=5m", "--scan-interval=5m")


def break_taints(kube: MemoryKube) -> None:
    """hexa waits for other taints of a node's start than Cluster Autoscaler."""
    replaced(kube, PODS, "hexa-0", "hexa-system")
    env = [{"name": "HEXA_STARTUP_TAINTS", "value": "rack/booting"}, {"name": "HEXA_NAMESPACES", "value": "homelab"}]
    add_agent(kube, containers=[{"name": "hexa", "image": "hexa:1", "env": env}], nodeName="master")


def break_balance(kube: MemoryKube) -> None:
    """Groups are balanced, and other labels are ignored than hexa's."""
    replaced(kube, PODS, "ca-0", "kube-system")
    add_autoscaler(kube, "--balance-similar-node-groups", "--balancing-ignore-label=example.com/rack")


def break_connection(kube: MemoryKube) -> None:
    """An address in another pod, in plain text."""
    replaced(kube, SECRETS, "ca-config", "kube-system")
    secret(kube, "ca-config", **{"cloud-config.yaml": "address: 127.0.0.1:50051\n"})


def break_plain(kube: MemoryKube) -> None:
    """Half of the certificates."""
    replaced(kube, SECRETS, "ca-config", "kube-system")
    secret(kube, "ca-config", **{"cloud-config.yaml": f"address: {ADDRESS}\ncert: /etc/ca/tls.crt\n"})


def break_names(kube: MemoryKube) -> None:
    """An address that the server's certificate does not name."""
    replaced(kube, SECRETS, "ca-config", "kube-system")
    config = {
        "cloud-config.yaml": TLS.replace("hexa.hexa-system.svc", "198.51.100.1"),
        "ca.crt": "CA",
        "tls.crt": "CLIENT",
    }
    secret(kube, "ca-config", **config)


def break_calls(kube: MemoryKube) -> None:
    """Cluster Autoscaler hangs before its first loop."""
    replaced(kube, CONFIG_MAPS, "cluster-autoscaler-status", "kube-system")
    status(kube, time=NOW - timedelta(minutes=20), state="Initializing")


def break_groups_unknown(kube: MemoryKube) -> None:
    """It does not know our group."""
    replaced(kube, CONFIG_MAPS, "cluster-autoscaler-status", "kube-system")
    status(kube, group="other/group")


def break_clocks(kube: MemoryKube) -> None:
    """A kubelet lives in the future."""
    renewed = (NOW + timedelta(seconds=90)).isoformat()
    metadata = {"name": "rack-1", "namespace": "kube-node-lease"}
    kube.api.create(LEASES, {"metadata": metadata, "spec": {"renewTime": renewed}})


def break_images(kube: MemoryKube) -> None:
    """The image of a power Job cannot be had."""
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    state = {"phase": "Pending", "containerStatuses": [{"name": "power", "state": {"waiting": waiting}}]}
    labels = {ACTION_LABEL: "startup", MACHINE_LABEL: "rack-1"}
    add_pod(kube, "rack-1-x", namespace="homelab", owner="Job", labels=labels, status=state)


def break_elsewhere(kube: MemoryKube) -> None:
    """The only node outside the groups is cordoned."""
    kube.api.patch(NODES, ("", "master"), Patch({"spec": {"unschedulable": True}}))


def break_objects(kube: MemoryKube) -> None:
    """Two machines of one Kubernetes node, one without a way off; a group without machines."""
    add_machine(kube, "rack-2", kubernetesNodeName="rack-1", shutdownPodSpec=None)
    kube.api.create(GROUPS, {"metadata": {"name": "attic", "namespace": "homelab"}, "spec": {}})


def break_pods(kube: MemoryKube) -> None:
    """Two agents, and an autoscaler that does not start."""
    add_pod(kube, "hexa-1", labels={"app.kubernetes.io/name": "hexa"}, containers=[{"name": "hexa"}])
    replaced(kube, PODS, "ca-0", "kube-system")
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off"}
    add_autoscaler(
        kube, status={"phase": "Running", "containerStatuses": [{"name": "ca", "state": {"waiting": waiting}}]}
    )


class Bare(MemoryKube):
    """A cluster without our CustomResourceDefinitions."""

    async def list(self, kind: Kind[Any], selector: Selector = EVERYTHING) -> Listing[Any]:
        if kind in (GROUPS, MACHINES, PROFILES):
            raise Refused(f"list {kind.plural}: the API server does not serve it", reason="KindNotServed")
        return await super().list(kind, selector)


def test_a_cluster_without_definitions_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the CustomResourceDefinitions are missing, the doctor names that cause once, and no check repeats it."""
    kube = Bare(cluster().api)
    opens(monkeypatch, kube)
    told = CliRunner().invoke(app, ["doctor"]).stdout
    names = "groups.infra.homecluster.dev, nodes.infra.homecluster.dev, powerprofiles.infra.homecluster.dev"
    assert told.count(f"CustomResourceDefinitions: none of {names} is installed") == 1
    assert told.count("hexa crds | kubectl apply") == 1
    assert "does not serve it" not in told


BROKEN = [
    (
        break_rights,
        "rights: error: verb create on pods/eviction: system:serviceaccount:hexa-system:hexa may not create pods/eviction (core)",
    ),
    (
        break_definitions,
        "crds: error: CustomResourceDefinition groups.infra.homecluster.dev: is not installed; install those of",
    ),
    (
        break_definitions,
        "crds: warning: CustomResourceDefinition powerprofiles.infra.homecluster.dev: is not installed: no Node can",
    ),
    (
        break_definitions,
        "crds: warning: CustomResourceDefinition nodes.infra.homecluster.dev: is older than this hexa: it lacks spec.hold,",
    ),
    (
        break_flags,
        "autoscaler: warning: Cluster Autoscaler (Pod kube-system/ca-0): --scale-down-enabled=false: no machine is ever given up",
    ),
    (
        break_flags,
        "autoscaler: warning: Cluster Autoscaler (Pod kube-system/ca-0): --enforce-node-group-min-size: hexa wakes up to minSize",
    ),
    (
        break_flags,
        "autoscaler: warning: Cluster Autoscaler (Pod kube-system/ca-0): --max-nodes-total=1: with every machine on there are 2",
    ),
    (
        break_flags,
        "autoscaler: error: Cluster Autoscaler (Pod kube-system/ca-0): --max-node-provision-time=5m is shorter than what a machine",
    ),
    (
        break_flags,
        "autoscaler: warning: Cluster Autoscaler (Pod kube-system/ca-0): --scan-interval=5m: pods that are younger than 2s wait",
    ),
    (
        break_taints,
        "autoscaler: warning: Cluster Autoscaler (Pod kube-system/ca-0): is not told of the startup taints rack/booting:",
    ),
    (
        break_taints,
        "autoscaler: warning: Cluster Autoscaler (Pod kube-system/ca-0): has --startup-taint=disk.csi.azure.com/agent-not-ready, ",
    ),
    (
        break_balance,
        "autoscaler: warning: Cluster Autoscaler (Pod kube-system/ca-0): --balance-similar-node-groups finds no two groups",
    ),
    (
        break_connection,
        "connection: error: Secret kube-system/ca-config (cloud-config.yaml): address 127.0.0.1:50051 is this pod itself",
    ),
    (
        break_plain,
        "connection: error: Secret kube-system/ca-config (cloud-config.yaml): lacks key, cacert; give key, cert and cacert",
    ),
    (
        break_plain,
        "connection: error: Secret kube-system/ca-config: has no key tls.crt, and ca-0 reads /etc/ca/tls.crt from it; add tls.crt",
    ),
    (
        break_names,
        "connection: error: Secret hexa-system/hexa-tls (tls.crt): names hexa, hexa.hexa-system.svc, and Cluster",
    ),
    (break_calls, "calls: error: ConfigMap kube-system/cluster-autoscaler-status: has written no status for 20m"),
    (
        break_calls,
        "calls: error: ConfigMap kube-system/cluster-autoscaler-status: says Initializing: it has not got through a loop",
    ),
    (
        break_groups_unknown,
        "calls: warning: ConfigMap kube-system/cluster-autoscaler-status: does not know the groups homelab/rack",
    ),
    (break_clocks, "clocks: warning: Kubernetes node rack-1: its clock is about 90 s ahead of the API server's"),
    (
        break_images,
        "images: error: Node homelab/rack-1: the image image of its startup Job cannot be had: not found; correct image",
    ),
    (
        break_elsewhere,
        "elsewhere: error: Kubernetes nodes: none outside the groups takes pods (master: not Ready, cordoned, or a taint",
    ),
    (
        break_objects,
        "objects: error: Node homelab/rack-2: spec.kubernetesNodeName rack-1 is also claimed by homelab/rack-1",
    ),
    (
        break_objects,
        "objects: warning: Node homelab/rack-2: spec.shutdownPodSpec is absent: the machine is never chosen to rest",
    ),
    (break_objects, "objects: warning: Group homelab/attic: metadata.name no Node belongs to the group"),
    (break_pods, "hexa: error: hexa: 2 pods run (hexa-system/hexa-0, hexa-system/hexa-1)"),
    (
        break_pods,
        "autoscaler: error: Cluster Autoscaler (Pod kube-system/ca-0): container ca waits: CrashLoopBackOff back-off",
    ),
]


@pytest.mark.parametrize(
    ("key", "effect", "found"),
    [
        ("node-role.kubernetes.io/etcd", "NoExecute", False),
        ("node-role.kubernetes.io/controlplane", "NoSchedule", False),
        ("CriticalAddonsOnly", "NoExecute", False),
        ("example.com/reserved", "NoSchedule", True),
    ],
)
def test_servers_of_every_distribution_can_run_power_jobs(kube: MemoryKube, key: str, effect: str, found: bool) -> None:
    """The taints that kubeadm, k3s and Rancher put on servers are tolerated, whatever their effect; others are named."""
    taints = [{"key": key, "effect": effect}]
    kube.api.patch(NODES, ("", "master"), Patch({"spec": {"taints": taints}}))
    assert any("none outside the groups takes pods" in line for line in told(ask(kube))) is found


@pytest.mark.parametrize(("breaks", "says"), BROKEN, ids=[f"{each[0].__name__}-{n}" for n, each in enumerate(BROKEN)])
def test_what_is_broken_is_named(kube: MemoryKube, breaks: Any, says: str) -> None:
    """Each thing that is wrong is told by check, severity, object, text and remedy."""
    breaks(kube)
    found = told(ask(kube))
    assert [line for line in found if line.startswith(says)], "\n".join(found)


@pytest.mark.parametrize(
    ("text", "left", "says"),
    [
        (
            "SERVER",
            timedelta(days=-1),
            "error: Secret hexa-system/hexa-tls (tls.crt): has expired at 2026-11-23 12:00 UTC",
        ),
        ("CLIENT", timedelta(days=3), "warning: Secret kube-system/ca-config (tls.crt): expires in 3 days"),
        ("CA", timedelta(days=-1), "error: Secret kube-system/ca-config (ca.crt): has expired"),
    ],
)
def test_certificates_that_end_are_named(kube: MemoryKube, text: str, left: timedelta, says: str) -> None:
    """A certificate on either side that has expired, or will soon, is named by Secret and key."""
    found = told(ask(kube, certificates=Certificates(**{text: left})))
    assert [line.startswith(f"connection: {says}") for line in found] == [True]


def test_sides_that_do_not_trust_each_other_are_named(kube: MemoryKube) -> None:
    """What one side shows and the other's CA did not sign is named on both sides."""
    found = told(ask(kube, certificates=Certificates(strangers=("SERVER", "CLIENT"))))
    assert [line.partition(": the handshake")[0] for line in found] == [
        "connection: error: Secret kube-system/ca-config (tls.crt): was not signed by Secret hexa-system/hexa-tls (ca.crt)",
        "connection: error: Secret hexa-system/hexa-tls (tls.crt): was not signed by Secret kube-system/ca-config (ca.crt)",
    ]


UNDRAINABLE: list[tuple[dict[str, Any], str]] = [
    (
        {"namespace": "kube-system"},
        "ReplicaSet kube-system/p-owner: keeps rack-1 on for good: it is a kube-system pod without a",
    ),
    ({"owner": ""}, "Pod apps/p: keeps rack-1 on for good: it is not replicated"),
    (
        {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        "ReplicaSet apps/p-owner: keeps rack-1 on for good: it is annotated as not safe to evict",
    ),
    (
        {"volumes": [{"name": "data", "emptyDir": {}}]},
        "ReplicaSet apps/p-owner: keeps rack-1 on for good: it has local storage",
    ),
    (
        {"labels": {"app": "db"}},
        "ReplicaSet apps/p-owner: keeps rack-1 on for good: disruption budget db allows no disruption now",
    ),
]


@pytest.mark.parametrize(("pod", "says"), UNDRAINABLE)
def test_what_is_never_drained_is_named(kube: MemoryKube, pod: dict[str, Any], says: str) -> None:
    """Pods that Cluster Autoscaler never moves off a machine are told by their controller, with the reason."""
    budget = {"selector": {"matchLabels": {"app": "db"}}, "minAvailable": 1}
    kube.api.create(BUDGETS, {"metadata": {"name": "db", "namespace": "apps"}, "spec": budget})
    add_pod(kube, "p", **{"namespace": "apps", "nodeName": "rack-1", **pod})
    (line,) = told(ask(kube))
    assert line.startswith(f"undrainable: warning: {says}")


def test_flags_tell_what_is_never_drained(kube: MemoryKube) -> None:
    """What Cluster Autoscaler's flags let go is not told."""
    replaced(kube, PODS, "ca-0", "kube-system")
    add_autoscaler(kube, "--skip-nodes-with-local-storage=false")
    add_pod(kube, "p", namespace="apps", nodeName="rack-1", volumes=[{"name": "data", "emptyDir": {}}])
    assert told(ask(kube)) == []


@pytest.mark.parametrize("kind", [PODS, NODES, SECRETS, DEFINITIONS, MACHINES])
def test_what_cannot_be_seen_stops_nothing(kube: MemoryKube, kind: Any) -> None:
    """A list that is forbidden is told as unseen by the checks that need it; the others look all the same."""
    kube.fail_next(Refused(f"cannot list {kind.plural}: user jo needs verb list"), verb="list", kind=kind, times=99)
    break_elsewhere(kube)
    report = ask(kube)
    blind = [each for each in report.findings if each.severity == "unseen"]
    assert blind
    assert all(f"cannot list {kind.plural}" in each.text for each in blind)
    seen = {each.check for each in report.findings if each.severity == "error"}
    assert ("elsewhere" in seen) is (kind not in (NODES, MACHINES))


def test_an_api_server_that_is_away_is_an_error_of_its_own(kube: MemoryKube) -> None:
    """Where nothing answers, that is said once, and not by every check."""
    sight = Sight(kube, Asked(), now=lambda: NOW, certificates=Certificates())

    async def look() -> None:
        kube.api.outage(3600)
        await examine(sight)

    with pytest.raises(Unavailable):
        trio.run(look)


def test_rights_are_asked_where_hexa_watches(kube: MemoryKube) -> None:
    """Rights of a namespace are asked in the namespaces that the agent watches, or that the user names; those of others are not."""
    kube.bans.append(Ban(verb="patch", resource="nodes", group="infra.homecluster.dev"))
    assert [each.text for each in ask(kube).findings if "in namespace homelab" in each.text]
    named = ask(kube, namespaces=("a", "b"), user="jo").findings
    assert [each.text.partition(":")[0] for each in named if each.check == "rights"] == [
        "jo may not patch nodes (infra.homecluster.dev) in namespace a",
        "jo may not patch nodes (infra.homecluster.dev) in namespace b",
    ]


def test_a_right_that_hexa_can_do_without_is_a_warning(kube: MemoryKube) -> None:
    """A role of before there were health checks: everything else goes on."""
    kube.bans.append(Ban(resource="cronjobs"))
    found = [each for each in ask(kube).findings if each.check == "rights"]
    assert {each.severity for each in found} == {"warning"}
    assert {each.object for each in found} == {
        f"verb {v} on cronjobs" for v in ("list", "watch", "create", "patch", "delete")
    }


def test_secrets_of_sensors_are_asked_by_name(kube: MemoryKube) -> None:
    """For each machine whose power the agent reads, whether it may get that Secret; what others name is not asked."""
    ipmi, ssh = {"address": "bmc", "secretName": "bmc"}, {"address": "box", "secretName": "ssh"}
    add_machine(kube, "a", power={"ipmi": ipmi, "ssh": ssh})
    add_machine(kube, "b", power={"wakeOnLan": {"macs": ["52:54:00:12:34:56"]}, "ssh": {**ssh, "address": "b"}})
    assert not [each for each in ask(kube).findings if each.check == "rights"]
    kube.bans.append(Ban(verb="get", resource="secrets"))
    (found,) = [each for each in ask(kube).findings if each.check == "rights"]
    assert found.object == "Secret homelab/bmc"
    assert found.severity == "warning"
    assert "hexa manifests --read-secret bmc" in found.remedy


def test_the_rights_of_the_http_port_are_asked_where_there_is_one(kube: MemoryKube) -> None:
    """Without the port nobody needs them; with it each that is missing is a warning, with what grants it."""
    kube.bans += [Ban(resource="tokenreviews"), Ban(resource="subjectaccessreviews")]
    assert told(ask(kube)) == []
    serve_http(kube)
    access, token = ask(kube).findings
    assert (token.check, token.severity, token.object) == ("rights", "warning", "verb create on tokenreviews")
    assert access.object == "verb create on subjectaccessreviews"
    assert "may not create tokenreviews (authentication.k8s.io): Whose token it is" in token.text
    assert all("hexa manifests --http" in each.remedy for each in (access, token))
    kube.bans.clear()
    assert told(ask(kube)) == []


def serve_http(kube: MemoryKube) -> None:
    """hexa's pod is told to."""
    (pod,) = (
        each.raw
        for each in kube.api.find(PODS)
        if each.raw["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "hexa"
    )
    first, *more = pod["spec"]["containers"]
    told = {**first, "env": [*first["env"], {"name": "HEXA_HTTP_ADDRESS", "value": "0.0.0.0:8443"}]}
    key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
    kube.api.patch(PODS, key, Patch({"spec": {"containers": [told, *more]}}))


def test_a_tenant_s_rights_are_enough(kube: MemoryKube) -> None:
    """Rights that a tenant's hexa has in its namespaces alone are not missing; those it needs everywhere are."""
    kube.bans.append(Ban(resource="pods/eviction", namespace=""))
    assert told(ask(kube)) == []
    kube.bans.append(Ban(verb="patch", resource="nodes", group="", namespace=""))
    (line,) = told(ask(kube))
    assert line.startswith("rights: error: verb patch on nodes: ")


def test_nothing_installed_is_said() -> None:
    """In a cluster without hexa the doctor says what is missing, and how to begin."""
    kube = cluster()
    add_node(kube, "master")
    found = told(ask(kube))
    assert [line for line in found if line.startswith("objects: warning: Groups and Nodes: there are none")]
    assert [line for line in found if line.startswith("hexa: unseen: hexa: no pod labelled")]
    assert [line for line in found if line.startswith("autoscaler: unseen: Cluster Autoscaler: no pod with")]


def test_every_check_has_a_row() -> None:
    """Names of checks are API of `-o json`: each is there once."""
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.fixture
def command(kube: MemoryKube, monkeypatch: pytest.MonkeyPatch) -> MemoryKube:
    """The command talks to the site, whose clock stands still; Cluster Autoscaler reported just now."""
    opens(monkeypatch, kube)
    monkeypatch.setattr(wiring, "open_issuer", Certificates)
    replaced(kube, CONFIG_MAPS, "cluster-autoscaler-status", "kube-system")
    status(kube, time=datetime.now(UTC))
    return kube


def test_exit_codes(command: MemoryKube) -> None:
    """Ends with 0 where nothing is an error (the clock that stands still is a warning), with 1 where something is."""
    result = CliRunner().invoke(app, ["doctor"])
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "12 checks: 0 errors, 1 warning")
    break_rights(command)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "error: verb create on pods/eviction: system:serviceaccount:hexa-system:hexa may not"
    )


def test_json_has_the_same(command: MemoryKube) -> None:
    """-o json prints checks and findings."""
    break_rights(command)
    report = json.loads(CliRunner().invoke(app, ["doctor", "-o", "json"]).stdout)
    first: Mapping[str, str] = report["findings"][0]
    assert (first["check"], first["severity"], first["object"]) == ("rights", "error", "verb create on pods/eviction")
    assert {"text", "remedy"} <= first.keys()
    assert report["checks"] == [check.name for check in CHECKS]


@pytest.mark.parametrize("overlay", ["minimal", "production", "tenant"])
def test_what_we_ship_is_sound(overlay: str) -> None:
    """The doctor finds hexa, Cluster Autoscaler and their certificates in what `hexa manifests` and `hexa certs` make, and nothing
    wrong with it."""
    now = datetime.now(UTC) + timedelta(seconds=1)
    kube = cluster(now=now)
    add_node(kube, "master")
    for command in (["manifests", overlay, "--with-crds"], ["certs", "--secrets"]):
        for document in read_documents(CliRunner().invoke(app, command).stdout, source=command[0]):
            install(kube, document.value)
    add_node(kube, "rack-1", labels={"infra.homecluster.dev/group": "rack"})
    kube.api.create(GROUPS, {"metadata": {"name": "rack", "namespace": "hexa-machines"}, "spec": {}})
    add_machine(kube, "rack-1", namespace="hexa-machines")
    status(kube, time=now, namespace="hexa-system", group="hexa-machines/rack")
    assert told(ask(kube, certificates=X509Issuer(), now=now)) == []
    late = now + timedelta(days=360)
    seen = {
        each.object for each in ask(kube, certificates=X509Issuer(), now=late).findings if "expires in" in each.text
    }
    ends = {
        "Secret hexa-system/hexa-grpc-server (tls.crt)",
        "Secret hexa-system/cluster-autoscaler-cloud-config (tls.crt)",
    }
    assert seen == (set() if overlay == "minimal" else ends)


def install(kube: MemoryKube, manifest: dict[str, Any]) -> None:
    """Put it into the cluster; a Deployment as its pod."""
    match manifest["kind"]:
        case "CustomResourceDefinition":
            kube.api.create(DEFINITIONS, manifest)
        case "ConfigMap":
            kube.api.create(CONFIG_MAPS, manifest)
        case "Secret":
            plain = {
                key: base64.b64encode(text.encode()).decode() for key, text in manifest.get("stringData", {}).items()
            }
            kube.api.create(SECRETS, {**manifest, "data": {**manifest.get("data", {}), **plain}})
        case "Deployment":
            template = manifest["spec"]["template"]
            add_pod(
                kube,
                f"{manifest['metadata']['name']}-0",
                namespace=manifest["metadata"]["namespace"],
                labels=template["metadata"]["labels"],
                **{**template["spec"], "nodeName": "master"},
            )


def test_secrets_that_are_not_there_or_lack_a_key_are_named(kube: MemoryKube) -> None:
    """Every Secret that spec.power or the pod of a Job names is looked for, and the keys that its driver
    reads; what is there is not spoken of."""
    power = {
        "ipmi": {"address": "bmc", "secretName": "bmc"},
        "ssh": {"address": "m", "secretName": "ssh"},
        "http": {"address": "plug", "device": "shelly", "secretName": "plug"},
    }
    pod = {"image": "a", "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "bmc", "key": "pin"}}}]}
    add_machine(kube, "m", power=power, startupPodSpec=None, shutdownPodSpec=pod)
    for name, data in (("bmc", {"username": "YQ==", "password": "Yg=="}), ("plug", {"token": "YQ=="})):
        kube.api.create(SECRETS, {"metadata": {"name": name, "namespace": "homelab"}, "data": data})
    found = [(each.object, each.text) for each in ask(kube).findings if each.check == "secrets"]
    assert found == [
        ("Node homelab/m", "spec.power.ssh.secretName: there is no Secret ssh"),
        ("Node homelab/m", "spec.shutdownPodSpec.env[0].valueFrom.secretKeyRef: Secret bmc has no pin"),
    ]


def test_objects_in_namespaces_that_nobody_watches_are_named(kube: MemoryKube) -> None:
    """hexa watches homelab: a Group elsewhere is never acted on, and that is said; named by -n it is looked at as any other."""
    kube.api.create(GROUPS, {"metadata": {"name": "other", "namespace": "attic"}, "spec": {}})
    says = "hexa watches homelab only: nothing there is switched"
    assert [each.text for each in ask(kube).findings if "namespace attic" in each.object] == [says]
    assert not [each for each in ask(kube, namespaces=("attic",)).findings if each.text == says]
