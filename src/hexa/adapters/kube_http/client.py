"""httpx without its command line, which loads click, rich and pygments: 0.2 s and 6 MiB of an agent's start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

__all__ = ["httpx"]


@contextmanager
def _without_click() -> Iterator[None]:
    """Let click look as if it was not installed."""
    modules = cast(dict[str, ModuleType | None], sys.modules)
    known = {name: modules.pop(name) for name in tuple(modules) if name == "click"}
    modules["click"] = None
    try:
        yield
    finally:
        del modules["click"]
        modules.update(known)


with _without_click():
    import httpx
