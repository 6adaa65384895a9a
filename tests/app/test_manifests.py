"""The manifests that install hexa: exactly the rights of the table, pods as restricted as can be, on nodes outside all groups."""

from typing import Any

import pytest

from hexa.app.manifests.chart import chart
from hexa.app.manifests.kustomize import tree
from hexa.app.manifests.options import Object, Options, Overlay
from hexa.app.manifests.render import by_file, images, render
from hexa.domain.names import CONTROL_PLANE_TAINTS
from hexa.domain.people.doctor.autoscaler import flags_of, judge_flags, judge_startup_taints
from hexa.domain.people.rights import RIGHTS, Scope, for_tenant
from hexa.domain.policy.conventions import STARTUP_TAINTS
from hexa.domain.policy.policy import Options as GroupOptions
from hexa.domain.policy.policy import Policy
from hexa.yaml import read_documents, write_document

EVERY = pytest.mark.parametrize("overlay", list(Overlay))


def installed(overlay: Overlay, **options: Any) -> list[Object]:
    """All objects of an overlay."""
    return render(Options(overlay=overlay, **options))


def of(objects: list[Object], kind: str, name: str, namespace: str = "") -> Object:
    """One of them."""
    (found,) = (
        each
        for each in objects
        if (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace", "")) == (kind, name, namespace)
    )
    return found


def allowed(role: Object) -> set[tuple[str, str, str]]:
    """Group, resource and verb of everything that a role allows."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@EVERY
def test_roles_allow_what_the_table_has_and_no_more(overlay: Overlay) -> None:
    """hexa's roles are the table of rights: each right where it holds, nothing beside it."""
    objects = installed(overlay, tenants=("shop",) if overlay is Overlay.TENANT else ())
    rights = for_tenant() if overlay is Overlay.TENANT else RIGHTS
    wide = "hexa-hexa-system" if overlay is Overlay.TENANT else "hexa"
    wanted: dict[tuple[str, str], set[tuple[str, str, str]]] = {}
    for right in rights:
        place = right.namespace or ("" if right.scope is Scope.CLUSTER else "hexa-machines")
        name = wide if right.namespace or right.scope is Scope.CLUSTER else "hexa"
        wanted.setdefault((name, place), set()).update((right.group, right.resource, verb) for verb in right.verbs)
    for (name, place), rules in wanted.items():
        assert allowed(of(objects, "Role" if place else "ClusterRole", name, place)) == rules
    bound = {
        (each["metadata"]["name"], each["metadata"].get("namespace", ""))
        for each in objects
        if each["kind"].endswith("RoleBinding") or each["kind"] == "ClusterRoleBinding"
        for subject in each["subjects"]
        if subject["name"] == "hexa" and "cluster-autoscaler" not in each["metadata"]["name"]
    }
    more = {Overlay.TENANT: ("hexa-tenant", "shop"), Overlay.PRODUCTION: ("hexa-http", "")}
    assert bound == {*wanted, *([more[overlay]] if overlay in more else [])}


@EVERY
def test_no_role_has_a_wildcard_or_reads_secrets(overlay: Overlay) -> None:
    """Nobody gets everything of anything; Secrets are mounted by the kubelet, never read by API."""
    for each in installed(overlay):
        for rule in each.get("rules", ()):
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
            assert "secrets" not in rule["resources"]


@EVERY
def test_what_the_agent_reads_is_named_and_nothing_else(overlay: Overlay) -> None:
    """With `--read-secret` hexa may get these Secrets beside the machines, and list none; and reach what it reads power of."""
    objects = installed(overlay, secrets=("bmc-1", "bmc-2"))
    role = of(objects, "Role", "hexa-sensors", "hexa-machines")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["bmc-1", "bmc-2"]}
    ]
    for asked in (objects, installed(overlay, sensors=True)):
        (rule,) = of(asked, "NetworkPolicy", "hexa-sensors", "hexa-system")["spec"]["egress"]
        assert {port["port"] for port in rule["ports"]} == {623, 161, 80}
    assert not [each for each in installed(overlay) if each["metadata"]["name"] == "hexa-sensors"]


