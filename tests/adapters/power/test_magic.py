"""Magic packets, and the command wake-on-lan."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexa.adapters.power.magic import packet, parse_mac, run


@pytest.fixture
def card() -> Iterator[socket.socket]:
    """What arrives where a network card would listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(2)
        yield listener


def to(card: socket.socket) -> list[str]:
    """Arguments that send to it, once."""
    address, port = card.getsockname()
    return ["--address", address, "--port", str(port), "--repeat", "1"]


@pytest.mark.parametrize("text", ["52:54:00:12:34:56", "52-54-00-12-34-56", "5254.0012.3456", "525400123456"])
def test_usual_spellings_of_a_mac_are_read(text: str) -> None:
    """A MAC address may be written as Linux, Windows, Cisco or a label on the case write it."""
    assert parse_mac(text) == bytes.fromhex("525400123456")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("52:54:00:12:34", "is no MAC address: write six bytes in hexadecimal"),
        ("52:54:00-12-34-56", "is no MAC address"),
        ("52:54:00:12:34:5g", "is no MAC address"),
        ("", "is no MAC address"),
        ("ff:ff:ff:ff:ff:ff", "is a multicast address, which no network card has"),
    ],
)
def test_malformed_mac_is_told_with_its_remedy(text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no MAC address is named, with how one is written, and nothing is sent."""
    assert run([text]) == 2
    assert f"wake-on-lan: {text!r} {says}" in capsys.readouterr().err


def test_packets_are_what_network_cards_wait_for(card: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    """Six bytes 0xff and sixteen times the MAC, one packet for each MAC, and a line says what was sent where."""
    assert run(["52:54:00:12:34:56", "52:54:00:12:34:57", *to(card)]) == 0
    assert card.recv(200) == b"\xff" * 6 + bytes.fromhex("525400123456") * 16
    assert card.recv(200) == b"\xff" * 6 + bytes.fromhex("525400123457") * 16
    assert "sent magic packets for 52:54:00:12:34:56, 52:54:00:12:34:57 to 127.0.0.1:" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "tail"), [("00:11:22:33:44:55\n", "001122334455"), ("192.168.1.1", "c0a80101")])
def test_secure_on_password_ends_the_packet(card: socket.socket, tmp_path: Path, text: str, tail: str) -> None:
    """A SecureOn password comes from a file, in either of its spellings."""
    file = tmp_path / "password"
    file.write_text(text)
    assert run(["52:54:00:12:34:56", "--password-file", str(file), *to(card)]) == 0
    assert card.recv(200) == packet(bytes.fromhex("525400123456"), bytes.fromhex(tail))


def test_unusable_password_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error about a password does not contain it."""
    file = tmp_path / "password"
    file.write_text("pl4nted-s3cret")
    assert run(["52:54:00:12:34:56", "--password-file", str(file)]) == 2
    said = "".join(capsys.readouterr())
    assert "neither six bytes in hexadecimal" in said
    assert "pl4nted" not in said


def test_packets_are_repeated(card: socket.socket) -> None:
    """--repeat sends each packet so often: networks lose some."""
    assert run(["52:54:00:12:34:56", *to(card), "--repeat", "2", "--interval", "0"]) == 0
    assert card.recv(200) == card.recv(200)


def test_unknown_interface_is_told_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """An interface that is not there is named, with the pod's network as the likely cause."""
    assert run(["52:54:00:12:34:56", "--interface", "nosuch0"]) == 1
    assert "there is no network interface nosuch0" in capsys.readouterr().err


def test_the_command_needs_next_to_nothing() -> None:
    """A pod acts at once: neither trio nor msgspec nor typer is loaded to send a packet."""
    code = "import sys, hexa.adapters.power.magic as m; print(*sorted(sys.modules)); sys.exit(m.run(['x']))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert not {"trio", "msgspec", "typer", "httpx", "asyncio", "yaml"} & set(answer.stdout.split())
