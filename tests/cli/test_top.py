"""hexa top: what the screen shows for an overview, what keys do, and once the whole of it on a real terminal."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from tests.cli import top_site
from tests.cli.sites import opens
from typer.testing import CliRunner

from hexa.cli.app import app
from hexa.cli.screen.keys import KEYS, decoded, press
from hexa.cli.screen.state import Order, Page, UiState, rows
from hexa.cli.screen.terminal import Painter
from hexa.cli.screen.view import Frame, lines
from hexa.domain.words.overview import Grade, GroupState, Hand, MachineState, Overview, Summary

NOW = datetime(2026, 11, 30, 22, tzinfo=UTC)


def box(number: int, **fields: Any) -> MachineState:
    """A machine of the group rack that is Ready."""
    since = NOW - timedelta(minutes=number)
    given = {"name": f"box-{number}", "group": "rack", "phase": "Ready", "since": since, "why": "it is wanted on"}
    return MachineState(namespace="lab", **{**given, **fields})


HAND = Hand(
    kind="Node", namespace="lab", name="box-2", reason="DrainBlocked", message="pod web-0", severity=Grade.ERROR
)
SITE = Overview(
    at=NOW,
    version="",
    summary=Summary(machines=4, on=2, watts=420.0, money_today=1.2, saved_month=14.8, currency="EUR"),
    groups=(
        GroupState(namespace="lab", name="rack", ready=2, size=3),
        GroupState(namespace="lab", name="attic", size=1),
    ),
    machines=(
        box(1),
        box(2, phase="Draining", watts=60.0, watts_measured=True),
        box(10, phase="Booting", ready_at=NOW + timedelta(seconds=42), eta_seconds=42, watts=90.0),
        box(3, group="attic", phase="Off", since=None, why="nobody wants it on"),
    ),
    hands=(HAND,),
)


def shown(
    overview: Overview = SITE, *, state: UiState | None = None, width: int = 100, height: int = 24, **more: Any
) -> list[str]:
    """The screen's lines, as texts."""
    frame = Frame(now=NOW, width=width, height=height, **more)
    return [line.plain for line in lines(overview, state or UiState(), frame)]


def names(state: UiState) -> list[str]:
    """The machines that are shown."""
    return [each.name for each in rows(SITE, state)]


def pressed(*keys: str, state: UiState | None = None) -> UiState:
    """The state after the keys."""
    now = state or UiState()
    for key in keys:
        now = press(now, key, SITE)
    return now


# --- the view -------------------------------------------------------------------------------------------------------


def test_one_line_says_how_the_site_is() -> None:
    """Machines on of all, kilowatts now, money today and saved this month; what is not known is a dash, never 0."""
    assert shown()[0].split("  ")[1:5] == [
        "2 of 4 machines on",
        "0.42 kW now",
        "1.20 EUR today",
        "14.80 EUR saved this month",
    ]
    unknown = Overview(at=NOW, version="", summary=Summary(machines=1))
    assert shown(unknown)[0].split("  ")[2:5] == ["– kW now", "– today", "– saved this month"]
    little = Overview(at=NOW, version="", summary=Summary(watts=-0.1, money_today=-0.001, saved_month=-0.001))
    assert shown(little)[0].split("  ")[2:5] == ["0.00 kW now", "0.00 today", "0.00 saved this month"]


def test_machines_are_shown_with_phase_eta_and_why() -> None:
    """A machine is a line: since when it is in its phase, when it will be Ready, what it draws and why it is so."""
    line = next(line for line in shown() if "box-10 " in line)
    assert line.split() == ["box-10", "rack", "Booting", "10m", "42s", "~90", "it", "is", "wanted", "on"]
    assert "60" in next(line for line in shown() if line.startswith("box-2")).split()


def test_what_needs_a_hand_is_above() -> None:
    """The worst is first, with its reason and message; where there is no room for all, the others are counted."""
    assert shown()[1].startswith("! box-2 DrainBlocked: pod web-0")
    many = Overview(at=NOW, version="", summary=Summary(), hands=(HAND,) * 20, machines=SITE.machines * 9)
    assert sum("DrainBlocked" in line for line in shown(many)) == 3
    assert any("and 17 more need a hand" in line for line in shown(many))
    assert sum("DrainBlocked" in line for line in shown(many, height=70)) == 20


@pytest.mark.parametrize(("width", "height"), [(20, 5), (40, 10), (80, 24), (250, 60), (1, 1), (3, 2)])
@pytest.mark.parametrize("page", list(Page))
def test_every_size_is_filled_exactly(width: int, height: int, page: Page) -> None:
    """Whatever the size, there are as many lines as fit, and each is as wide as the screen."""
    found = shown(width=width, height=height, state=UiState(page=page), answer=("one", "two"), trouble="away")
    assert [len(line) for line in found] == [width] * height


def test_what_may_be_old_or_is_not_known_is_said() -> None:
    """Under the first line stands that the API server is away, and what the person may not read."""
    found = shown(trouble="no connection", notes=("whether machines joined is not known: forbidden",))
    assert [line.rstrip() for line in found[1:3]] == [
        "no connection; what is shown may be old",
        "whether machines joined is not known: forbidden",
    ]


