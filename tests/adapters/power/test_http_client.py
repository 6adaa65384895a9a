"""Where questions by HTTP go, what goes with them, and what a press of a button is."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from tests.adapters.power.devices import PASSWORD
from tests.adapters.power.secrets import context, secret

from hexa.adapters.power.context import Context
from hexa.adapters.power.http import open_power as open_plug
from hexa.adapters.power.redfish import open_power as open_bmc
from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.resources.power_spec import Http, HttpRequest, HttpTemplate, Redfish
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import HardPower

Answer = Callable[[httpx.Request], httpx.Response]
SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
SESSIONS = "/redfish/v1/SessionService/Sessions"
BMC = Redfish(address="https://bmc.lan", secret_name="bmc", system=SYSTEM)


@pytest.fixture
def here(tmp_path: Path) -> Context:
    """The Secrets of a BMC and a plug."""
    secret(tmp_path, "bmc", username="hexa", password=PASSWORD)
    secret(tmp_path, "plug", password=PASSWORD)
    return context(tmp_path)


class Wire:
    """All that is asked of anybody, answered by one function."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Answer = lambda _: httpx.Response(404)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)

    @property
    def lines(self) -> list[str]:
        return [f"{each.method} {each.url.raw_path.decode()}" for each in self.requests]


@pytest.fixture
def wire() -> Iterator[Wire]:
    """What is sent, whoever it is for."""
    wire = Wire()
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=wire)
        yield wire


def system(power: str) -> httpx.Response:
    """A system and its reset."""
    action = {"target": RESET, "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown"]}
    return httpx.Response(200, json={"PowerState": power, "Actions": {"#ComputerSystem.Reset": action}})


@pytest.mark.parametrize(
    ("status", "location", "repeated"),
    [
        (308, f"{RESET}/", True),
        (307, f"{RESET}/", True),
        (308, "https://bmc.lan:443/other", True),
        (301, f"{RESET}/", True),
        (302, f"https://bmc.lan{RESET}/", True),
        (301, "/login", False),
        (303, f"{RESET}/", False),
        (308, f"http://bmc.lan{RESET}/", False),
        (308, f"https://bmc.lan:8443{RESET}/", False),
        (308, f"https://elsewhere.lan{RESET}/", False),
        (307, f"//elsewhere.lan{RESET}/", False),
        (307, "https://[bad", False),
    ],
)
async def test_failure_58_a_reset_follows_a_redirect_at_home_only(
    wire: Wire, here: Context, status: int, location: str, repeated: bool
) -> None:
    """A redirected reset is sent again with its body where the method is kept or a slash was missing, on the same scheme, host and
    port; nobody else is asked anything."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return system("Off")
        if request.url.path == RESET:
            return httpx.Response(status, headers={"Location": location})
        return httpx.Response(204)

    wire.answer = answer
    async with open_bmc(BMC, here) as power:
        if repeated:
            await power.turn_on()
        else:
            with pytest.raises(HexaError, match=r"it redirects to |a redirect to another address"):
                await power.turn_on()
    assert {(each.url.scheme, each.url.host, each.url.port) for each in wire.requests} == {("https", "bmc.lan", None)}
    posts = [each for each in wire.requests if each.method == "POST"]
    assert len(posts) == (2 if repeated else 1)
    assert all(json.loads(each.content) == {"ResetType": "On"} for each in posts)
    assert all(each.headers["Authorization"].startswith("Basic ") for each in posts)


class Tokens:
    """A controller that takes session tokens only."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.logins = 0
        self.power = "Off"
        self.broken = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.headers.get("X-Auth-Token", "")
        if request.url.path == SESSIONS and request.method == "POST":
            assert json.loads(request.content) == {"UserName": "hexa", "Password": PASSWORD}
            assert "Authorization" not in request.headers
            self.logins += 1
            self.open.append(f"pl4nted-{self.logins}")
            place = f"https://bmc.lan{SESSIONS}/{self.logins}"
            return httpx.Response(201, headers={"X-Auth-Token": self.open[-1], "Location": place}, json={})
        if token not in self.open:
            return httpx.Response(401)
        if request.method == "DELETE":
            self.open.remove(token)
            return httpx.Response(204)
        if self.broken:
            return httpx.Response(500, json={"error": {"message": f"bad token {token}"}})
        if request.method == "POST":
            self.power = "On"
        return system(self.power)


async def test_failure_58_a_session_is_used_again_and_closed(wire: Wire, here: Context) -> None:
    """A controller that takes no Basic authentication gets one login for all questions, no second Basic, a new login where the
    token has ended, and a logout also after an error; the token is told nowhere."""
    wire.answer = bmc = Tokens()
    async with open_bmc(BMC, here) as power:
        await power.turn_on()
        assert await power.sense() is Reading.ON
        assert bmc.logins == 1
        bmc.open.clear()  # it restarted
        assert await power.sense() is Reading.ON
        assert (bmc.logins, len(bmc.open)) == (2, 1)
    assert bmc.open == []
    basics = sum("Authorization" in each.headers for each in wire.requests)
    assert basics == 1
    bmc.broken = True
    with pytest.raises(Unavailable, match=r"status 500 \(\"bad token \*\*\*\"\)"):
        async with open_bmc(BMC, here) as power:
            await power.sense()
    assert bmc.open == []
    assert sum("Authorization" in each.headers for each in wire.requests) == basics


