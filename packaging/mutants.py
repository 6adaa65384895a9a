"""A sample of mutants of the domain, made and tried by mutmut: what survives is a test that is missing, or code that is not needed.

It works on a copy under build/, in an environment of its own, and is no part of CI: a mutant takes seconds.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from tree import ROOT, uv

TOOLS: Final = ROOT / ".dev" / "mutants"
COPY: Final = ROOT / "build" / "mutants"
DOMAIN: Final = "src/hexa/domain"
DECIDE: Final = tuple(f"decide/{name}" for name in ("machine", "duties", "dwell", "steps", "saved", "wishes"))
MODULES: Final = ("facts", "sensing", "dues", "acts", "trust", "stamps", "lifecycle", "wish", "rates", *DECIDE)
"""Where a wrong sign switches a machine off, or money is counted."""
FLOOR: Final = 0.9
"""Share of the sample that must be killed; what only changes a text for people is left out of the count."""
LEFT_OUT: Final = frozenset(
    {
        "test_rules.py",
        "test_arrows.py",
        "test_embed.py",
        "test_purity.py",
        "test_schema.py",
        "test_objects.py",
        "test_moved.py",
    }
)
KILLED: Final = frozenset({"killed", "timeout", "segfault"})
LIST: Final = """
import sys
from pathlib import Path
from mutmut.mutation.file_mutation import mutate_file_contents
for name in sys.argv[1:]:
    print(*mutate_file_contents(name, Path(name).read_text()).mutant_names, sep="\\n")
"""
"""Prints the names of a file's mutants, without their module."""
SHOW: Final = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps({name: get_diff_for_mutant(name).splitlines() for name in sys.argv[1:]}))
"""
"""Prints the diff of each mutant; `mutmut show` starts anew for each."""
QUICK: Final = """

from hypothesis import Phase

settings.register_profile(
    "mutants",
    settings.get_profile("hexa"),
    max_examples=40,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("mutants")


def pytest_itemcollected(item):
    item._id = type(item.id).parse(item.nodeid.partition("[")[0])


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: getattr(item.obj, "is_hypothesis_test", False))
"""
"""Added to the copied conftest.py: the same sample twice gives the same figures, nothing is made small, and tables come first.
mutmut names tests on a command line: without their parameters, some of which pytest takes for parts of a path."""
_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def main() -> None:
    """Try the sample, show what survived, and fail where it is too much."""
    parser = argparse.ArgumentParser(description="Try a sample of mutants of the domain.")
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module", action="extend", nargs="+", help="their names, or folder/name")
    parser.add_argument("--mutant", action="append", default=[], help="try this one again, instead of a sample")
    asked = parser.parse_args()
    os.environ["UV_PROJECT_ENVIRONMENT"] = str(TOOLS)
    groups = ("--no-default-groups", "--group=test", "--group=mutants", "--no-install-project")
    uv("sync", "--locked", *groups, f"--project={ROOT}")
    files = [file for module in asked.module or MODULES for file in _files(module)]
    _copy(files)
    names = sorted(_names(files))
    chosen = asked.mutant or Random(asked.seed).sample(names, min(asked.sample, len(names)))
    _run("mutmut", "run", "--max-children=1", *chosen)
    results = _results()
    sys.exit(_judge({name: results[name] for name in chosen}))


def _files(module: str) -> list[str]:
    """The module's file, in whatever folder of the domain it is; the types of stored objects decide nothing."""
    found = [path.relative_to(ROOT) for path in (ROOT / DOMAIN).rglob("*.py") if path.match(f"{module}.py")]
    kept = sorted(str(path) for path in found if "resources" not in path.parts)
    return kept or sys.exit(f"the domain has no module {module}")


