"""What a lab leaves behind: nothing that runs, however it ends, and no file that the next run doesn't remove."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab as labs
import pytest
from lab import cgroups, run

LAB = Path(__file__).parent
SECONDS = 60


@pytest.fixture
def lab_process(binaries: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A lab in a process of its own, with its worker on and its folder in ours."""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(LAB)}
    command = [sys.executable, "-m", "lab", "--machines=1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any("KUBECONFIG" in line for line in process.stdout)
        yield process
        process.kill()


async def test_killed_lab_leaves_no_process_and_the_next_run_cleans(
    lab_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    """SIGKILL ends all that the lab has started; folder and control groups go with the next run."""
    folder = only_folder_in(tmp_path)
    assert processes_of(folder)
    lab_process.kill()
    lab_process.wait(timeout=5)  # it holds the lock of its run until it is gone
    await labs.eventually(lambda: not processes_of(folder), within=5)
    run.remove_stale(tmp_path)
    assert not folder.exists()
    assert not list(cgroups.ROOT.glob(f"**/{folder.name}"))


async def test_interrupted_lab_leaves_nothing(lab_process: subprocess.Popen[str], tmp_path: Path) -> None:
    """SIGTERM ends the lab in order."""
    folder = only_folder_in(tmp_path)
    lab_process.terminate()
    await labs.eventually(lambda: lab_process.poll() is not None, within=20)
    assert lab_process.returncode == 0
    assert not folder.exists()
    assert not list(cgroups.ROOT.glob(f"**/{folder.name}"))
    assert not processes_of(folder)


def test_living_run_is_not_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that holds its lock is left alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with run.open_run() as folder:
        run.remove_stale(tmp_path)
        assert folder.exists()
    assert not folder.exists()


def only_folder_in(base: Path) -> Path:
    """The folder of the only run there."""
    (folder,) = base.glob(f"{run.PREFIX}*")
    return folder


def processes_of(folder: Path) -> list[str]:
    """The processes that name a run's folder, or run in its control group."""
    root = cgroups.unified()
    inside = (root / folder.name).rglob("cgroup.procs") if root else ()
    found = [pid for procs in inside for pid in procs.read_text().split()]
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in file.read_bytes():
                found.append(file.parent.name)
        except OSError:  # it has ended meanwhile
            continue
    return found
