"""IPMI 2.0 over LAN (RMCP+) as bytes: packets, keys, and the answers' meaning. It has no socket and waits for nothing.

Specification: IPMI 2.0 rev. 1.1, sections 13 (LAN, RMCP+, RAKP), 22 (sessions) and 28 (chassis). Written by hand because the
libraries for it block or keep a thread for all (docs/decisions/0012).
"""

import hmac
import os
from enum import IntEnum
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_RMCP: Final = b"\x06\x00\xff\x07"
_BMC, _CONSOLE = 0x20, 0x81
_AES_BLOCK: Final = 16
LONGEST_NAME: Final = 16
LONGEST_PASSWORD: Final = 20


class Suite(NamedTuple):
    """What a session is protected with."""

    id: int
    hash: str
    auth: int
    integrity: int
    code_size: int
    """Bytes of a hash that go with each packet."""


SUITES: Final = {3: Suite(3, "sha1", 1, 1, 12), 17: Suite(17, "sha256", 3, 4, 16)}
_AES_CBC_128: Final = 1
NO_SUITE: Final = 0x11
"""Status of a session for which no cipher suite was found."""


class Payload(IntEnum):
    IPMI = 0x00
    OPEN_REQUEST = 0x10
    OPEN_RESPONSE = 0x11
    RAKP_1 = 0x12
    RAKP_2 = 0x13
    RAKP_3 = 0x14
    RAKP_4 = 0x15


class Broken(Exception):
    """Bytes that no controller should send, or not to us; they are passed over."""


class BadPassword(Exception):
    """The controller proved a password other than ours."""


class SessionRefused(Exception):
    """The controller's status code for a session that it does not open."""

    def __init__(self, status: int) -> None:
        super().__init__(f"RMCP+ status {status:#04x}")
        self.status = status


class CommandRefused(Exception):
    """The completion code of a command that was not done."""

    def __init__(self, code: int) -> None:
        super().__init__(f"IPMI completion code {code:#04x}")
        self.code = code


class Command(NamedTuple):
    """One command of the controller."""

    function: int
    number: int
    data: bytes = b""


class Control(IntEnum):
    """What Chassis Control does."""

    DOWN = 0
    UP = 1
    SOFT = 5


CHASSIS_STATUS: Final = Command(0x00, 0x01)


POWER_READING: Final = Command(0x2C, 0x02, bytes([0xDC, 0x01, 0x00, 0x00]))
"""Get Power Reading of DCMI 1.5 (6.6.1), its statistics of now."""


def chassis_control(what: Control) -> Command:
    """Switch the power."""
    return Command(0x00, 0x02, bytes([what]))


def set_privilege(level: int) -> Command:
    """A session begins at the level of a user, whatever it asked for."""
    return Command(0x06, 0x3B, bytes([level]))


class Handshake:
    """One attempt to open a session: three questions, and the keys that their answers give."""

    def __init__(self, *, name: bytes, password: bytes, key_g: bytes, privilege: int, suite: Suite) -> None:
        self.suite = suite
        self._name, self._password, self._key_g = name, password, key_g
        self._console = os.urandom(4)
        self._random = os.urandom(16)
        self._role = bytes([privilege | 0x10, len(name)]) + name  # 0x10: the user is found by name alone
        self._privilege = privilege
        self._controller = b""
        self._their_random = self._guid = b""

    def open_request(self) -> bytes:
        """The first question."""
        algorithms_ = (self.suite.auth, self.suite.integrity, _AES_CBC_128)
        offers = b"".join(bytes([kind, 0, 0, 8, number, 0, 0, 0]) for kind, number in enumerate(algorithms_))
        return _plain(Payload.OPEN_REQUEST, bytes([0, self._privilege, 0, 0]) + self._console + offers)

    def opened(self, packet: bytes) -> None:
        """The answer to it; some controllers choose another suite than the one asked for. Raises `SessionRefused`, `Broken`."""
        payload = self._accepted(packet, Payload.OPEN_RESPONSE, id_at=4, least=36)
        self._controller = payload[8:12]
        chosen = (payload[16], payload[24], payload[32])
        self.suite = next(
            (each for each in SUITES.values() if chosen == (each.auth, each.integrity, _AES_CBC_128)), self.suite
        )
        if chosen != (self.suite.auth, self.suite.integrity, _AES_CBC_128):
            raise SessionRefused(NO_SUITE)

    def rakp_1(self) -> bytes:
        """The second question: who we are."""
        start = bytes([0, 0, 0, 0]) + self._controller + self._random + self._role[:1]
        return _plain(Payload.RAKP_1, start + bytes([0, 0]) + self._role[1:])

    def proved(self, packet: bytes) -> None:
        """The controller's proof that it knows the password. Raises `BadPassword`, `SessionRefused`, `Broken`."""
        payload = self._accepted(packet, Payload.RAKP_2, id_at=4, least=40)
        self._their_random, self._guid, proof = payload[8:24], payload[24:40], payload[40:]
        expected = self._hmac(
            self._password, self._console, self._controller, self._random, self._their_random, self._guid, self._role
        )
        if not hmac.compare_digest(expected, proof[: len(expected)]):
            raise BadPassword

    def rakp_3(self) -> bytes:
        """Our own proof."""
        proof = self._hmac(self._password, self._their_random, self._console, self._role)
        return _plain(Payload.RAKP_3, bytes([0, 0, 0, 0]) + self._controller + proof)

    def session(self, packet: bytes) -> "Session":
        """The session, if the last answer fits. Raises `BadPassword`, `SessionRefused`, `Broken`."""
        payload = self._accepted(packet, Payload.RAKP_4, id_at=4, least=8)
        secret = self._hmac(self._key_g or self._password, self._random, self._their_random, self._role)
        expected = self._hmac(secret, self._random, self._controller, self._guid)[: self.suite.code_size]
        if not hmac.compare_digest(expected, payload[8 : 8 + len(expected)]):
            raise BadPassword
        keys = (self._hmac(secret, bytes([number]) * 20) for number in (1, 2))
        return Session(self.suite, self._console, self._controller, *keys)

    def _accepted(self, packet: bytes, kind: Payload, *, id_at: int, least: int) -> bytes:
        found, payload = _opened_plain(packet)
        if found != kind or len(payload) < 2:
            raise Broken
        told = payload[id_at : id_at + 4]
        if payload[1] and told in (
            self._console,
            b"",
            bytes(4),
        ):  # with another's ID it speaks of another session, or is damaged
            raise SessionRefused(payload[1])
        if len(payload) < least or payload[id_at : id_at + 4] != self._console:
            raise Broken
        return payload

    def _hmac(self, key: bytes, *parts: bytes) -> bytes:
        return hmac.new(key, b"".join(parts), self.suite.hash).digest()


