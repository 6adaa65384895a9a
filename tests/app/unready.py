"""A kubelet that beats before its node is Ready, as one does whose network plugin is not up yet."""

from typing import Any

from hexa.domain.resources.core import NODES
from hexa.testing.world import World


class Unready:
    """The kubelet of a node reports for a while that it is not Ready, though it beats."""

    def __init__(self, world: World, name: str) -> None:
        self.api, self.name, self.on = world.site.api, name, True
        self._create, self._write = self.api.create, self.api.write
        self.api.create, self.api.write = self.create, self.write  # type: ignore[method-assign]

    def create(self, kind: Any, manifest: Any, **more: Any) -> Any:
        """What the kubelet registers."""
        if kind is NODES and manifest["metadata"]["name"] == self.name:
            manifest = {**manifest, "status": self._status(manifest["status"])}
        return self._create(kind, manifest, **more)

    def write(self, kind: Any, old: Any, *, status: Any = None, **parts: Any) -> Any:
        """What it reports later."""
        if kind is NODES and old.key[1] == self.name and status is not None:
            status = self._status(status)
        return self._write(kind, old, status=status, **parts)

    def end(self) -> None:
        """From now on it is Ready."""
        self.on = False
        stored = self.api.get(NODES, self.name)
        assert stored is not None
        self.write(NODES, stored, status=self._status(stored.raw["status"]))

    def _status(self, status: Any) -> Any:
        ready = {"status": "False" if self.on else "True"}
        return {**status, "conditions": [{**c, **ready} if c["type"] == "Ready" else c for c in status["conditions"]]}
