"""What the servers have in common: files that change are taken when they are good, and floods of clients write little."""

import logging
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from hexa.domain.errors import Refused
from hexa.serving.complaints import KINDS, Complaints
from hexa.serving.watched import Watched, Words, look_again

WORDS = Words(taken="read again", refused="not used", unreadable="the file")


def watched(file: Path) -> Watched[bytes, str]:
    """A file that is loaded as a number; `old` is one that is not to be taken."""

    def load() -> str:
        text = file.read_text()
        if not text.isdigit() and text != "old":
            raise Refused(f"{text} is no number", reason="Bad")
        return text

    return Watched(
        read=file.read_bytes, load=load, words=WORDS, unfit=lambda loaded: "too old" if loaded == "old" else ""
    )


async def test_a_file_is_taken_when_it_is_good_and_told_of_once_when_it_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was loaded serves on while the new one is broken, unfit or gone; each cause is one line of the log."""
    file = tmp_path / "file"
    file.write_text("1")
    served = watched(file)
    await served.open()
    with caplog.at_level(logging.INFO, logger="hexa"):
        assert not await served.look()
        for text in ("x", "old"):
            file.write_text(text)
            assert [await served.look(), await served.look(), served.loaded] == [False, False, "1"]
        file.unlink()
        assert [await served.look(), await served.look(), served.loaded] == [False, False, "1"]
        file.write_text("2")
        assert [await served.look(), await served.look(), served.loaded] == [True, False, "2"]
    said = [
        "not used: x is no number",
        "not used: too old",
        "not used: the file cannot be read: No such file or directory",
    ]
    assert [record.message for record in caplog.records] == [*said, "read again"]


async def test_a_file_that_changes_while_it_is_loaded_waits_for_the_next_look(tmp_path: Path) -> None:
    """Half of one and half of another are never served."""
    file = tmp_path / "file"
    file.write_text("1")
    served, texts = watched(file), iter([b"1", b"2", b"3", b"3", b"3"])
    served._read = lambda: next(texts)
    await served.open()
    file.write_text("3")
    assert [await served.look(), served.loaded] == [False, "1"]
    assert [await served.look(), served.loaded] == [True, "3"]


async def test_what_is_unfit_from_the_start_is_loaded_again_at_each_look(tmp_path: Path) -> None:
    """A clock that was wrong at the start may be right now, and the file is the same."""
    file, doubts = tmp_path / "file", iter(["early", "early", ""])
    file.write_text("1")
    served: Watched[bytes, tuple[str, str]] = Watched(
        read=file.read_bytes, load=lambda: (file.read_text(), next(doubts)), words=WORDS, unfit=lambda loaded: loaded[1]
    )
    await served.open()
    assert [await served.look(), served.loaded] == [False, ("1", "early")]
    assert [await served.look(), served.loaded] == [True, ("1", "")]
    assert not await served.look()


async def test_looks_go_on_whatever_one_has_raised(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is in the log with its traceback."""
    looks = []

    async def look() -> None:
        looks.append(trio.current_time())
        raise UnicodeError

    with trio.move_on_after(35):
        await look_again(look, every=10, what="the file")
    assert len(looks) == 3
    assert caplog.text.count("the file cannot be read again") == 3


async def test_kinds_that_clients_make_up_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """They take no memory that grows."""
    complaints = Complaints("HTTP client %s: %s%s")
    for number in range(3 * KINDS):
        complaints.tell(f"kind {number}", peer="10.0.0.1")
    assert len(complaints._told) <= KINDS
    assert caplog.records[0].message == "HTTP client 10.0.0.1: kind 0"
