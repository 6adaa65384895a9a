"""A sample of mutants of the domain, made and tried by mutmut: what survives is a test that is missing, or code that is not needed.

It works on a copy under build/, in an environment of its own, and is no part of CI: a mutant takes seconds.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from random import Random
from typing import Final

from tree import ROOT, uv

TOOLS: Final = ROOT / ".dev" / "mutants"
COPY: Final = ROOT / "build" / "mutants"
MODULES: Final = (
    *(f"machine/{name}" for name in ("facts", "sensing", "dues", "acts", "trust", "stamps", "lifecycle", "wish")),
    "money/rates",
)
"""Where a wrong sign switches a machine off, or money is counted."""
FLOOR: Final = 0.9
"""Share of the sample that must be killed; what only changes a text for people is left out of the count."""
LEFT_OUT: Final = frozenset(
    {"test_rules.py", "test_arrows.py", "test_embed.py", "test_purity.py", "test_schema.py", "test_objects.py"}
)
NOTHING: Final = "hexa.domain.no_such_mutant"


def main() -> None:
    """Try the sample, show what survived, and fail where it is too much."""
    parser = argparse.ArgumentParser(description="Try a sample of mutants of the domain.")
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module", action="append", choices=sorted(_known()))
    asked = parser.parse_args()
    os.environ["UV_PROJECT_ENVIRONMENT"] = str(TOOLS)
    uv(
        "sync",
        "--locked",
        "--no-default-groups",
        "--group=test",
        "--group=mutants",
        "--no-install-project",
        f"--project={ROOT}",
    )
    _copy(asked.module or MODULES)
    _mutmut("run", "--max-children=1", NOTHING)  # makes them all, and tries none
    names = sorted(_results())
    chosen = Random(asked.seed).sample(names, min(asked.sample, len(names)))
    _mutmut("run", "--max-children=1", *chosen)
    sys.exit(_judge({name: _results()[name] for name in chosen}))


def _known() -> Iterator[str]:
    """Modules of the domain, with their rooms: machine/sensing."""
    domain = ROOT / "src/hexa/domain"
    return (path.relative_to(domain).with_suffix("").as_posix() for path in domain.rglob("*.py"))


def _copy(modules: list[str] | tuple[str, ...]) -> None:
    """Sources, tests and settings; mutmut reads its own from pyproject.toml."""
    shutil.rmtree(COPY, ignore_errors=True)
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, COPY / folder, ignore=shutil.ignore_patterns("__pycache__", "e2e"))
    only = [f"src/hexa/domain/{module}.py" for module in modules]
    settings = [
        "[tool.mutmut]",
        'source_paths = ["src"]',
        f"only_mutate = {only}",
        'pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not long"]',
        f"pytest_add_cli_args_test_selection = {_tests()}",
        "use_git_change_detection = false",
        "track_dependencies = false",
    ]
    text = (ROOT / "pyproject.toml").read_text()
    (COPY / "pyproject.toml").write_text(text + "\n" + "\n".join(settings) + "\n")


def _tests() -> list[str]:
    """Those of the domain, without what plays whole lives or reads files that are not copied."""
    found = sorted(path.name for path in (ROOT / "tests/domain").glob("test_*.py"))
    return [f"tests/domain/{name}" for name in found if name not in LEFT_OUT]


def _mutmut(*arguments: str) -> str:
    command = [str(TOOLS / "bin" / "mutmut"), *arguments]
    done = subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=False)
    if done.returncode and NOTHING not in arguments:
        sys.exit(f"mutmut {arguments[0]} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def _results() -> dict[str, str]:
    lines = (line.strip().rpartition(": ") for line in _mutmut("results", "--all", "true").splitlines())
    return {name: state for name, _, state in lines if name.startswith("hexa.")}


def _judge(states: dict[str, str]) -> int:
    left, words = [], 0
    for name, state in states.items():
        if state in ("killed", "timeout"):
            continue
        changed = [
            line for line in _mutmut("show", name).splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
        if any("XX" in line for line in changed):
            words += 1
            continue
        left.append(name)
        print(f"{name}: {state}", *changed, sep="\n  ")
    counted = len(states) - words
    share = 1 - len(left) / counted if counted else 1.0
    print(f"{counted} mutants, {share:.1%} killed; {words} more change a text only")
    return int(share < FLOOR)


if __name__ == "__main__":
    main()
