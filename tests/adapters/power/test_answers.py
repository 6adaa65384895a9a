"""One table of how devices may answer, by family and generation (answers/*.yaml), and what each answer is taken for."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import respx
from puresnmp.pdu import GetResponse, PDUContent, SetRequest
from puresnmp.varbind import VarBind
from tests.adapters.power.devices import PASSWORD
from tests.adapters.power.secrets import context, secret
from x690 import decode
from x690.types import Integer, OctetString, Sequence

from hexa.adapters.power import ipmi, pdu, rmcp
from hexa.adapters.power.context import Context
from hexa.domain.errors import HexaError, Unavailable
from hexa.domain.resources.power_spec import PowerSpec
from hexa.wiring_power import open_ways
from hexa.yaml import read_documents

ANSWERS = Path(__file__).parent / "answers"
ADDRESSES = {"redfish": "https://bmc.lan", "http": "http://plug.lan", "pdu": "127.0.0.1", "ipmi": "127.0.0.1"}
SIZES = {"shelly": 20, "tasmota": 15, "template": 8, "redfish": 20, "pdu": 15, "ipmi": 12}


def table(name: str) -> list[dict[str, Any]]:
    """The rows of one family."""
    (document,) = read_documents((ANSWERS / f"{name}.yaml").read_text(encoding="utf-8"), source=name)
    rows: list[dict[str, Any]] = document.value
    return rows


ROWS = [pytest.param(row, id=f"{name}: {row['name']}") for name in SIZES for row in table(name)]


def spec_of(row: dict[str, Any]) -> PowerSpec:
    """The row's settings, with an address."""
    ((driver, settings),) = row["settings"].items()
    return msgspec.convert({driver: {"address": ADDRESSES[driver], **settings}}, PowerSpec)


class Server:
    """Answers HTTP as a row says; whatever it does not say is 404."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.asked: list[str] = []
        self.elsewhere: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        self.asked.append(f"{request.method} {target}")
        if request.url.host not in ("bmc.lan", "plug.lan"):
            self.elsewhere.append(str(request.url))
        said = self.row["answers"].get(f"{request.method} {target}", {"status": 404, "body": {}})
        if "token" in said and request.headers.get("X-Auth-Token") == "pl4nted-t0ken":
            said = said["token"]
        body = said.get("body", "")
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(
            said.get("status", 200), headers=said.get("headers"), content=content.encode(said.get("encoding", "utf-8"))
        )


class Agent:
    """An SNMP agent in place of the sender: it answers as a row says."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.values = {str(oid): value for oid, value in row["values"].items()}
        self.written: dict[str, Any] = {}

    def __call__(self, _: Context) -> "Agent":
        return self

    async def send(self, endpoint: Any, packet: bytes, **_: Any) -> bytes:
        version, community, question = list(decode(packet)[0])
        answers, error = [], 0
        for each in question.value.varbinds:
            oid = str(each.oid).lstrip(".")
            if isinstance(question, SetRequest):
                self.written[oid] = each.value.pythonize()
                answers.append(each)
            elif oid in self.values:
                value = self.values[oid]
                answers.append(
                    VarBind(each.oid, Integer(value) if isinstance(value, int) else OctetString(value.encode()))
                )
            else:
                error = 2
                answers.append(each)
        content = PDUContent(question.value.request_id, answers, error_status=error, error_index=1 if error else 0)
        return bytes(Sequence([version, community, GetResponse(content)]))


