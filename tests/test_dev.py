"""`./dev` works from any folder and says which recipes there are."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("script", ["dev", ".ci/run", ".ci/e2e", ".ci/generated"])
def test_script_parses(script: str) -> None:
    """The shell that the script names accepts its syntax."""
    shell = (ROOT / script).read_text().partition("\n")[0].removeprefix("#!")
    subprocess.run([shell, "-n", ROOT / script], check=True)


@pytest.mark.parametrize("home", ["", None], ids=["empty", "unset"])
def test_dev_lists_recipes(tmp_path: Path, home: str | None) -> None:
    """Without arguments, from another folder and without a home, the recipes are listed."""
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    environment |= {} if home is None else {"HOME": home}
    run = subprocess.run([ROOT / "dev"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    recipes = {line.split()[0] for line in run.stdout.splitlines()[1:]}
    assert recipes >= {"demo", "test", "check", "e2e", "bench", "crds", "diagram"}


def test_dev_passes_on_the_status_of_a_recipe() -> None:
    """What fails inside fails outside."""
    assert subprocess.run([ROOT / "dev", "no-such-recipe"], capture_output=True, check=False).returncode != 0
