"""Fills /opt/hexa; run by the first stage of deploy/Containerfile, with the interpreter that the image will have.

lib: the packages. bin: the commands. bytecode: of both the packages and the standard library, since images ship it without,
and a container with a read-only root can't write it: `hexa --help` would take 1 s.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from compileall import compile_dir
from configparser import ConfigParser
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

SOURCE: Final = Path(__file__).parents[1]
TARGET: Final = Path(os.environ.get("TARGET", "/opt/hexa"))
PLATFORMS: Final = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
NOT_COMPILED: Final = (
    r"/(test|tests|lexers|idlelib|lib2to3|tkinter|turtledemo|ensurepip|pydoc_data|site-packages|dist-packages)/"
)

COMMAND: Final = """\
#!{python} -sP
import sys
from {module} import {function}
sys.exit({function}())
"""


def main() -> None:
    """Packages, commands, bytecode."""
    architecture = os.environ.get("TARGETARCH") or MACHINES[platform.machine()]
    library = TARGET / "lib"
    if prepared := os.environ.get("PREPARED"):
        shutil.copytree(SOURCE / prepared / architecture, library)
    else:
        install(library, architecture)
    write_commands(library)
    compile_all(library)


def install(library: Path, architecture: str) -> None:
    """From PyPI, by uv."""
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--root-user-action=ignore", "uv"], check=True)
    sys.path.insert(0, str(SOURCE / "packaging"))
    from tree import make

    make(library, platform=PLATFORMS[architecture], python="{}.{}".format(*sys.version_info))


def write_commands(library: Path) -> None:
    """The console scripts of hexa; those of other packages are nobody's business here."""
    (TARGET / "bin").mkdir()
    entries = ConfigParser()
    entries.read(next(library.glob("hexa_autoscaler-*.dist-info")) / "entry_points.txt")
    for name, where in entries["console_scripts"].items():
        module, _, function = where.partition(":")
        path = TARGET / "bin" / name
        path.write_text(COMMAND.format(python=sys.executable, module=module, function=function))
        path.chmod(0o755)


def compile_all(library: Path) -> None:
    """Never checked against the sources, which nobody changes in an image; so it is the same in every build."""
    sys.pycache_prefix = str(TARGET / "bytecode")
    for folder in (library, Path(sysconfig.get_path("stdlib"))):
        compile_dir(folder, quiet=1, rx=re.compile(NOT_COMPILED), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    main()
