"""The folder of one run, and what earlier runs left behind.

Owns the folder, its lock and the control group of its name; refuses to know what the lab puts there. A run
that ended in order leaves nothing. One that was killed leaves files and empty control groups, since its
processes die with it; the next run removes them.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import cgroups

KEEP = "E2E_KEEP"  # set it to look at the logs of a run
PREFIX = "hexa-e2e-"
_REMOVE_SECONDS = 5.0


@contextmanager
def open_run() -> Iterator[Path]:
    """A new folder; its name is also free as the name of a control group."""
    base = Path(tempfile.gettempdir())
    remove_stale(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    with (folder / "new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "new").rename(folder / "lock")  # whoever sees it finds it locked
        try:
            yield folder
        finally:
            if os.environ.get(KEEP):
                (folder / "lock").unlink()  # the next run takes it for none of its business
                print(f"kept: {folder}")
            else:
                _remove(folder)


def remove_stale(base: Path) -> None:
    """Removes the folders whose runs hold no lock any more."""
    for lock in base.glob(f"{PREFIX}*/lock"):
        if _is_free(lock):
            _remove(lock.parent)


def _is_free(path: Path) -> bool:
    try:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError, FileNotFoundError):
        return False
    return True


def _remove(folder: Path) -> None:
    if os.geteuid() == 0 and cgroups.unified():
        cgroups.kill(folder.name)
        cgroups.remove(folder.name)
    deadline = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:  # a process that dies may still write a last file
        shutil.rmtree(folder, ignore_errors=True)