@EVERY
def test_prices_are_read_where_it_is_said(overlay: Overlay) -> None:
    """With `--read-prices` hexa may list and watch these ConfigMaps beside itself, by name; without it none."""
    role = of(installed(overlay, prices=("prices",)), "Role", "hexa-prices", "hexa-system")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"], "resourceNames": ["prices"]}
    ]
    assert not [each for each in installed(overlay) if each["metadata"]["name"] == "hexa-prices"]


@EVERY
def test_hexa_knows_its_own_image(overlay: Overlay) -> None:
    """Jobs of spec.power run the image that hexa runs."""
    container = of(installed(overlay, image="here/hexa:7"), "Deployment", "hexa", "hexa-system")["spec"]["template"][
        "spec"
    ]["containers"][0]
    assert {"name": "HEXA_JOBS_IMAGE", "value": "here/hexa:7"} in container["env"]


def test_a_tenant_s_pods_elsewhere_may_be_evicted_where_it_is_said() -> None:
    """A tenant names the other namespaces whose pods hexa may evict; it gets nothing else there."""
    role = of(installed(Overlay.TENANT, tenants=("shop",)), "Role", "hexa-tenant", "shop")
    assert allowed(role) == {
        ("", "pods/eviction", "create"),
        ("", "pods", "delete"),
    }


