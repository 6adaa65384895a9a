"""Ctrl-C and odd streams end a command in order: with its exit code, one line, and no traceback."""

import errno
import io
import sys
from pathlib import Path

import pytest

from hexa.cli.shared.process import process


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), BaseExceptionGroup("", [BaseExceptionGroup("", [KeyboardInterrupt()]), KeyboardInterrupt()])],
    ids=["plain", "of tasks"],
)
def test_ctrl_c_ends_with_130(error: BaseException) -> None:
    """However deep in tasks it comes: a simulation that is cut off showed a traceback of groups."""
    with pytest.raises(SystemExit) as ended, process():
        raise error
    assert ended.value.code == 130


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError(errno.ENOENT, "x"), BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()])]
)
def test_a_defect_stays_a_traceback(error: BaseException) -> None:
    """Nothing that nobody foresaw is hidden, beside a Ctrl-C neither."""
    with pytest.raises(type(error)), process():
        raise error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What was printed and could not be written is one line on standard error and exit code 1."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended, process():
            print("a whole answer")
    assert (ended.value.code, capsys.readouterr().err) == (
        1,
        "hexa: cannot write the answer: No space left on device\n",
    )


def test_streams_that_are_closed_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `>&-` Python has no stream at all: reading is empty, and writing does nothing."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with process():
        print(sys.stdin.read(), sys.stderr.isatty())
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()
        monkeypatch.setattr(sys, "stdout", io.StringIO())


def test_what_an_encoding_has_not_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is not UTF-8 shows the rest of the answer; in JSON the escape is the character."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    with process():
        print("5 € für Strom")
    assert raw.getvalue() == b"5 \\u20ac f\xfcr Strom\n"
