"""A process that ends when we end, however we end.

Owns starting and ending one process; refuses to know what it does. Start from the main thread only: the
kernel binds the death signal to the thread that started the process, not to the whole of us.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

LAST_LINES = 15


class ProcessDied(Exception):
    """A process of the lab ended by itself; the text holds its last words."""


class Process:
    """One process, its output in a log file; it can be started again after it ended."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._running: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Process {self.name} {'running' if self.running else 'ended'}>"

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._running is not None and self._running.poll() is None

    def start(self, *, env: Mapping[str, str] | None = None) -> None:
        """Starts it, with its output added to the log."""
        assert not self.running, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for pytest alone
                env=env,
            )

    def kill(self) -> None:
        """Ends it at once; returns when it is gone. Repeating it does nothing."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def require_running(self) -> None:
        """Raises ProcessDied, with the end of the log, where it has ended by itself."""
        if self._running is not None and self._running.poll() is not None:
            raise ProcessDied(f"{self.name} ended with code {self._running.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The last lines of the log."""
        return tail(self.log)


def tail(log: Path) -> str:
    """The last lines of a file, if there is one."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LAST_LINES:])
