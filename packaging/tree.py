"""The packages that hexa needs at run time, in one folder: what binary and image are made of.

    tree.py FOLDER [--platform aarch64-manylinux_2_28] [--python 3.11]

Installs what uv.lock says, with hashes, for any platform, and takes out what no line of ours can reach: of the
`kubernetes` package hexa uses a tenth of the models, and nothing of its clients or of what those need.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
MODELS: Final = ROOT / "src/hexa/adapters/kube_jobs/models.py"
"""The only importer of `kubernetes`."""

MODELS_NEED: Final = {"pydantic", "python-dateutil"}
"""Of what the `kubernetes` package requires, what its models import."""

BUILD_SPECIFIC: Final = ("direct_url.json", "uv_cache.json", "uv_build.json")
"""Files that say where and when something was installed: the same code should give the same bytes."""

SOURCES: Final = frozenset({".c", ".cpp", ".h", ".hpp", ".pxd", ".pyi", ".pyx"})
"""What extension modules are compiled from, and stubs for type checkers."""
NOT_RUN: Final = (
    *("include", "tests", "certifi/tests", "greenlet/tests", "trio/_tests", "trio/_core/_tests"),
    *("cffi", "pycparser"),
    *("hypercorn/asyncio", "prometheus_client/bridge", "prometheus_client/twisted", "prometheus_client/aiohttp"),
    *("pydantic/v1", "pydantic/mypy.py", "pydantic/experimental"),
)
"""Headers, tests that were packed with what they test, what makes bindings (cryptography loads `_cffi_backend` alone), what is for
other frameworks, and pydantic's former self."""

LEXERS: Final = ("__init__", "_mapping", "data", "python", "shell", "special")
"""Of the languages that pygments colours, those that the command line could show."""

_REQUIREMENT: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(\[(?P<extras>[^\]]*)\])?")
_EXTRA: Final = re.compile(r"""\bextra\s*==\s*["'](?P<name>[^"']+)["']""")
_MODEL: Final = re.compile(r"from kubernetes\.client\.models\.(\w+) import")


def main() -> None:
    """Make the folder anew."""
    parser = argparse.ArgumentParser(description="Install hexa and what it needs into a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--platform", help="as `uv pip install --python-platform` knows it; default: this machine's")
    parser.add_argument("--python", default="{}.{}".format(*sys.version_info), help="version of Python, such as 3.11")
    given = parser.parse_args()
    make(given.folder, platform=given.platform, python=given.python)


def make(folder: Path, *, python: str, platform: str | None = None) -> None:
    """Install hexa and what it needs for this platform and Python, and take out what it does not need."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    requirements = uv("export", "--locked", "--no-dev", "--no-emit-project", f"--project={ROOT}")
    where = ["--python-platform", platform] if platform else []
    target = [f"--target={folder}", f"--python-version={python}", *where]
    install = ["pip", "install", "--link-mode=copy", f"--python={sys.executable}", *target]
    uv(*install, "--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement=-", text=requirements)
    uv(*install, "--no-deps", "--reinstall-package=hexa", str(ROOT))
    remove_unused_distributions(folder)
    remove_unused_models(folder)
    for name in BUILD_SPECIFIC:
        for path in folder.glob(f"*.dist-info/{name}"):
            path.unlink()
    shutil.rmtree(folder / "bin")  # its scripts name an interpreter of this machine
    (folder / ".lock").unlink(missing_ok=True)
    for name in NOT_RUN:
        for path in folder.glob(name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.rglob("*"):
        if path.suffix in SOURCES:
            path.unlink()
    for path in folder.glob("pygments/lexers/*.py"):
        if path.stem not in LEXERS:
            path.unlink()


def uv(*arguments: str, text: str = "") -> str:
    """What uv prints; the uv of PATH, or the one that `./dev` has installed."""
    program = shutil.which("uv") or next(map(str, sorted(ROOT.glob(".dev/uv-*/bin/uv"), reverse=True)), "uv")
    command = [program, "--quiet", *arguments]
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed (see above)")
    return done.stdout


# --- distributions --------------------------------------------------------------------------------


def remove_unused_distributions(folder: Path) -> None:
    """Take out what only the clients of `kubernetes` need."""
    installed = {name_of(each): each for each in distributions(path=[str(folder)])}
    for name in installed.keys() - reachable("hexa-autoscaler", installed):
        for file in installed[name].files or ():
            remove(folder, file)


def reachable(start: str, installed: dict[str, Distribution]) -> set[str]:
    """The names of all distributions that this one needs, and its own."""
    found, waiting = set[tuple[str, str]](), [(start, "")]
    while waiting:
        name, extra = waiting.pop()
        if name in installed and (name, extra) not in found:
            found.add((name, extra))
            waiting += requirements_of(name, extra, installed[name])
    return {name for name, _ in found}


def requirements_of(name: str, extra: str, distribution: Distribution) -> Iterator[tuple[str, str]]:
    """What it asks for, or what this extra of it adds: each with no extra, and with each that it is asked for with."""
    for line in distribution.requires or ():
        found, wanted = _REQUIREMENT.match(line), _EXTRA.search(line)
        assert found
        required = normal(found["name"])
        if (wanted["name"] if wanted else "") == extra and (name != "kubernetes" or required in MODELS_NEED):
            yield required, ""
            yield from ((required, each.strip()) for each in (found["extras"] or "").split(",") if each.strip())


def name_of(distribution: Distribution) -> str:
    """Its normal name."""
    return normal(distribution.metadata["Name"])


def normal(name: str) -> str:
    """As PyPI compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def remove(folder: Path, file: PackagePath | Path) -> None:
    """Remove a file of a package, and the folders that it leaves empty."""
    path = folder / file
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == folder or not parent.is_relative_to(folder) or not parent.exists() or any(parent.iterdir()):
            return
        parent.rmdir()


# --- models ---------------------------------------------------------------------------------------


def remove_unused_models(folder: Path) -> None:
    """Of `kubernetes`, leave the models that our Jobs are built of, and the files that mark packages."""
    package = folder / "kubernetes"
    used = {f"{name}.py" for name in models_used(package / "client" / "models")}
    for path in sorted(package.rglob("*")):
        model = path.name in used and path.parent == package / "client" / "models"
        if path.is_file() and not model and not is_marker(path, package):
            remove(folder, path.relative_to(folder))


def is_marker(path: Path, package: Path) -> bool:
    """Whether it makes a package of a folder that is on the way to the models."""
    return path.name == "__init__.py" and package.joinpath("client", "models").is_relative_to(path.parent)


def models_used(models: Path) -> set[str]:
    """The names of all models that ours import, and those that these import."""
    found, waiting = set[str](), list(imported_models(MODELS.read_text()))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imported_models((models / f"{name}.py").read_text())
    return found


def imported_models(source: str) -> Iterable[str]:
    """The modules of models that a source imports."""
    return _MODEL.findall(source)


if __name__ == "__main__":
    main()
