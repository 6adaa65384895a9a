"""A real HTTP server on loopback that answers in the recorded shapes of plugs, relays and a management controller."""

import base64
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

CERTS = Path(__file__).parents[1] / "certs"
PASSWORD = "pl4nted-p4ssword"


class Device:
    """What the server speaks for: its kind, its outlets, and what it was asked."""

    def __init__(self, kind: str, *, protected: bool = True) -> None:
        self.kind, self.protected = kind, protected
        self.outlets = {0: False, 1: False}
        self.watts, self.kwh = 0.0, 0.0
        self.parts: dict[str, Any] = {}
        """More resources of a management controller, by path."""
        self.asked: list[str] = []
        self.url = ""
        self.reset_status = 204
        self.resets = ["On", "ForceOff", "GracefulShutdown"]
        self.info = ""  # where it lists them instead of beside the action
        self.state = ""

    def answer(self, method: str, target: str, headers: Any, body: Any) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers."""
        self.asked.append(f"{method} {target}")
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        open_paths = ("/shelly", "/redfish/v1/")
        if self.protected and parts.path not in open_paths and not self._knows(method, target, headers):
            return 401, {}, {"WWW-Authenticate": self._challenge()}
        status, answer = getattr(self, self.kind)(parts.path, query, body)
        return status, answer, {}

    def shelly_1(self, path: str, query: dict[str, str], _: Any) -> tuple[int, Any]:
        """SHPLG-S, firmware 1.14."""
        if path == "/shelly":
            return 200, {"type": "SHPLG-S", "mac": "E09806AABBCC", "auth": True, "fw": "20230913-113421/v1.14.0"}
        if path == "/status":
            return 200, {
                "relays": [],
                "meters": [{"power": self.watts, "is_valid": True, "total": self.kwh * 60_000}] * 2,
            }
        if not path.startswith("/relay/") or int(path[7:]) not in self.outlets:
            return 404, "Not found"
        if "turn" in query:
            self.outlets[int(path[7:])] = query["turn"] == "on"
        return 200, {"ison": self.outlets[int(path[7:])], "has_timer": False, "source": "http"}

    def shelly_2(self, path: str, query: dict[str, str], _: Any) -> tuple[int, Any]:
        """SNPL-00112EU, firmware 1.0."""
        if path == "/shelly":
            return 200, {"id": "shellyplusplugs-aabb", "gen": 2, "ver": "1.0.8", "app": "PlusPlugS", "auth_en": True}
        number = int(query.get("id", -1))
        if number not in self.outlets:
            return 404, {"code": -105, "message": f"Argument 'id', value {number} not found!"}
        if path == "/rpc/Switch.Set":
            was, self.outlets[number] = self.outlets[number], query["on"] == "true"
            return 200, {"was_on": was}
        status = {"id": number, "source": "HTTP_in", "output": self.outlets[number], "apower": self.watts}
        return 200, status | {"aenergy": {"total": self.kwh * 1000}}

    def tasmota(self, path: str, query: dict[str, str], _: Any) -> tuple[int, Any]:
        """Tasmota 13 on a plug with a meter."""
        command = query.get("cmnd", "")
        if command == "Status 10":
            return 200, {
                "StatusSNS": {
                    "Time": "2024-01-01T00:00:00",
                    "ENERGY": {"Power": [self.watts] * 2, "Voltage": 230, "Total": [self.kwh] * 2},
                }
            }
        name, _, argument = command.partition(" ")
        number = int(name.removeprefix("Power")) - 1
        if path != "/cm" or number not in self.outlets:
            return 200, {"Command": "Unknown"}
        if argument:
            self.outlets[number] = argument == "On"
        return 200, {f"POWER{number + 1}": "ON" if self.outlets[number] else "OFF"}

    def relay(self, path: str, _: dict[str, str], body: Any) -> tuple[int, Any]:
        """Something home-made."""
        number = int(path.rpartition("/")[2])
        if body:
            self.outlets[number] = body["power"] == "on"
        return 200, {"relays": {str(number): {"state": "on" if self.outlets[number] else "off", "w": self.watts}}}

    def redfish(self, path: str, _: dict[str, str], body: Any) -> tuple[int, Any]:
        """One system, and its reset."""
        system = "/redfish/v1/Systems/1"
        if path == "/redfish/v1/Systems":
            return 200, {"Members": [{"@odata.id": system}]}
        if path == f"{system}/Actions/ComputerSystem.Reset":
            if self.reset_status < 300:
                self.outlets[0] = body["ResetType"] == "On"
            detail = {"error": {"@Message.ExtendedInfo": [{"Message": "The chassis is busy."}]}}
            return self.reset_status, detail if self.reset_status >= 300 else None
        if path == f"{system}/ResetActionInfo" and self.info:
            return 200, {
                "Parameters": [{"Name": "ResetType", "DataType": "String", "AllowableValues": self.resets}],
            }
        if path in self.parts:
            return 200, self.parts[path]
        if path != system:
            return 404, {}
        types = {"@Redfish.ActionInfo": self.info} if self.info else {"ResetType@Redfish.AllowableValues": self.resets}
        reset = {"target": f"{system}/Actions/ComputerSystem.Reset", **types}
        state = self.state or ("On" if self.outlets[0] else "Off")
        return 200, {
            "Id": "1",
            "PowerState": state,
            "Actions": {"#ComputerSystem.Reset": reset},
            **self.parts.get(system, {}),
        }

    def _challenge(self) -> str:
        digest = 'Digest qop="auth", realm="shellyplusplugs-aabb", nonce="60dc2c69", algorithm=SHA-256'
        return digest if self.kind == "shelly_2" else 'Basic realm="device"'

    def _knows(self, method: str, target: str, headers: Any) -> bool:
        given = headers.get("Authorization", "")
        if self.kind != "shelly_2":
            return given == "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        pairs = (part.strip().partition("=") for part in given.removeprefix("Digest ").split(","))
        said = {key: value.strip('"') for key, _, value in pairs}
        known = _sha256("admin:shellyplusplugs-aabb:" + PASSWORD)
        words = (known, said.get("nonce"), said.get("nc"), said.get("cnonce"), "auth", _sha256(f"{method}:{target}"))
        return said.get("response") == _sha256(":".join(map(str, words)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def serving(device: Device, *, tls: bool = False) -> Iterator[Device]:
    """The device on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two packets: the second would wait 40 ms

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer, headers = device.answer(
                self.command, self.path, self.headers, json.loads(body) if body else None
            )
            text = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _any  # noqa: N815 - http.server's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTS / "server.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    device.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield device
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
