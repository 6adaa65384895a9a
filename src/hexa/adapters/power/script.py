"""An executable as a driver: docs/power/drivers.md says how it is called and what its exit codes mean."""

import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

import trio

from hexa.adapters.power.context import Context
from hexa.adapters.power.measurements import shown
from hexa.domain.errors import HexaError
from hexa.domain.resources.power_spec import Script
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import DOUBTFUL, Power

SENTENCE: Final = 12
"""Words before the last that may turn its meaning round."""
WORD: Final = re.compile(r"[\w']+")
GUESSED: Final = frozenset(
    {"assuming", "assumed", "maybe", "perhaps", "probably", "cached", "last", "stale", "timeout", "timed"}
)
SAYS_OFF: Final = GUESSED | {"on", "not", "no", "or", "unknown", "cannot", "can't", "error", "failed", "unable"}
"""Words with which a sentence that ends with off may say something else."""

REFUSED: Final = (2, 3)
"""Exit codes that ask for a person; as those of hexa itself."""

READINGS: Final = {"on": Reading.ON, "off": Reading.OFF, "unknown": Reading.UNKNOWN}


@asynccontextmanager
async def open_power(settings: Script, context: Context) -> AsyncIterator[Power]:
    """An executable. It is not started yet."""
    yield ScriptPower(settings, context.at("script", settings.command[0]))


class ScriptPower:
    """Implements `ports.power.HardPower`; what the executable can't do is refused."""

    def __init__(self, settings: Script, context: Context) -> None:
        self._settings = settings
        self._context = context

    def __repr__(self) -> str:
        return f"<ScriptPower {self._context.address}>"

    async def turn_on(self) -> None:
        await self._run("on")

    async def turn_off(self) -> None:
        await self._run("off")

    async def cut(self) -> None:
        await self._run("cut")

    async def sense(self) -> Reading:
        if "status" not in self._settings.can:
            return Reading.UNKNOWN
        words = (await self._run("status")).lower().split()
        remedy = "its status must end with on, off or unknown on standard output"
        if not words or words[-1] not in READINGS:
            raise self._context.refused("it printed no reading", remedy, reason="BadAnswer")
        if words[-1] == "off" and not SAYS_OFF.isdisjoint(WORD.findall(" ".join(words[-SENTENCE:-1]))):
            what = f"it printed {shown(self._quoted(' '.join(words[-SENTENCE:])))}, which may not mean off"
            raise self._context.unavailable(what, remedy, reason=DOUBTFUL)
        return READINGS[words[-1]]

    async def _run(self, action: Literal["on", "off", "cut", "status"]) -> str:
        if action not in self._settings.can:
            raise self._context.refused(
                f"it can't do {action}", "add it to can, or name another driver", reason="NotSupported"
            )
        with self._context.answering():
            try:
                done = await trio.run_process(
                    [*self._settings.command, action],
                    env=self._environment(action),
                    stdin=b"",
                    capture_stdout=True,
                    capture_stderr=True,
                    check=False,
                )
            except OSError as error:
                remedy = "correct command, and mount it executable"
                raise self._context.refused(f"it can't be run ({error.strerror})", remedy, reason="NoScript") from error
        if done.returncode:
            raise self._failed(action, done)
        return done.stdout.decode(errors="replace")

    def _environment(self, action: str) -> dict[str, str]:
        secret = self._settings.secret_name
        given = {"HEXA_MACHINE": self._context.machine, "HEXA_ACTION": action}
        if secret:
            given["HEXA_SECRET"] = self._context.secrets.place(secret, "").rstrip("/")
        return {**os.environ, **given}

    def _quoted(self, text: str) -> str:
        """Without what stands in the folder that it was given."""
        folder = Path(self._environment("")["HEXA_SECRET"]) if self._settings.secret_name else None
        for file in folder.iterdir() if folder is not None and folder.is_dir() else ():
            if file.is_file():
                self._context.spoken.add(*file.read_text(errors="replace").split("\n"))
        return self._context.quoted(text)

    def _failed(self, action: str, done: "subprocess.CompletedProcess[bytes]") -> HexaError:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        said = f": {self._quoted(lines[-1])[:200].rstrip('.')}" if lines else ""
        what = f"{action} ended with exit code {done.returncode}{said}"
        if done.returncode in REFUSED:
            return self._context.refused(what, "look at its own documentation", reason="ScriptRefused")
        return self._context.unavailable(what, "try again", reason="ScriptFailed")
