"""hexa as it is delivered: the executable and the image, built once for each state of the sources.

Owns the build and its cache; refuses to know how the products are used. They are kept beside the control plane's binaries.
"""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from lab.binaries import Say, cache_folder, locked

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ("src", "packaging", "deploy/Containerfile", ".containerignore", "pyproject.toml", "uv.lock")


def executable(say: Say) -> Path:
    """The single-file executable; the first time takes half a minute."""
    return _build("hexa", [sys.executable, "packaging/binary.py"], say)


def image(say: Say) -> Path:
    """The image for this machine's processor, as an OCI archive; the first time takes half a minute."""
    return _build("hexa-image.tar", [sys.executable, "packaging/image.py", f"--arch={_own_architecture()}"], say)


def _own_architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def _build(name: str, command: list[str], say: Say) -> Path:
    folder = cache_folder().parent / f"hexa-{_digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    product = folder / name
    with locked(folder / f"{name}.lock", say):
        if not product.exists():
            _make(product, command, say)
    os.utime(folder)
    return product


def _make(product: Path, command: list[str], say: Say) -> None:
    say(f"building {product.name}, once for these sources")
    started = time.monotonic()
    unfinished = product.with_name(f"new-{os.getpid()}-{product.name}")
    done = subprocess.run([*command, f"--output={unfinished}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    unfinished.rename(product)
    say(f"{done.stdout.strip()}, in {time.monotonic() - started:.0f} s")


def _digest() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for source in SOURCES:
        top = ROOT / source
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix != ".pyc":
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