def test_narrow_screens_keep_what_matters() -> None:
    """Columns go one after another; name, phase and reason stay."""
    titles = [next(line for line in shown(width=wide) if "WHY" in line).split() for wide in (100, 60, 50)]
    assert titles == [
        ["MACHINE", "GROUP", "PHASE", "FOR", "ETA", "WATTS", "WHY"],
        ["MACHINE", "PHASE", "FOR", "ETA", "WATTS", "WHY"],
        ["MACHINE", "PHASE", "FOR", "WHY"],
    ]


def test_texts_of_the_cluster_steer_no_terminal() -> None:
    """Escapes and line ends in names, reasons and messages are shown as what they are."""
    evil = "\x1b[2J\x1b]0;owned\x07\nnext\r\u202e"
    hand = Hand(kind="Node", namespace="lab", name=evil, reason=evil, message=evil)
    group = GroupState(namespace=evil, name=evil, mode=evil, health=evil, blocker=evil)
    machine = box(1, name=evil, group=evil, phase=evil, why=evil)
    summary = Summary(currency=evil, money_today=1.0)
    site = Overview(at=NOW, version="", summary=summary, groups=(group,), machines=(machine,), hands=(hand,))
    for state in (UiState(), UiState(filter=evil), UiState(typing=True, filter=evil), UiState(group=f"{evil}/{evil}")):
        assert all(line.isprintable() for line in shown(site, state=state, trouble=evil))


def test_two_hundred_machines_scroll_with_the_selection() -> None:
    """The selected machine is always on the screen, and columns keep their place while others come into sight."""
    site = Overview(at=NOW, version="", summary=Summary(), machines=tuple(box(number) for number in range(1, 201)))
    tops = []
    for number in (1, 100, 200):
        found = shown(site, state=UiState(selected=f"lab/box-{number}"))
        assert any(line.startswith(f"box-{number} ") for line in found)
        tops.append(next(line for line in found if line.startswith("MACHINE")))
    assert len(set(tops)) == 1


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        (["down"], "lab/box-2"),
        (["j", "j", "k"], "lab/box-2"),
        (["up"], "lab/box-1"),
        (["end"], "lab/box-10"),
        (["end", "down"], "lab/box-10"),
        (["pagedown", "home"], "lab/box-1"),
        (["x"], ""),
    ],
)
def test_keys_select_a_machine(keys: list[str], selected: str) -> None:
    """Arrows, j and k go from machine to machine and stop at the ends; numbers in names count by their value."""
    assert pressed(*keys).selected == selected


def test_the_selection_stays_with_its_machine() -> None:
    """Where others come, go or are sorted otherwise, the same machine is selected."""
    state = pressed("down", "s", "s", "s")
    assert state.order is Order.CHANGED
    assert names(state)[0] == "box-1"
    drawn = lines(SITE, state, Frame(now=NOW, width=80, height=24))
    (marked,) = [line for line in drawn if any(span.style == "reverse" for span in line.spans)]
    assert marked.plain.startswith("box-2")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["/", *"draining", "enter"], ["box-2"]),
        (["/", *"BOX-1", "backspace", "enter"], ["box-1", "box-2", "box-3", "box-10"]),
        (["/", *"attic q"], []),
        (["/", *"attic", "escape"], ["box-1", "box-2", "box-3", "box-10"]),
        (["/", *"attic", "enter", "escape"], ["box-1", "box-2", "box-3", "box-10"]),
        (["g"], ["box-1", "box-2", "box-10"]),
        (["g", "g"], ["box-3"]),
        (["g", "g", "g"], ["box-1", "box-2", "box-3", "box-10"]),
        (["g", "escape"], ["box-1", "box-2", "box-3", "box-10"]),
    ],
)
def test_keys_filter(keys: list[str], found: list[str]) -> None:
    """Words are looked for in name, group, phase and reason; g goes through the groups; Esc shows all again."""
    assert names(pressed(*keys)) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (Order.NAME, ["box-1", "box-2", "box-3", "box-10"]),
        (Order.GROUP, ["box-3", "box-1", "box-2", "box-10"]),
        (Order.PHASE, ["box-10", "box-2", "box-3", "box-1"]),
        (Order.CHANGED, ["box-1", "box-2", "box-10", "box-3"]),
        (Order.WATTS, ["box-10", "box-2", "box-1", "box-3"]),
    ],
)
def test_machines_are_sorted(order: Order, found: list[str]) -> None:
    """By name, group, phase, what changed last, or what draws most."""
    assert names(UiState(order=order)) == found


def test_pages_open_and_close() -> None:
    """Enter says why, ? has all keys, Esc and q go back, and q quits."""
    why = pressed("down", "enter")
    assert (why.page, why.selected) == (Page.WHY, "lab/box-2")
    assert any("box-2 is on" in line for line in shown(state=why, answer=("box-2 is on", "Wanted")))
    assert not any(
        "box-2 is on" in line for line in shown(state=press(why, "down", SITE), answer=("box-2 is on", "Wanted"))
    )
    helped = pressed("?")
    assert all(any(key.what in line for line in shown(state=helped)) for key in KEYS)
    assert pressed("?", "escape").page is pressed("enter", "q").page is Page.MACHINES
    assert pressed("q").done
    assert not pressed("/", "q").done