@EVERY
def test_pods_run_outside_all_groups_and_are_restricted(overlay: Overlay) -> None:
    """Every pod keeps off the machines that it switches, may run on the control plane, is critical, and cannot do harm."""
    for each in installed(overlay):
        if each["kind"] != "Deployment":
            continue
        assert each["spec"]["replicas"] == 1
        assert each["spec"]["strategy"] == {"type": "Recreate"}
        template = each["spec"]["template"]
        assert template["metadata"]["annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
        pod = template["spec"]
        assert pod["priorityClassName"] == "system-cluster-critical"
        assert pod["tolerations"] == [{"key": key, "operator": "Exists"} for key in CONTROL_PLANE_TAINTS]
        required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert required["nodeSelectorTerms"] == [
            {"matchExpressions": [{"key": "infra.homecluster.dev/group", "operator": "DoesNotExist"}]}
        ]
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_minimal_speaks_plain_text_over_the_loopback_only() -> None:
    """Without certificates nothing but the pod itself reaches the gRPC port."""
    objects = installed(Overlay.MINIMAL)
    assert not [each for each in objects if each["kind"] == "Service"]
    pod = of(objects, "Deployment", "hexa", "hexa-system")["spec"]["template"]["spec"]
    settings = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert settings["HEXA_GRPC_ADDRESS"] == "127.0.0.1:50051"
    assert len(pod["containers"]) == 2


@EVERY
def test_settings_are_settings_of_hexa(overlay: Overlay) -> None:
    """What the pods set is what the agent knows, and it agrees to serve so."""
    from hexa.config import load_config

    pod = of(installed(overlay), "Deployment", "hexa", "hexa-system")["spec"]["template"]["spec"]
    settings = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    config = load_config(file=None, environment=settings, flags={})
    assert config.namespaces == ("hexa-machines",)
    assert bool(config.grpc.tls.certificate) is (overlay is not Overlay.MINIMAL)
    assert config.grpc.tls.missing == ()


def autoscaler_words(objects: list[Any]) -> list[str]:
    """The command line of Cluster Autoscaler."""
    pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    (found,) = (c for pod in pods for c in pod["containers"] if c["name"] == "cluster-autoscaler")
    return list(found["command"])


@EVERY
def test_cluster_autoscaler_looks_often_and_finds_groups_similar(overlay: Overlay) -> None:
    """It looks each 2 s, gives up idle machines from a minute after a scale-up on, looks again after a minute at those whose pods
    fitted nowhere else, and the label with the group's name does not
    keep it from balancing groups of equal machines; a flag of the site's own has the last word."""
    flags = flags_of(autoscaler_words(installed(overlay)))
    assert flags.text("scan-interval") == "2s"
    assert flags.text("scale-down-delay-after-add") == "1m"
    assert flags.text("unremovable-node-recheck-timeout") == "1m"
    assert flags.all("balancing-ignore-label") == ("infra.homecluster.dev/group",)
    own = flags_of(autoscaler_words(installed(overlay, autoscaler_flags=("--scan-interval=5s",))))
    assert own.text("scan-interval") == "5s"


@EVERY
def test_cluster_autoscaler_is_told_the_startup_taints_that_hexa_waits_for(overlay: Overlay) -> None:
    """The same list, but for patterns, which it does not take, and taints that it knows: the doctor finds no difference."""
    flags = flags_of(autoscaler_words(installed(overlay)))
    assert "node.cilium.io/agent-not-ready" in flags.all("startup-taint")
    assert not [key for key in flags.all("startup-taint") if "*" in key or "kubernetes.io" in key]
    assert list(judge_startup_taints(flags, STARTUP_TAINTS, "CA")) == []
    settings = (("HEXA_STARTUP_TAINTS", "rack/booting, example.com/*"),)
    own = flags_of(autoscaler_words(installed(overlay, settings=settings)))
    assert own.all("startup-taint") == ("rack/booting",)


def test_labels_to_balance_by_take_the_place_of_those_to_ignore() -> None:
    """Cluster Autoscaler does not take --balancing-label and --balancing-ignore-label together."""
    words = autoscaler_words(installed(Overlay.MINIMAL, autoscaler_flags=("--balancing-label=example.com/shape",)))
    assert not [word for word in words if word.startswith("--balancing-ignore-label")]


def test_images_are_named_once_each() -> None:
    """Both images can be changed, and there are no others."""
    assert list(images(installed(Overlay.PRODUCTION, image="i", autoscaler_image="a"))) == ["i", "a"]


@EVERY
def test_a_kustomize_overlay_and_its_base_are_the_whole(overlay: Overlay) -> None:
    """Each object of an overlay is in its folder or in the base, once."""
    files = tree()
    parts = [
        document
        for path, documents in files.items()
        for document in documents
        if path.split("/")[0] in ("base", overlay) and not path.endswith("kustomization.yaml")
    ]
    assert sorted(map(write_document, parts)) == sorted(map(write_document, installed(overlay)))


@EVERY
def test_nothing_that_is_in_no_namespace_hides_in_other_files(overlay: Overlay) -> None:
    """cluster.yaml and namespaces.yaml are all that needs an administrator of the whole cluster."""
    for name, objects in by_file(Options(overlay=overlay)).items():
        apart = name in ("cluster.yaml", "namespaces.yaml")
        assert all(("namespace" in each["metadata"]) is not apart for each in objects)


def test_the_chart_holds_no_stand_in() -> None:
    """Every name that a value replaces is replaced, and the values are YAML."""
    files = chart(write_document)
    assert not [path for path, text in files.items() if "stand-in" in text.lower() or "STAND_IN" in text]
    (values,) = read_documents(files["values.yaml"], source="values.yaml")
    assert values.value["overlay"] == "minimal"


@pytest.mark.parametrize(
    ("flags", "cost"), [((), "12s"), (("--scan-interval=5s",), "7s"), (("--scan-interval=2s",), "")]
)
def test_the_doctor_says_what_a_longer_interval_costs(flags: tuple[str, ...], cost: str) -> None:
    """Without the flag too: Cluster Autoscaler's own default is 10 s. What the manifests set costs nothing worth a word."""
    found = judge_flags(flags_of(["--cloud-config=f", *flags]), [], "CA", nodes=1)
    assert [
        text for each in found if "until a machine is woken" in (text := each.text) and f"up to {cost} " not in text
    ] == []
    assert bool(list(judge_flags(flags_of(["--cloud-config=f", *flags]), [], "CA", nodes=1))) is bool(cost)


@pytest.mark.parametrize(
    ("flags", "unneeded", "warns"),
    [
        ((), 300.0, {"scale-down-delay-after-add=10m"}),
        ((), 240.0, {"scale-down-delay-after-add=10m", "unremovable-node-recheck-timeout=5m"}),
        ((), 600.0, set()),
        ((), None, set()),
        (("--scale-down-delay-after-add=1m", "--unremovable-node-recheck-timeout=1m"), 30.0, set()),
    ],
    ids=("one flag", "both flags", "a long idle time", "no idle time", "as the manifests set them"),
)
def test_the_doctor_says_where_idle_machines_stay_on_for_longer(
    flags: tuple[str, ...], unneeded: float | None, warns: set[str]
) -> None:
    """Cluster Autoscaler gives up no machine for ten minutes after any scale-up, and for five none whose pods could not move,
    unless it is told otherwise: a group whose idle time is shorter is named."""
    policy = Policy(namespace="homelab", name="rack", options=GroupOptions(scale_down_unneeded_time=unneeded))
    words = ["--cloud-config=f", "--scan-interval=2s", *flags]
    found = [each.text for each in judge_flags(flags_of(words), [policy], "CA", nodes=1)]
    assert {text.split(" ")[0].removeprefix("--") for text in found} == warns
    assert all("is longer" in text and "homelab/rack (" in text for text in found)


def test_events_on_pods_are_a_right_of_their_own_that_is_off_until_asked_for() -> None:
    """No role has it by default; `eta` brings a role of one rule and the setting, for a tenant in its namespaces alone."""
    assert not any(each["metadata"]["name"] == "hexa-eta" for overlay in Overlay for each in installed(overlay))
    objects = installed(Overlay.PRODUCTION, eta=True)
    assert allowed(of(objects, "ClusterRole", "hexa-eta")) == {("", "events", "create")}
    container = of(objects, "Deployment", "hexa", "hexa-system")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "HEXA_ETA", "value": "true"} in container["env"]
    tenant = installed(Overlay.TENANT, eta=True, tenants=("shop",))
    assert allowed(of(tenant, "Role", "hexa-eta", "shop")) == {("", "events", "create")}
    assert not any(each["kind"] == "ClusterRole" and "eta" in each["metadata"]["name"] for each in tenant)


