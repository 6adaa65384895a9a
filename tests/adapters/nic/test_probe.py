"""The network card of the machine that this runs on, and of machines drawn as files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexa.adapters.nic import probe
from hexa.cli.probe_nic import probe_nic

MAC = "52:54:00:12:34:56"


@pytest.fixture
def card(tmp_path: Path) -> Callable[..., Path]:
    """Draw an interface as /sys has it."""

    def draw(name: str, *, mac: str = MAC, carrier: str = "1", device: bool = True, over: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "address").write_text(f"{mac}\n")
        (folder / "carrier").write_text(f"{carrier}\n")
        if device:
            (folder / "device" / "power").mkdir(parents=True)
            (folder / "device" / "power" / "wakeup").write_text("enabled\n")
        for lower in over:
            (folder / f"lower_{lower}").symlink_to(tmp_path / lower)
        return folder

    return draw


@pytest.fixture
def wake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Set what the driver answers."""

    def answer(with_what: Any) -> None:
        def ask(interface: str) -> tuple[int, int]:
            if isinstance(with_what, OSError):
                raise with_what
            found: tuple[int, int] = with_what
            return found

        monkeypatch.setattr(probe, "_ask_wake", ask)

    return answer


def test_the_loopback_is_found_by_its_address() -> None:
    """The interface that carries an address is asked of the kernel, whatever the version of the address."""
    assert probe.probe("127.0.0.1")["interface"] == "lo"
    assert probe.probe("192.0.2.254") == {"error": "no interface carries 192.0.2.254"}


def test_flags_are_told_as_ethtool_does(card: Callable[..., Path], wake: Callable[[Any], None], tmp_path: Path) -> None:
    """Supported and current flags are letters; MAC and link come from /sys."""
    card("eno1")
    wake((0x2F, 0x20))
    found = probe.describe("eno1", sys=tmp_path)
    assert (found["mac"], found["link"], found["physical"]) == (MAC, True, True)
    assert (found["supported"], found["current"]) == ("pumbg", "g")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(1, "Operation not permitted"), {"wakeup": "enabled", "hidden": "Operation not permitted"}),
        (OSError(95, "Operation not supported"), {"supported": "d", "current": "d"}),
    ],
)
def test_without_the_right_it_says_what_it_can(
    card: Callable[..., Path], wake: Callable[[Any], None], error: OSError, says: dict[str, str]
) -> None:
    """Without CAP_NET_ADMIN /sys is asked instead; a driver that knows nothing of waking supports nothing."""
    wake(error)
    assert probe.wake_flags(card("eno1")) == says


def test_the_port_under_a_bridge_over_a_bond_is_found(
    card: Callable[..., Path], wake: Callable[[Any], None], tmp_path: Path
) -> None:
    """A magic packet wakes a physical port: of several the one with a link, and the others are named."""
    wake((0x20, 0x20))
    card("eno1", mac="52:54:00:00:00:01", carrier="0")
    card("eno2", mac="52:54:00:00:00:02")
    card("bond0", device=False, over=("eno1", "eno2"))
    card("br0", device=False, over=("bond0",))
    found = probe.describe("br0", sys=tmp_path)
    assert (found["card"], found["mac"], found["others"]) == ("eno2", "52:54:00:00:00:02", ["eno1"])


def test_it_writes_where_the_pod_is_read(tmp_path: Path) -> None:
    """hexa probe-nic --to writes one JSON object."""
    probe_nic("192.0.2.254", tmp_path / "log")
    assert (tmp_path / "log").read_text() == '{"error": "no interface carries 192.0.2.254"}'
