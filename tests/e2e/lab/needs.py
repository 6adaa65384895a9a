"""What real machines need of a box, and what of it is missing.

Owns the question; refuses to install or to change anything.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from . import cgroups
from .disk import CNI_BINARIES
from .image import BUSYBOX

_COMMANDS: Final = ("containerd", "ctr", "runc", "ip", "nsenter", "unshare", "setpriv")
_PROBE: Final = f"hexa-e2e-probe-{os.getpid()}"
_NAMESPACES: Final = ("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "true")


def missing() -> str:
    """What real machines would need here besides; nothing where they can be."""
    if os.geteuid() != 0:
        return "root"
    absent = [command for command in _COMMANDS if shutil.which(command) is None]
    absent += [str(path) for path in (BUSYBOX, Path(CNI_BINARIES, "bridge")) if not path.exists()]
    if absent:
        return f"{', '.join(absent)}: install the packages in .ci/packages"
    return _missing_in_kernel()


def _missing_in_kernel() -> str:
    attempt = subprocess.run(_NAMESPACES, capture_output=True, text=True, check=False)
    if attempt.returncode:
        return f"namespaces: {attempt.stderr.strip()}"
    root = cgroups.unified()
    if root is None:
        return "cgroup version 2, alone or beside version 1"
    try:
        cgroups.make(_PROBE)
        killable = (root / _PROBE / "cgroup.kill").exists()
        cgroups.remove(_PROBE)
    except OSError as error:
        return f"control groups: {error}"
    return "" if killable else "Linux 5.14 or newer"
