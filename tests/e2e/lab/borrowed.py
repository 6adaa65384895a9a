"""A control plane that belongs to the user, for tests that need an API server and nothing else.

Owns a way to it through `kubectl proxy`, which knows every kind of user; refuses to start, stop or break it.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from .api import Api, open_api
from .process import Process
from .waiting import eventually

VARIABLE: Final = "E2E_KUBECONFIG"
_ADDRESS: Final = re.compile(r"127\.0\.0\.1:\d+")


class Borrowed:
    """The API server that the user's kubeconfig names."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def __repr__(self) -> str:
        return f"<Borrowed {self._kubeconfig}>"

    @classmethod
    def from_environment(cls) -> "Borrowed | None":
        """What the user lends us, if anything."""
        lent = os.environ.get(VARIABLE)
        return cls(Path(lent)) if lent else None

    def kubeconfig(self) -> Path:
        """The user's kubeconfig."""
        return self._kubeconfig

    @asynccontextmanager
    async def open_api(self) -> AsyncIterator[Api]:
        """A client as the user of the kubeconfig."""
        with TemporaryDirectory() as folder:
            flags = [f"--kubeconfig={self._kubeconfig}", "--port=0"]
            proxy = Process("kubectl proxy", ["kubectl", "proxy", *flags], log=Path(folder, "proxy.log"))
            proxy.start()
            try:
                found = await eventually(lambda: _ADDRESS.search(proxy.last_words()))
                async with open_api(f"http://{found[0] if found else ''}") as api:
                    yield api
            finally:
                proxy.kill()