async def test_failure_58_a_wrong_password_is_tried_once(wire: Wire, here: Context) -> None:
    """A controller that asks for Basic and refuses what it is given is asked no second time, for it may lock the account."""
    wire.answer = lambda _: httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="bmc"'})
    async with open_bmc(BMC, here) as power:
        with pytest.raises(Refused, match="the user or the password is wrong"):
            await power.sense()
    assert len(wire.requests) == 1


async def test_failure_59_a_password_in_the_url_is_logged_nowhere(
    wire: Wire, here: Context, caplog: pytest.LogCaptureFixture
) -> None:
    """Firmware that takes it nowhere else gets it there where the settings say so, and only there."""
    caplog.set_level(logging.DEBUG)
    wire.answer = lambda _: httpx.Response(200, json={"POWER": "ON"})
    plug = Http(address="http://plug.lan", device="tasmota", secret_name="plug", login="query")
    async with open_plug(plug, here) as power:
        assert await power.sense() is Reading.ON
    assert dict(wire.requests[0].url.params) == {"user": "admin", "password": PASSWORD, "cmnd": "Power1"}
    assert "Authorization" not in wire.requests[0].headers
    assert PASSWORD not in caplog.text
    wire.answer = lambda request: httpx.Response(500, json={"error": {"message": str(request.url)}})
    async with open_plug(plug, here) as power:
        with pytest.raises(Unavailable) as raised:
            await power.sense()
    assert PASSWORD not in f"{raised.value}{caplog.text}"


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="x", nonce="1", algorithm=SHA-512-256, qop="auth"',
        'Digest realm="x", nonce="1", qop="auth-int"',
        'Digest realm="x", nonce="\xff", qop="auth"',
    ],
)
async def test_failure_59_a_login_of_an_unknown_kind_is_told_as_that(wire: Wire, here: Context, challenge: str) -> None:
    """A plug that wants of Digest what nobody foresaw: it may be another answer soon, and no defect of the driver."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/shelly":
            return httpx.Response(200, json={"gen": 2})
        return httpx.Response(401, headers=[(b"WWW-Authenticate", challenge.encode("latin-1"))])

    wire.answer = answer
    async with open_plug(Http(address="http://plug.lan", device="shelly", secret_name="plug"), here) as power:
        with pytest.raises(Unavailable, match="a login of a kind that is not known"):
            await power.sense()


@pytest.mark.parametrize("host", ["a" * 70 + ".lan", "b\xfccher..lan", "xn--.lan", "x" * 300])
async def test_an_address_that_is_no_name_of_a_host_is_told_by_every_driver(here: Context, host: str) -> None:
    """It is the address that is to be corrected, and nothing is tried again: the network needs no repair, and no driver either."""
    with pytest.raises(Refused, match="its address is no URL"):
        async with open_plug(Http(address=f"http://{host}", device="shelly"), here) as power:
            await power.sense()
    with pytest.raises(HexaError) as raised:
        await here.resolved(host)
    assert raised.value.reason in ("BadAddress", "UnknownHost")


TEMPLATE = HttpTemplate(turn_on=HttpRequest(path="/click", method="POST"), turn_off=HttpRequest(path="/off"))


@pytest.mark.parametrize(
    ("device", "about", "lines"),
    [
        ("shelly", {"type": "SHSW-1"}, ["GET /shelly", "GET /relay/0?turn=on&timer=1"]),
        ("shelly", {"gen": 2}, ["GET /shelly", "GET /rpc/Switch.Set?id=0&on=true&toggle_after=1"]),
        (
            "tasmota",
            {"POWER": "OFF"},
            ["GET /cm?cmnd=Power1", "GET /cm?cmnd=Backlog+Power1+On%3B+Delay+5%3B+Power1+Off"],
        ),
        ("template", {}, ["POST /click"]),
    ],
)
async def test_failure_49_a_press_closes_the_contact_for_a_moment(
    wire: Wire, here: Context, device: Any, about: dict[str, Any], lines: list[str]
) -> None:
    """On and off are the same short press, timed by the device, so that a lost packet holds no button down; nothing is cut."""
    wire.answer = lambda _: httpx.Response(200, json=about or {"ok": True})
    template = TEMPLATE if device == "template" else None
    relay = Http(address="http://plug.lan", device=device, template=template, toggle=True)
    for off in (False, True):
        async with open_plug(relay, here) as power:
            await (power.turn_off() if off else power.turn_on())
            assert isinstance(power, HardPower)
            with pytest.raises(Refused, match="a button cuts no power"):
                await power.cut()
    assert wire.lines == lines * 2


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"on_pattern": "(["}, "is not a regular expression"),
        ({"device": "shelly", "login": "query"}, "query is for device tasmota"),
    ],
)
async def test_settings_that_cannot_be_used_are_told_before_anybody_is_asked(
    wire: Wire, here: Context, more: dict[str, Any], says: str
) -> None:
    """A pattern that is none, or a login that the device does not have."""
    with pytest.raises(Refused, match=says):
        async with open_plug(Http(**{"address": "http://plug.lan", "device": "tasmota", **more}), here):
            pass
    assert not wire.requests
