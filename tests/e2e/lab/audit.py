"""The API server's audit log: who wrote what. Reads are not in it."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

POLICY: Final = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, verbs: [create, update, patch, delete, deletecollection]}
  - {level: None}
"""


def audit_flags(folder: Path) -> list[str]:
    """What makes an API server keep it, in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "audit-policy.yaml"
    policy.write_text(POLICY)
    return [f"--audit-policy-file={policy}", f"--audit-log-path={folder / 'audit.log'}"]


def writes(folder: Path, *, agent: str, namespace: str, names: Collection[str] = ()) -> Iterator[str]:
    """Each write of programs whose User-Agent begins so, to objects of the namespace, and to those without one that have one of
    the names: "patch infra.homecluster.dev/nodes/status"."""
    for line in (folder / "audit.log").read_text().splitlines():
        event = json.loads(line)
        of = event.get("objectRef", {})
        here = of.get("namespace", "") == namespace or ("namespace" not in of and of.get("name", "") in names)
        if here and event.get("userAgent", "").startswith(agent):
            parts = (of.get("apiGroup", "core"), of.get("resource", ""), of.get("subresource", ""))
            yield f"{event['verb']} {'/'.join(filter(None, parts))}"