SENT = {
    "nothing": lambda whole: b"",
    "a page": lambda whole: b"<html>",
    "noughts": lambda whole: bytes(40),
    "half": lambda whole: whole[: len(whole) // 2],
    "another outlet": lambda whole: whole.replace(b"\x09\x01\x04\x02", b"\x09\x01\x05\x02"),
}
"""What comes instead of the whole answer."""


class Bmc:
    """A session whose commands are answered as a row says."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row

    async def ask(self, question: Any, understand: Any) -> bytes:
        if "code" in self.row:
            raise rmcp.CommandRefused(self.row["code"])
        return bytes.fromhex(self.row["data"])

    async def tell(self, packet: bytes) -> None: ...

    def next(self) -> None: ...

    def closing(self) -> bytes:
        return b""


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Secrets for every family."""
    folder = tmp_path_factory.mktemp("secrets")
    secret(folder, "bmc", username="hexa", password=PASSWORD)
    secret(folder, "plug", password=PASSWORD)
    secret(folder, "pdu", community="pl4nted-community")
    return folder


@pytest.fixture
def here(secrets: Path) -> Context:
    """A context of its own: nothing that was learned of another device."""
    return context(secrets)


@pytest.fixture
def other_side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The device of the row."""
    row = request.param
    server, agent, bmc = Server(row), Agent({"values": {}, **row}), Bmc(row)

    async def log_in(self: Any, line: Any) -> Any:
        return ipmi._Session(bmc, self._context, bmc)  # type: ignore[arg-type]

    class Sender:
        def __init__(self, _: Any) -> None: ...

        __call__ = staticmethod(agent.send)

    monkeypatch.setattr(ipmi.IpmiPower, "_log_in", log_in)
    monkeypatch.setattr(pdu, "_Sender", Sender)
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=server.answer)
        yield row, server, agent


async def asked(spec: PowerSpec, here: Context) -> str | HexaError:
    """What is read, or why nothing is."""
    try:
        async with open_ways(spec, here) as ways:
            assert ways.sense is not None
            return str(await ways.sense.sense()).lower()
    except HexaError as error:
        return error


@pytest.mark.parametrize("other_side", ROWS, indirect=True)
async def test_failures_58_and_59_how_each_device_may_answer(other_side: Any, here: Context) -> None:
    """Each answer of the table is read for what it is: on, off, not known now with its true reason and worth another try, or proven
    wrong at once. Nobody else is asked, no session is left open, and no secret is told."""
    row, server, _ = other_side
    found = await asked(spec_of(row), here)
    if isinstance(found, HexaError):
        wanted = row.get("fails", {})
        assert (found.reason, isinstance(found, Unavailable)) == (wanted.get("reason"), wanted.get("retry")), str(found)
        assert re.search(wanted.get("says", ""), str(found)), str(found)
        assert "pl4nted" not in str(found)
    else:
        assert found == row.get("reads")
    assert not server.elsewhere
    opened = [line for line in server.asked if line.startswith("POST") and "Sessions" in line]
    assert len(opened) <= 2
    if "closed" in row:
        assert server.asked[-1] == f"DELETE {row['closed']}"


def test_the_table_has_no_family_without_generations() -> None:
    """Every family is there with several generations of firmware."""
    assert {name: len(table(name)) >= least for name, least in SIZES.items()} == dict.fromkeys(SIZES, True)


WRITES: dict[str, Any] = {
    "name": "writes",
    "values": {},
    "settings": {
        "pdu": {
            "outlets": ["4"],
            "secretName": "pdu",
            "oids": {
                "state": "1.3.6.1.9.1",
                "onState": "closed",
                "offState": "open",
                "controlOn": "1.3.6.1.9.2",
                "controlOff": "1.3.6.1.9.3.{outlet}.0",
                "turnOn": "1",
                "turnOff": "open",
            },
        }
    },
}


def reset(body: dict[str, Any]) -> dict[str, Any]:
    """A controller that answers a reset with status 200 and this body."""
    actions = {"#ComputerSystem.Reset": {"target": "/reset"}}
    return {
        "settings": {"redfish": {"secretName": "bmc", "system": "1"}},
        "answers": {
            "GET /redfish/v1/Systems/1": {"body": {"PowerState": "Off", "Actions": actions}},
            "POST /reset": {"body": body},
        },
    }


def told(code: str, **message: str) -> dict[str, Any]:
    """A body in the form of an error."""
    return {"error": {"code": code, "message": "It has failed.", "@Message.ExtendedInfo": [message] if message else []}}


@pytest.mark.parametrize(
    ("other_side", "fails"),
    [
        (reset(told("Base.1.8.GeneralError")), True),
        (reset(told("iLO.0.10.ExtendedInfo", MessageId="iLO.2.14.InvalidPower", Severity="Critical")), True),
        (reset(told("iLO.0.10.ExtendedInfo", MessageId="Base.1.4.Success")), False),
        (reset(told("Base.1.0.GeneralError", MessageID="Base.0.10.Success")), False),
        (reset(told("iLO.0.10.ExtendedInfo", MessageId="iLO.2.14.ResetInProgress", Severity="Warning")), False),
        (reset({"Success": {"code": "Base.v1_4_0.Success"}}), False),
    ],
    indirect=["other_side"],
)
async def test_a_reset_that_failed_with_status_200(other_side: Any, here: Context, fails: bool) -> None:
    """What the body of an answer tells of a reset counts, in the controller's words; the form of an error alone does not."""
    row, server, _ = other_side
    async with open_ways(spec_of(row), here) as ways:
        assert ways.on is not None
        with pytest.raises(Unavailable, match="the reset On was answered by") if fails else nullcontext():
            await ways.on.turn_on()
    assert server.asked[-1] == "POST /reset"


@pytest.mark.parametrize("other_side", [WRITES], indirect=True)
async def test_failure_59_outlets_of_control_for_on_and_off(other_side: Any, here: Context) -> None:
    """On and off are written where each belongs, a number as a number and a word as a text."""
    row, _, agent = other_side
    async with open_ways(spec_of(row), here) as ways:
        assert ways.on is not None
        assert ways.cut is not None
        await ways.on.turn_on()
        await ways.cut.cut()
    assert agent.written == {"1.3.6.1.9.2.4": 1, "1.3.6.1.9.3.4.0": b"open"}


@pytest.mark.parametrize("other_side", [{**WRITES, "values": {"1.3.6.1.9.1.4": 2}}], indirect=True)
@pytest.mark.parametrize("sent", SENT)
async def test_failure_59_what_is_no_snmp_or_about_another_outlet_is_no_reading(
    other_side: Any, here: Context, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are no answer, and the state of another outlet, are told as that, and are asked for again."""
    row, _, _agent = other_side
    spec = spec_of(row)
    assert spec.pdu is not None
    oids = msgspec.structs.replace(spec.pdu.oids, on_state=1, off_state=2)  # type: ignore[type-var]
    spec = msgspec.structs.replace(spec, pdu=msgspec.structs.replace(spec.pdu, oids=oids))
    assert await asked(spec, here) == "off"
    whole = pdu._Sender.__call__

    async def send(endpoint: Any, packet: bytes, **_: Any) -> bytes:
        return SENT[sent](await whole(endpoint, packet))  # type: ignore[call-arg,arg-type]

    monkeypatch.setattr(pdu._Sender, "__call__", staticmethod(send))
    found = await asked(spec, here)
    assert isinstance(found, Unavailable), found
    assert found.reason == "DeviceError"
    assert ("about another OID" in str(found)) is (sent == "another outlet")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Chassis Power is off", "off"),
        ("on", "on"),
        ("unknown", "unknown"),
        ("can't tell whether it is on or off", Unavailable),
        ("power is not off", Unavailable),
        ("Error: off", Unavailable),
        ("ping timed out, so it is off", Unavailable),
        ("state (on/off): off", Unavailable),
        ("worker-01: outlet 7 is off", "off"),
    ],
)
async def test_failure_41_a_sentence_of_a_script_that_may_not_mean_off(
    said: str, expected: Any, here: Context, tmp_path: Path
) -> None:
    """The last word counts, but off in a sentence that may say something else is not believed."""
    (tmp_path / "said").write_text(said)
    spec = msgspec.convert({"script": {"command": ["/bin/sh", "-c", f"cat {tmp_path}/said"]}}, PowerSpec)
    found = await asked(spec, here)
    assert found == expected if isinstance(expected, str) else isinstance(found, expected)
