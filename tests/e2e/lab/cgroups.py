"""Control groups: one for each run, and one for each machine in it.

Owns making, asking and removing them in both layouts (version 2 alone, or version 1 beside an empty
version 2); refuses to know what runs inside.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpuset", "cpu", "memory", "pids", "io", "hugetlb")
_REMOVE_SECONDS = 5.0


def unified() -> Path | None:
    """Where version 2 is mounted, if it is."""
    for root in (ROOT, ROOT / "unified"):
        if (root / "cgroup.procs").exists() and (root / "cgroup.controllers").exists():
            return root
    return None


def make(name: str) -> None:
    """Makes a group, and those above it, in every hierarchy, fit for a kubelet."""
    for root in _hierarchies():
        group = root
        for part in Path(name).parts:
            _share_controllers(group)
            parent, group = group, group / part
            group.mkdir(exist_ok=True)
            _inherit_cpuset(parent, group)
    _leaf(name).mkdir(exist_ok=True)


def join_command(name: str) -> list[str]:
    """The words before a command that make it run in the group."""
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(_leaf(name) / "cgroup.procs")]


def populated(name: str) -> bool:
    """Whether a process is left in the group or below."""
    root = unified()
    events = root / name / "cgroup.events" if root else None
    return events is not None and events.exists() and "populated 1" in events.read_text()


def kill(name: str) -> None:
    """Kills all in the group; returns when they are gone."""
    root = unified()
    if root and (root / name).exists():
        (root / name / "cgroup.kill").write_text("1")
        _wait_while(lambda: populated(name), name)


def remove(name: str) -> None:
    """Removes the group, which must be empty, and those below it."""
    for root in _hierarchies():
        _remove_tree(root / name)


def _leaf(name: str) -> Path:
    """Where processes go: in version 2 a group with groups below has no processes of its own."""
    root = unified()
    assert root, "cgroup version 2 is not mounted"
    return root / name / "system"


def _hierarchies() -> Iterator[Path]:
    if unified() == ROOT:
        yield ROOT
    else:
        yield from (path for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink())


def _share_controllers(group: Path) -> None:
    """Version 2: what groups below may use has to be said; a controller that is missing is left out."""
    control = group / "cgroup.subtree_control"
    if control.exists():
        have = (group / "cgroup.controllers").read_text().split()
        wanted = [name for name in _CONTROLLERS if name in have]
        if wanted:
            control.write_text(" ".join(f"+{name}" for name in wanted))


def _inherit_cpuset(parent: Path, group: Path) -> None:
    """Version 1: a new group has no processors and no memory, and takes no process until it has."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (group / "cgroup.clone_children").exists() and (group / name).exists():
            (group / name).write_text((parent / name).read_text())


def _remove_tree(group: Path) -> None:
    for below in group.glob("*/") if group.exists() else ():
        _remove_tree(below)

    def removed() -> bool:
        try:
            group.rmdir()
        except FileNotFoundError:
            return True
        except OSError:  # busy: the kernel is still burying the last process
            return False
        return True

    _wait_while(lambda: not removed(), str(group))


def _wait_while(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _REMOVE_SECONDS
    while condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is still in use")
        time.sleep(0.005)
