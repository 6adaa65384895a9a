"""Which questions of access tell whether somebody has all the rights that hexa needs, and what to say of a no."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from hexa.domain.people.doctor.finding import Finding, error, warning
from hexa.domain.people.rights import RIGHTS, Right, Scope, for_http, for_sensors
from hexa.domain.power.sensor import sensing_secrets
from hexa.domain.resources.v1alpha1 import Node

ACCOUNT: Final = "system:serviceaccount:"
EVERYWHERE: Final = ""
HTTP_REMEDY: Final = "hexa manifests --http, or http: true of the chart, has the ClusterRole hexa-http (docs/http.md)"


class Question(Struct, frozen=True):
    """One verb on one resource in one namespace."""

    right: Right
    verb: str
    namespace: str
    """Empty: in all of them, or the resource is in none."""
    name: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """As the API server is asked."""
        given = {
            "verb": self.verb,
            "group": self.right.group,
            "resource": self.right.plural,
            "subresource": self.right.subresource,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {key: value for key, value in given.items() if value}


def questions(namespaces: Sequence[str], rights: Iterable[Right] = RIGHTS) -> Iterator[Question]:
    """Every verb of every right, in each namespace that counts; none given: in all."""
    for right in rights:
        for namespace in _places(right, namespaces):
            for verb in right.verbs:
                for name in right.names or ("",):
                    yield Question(right, verb, namespace, name)


def of_sensors(machines: Iterable[Node]) -> list[Question]:
    """Whether the Secrets may be got by which the agent reads the power of these machines."""
    wanted = {(each.metadata.namespace, name) for each in machines for name in sensing_secrets(each)}
    return [Question(for_sensors((name,))[0], "get", namespace, name) for namespace, name in sorted(wanted)]


def _places(right: Right, namespaces: Sequence[str]) -> Sequence[str]:
    if right.namespace:
        return [right.namespace]
    return namespaces or [EVERYWHERE] if right.scope is Scope.NAMESPACE else [EVERYWHERE]


def of_a_tenant(question: Question, namespaces: Sequence[str]) -> list[Question]:
    """What to ask instead where the answer is no: a tenant's hexa has some rights in its namespaces alone."""
    if question.namespace or question.right.scope is question.right.tenant:
        return []
    return [Question(question.right, question.verb, namespace, question.name) for namespace in namespaces]


def subject_of(account: str) -> dict[str, Any]:
    """User and groups of a review, as the API server itself knows a ServiceAccount."""
    if not account.startswith(ACCOUNT):
        return {"user": account, "groups": ["system:authenticated"]}
    namespace = account.removeprefix(ACCOUNT).partition(":")[0]
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    return {"user": account, "groups": groups}


def refusal(question: Question, who: str) -> Finding:
    """What it means that the answer is no."""
    right, where = question.right, f" in namespace {question.namespace}" if question.namespace else ""
    if question.name:
        about = f"Secret {question.namespace}/{question.name}"
        text = f"{who} may not get it, so the power of the machines whose sensor names it stays unknown"
        return warning(about, text, f"hexa manifests --read-secret {question.name} grants it: docs/power.md")
    text = f"{who} may not {question.verb} {right.resource} ({right.group or 'core'}){where}: {right.reason}"
    grant = f"grant verb {question.verb} on {right.resource} ({right.group or 'core'}){where}"
    remedy = f"{HTTP_REMEDY}, or {grant}" if right in for_http() else f"apply hexa's roles again, or {grant}"
    severity = warning if right.optional else error
    return severity(f"verb {question.verb} on {right.resource}", text, remedy)
