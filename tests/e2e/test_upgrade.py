"""What released versions stored goes through a real API server with the present definitions, and comes back whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent import ROOT
from lab import Api
from tests.upgrade.test_upgrade import FILES, lost, names, objects

KINDS = {"Group": "infra.homecluster.dev/v1alpha1/groups", "Node": "infra.homecluster.dev/v1alpha1/nodes"}


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
async def test_no_field_is_pruned(file: Path, api: Api, namespace: str, kubectl: Callable[..., str]) -> None:
    """Spec and status that a released version stored are accepted, and no field of them is dropped."""
    kubectl("apply", "-f", str(ROOT / "deploy" / "crds"))
    for kind in ("groups", "nodes"):
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", f"{kind}.infra.homecluster.dev")
    for value in objects(file):
        meta: dict[str, Any] = {key: value["metadata"].get(key, {}) for key in ("labels", "annotations")}
        name, kind = value["metadata"]["name"], KINDS[value["kind"]]
        meta |= {"name": name, "namespace": namespace}
        await api.create({**value, "metadata": meta, "status": {}})
        status = value.get("status", {})
        stored = await api.patch(kind, name, {"status": status}, namespace=namespace, subresource="status")
        assert not lost(value["spec"], stored["spec"])
        assert not lost(status, stored.get("status", {}))
