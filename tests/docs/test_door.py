"""The doors of docs/door.md: objects of kinds that no test's API server has are held to the fields that their makers document."""

from typing import Any, Final

import pytest
from tests.docs.pages import ROOT

from hexa.yaml import read_documents

DOOR: Final = ROOT / "examples" / "door"
SERVICE: Final = {"name": str, "port": int}
FIELDS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("http.keda.sh/v1beta1", "InterceptorRoute"): {
        "target": {"service": str, "port": int},
        "rules": [{"hosts": [str]}],
        "scalingMetric": {"concurrency": {"targetValue": int}},
        "timeouts": {"readiness": str, "request": str},
    },
    ("keda.sh/v1alpha1", "ScaledObject"): {
        "scaleTargetRef": {"name": str},
        "minReplicaCount": int,
        "maxReplicaCount": int,
        "cooldownPeriod": int,
        "triggers": [{"type": str, "metadata": {"scalerAddress": str, "interceptorRoute": str}}],
    },
    ("traefik.io/v1alpha1", "Middleware"): {
        "plugin": {
            "sablier": {
                "sablierUrl": str,
                "group": str,
                "sessionDuration": str,
                "dynamic": {"displayName": str, "showDetails": bool, "refreshFrequency": str},
            }
        },
        "errors": {"status": [str], "query": str, "service": SERVICE},
    },
    ("traefik.io/v1alpha1", "IngressRoute"): {
        "entryPoints": [str],
        "routes": [{"match": str, "kind": str, "middlewares": [{"name": str}], "services": [SERVICE]}],
    },
}
"""What their definitions and pages name, as far as our files use it."""


def objects(name: str) -> list[dict[str, Any]]:
    """The objects of a file."""
    text = (DOOR / name).read_text(encoding="utf-8")
    return [document.value for document in read_documents(text, source=name)]


def unlike(value: Any, shape: Any, path: str) -> list[str]:
    """Where the value is not of the shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [path]
        strange = [f"{path}.{key}" for key in value if key not in shape]
        return strange + [
            each for key in value.keys() & shape for each in unlike(value[key], shape[key], f"{path}.{key}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [path]
        return [each for number, item in enumerate(value) for each in unlike(item, shape[0], f"{path}[{number}]")]
    return [] if type(value) is shape else [path]


@pytest.mark.parametrize("name", ["sablier-middleware.yaml", "keda.yaml", "traefik.yaml"])
def test_what_is_shown_has_the_fields_that_are_documented(name: str) -> None:
    """A field that is misspelt, or of another type, is found here, for no API server of ours knows these kinds."""
    found = objects(name)
    assert found
    for each in found:
        assert set(each) == {"apiVersion", "kind", "metadata", "spec"}
        assert unlike(each["spec"], FIELDS[each["apiVersion"], each["kind"]], "spec") == []


def test_the_parts_of_a_door_name_one_another() -> None:
    """Labels, Services, groups and routes of one door are the same in all of its files."""
    deployment, service, ingress = objects("sablier.yaml")
    (middleware,) = objects("sablier-middleware.yaml")
    route, scaled = objects("keda.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert deployment["metadata"]["labels"]["sablier.group"] == middleware["spec"]["plugin"]["sablier"]["group"]
    meta = middleware["metadata"]
    wanted = f"{meta['namespace']}-{meta['name']}@kubernetescrd"
    assert ingress["metadata"]["annotations"]["traefik.ingress.kubernetes.io/router.middlewares"] == wanted
    assert route["spec"]["target"]["service"] == service["metadata"]["name"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaled["spec"]["triggers"][0]["metadata"]["interceptorRoute"] == route["metadata"]["name"]
    account, *_, role, bound = objects("sablier-rights.yaml")
    (subject,), (rule,) = bound["subjects"], role["rules"]
    assert subject == {"kind": "ServiceAccount", **account["metadata"]}
    assert rule["resourceNames"] == [deployment["metadata"]["name"]]
    assert {each["metadata"]["namespace"] for each in (role, bound)} == {deployment["metadata"]["namespace"]}
    assert f".{account['metadata']['namespace']}.svc:" in middleware["spec"]["plugin"]["sablier"]["sablierUrl"]
    errors, outside = objects("traefik.yaml")
    assert outside["spec"]["routes"][0]["middlewares"] == [{"name": errors["metadata"]["name"]}]


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_proxies_call_what_hexa_serves(name: str) -> None:
    """Wake, waiting page and its files by the paths of the API, with a token, and without the cookies of the service."""
    text, machine = (DOOR / name).read_text(encoding="utf-8"), "/api/v1/machines/hexa-machines/nas/"
    for path in ("wake", "eta.html"):
        assert machine + path in text
    assert "eta\\.(css|js)" in text
    assert "Cookie" in text
    assert "token" in text.lower()
