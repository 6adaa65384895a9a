"""dist/hexa: hexa, its packages and Python in one executable file, for this machine's kind of processor."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tree import ROOT, make, uv

TOOLS: Final = ROOT / ".dev" / "packaging"
"""An environment that has PyInstaller and nothing else: what it found beside the tree it would pack too."""


def main() -> None:
    """Build it, and say how large it is."""
    parser = argparse.ArgumentParser(description="Build the single-file executable.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "hexa")
    output = parser.parse_args().output
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    os.environ["PYTHONHASHSEED"] = "0"  # PyInstaller's condition for equal bytes
    os.environ["UV_PROJECT_ENVIRONMENT"] = str(TOOLS)
    uv("sync", "--locked", "--only-group=package", f"--project={ROOT}", f"--python={base_python()}")
    with tempfile.TemporaryDirectory(prefix="hexa-binary-") as folder:
        tree = Path(folder, "tree")
        make(tree, python="{}.{}".format(*sys.version_info))
        build(tree, Path(folder))
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder, "dist", "hexa"), output)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def base_python() -> str:
    """The interpreter that ours was made from: an environment made from an environment would see its packages."""
    return str(getattr(sys, "_base_executable", sys.executable))


def build(tree: Path, folder: Path) -> None:
    """Run PyInstaller; its words matter only where it fails."""
    spec = ROOT / "packaging" / "hexa.spec"
    places = [f"--distpath={folder / 'dist'}", f"--workpath={folder / 'work'}"]
    command = [str(TOOLS / "bin" / "pyinstaller"), "--noconfirm", "--log-level=WARN", *places, str(spec)]
    environment = os.environ | {"TREE": str(tree), "PYTHONPATH": str(tree)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"PyInstaller failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