class Session:
    """Packets of an open session. Each has a number of its own; an answer is known by its command and sequence."""

    def __init__(
        self, suite: Suite, console: bytes, controller: bytes, integrity: bytes, confidentiality: bytes
    ) -> None:
        self._suite, self._console, self._controller = suite, console, controller
        self._k1, self._k2 = integrity, confidentiality[:_AES_BLOCK]
        self._number = 0
        self._sequence = 0

    def next(self) -> None:
        """Another command begins; until then the same is asked again."""
        self._sequence = (self._sequence + 1) % 64

    def request(self, command: Command) -> bytes:
        """A packet that asks for it."""
        self._number += 1
        head = bytes([_BMC, command.function << 2])
        tail = bytes([_CONSOLE, self._sequence << 2, command.number]) + command.data
        payload = self._encrypted(head + _checksum(head) + tail + _checksum(tail))
        kind = 0xC0 | Payload.IPMI  # encrypted and authenticated
        packet = bytes([6, kind]) + self._controller + self._number.to_bytes(4, "little")
        packet += len(payload).to_bytes(2, "little") + payload
        padding = -(len(packet) + 2) % 4
        packet += b"\xff" * padding + bytes([padding, 7])
        return _RMCP + packet + self._code(packet)

    def answer(self, packet: bytes, command: Command) -> bytes:
        """What the command gave. Raises `CommandRefused`; `Broken` for an answer to something else."""
        message = self._message(packet)
        if len(message) < 8 or message[1] >> 2 != command.function | 1 or message[5] != command.number:
            raise Broken
        if message[4] >> 2 != self._sequence:
            raise Broken
        if message[6]:
            raise CommandRefused(message[6])
        return message[7:-1]

    def closing(self) -> bytes:
        """The last packet: the controller's few sessions are for others too."""
        self.next()
        return self.request(Command(0x06, 0x3C, self._controller))

    def _message(self, packet: bytes) -> bytes:
        body, code = packet[4 : -self._suite.code_size], packet[-self._suite.code_size :]
        if packet[:4] != _RMCP or len(body) < 14 or body[0] != 6 or body[1] != 0xC0 | Payload.IPMI:
            raise Broken
        if body[2:6] != self._console or not hmac.compare_digest(self._code(body), code):
            raise Broken
        size = int.from_bytes(body[10:12], "little")
        return self._decrypted(body[12 : 12 + size])

    def _code(self, packet: bytes) -> bytes:
        return hmac.new(self._k1, packet, self._suite.hash).digest()[: self._suite.code_size]

    def _encrypted(self, message: bytes) -> bytes:
        size = -(len(message) + 1) % _AES_BLOCK
        padded = message + bytes(range(1, size + 1)) + bytes([size])
        start = os.urandom(_AES_BLOCK)
        cipher = Cipher(algorithms.AES(self._k2), modes.CBC(start)).encryptor()
        return start + cipher.update(padded) + cipher.finalize()

    def _decrypted(self, payload: bytes) -> bytes:
        if len(payload) < 2 * _AES_BLOCK or len(payload) % _AES_BLOCK:
            raise Broken
        cipher = Cipher(algorithms.AES(self._k2), modes.CBC(payload[:_AES_BLOCK])).decryptor()
        padded = cipher.update(payload[_AES_BLOCK:]) + cipher.finalize()
        return padded[: -1 - padded[-1]]


def _plain(kind: Payload, payload: bytes) -> bytes:
    """A packet outside any session."""
    return _RMCP + bytes([6, kind]) + bytes(8) + len(payload).to_bytes(2, "little") + payload


def _opened_plain(packet: bytes) -> tuple[int, bytes]:
    if packet[:4] != _RMCP or len(packet) < 16 or packet[4] != 6:
        raise Broken
    size = int.from_bytes(packet[14:16], "little")
    return packet[5] & 0x3F, packet[16 : 16 + size]


def _checksum(data: bytes) -> bytes:
    return bytes([-sum(data) & 0xFF])
