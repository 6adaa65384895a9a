"""The examples that embed the domain run where nothing but msgspec is installed, and say something true."""

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import hexa

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "embed").glob("*.py"))
ALLOWED = sys.stdlib_module_names | {"msgspec"}


def run(example: Path, site: Path) -> str:
    """What the example prints in an interpreter that has hexa, msgspec and nothing else."""
    for package in (Path(hexa.__file__), Path(msgspec.__file__)):
        (site / package.parent.name).symlink_to(package.parent)
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(site)!r}); runpy.run_path({str(example)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", start], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples() -> None:
    """Whoever wants to embed the domain finds a program to begin with."""
    assert [example.name for example in EXAMPLES] == ["compare_policies.py", "what_next.py"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_imports_only_the_domain(example: Path) -> None:
    """An example needs the standard library, msgspec and hexa.domain: no cluster, no event loop, no other part of hexa."""
    names = set()
    for node in ast.walk(ast.parse(example.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    foreign = {name for name in names if name.partition(".")[0] not in ALLOWED}
    assert foreign
    assert all(name == "hexa.domain" or name.startswith("hexa.domain.") for name in foreign)


def test_comparison_shows_what_a_policy_costs(tmp_path: Path) -> None:
    """A machine that stays warm through the night costs hours, energy and money, and both policies beat always-on."""
    head, *rows = run(EXAMPLES[0], tmp_path).splitlines()
    assert head.split() == ["policy", "wakes", "hours", "kWh", "EUR", "saved"]
    figures = {row[:16].strip(): [float(cell) for cell in row[16:].split()] for row in rows}
    warm, asleep = figures["one stays warm"], figures["all may sleep"]
    assert warm[0] == asleep[0] == 6
    assert warm[1] - asleep[1] == pytest.approx(13, abs=0.1)
    assert all(more > less for more, less in zip(warm[1:4], asleep[1:4], strict=True))
    assert asleep[4] > warm[4] > 0


def test_decisions_about_machines_can_be_asked_for_outside_of_hexa(tmp_path: Path) -> None:
    """Whoever describes a machine is told what hexa would do next, and why: wake it, leave it, cordon it first, evict, or wait."""
    blocks = (block.splitlines() for block in run(EXAMPLES[1], tmp_path).replace("\n  ", "\r").split("\n") if block)
    told = {name.rstrip(":"): steps for name, *steps in blocks}
    assert told["asleep"][-2:] == ["go on to PoweringOn (Off -> PoweringOn: Wanted)", "start"]
    assert told["serving"][-1] == "nothing, until something changes"
    assert told["open"][-1] == "cordon its Kubernetes node"
    assert told["in-use"][-1] == "evict"
    assert "Hold: held off: BIOS update" in "".join(told["told-to-stay"])
    assert told["told-to-stay"][-1] == "nothing, until something changes"