def test_the_chart_and_kustomize_have_it_as_an_option() -> None:
    """In the chart by its value, with kustomize by a component."""
    text = chart(write_document)["templates/production.yaml"]
    assert text.count("{{- if .Values.eta }}") == 4  # two objects of RBAC, and the setting of either Deployment
    assert {each["kind"] for each in tree()["components/eta/rbac.yaml"]} == {"ClusterRole", "ClusterRoleBinding"}


READS = [
    ("sensors", {"sensors": True}, "sensors", "or .Values.sensors .Values.readSecrets"),
    ("read-secret", {"secrets": ("bmc",)}, "sensors", ".Values.readSecrets"),
    ("read-prices", {"prices": ("prices",)}, "prices", ".Values.readPrices"),
]


@pytest.mark.parametrize(("component", "options", "name", "value"), READS)
def test_what_hexa_may_read_is_a_value_of_the_chart_and_a_component(
    component: str, options: dict[str, Any], name: str, value: str
) -> None:
    """What `--sensors`, `--read-secret` and `--read-prices` add to the command's output, the components and values add elsewhere,
    and nobody has it who does not ask."""
    plain = installed(Overlay.PRODUCTION)
    added = [each for each in installed(Overlay.PRODUCTION, **options) if each not in plain]
    made = tree()[f"components/{component}/{component}.yaml"]
    assert made == [each for each in added if component != "read-secret" or each["kind"] != "NetworkPolicy"]
    assert {each["metadata"]["name"] for each in made} == {f"hexa-{name}"}
    for overlay in Overlay:
        text = chart(write_document)[f"templates/{overlay}.yaml"]
        assert text.count(f"{{{{- if {value} }}}}") == (1 if component == "sensors" else 2)
        of_prices, of_secrets = (f"{{{{- range .Values.{each} }}}}" for each in ("readPrices", "readSecrets"))
        assert text.count(of_prices) == text.count(of_secrets) == 1


def test_minimal_becomes_production_in_place() -> None:
    """What the API server lets nobody change is the same in both: selectors of Deployments, and whom a binding binds to."""
    fixed, then = (
        {write_document([each["kind"], each["metadata"]]): frozen(each) for each in objects if frozen(each)}
        for objects in (installed(Overlay.MINIMAL, http=True), installed(Overlay.PRODUCTION))
    )
    assert fixed.keys() <= then.keys()
    assert {name: then[name] for name in fixed} == fixed


def frozen(each: Object) -> Any:
    """What of an object cannot be changed."""
    return each.get("roleRef") or (each["spec"]["selector"] if each["kind"] == "Deployment" else None)


