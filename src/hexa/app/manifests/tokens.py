"""What lets a program ask hexa for named machines and for nothing else: a ServiceAccount, its token, and a Role in each namespace.

hexa asks the API server what a token may do. `nodes/hold` and `nodes/wake` are no subresources that the API server has: whoever may
update them can have hexa do that, and cannot write the machine itself, whose spec says what power Jobs run.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hexa.app.manifests.options import RBAC, Object
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup

GROUP: Final = MACHINES.api_version.partition("/")[0]
LONGEST: Final = 253
"""Characters of a name."""


def account_of(machines: Sequence[Lookup]) -> str:
    """What the account is called where nobody names it."""
    return f"hexa-{machines[0].name}"[:LONGEST].rstrip("-.") if len(machines) == 1 else "hexa-machines"


def token_objects(
    machines: Sequence[Lookup], *, account: str, namespace: str, acts: Sequence[str], every: bool, secret: bool
) -> Iterator[Object]:
    """The objects, in the order in which they are applied. `namespace`: of the account; `acts`: what hexa may be asked to do with
    them; `every`: all machines of their namespaces may be seen, as page and lists need; `secret`: with a token that stays."""
    yield _thing("v1", "ServiceAccount", account, namespace, automountServiceAccountToken=False)
    spaces: dict[str, list[str]] = {}
    for key in machines:
        spaces.setdefault(key.namespace, []).append(key.name)
    for space, names in spaces.items():
        rules = [_rule([MACHINES.plural], ["get"], names)]
        if acts:
            rules.append(_rule([f"{MACHINES.plural}/{act}" for act in acts], ["update"], names))
        if every:
            rules.append(_rule([MACHINES.plural], ["get", "list"]))
        yield _thing(f"{RBAC}/v1", "Role", account, space, rules=rules)
        role = {"apiGroup": RBAC, "kind": "Role", "name": account}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        yield _thing(f"{RBAC}/v1", "RoleBinding", account, space, roleRef=role, subjects=[subject])
    if secret:
        made = _thing("v1", "Secret", account, namespace, type="kubernetes.io/service-account-token")
        made["metadata"]["annotations"] = {"kubernetes.io/service-account.name": account}
        yield made


def _thing(api: str, kind: str, name: str, namespace: str, **more: object) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **more}


def _rule(resources: list[str], verbs: list[str], names: Iterable[str] = ()) -> Object:
    rule: Object = {"apiGroups": [GROUP], "resources": resources, "verbs": verbs}
    named = sorted(set(names))
    return {**rule, "resourceNames": named} if named else rule


def how_to_read(account: str, namespace: str, *, secret: bool) -> str:
    """The command that shows the token."""
    if secret:
        return f"kubectl -n {namespace} get secret {account} -o jsonpath='{{.data.token}}' | base64 -d"
    return f"kubectl -n {namespace} create token {account} --duration=24h"