def _copy(files: Iterable[str]) -> None:
    """Sources, tests and settings; mutmut reads its own from pyproject.toml."""
    shutil.rmtree(COPY, ignore_errors=True)
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, COPY / folder, ignore=shutil.ignore_patterns("__pycache__", "e2e"))
    for file in files:
        _open_properties(COPY / file)
    with (COPY / "tests/conftest.py").open("a") as conftest:
        conftest.write(QUICK)
    settings = [
        "[tool.mutmut]",
        'source_paths = ["src"]',
        f"only_mutate = {list(files)}",
        'pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not long"]',
        f"pytest_add_cli_args_test_selection = {_tests()}",
        "timeout_constant = 20.0",
        "timeout_multiplier = 2.0",
        "use_git_change_detection = false",
        "track_dependencies = false",
    ]
    text = (ROOT / "pyproject.toml").read_text()
    (COPY / "pyproject.toml").write_text(text + "\n" + "\n".join(settings) + "\n")


def _open_properties(path: Path) -> None:
    """mutmut passes over decorated functions, and half of `sensing` is properties: `@property` becomes `name = property(name)`."""
    lines = path.read_text().splitlines()
    for function in sorted(_properties(path), key=lambda each: -each.lineno):
        lines.insert(function.end_lineno or 0, f"    {function.name} = property({function.name})")
        del lines[function.decorator_list[0].lineno - 1]
    path.write_text("\n".join(lines) + "\n")


def _properties(path: Path) -> Iterator[ast.FunctionDef]:
    for kind in ast.parse(path.read_text()).body:
        for each in kind.body if isinstance(kind, ast.ClassDef) else ():
            if isinstance(each, ast.FunctionDef) and [ast.unparse(d) for d in each.decorator_list] == ["property"]:
                yield each


def _tests() -> list[str]:
    """Those of the domain, without what plays whole lives or reads files that are not copied."""
    found = sorted((ROOT / "tests/domain").rglob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in found if path.name not in LEFT_OUT]


def _names(files: Iterable[str]) -> Iterator[str]:
    for file in files:
        module = file.removeprefix("src/").removesuffix(".py").replace("/", ".")
        for name in _run("python", "-c", LIST, file).split():
            yield f"{module}.{name}"


def _run(program: str, *arguments: str) -> str:
    command = [str(TOOLS / "bin" / program), *arguments]
    done = subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {arguments[0]} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def _results() -> dict[str, str]:
    lines = (line.strip().rpartition(": ") for line in _run("mutmut", "results", "--all", "true").splitlines())
    return {name: state for name, _, state in lines if name.startswith("hexa.")}


def _judge(states: dict[str, str]) -> int:
    killed = {name for name, state in states.items() if state in KILLED}
    diffs: dict[str, list[str]] = json.loads(_run("python", "-c", SHOW, *states))
    changes = {name: _changed(diff) for name, diff in diffs.items()}
    texts = {name for name, changed in changes.items() if _text_only(changed)}
    for name in sorted(states.keys() - killed):
        print(f"{name}: {'a text only, ' if name in texts else ''}{states[name]}", *changes[name], sep="\n  ")
    if late := sorted(name for name, state in states.items() if state == "timeout"):
        print(
            "killed by their time limit, which a busy machine may do by itself; try again by --mutant:",
            *late,
            sep="\n  ",
        )
    print(f"all: {_share(len(killed), len(states))}")
    counted = states.keys() - texts
    print(f"without those that change a text only: {_share(len(killed - texts), len(counted))}")
    return int(len(killed - texts) < FLOOR * len(counted))


def _share(killed: int, total: int) -> str:
    return f"{killed} of {total} killed, {killed / max(total, 1):.1%}"


def _changed(diff: list[str]) -> list[str]:
    return [line for line in diff if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def _text_only(changed: list[str]) -> bool:
    """Whether nothing but a literal with a space in it differs: a sentence, and not a name that code compares."""
    if len(changed) != 2:
        return False
    before, after = changed[0][1:], changed[1][1:]
    pairs = zip(_LITERAL.findall(before), _LITERAL.findall(after), strict=False)
    other = [one for one, two in pairs if one != two]
    return _LITERAL.sub("", before) == _LITERAL.sub("", after) and all(" " in one for one in other)


if __name__ == "__main__":
    main()