HTTP_RIGHTS = {
    ("authentication.k8s.io", "tokenreviews", "create"),
    ("authorization.k8s.io", "subjectaccessreviews", "create"),
}


def test_http_is_off_in_minimal_and_served_by_tls_in_production() -> None:
    """Without being asked for, minimal has no port, no setting and no right for it; production serves it by the certificate that
    it has for gRPC, to pods of the cluster, through its Service, and may ask who calls."""
    for overlay in (Overlay.MINIMAL, Overlay.TENANT):
        assert "HTTP" not in "".join(map(write_document, installed(overlay))).upper().replace("HTTPGET", "")
    objects = installed(Overlay.PRODUCTION)
    assert allowed(of(objects, "ClusterRole", "hexa-http")) == HTTP_RIGHTS
    ports = {each["name"]: each["port"] for each in of(objects, "Service", "hexa", "hexa-system")["spec"]["ports"]}
    assert ports == {"grpc": 50051, "http": 8443}
    rules = of(objects, "NetworkPolicy", "hexa", "hexa-system")["spec"]["ingress"]
    assert rules[1] == {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": 8443}]}
    http = served(objects)
    assert (http.address, http.tls.certificate, http.anonymous_read) == ("0.0.0.0:8443", "/etc/hexa/tls/tls.crt", False)
    assert installed(Overlay.PRODUCTION, http=False) == [
        each for each in installed(Overlay.PRODUCTION, http=False) if "http" not in each["metadata"]["name"]
    ]


def test_minimal_serves_http_on_its_own_loopback_where_it_is_asked_for() -> None:
    """No certificate, so nobody but kubectl port-forward reaches it; callers still need a token."""
    objects = installed(Overlay.MINIMAL, http=True)
    assert served(objects).address == "127.0.0.1:8080"
    assert allowed(of(objects, "ClusterRole", "hexa-http")) == HTTP_RIGHTS
    assert not [each for each in objects if each["kind"] == "Service"]
    assert allowed(of(installed(Overlay.TENANT, http=True), "ClusterRole", "hexa-http-hexa-system")) == HTTP_RIGHTS


def served(objects: list[Object]) -> Any:
    """The section http that the agent has."""
    from hexa.config import load_config

    pod = of(objects, "Deployment", "hexa", "hexa-system")["spec"]["template"]["spec"]
    settings = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    return load_config(file=None, environment=settings, flags={}).http


def test_the_chart_has_http_as_a_value() -> None:
    """What differs is there twice, with HTTP and without; the rest stands once."""
    files = chart(write_document)
    for overlay, asked in (("production", "if ne"), ("minimal", "if eq")):
        text = files[f"templates/{overlay}.yaml"]
        assert text.count(f"{{{{- {asked} (toString .Values.http)") >= 3
        assert text.count("{{- if") == text.count("{{- end }}") - text.count("{{- range")
        assert text.count("kind: Deployment") == (3 if overlay == "production" else 2)


@pytest.mark.parametrize("overlay", Overlay)
def test_secrets_of_notifications_are_mounted_where_asked_for(overlay: Overlay) -> None:
    """By option, chart value and component alike; hexa starts without the Secret too, and nothing is mounted until then."""
    pod = of(installed(overlay, notify_secret="mine"), "Deployment", "hexa", "hexa-system")["spec"]["template"]["spec"]
    [volume] = (each for each in pod["volumes"] if each["name"] == "notify")
    assert volume["secret"] == {"secretName": "mine", "defaultMode": 0o440, "optional": True}
    mount = {"name": "notify", "mountPath": "/etc/hexa/notify", "readOnly": True}
    assert [mount in each.get("volumeMounts", ()) for each in pod["containers"]] == [
        True,
        *[False] * (len(pod["containers"]) - 1),
    ]
    assert "notify" not in write_document(of(installed(overlay), "Deployment", "hexa", "hexa-system"))
    text = chart(write_document)[f"templates/{overlay}.yaml"]
    assert "stand-in" not in text
    assert text.count("{{- if .Values.notifySecret }}") == text.count("- name: notify") >= 2
    assert (
        mount in tree()["components/notify/mount.yaml"][0]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    )
