"""Processes of a benchmark: started with this Python, told apart by their arguments, watched by their CPU time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec


def run(script: str, *arguments: str) -> Any:
    """Run `script` to its end; its last line, which is JSON."""
    done = subprocess.run([sys.executable, script, *arguments], check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout.splitlines()[-1])


@contextmanager
def serving(script: str, *arguments: str) -> Iterator[tuple[int, Any]]:
    """Run `script` during the block; its process id, and the JSON of the line that says that it serves."""
    process = subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process.pid, msgspec.json.decode(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=20)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
