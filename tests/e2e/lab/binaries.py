"""The binaries of the lab: Kubernetes, etcd and `wol` of the Go module beside us; Helm and promtool, each of its own.

Owns the build and its cache; refuses to know how the binaries are run. A build is kept under a name made
of the module's files, so that it is made once for each version and shared by every checkout and run.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MODULE = Path(__file__).parent.parent / "controlplane"
KEEP_DAYS = 30  # a build that nobody used for so long makes room
REPORT_SECONDS = 15.0
HELM = MODULE.parent / "helm"
PROMTOOL = MODULE.parent / "promtool"
TARGETS = {
    MODULE: ["tool", "./etcd", "./wol", "./cluster-autoscaler"],
    HELM: ["tool"],
    PROMTOOL: ["-tags=remove_all_sd", "tool"],
}
NAMES = {HELM: "Helm", PROMTOOL: "promtool"}

Say = Callable[[str], None]


class BuildError(Exception):
    """The binaries can't be built; the text says what to do."""


def version() -> str:
    """The version of Kubernetes under test, such as `v1.36.3`."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (MODULE / "go.mod").read_text())
    assert found, "go.mod names no version of k8s.io/kubernetes"
    return found[1]


def cache_folder(module: Path = MODULE) -> Path:
    """Where the binaries of this version of the module are kept, built or not."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hexa-e2e"
    digest = hashlib.sha256()
    for path in sorted((module / "go.mod", module / "go.sum", *module.rglob("*.go"))):
        digest.update(str(path.relative_to(module)).encode() + b"\0" + path.read_bytes() + b"\0")
    return base / digest.hexdigest()[:16]


def build(say: Say = print, *, module: Path = MODULE) -> Path:
    """The folder of the binaries, after building them if this is the first time (minutes on two cores)."""
    folder = cache_folder(module)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / "lock", say):
        if not folder.exists():
            _require_go()
            _compile_into(folder, say, module)
            _prune(folder.parent)
    os.utime(folder)
    return folder


@contextmanager
def locked(path: Path, say: Say) -> Iterator[None]:
    """One process at a time; who waits is told so."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another run builds binaries; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_go() -> None:
    if shutil.which("go") is None:
        raise BuildError("e2e needs Go 1.26 or newer on PATH")
    answer = subprocess.run(["go", "version"], cwd=MODULE, capture_output=True, text=True, check=False)
    if answer.returncode:  # an older Go refuses our go.mod here, and says why
        raise BuildError(f"e2e needs Go 1.26 or newer on PATH: {answer.stderr.strip()}")


def _compile_into(folder: Path, say: Say, module: Path) -> None:
    unfinished = folder.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    command = ["go", "build", "-v", "-buildvcs=false", "-ldflags", _stamp(), "-o", f"{unfinished}/"]
    # Without cgo no C compiler is needed, and `wol` runs in an image that holds no libc.
    build = subprocess.Popen(
        [*command, *TARGETS[module]],
        cwd=module,
        env=os.environ | {"CGO_ENABLED": "0"},
        stderr=subprocess.PIPE,
        text=True,
    )
    what = NAMES.get(module, f"Kubernetes {version()} and etcd")
    last_words = _follow(build, say, what)
    if build.returncode:
        raise BuildError(f"{what} could not be built:\n" + "\n".join(last_words))
    unfinished.rename(folder)


def _follow(build: subprocess.Popen[str], say: Say, what: str) -> list[str]:
    """Reports how far the build is until it ends, and returns the last lines that it wrote."""
    assert build.stderr
    started = reported = time.monotonic()
    lines: list[str] = []
    say(f"building {what}, once for this version; minutes on 2 cores")
    with build:
        for line in build.stderr:
            lines.append(line.rstrip())
            if (now := time.monotonic()) - reported >= REPORT_SECONDS:
                reported = now
                say(f"  {now - started:4.0f} s, {len(lines)} packages done, now {lines[-1]}")
    say(f"built in {time.monotonic() - started:.0f} s")
    return lines[-20:]


def _stamp() -> str:
    """The linker flags that name the version: without them `kubectl version` fails."""
    major, minor, _ = version().removeprefix("v").split(".", 2)
    values = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items())


def _prune(base: Path) -> None:
    for folder in base.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > KEEP_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)
