"""Names of before the rooms: they go on working for one minor release, with a DeprecationWarning that says where to import from."""

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def moved(old: str, *modules: str) -> Callable[[str], Any]:
    """The `__getattr__` of the module `old`: each name comes from the first of `modules` that has it."""

    def get(name: str) -> Any:
        if not name.startswith("__"):
            for module in modules:
                found = import_module(module)
                if name in vars(found):
                    text = f"{old}.{name} is {module}.{name} now; the old name goes in 0.2.0"
                    warnings.warn(text, DeprecationWarning, stacklevel=2)
                    return vars(found)[name]
        raise AttributeError(f"module {old!r} has no attribute {name!r}")

    return get
