"""What lets a Prometheus Operator read hexa's metrics: off until asked for, by a token that is good for nothing else."""

from typing import Any

import pytest

from hexa.app.manifests.chart import chart
from hexa.app.manifests.kustomize import tree
from hexa.app.manifests.monitors import ENDPOINTS, lacking, monitors
from hexa.app.manifests.options import Monitor, Object, Options, Overlay
from hexa.app.manifests.render import render
from hexa.yaml import write_document


def named(objects: list[Object], kind: str) -> Object:
    """The one of this kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


@pytest.mark.parametrize("kind", Monitor)
@pytest.mark.parametrize("overlay", [Overlay.PRODUCTION, Overlay.TENANT])
def test_a_monitor_reads_what_the_installation_serves(overlay: Overlay, kind: Monitor) -> None:
    """The port, the certificate's name and its CA are those of hexa's Service; the token may get /metrics and no more; labels of
    machines win over those of the scrape."""
    options = Options(overlay=overlay, namespace="power", monitor=kind, http=True)
    objects = render(options)
    (endpoint,) = named(objects, kind)["spec"][ENDPOINTS[kind]]
    service = named(objects, "Service")
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["tlsConfig"]["serverName"] == "hexa.power.svc"
    deployment = next(each for each in objects if each["kind"] == "Deployment" and each["metadata"]["name"] == "hexa")
    pod: Any = deployment["spec"]["template"]["spec"]
    ca = endpoint["tlsConfig"]["ca"]["secret"]
    assert ca["name"] in {volume.get("secret", {}).get("secretName") for volume in pod["volumes"]}
    assert (endpoint["path"], endpoint["scheme"], endpoint["honorLabels"]) == ("/metrics", "https", True)
    own = list(monitors(options))
    token, role, binding = (named(own, each) for each in ("Secret", "ClusterRole", "ClusterRoleBinding"))
    assert endpoint["authorization"]["credentials"] == {"name": token["metadata"]["name"], "key": "token"}
    account = token["metadata"]["annotations"]["kubernetes.io/service-account.name"]
    assert named(own, "ServiceAccount")["metadata"]["name"] == account
    assert role["rules"] == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "power"}]
    assert role["metadata"]["name"].endswith("-power") is (overlay is Overlay.TENANT)


def test_nothing_is_made_until_it_is_asked_for_and_can_be_read() -> None:
    """Without a word there is neither monitor nor token; where nothing would be served to others, who asks is told what to do."""
    for overlay in Overlay:
        assert list(monitors(Options(overlay=overlay))) == []
    assert "--http" in lacking(Options(overlay=Overlay.TENANT))
    assert "--http" in lacking(Options(overlay=Overlay.PRODUCTION, http=False))
    assert "minimal" in lacking(Options(overlay=Overlay.MINIMAL, http=True))
    assert lacking(Options(overlay=Overlay.PRODUCTION)) == ""


def test_chart_and_components_have_the_same() -> None:
    """Each way to install has both kinds, the chart as one value."""
    files, made = tree(), chart(write_document)
    for name, kind in (("service-monitor", Monitor.SERVICE), ("pod-monitor", Monitor.POD)):
        asked = Options(overlay=Overlay.PRODUCTION, monitor=kind)
        assert files[f"components/{name}/{name}.yaml"] == list(monitors(asked))
        assert f'eq .Values.monitor.kind "{kind}"' in made["templates/monitor.yaml"]
        assert f'"{kind}"' in made["templates/check.yaml"]
