"""Whether the CustomResourceDefinitions in the cluster are ours, served, and know every field that this hexa knows."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hexa.domain.names import API_GROUP, API_VERSION
from hexa.domain.people.doctor.finding import Finding, error, warning
from hexa.domain.resources.cluster import CustomResourceDefinition
from hexa.domain.resources.crd import definitions
from hexa.domain.resources.v1alpha1 import PROFILES

NAMES: Final[tuple[str, ...]] = tuple(definitions())
PROFILE: Final = f"{PROFILES.plural}.{API_GROUP}"
REMEDY: Final = "install those of this hexa: hexa crds | kubectl apply --server-side -f -"
VERSION: Final = API_VERSION.partition("/")[2]
_SHOWN: Final = 8


def judge(found: Mapping[str, CustomResourceDefinition]) -> Iterator[Finding]:
    """What is wrong with the definitions that there are, by name."""
    if not any(name in found for name in NAMES):
        yield error("CustomResourceDefinitions", f"none of {', '.join(NAMES)} is installed", REMEDY)
        return
    for name, ours in definitions().items():
        if name not in found and name == PROFILE:
            text = "is not installed: no Node can name a profile"
            yield warning(f"CustomResourceDefinition {name}", text, REMEDY)
        elif name not in found:
            yield error(f"CustomResourceDefinition {name}", "is not installed", REMEDY)
        else:
            yield from _one(name, found[name], ours)


def _one(name: str, theirs: CustomResourceDefinition, ours: Mapping[str, Any]) -> Iterator[Finding]:
    about = f"CustomResourceDefinition {name}"
    version = next((each for each in theirs.spec.versions if each.name == VERSION and each.served), None)
    if version is None:
        served = ", ".join(each.name for each in theirs.spec.versions if each.served) or "nothing"
        yield error(about, f"serves {served}, and hexa speaks {VERSION}", REMEDY)
        return
    for condition in theirs.status.conditions:
        if condition.type == "Established" and condition.status != "True":
            yield error(about, f"is not established: {condition.message}", "look at its conditions by kubectl describe")
    schema = version.schema.get("openAPIV3Schema", {})
    known = set(_paths(schema))
    missing = [path for path in _paths(ours["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) if path not in known]
    tops = [path for path in missing if path.rpartition(".")[0] not in missing]
    if tops:
        more = f" and {len(tops) - _SHOWN} more" if len(tops) > _SHOWN else ""
        text = f"is older than this hexa: it lacks {', '.join(tops[:_SHOWN])}{more}, and the API server drops what it lacks"
        lost = any(path.startswith("status") for path in tops)
        yield error(about, text, REMEDY) if lost else warning(about, text, REMEDY)


def _paths(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every field, as spec.timeouts.boot; items of lists stand under their list."""
    for name, inner in schema.get("properties", {}).items():
        if path or name in ("spec", "status"):
            here = f"{path}.{name}" if path else name
            yield here
            yield from _paths(inner, here)
    if isinstance(schema.get("items"), Mapping):
        yield from _paths(schema["items"], path)
