"""structlog would print tracebacks with rich, which takes 0.1 s and 5 MiB of an agent's start and shows local variables."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast


@contextmanager
def without_rich() -> Iterator[None]:
    """Let rich look as if it was not installed."""
    modules = cast(dict[str, ModuleType | None], sys.modules)
    known = {name: modules.pop(name) for name in tuple(modules) if name.split(".")[0] == "rich"}
    modules["rich"] = None
    try:
        yield
    finally:
        del modules["rich"]
        modules.update(known)