def test_nothing_to_show_is_no_trouble() -> None:
    """A site without machines bears every key."""
    empty = Overview(at=NOW, version="", summary=Summary())
    for key in KEYS:
        for name in key.names:
            state = press(UiState(), name, empty)
            assert shown(empty, state=state)


def test_what_terminals_send_are_keys() -> None:
    """Arrows in both of their spellings, several keys at once, letters of any language, and nothing of what is not known."""
    assert decoded(b"\x1b[A\x1bOBj\r\x7f\x1b[6~\x1b[1;5C") == ["up", "down", "j", "enter", "backspace", "pagedown"]
    assert decoded("Aé".encode()) == ["A", "é"]
    assert decoded(b"\x1b") == ["escape"]
    assert decoded(b"\xff\xfe") == []


# --- the terminal ---------------------------------------------------------------------------------------------------


def test_only_lines_that_changed_are_written() -> None:
    """Nothing flickers: an equal frame writes nothing, another age one line, another size everything."""
    painter = Painter(colours=True)

    def frame(now: datetime, width: int = 80) -> str:
        return painter.frame(lines(SITE, UiState(), Frame(now=now, width=width, height=24)), width=width, height=24)

    def written(text: str) -> int:
        return len(re.findall(r"\x1b\[\d+;1H", text))

    assert written(frame(NOW)) == 24
    assert frame(NOW) == ""
    assert 0 < written(frame(NOW + timedelta(seconds=1))) < 6
    assert written(frame(NOW, width=70)) == 24


def test_no_color_has_no_colours() -> None:
    """What is selected is still seen: it is reversed."""
    text = Painter(colours=False).frame(
        lines(SITE, UiState(), Frame(now=NOW, width=80, height=24)), width=80, height=24
    )
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", text) for code in found.split(";")}
    assert codes <= {"", "0", "1", "7"}
    assert "7" in codes


def test_without_a_terminal_it_prints_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe the same is printed in lines as long as they are, without colours."""
    opens(monkeypatch, top_site.site())
    result = CliRunner().invoke(app, ["top"])
    assert result.exit_code == 0
    assert result.stdout.startswith("hexa  1 of 2 machines on")
    assert "\x1b" not in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[-2:]] == ["box-1", "box-2"]


class Terminal:
    """A real terminal with hexa top on it."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(100, 20)
        root = Path(__file__).parent.parent.parent
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(root)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.top_site"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=root,
            env=environment,
        )
        self.raw = ""

    def resize(self, width: int, height: int) -> None:
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def text(self) -> str:
        """What the screen shows."""
        found: dict[int, str] = {}
        for part in re.split(r"(?=\x1b\[2J|\x1b\[\d+;1H)", self.raw):
            if part.startswith("\x1b[2J"):
                found = {}
            elif at := re.match(r"\x1b\[(\d+);1H", part):
                found[int(at[1])] = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", part[at.end() :])
        return "\n".join(found[row] for row in sorted(found))

    def until(self, seen: Callable[[str], bool]) -> str:
        """Wait until the screen shows it."""
        end = time.monotonic() + 60
        while not seen(text := self.text()):
            ready, _, _ = select.select([self.master], [], [], max(end - time.monotonic(), 0))
            assert ready, f"not seen within a minute:\n{text}\n{self.raw[-500:]!r}"
            self.raw += os.read(self.master, 65_536).decode(errors="replace")
        return text


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Ended in any case."""
    opened = Terminal()
    yield opened
    opened.process.kill()
    opened.process.wait()
    os.close(opened.master)
    os.close(opened.slave)


def test_on_a_real_terminal(terminal: Terminal) -> None:
    """A machine that boots is seen, keys work, hexa why answers, another size is filled; Ctrl-C ends it with 0 and gives the
    terminal back as it was."""
    before = termios.tcgetattr(terminal.slave)
    terminal.until(lambda text: "1 of 2 machines on" in text and "box-2" in text and "q quit" in text)
    terminal.process.send_signal(signal.SIGUSR1)
    terminal.until(lambda text: bool(re.search(r"box-2 .*Booting", text)))
    terminal.press("j\r")
    terminal.until(lambda text: "box-2 boots, and nobody" in text and "Esc back" in text)
    terminal.press("\x1b")
    terminal.until(lambda text: "2 of 2" in text)
    terminal.press("/box-1\r")
    terminal.until(lambda text: "1 of 1" in text and "box-2" not in text)
    terminal.resize(50, 9)
    text = terminal.until(lambda text: len(text.splitlines()) == 9)
    assert {len(line) for line in text.splitlines()} == {50}
    terminal.press("\x03")
    assert terminal.process.wait(timeout=60) == 0
    assert terminal.raw.count("\x1b[?1049h") == 1
    assert os.read(terminal.master, 65_536).decode().endswith("\x1b[?7h\x1b[?25h\x1b[?1049l")
    assert termios.tcgetattr(terminal.slave) == before
