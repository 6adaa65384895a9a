"""The domain can be embedded: it needs the standard library and msgspec, and does no input or output."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

import hexa

DOMAIN = Path(hexa.__file__).parent / "domain"
SOURCES = sorted(DOMAIN.rglob("*.py"))
FORBIDDEN = {"trio", "asyncio", "socket", "subprocess", "os", "time", "random", "logging"}
ASYNCHRONOUS = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
ALLOWED = (sys.stdlib_module_names - FORBIDDEN) | {"msgspec"}

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:]
import hexa.domain
for module in pkgutil.walk_packages(hexa.domain.__path__, "hexa.domain."):
    importlib.import_module(module.name)
print(*{name.partition(".")[0] for name in sys.modules})
"""


@cache
def telling(source: Path) -> list[ast.AST]:
    """The imports of a source file, and what it awaits, wherever in it."""
    wanted = (ast.Import, ast.ImportFrom, *ASYNCHRONOUS)
    return [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, wanted)]


def imports(source: Path) -> Iterator[str]:
    """Yield the full names of the modules that a source file imports, wherever in it."""
    package = ["hexa", "domain", *source.relative_to(DOMAIN).parent.parts]
    for node in telling(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*parent, *filter(None, [node.module])])


def permitted(module: str) -> bool:
    """Say whether the domain may import this module."""
    return module.partition(".")[0] in ALLOWED or module == "hexa.domain" or module.startswith("hexa.domain.")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(DOMAIN)))
def test_domain_imports_only_stdlib_and_msgspec(source: Path) -> None:
    """No clock, randomness, log, network or library is imported anywhere in the domain."""
    assert [module for module in imports(source) if not permitted(module)] == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(DOMAIN)))
def test_domain_awaits_nothing(source: Path) -> None:
    """The domain is plain functions: whoever embeds it needs no event loop."""
    assert [node for node in telling(source) if isinstance(node, ASYNCHRONOUS)] == []


def test_domain_loads_where_only_msgspec_is_installed(tmp_path: Path) -> None:
    """A fresh interpreter that has hexa, msgspec and nothing else imports all of the domain."""
    for package in (Path(hexa.__file__), Path(msgspec.__file__)):
        (tmp_path / package.parent.name).symlink_to(package.parent)
    command = [sys.executable, "-I", "-S", "-B", "-c", IMPORT_ALL, tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    loaded = {name for name in run.stdout.split() if not name.startswith("_sysconfigdata_")}  # of the platform's own
    loaded -= sys.stdlib_module_names
    assert loaded == {"__main__", "hexa", "msgspec"}
