"""The page about Home Assistant works: hexa answers its URLs, its templates find what they name, and its switch switches."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
import yaml
from tests.adapters.http.desk import Desk, Objects, ask, open_desk
from tests.docs.pages import DOCS, blocks_of

from hexa.domain.resources.v1alpha1 import GROUPS, MACHINES

READ: Final = "configuration of Home Assistant, which a test reads"
SECRET: Final = "Bearer root"
ACCOUNT: Final = {
    "countedTo": "2026-11-24T12:00:00Z",
    "energyTo": "2026-11-24T12:00:00Z",
    "kWh": 10.0,
    "savedKWh": 2.0,
    "money": 3.0,
    "currency": "EUR",
    "days": {"2026-11-24": {"kWh": 1.0, "money": 0.3, "saved": 0.1}},
}
SITE: Objects = {
    (GROUPS, "homelab", "rack"): {"spec": {"cost": {"pricePerKWh": 0.3}}},
    (MACHINES, "homelab", "box-1"): {
        "labels": {"group": "rack"},
        "spec": {"energy": {"idleWatts": 50}},
        "status": {
            "phase": "Booting",
            "powerState": "on",
            "wakes": 1,
            "firstWake": {"at": "2026-11-24T11:59:00Z"},
            "bootSeconds": [90.0],
            "energy": ACCOUNT,
        },
    },
}
EMPTY: Objects = {(MACHINES, "homelab", "box-1"): {}}
"""A machine of which nothing is known."""


class Loader(yaml.SafeLoader):
    """Knows !secret."""


Loader.add_constructor("!secret", lambda *_: SECRET)


def configuration() -> list[dict[str, Any]]:
    """What the page shows."""
    shown = [each for each in blocks_of(DOCS / "home-assistant.md") if each.unchecked == READ]
    return [yaml.load(each.text, Loader=Loader) for each in shown]  # a safe one


def parts(name: str) -> list[dict[str, Any]]:
    """All entries of an integration."""
    return [entry for each in configuration() for entry in each.get(name, ())]


def path(url: str) -> str:
    """Without the name of the server."""
    found = urlsplit(url)
    assert (found.scheme, found.netloc) == ("https", "hexa.example.org")
    return found.path


def sensors() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each with the path that it reads."""
    for entry in parts("rest"):
        assert entry["headers"] == {"Authorization": SECRET}
        for kind in ("sensor", "binary_sensor"):
            yield from ((path(entry["resource"]), each) for each in entry.get(kind, ()))


def filled(template: str, answer: Any) -> str:
    """As Home Assistant fills it in; a field that the answer lacks fails."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # no page
    return environment.from_string(template).render(value_json=answer)


async def read(desk: Desk, where: str) -> Any:
    """The answer to a GET."""
    answer = await ask(desk.app, "GET", where)
    assert answer.status == 200
    return answer.json


async def test_each_sensor_finds_its_value() -> None:
    """Every template names fields that are there, and what it makes of them is a number, a time or a word."""
    async with open_desk(SITE) as desk:
        values = {}
        for where, sensor in sensors():
            answer = await read(desk, where)
            values[sensor["name"]] = filled(sensor["value_template"], answer)
            assert filled(sensor.get("availability", "True"), answer) == "True", sensor["name"]
            assert set(sensor.get("json_attributes", ())) <= set(answer)
        assert values["box-1 energy"] == "10.0"
        assert values["box-1 energy saved"] == "2.0"
        assert values["box-1 ready at"] == "2026-11-24T12:00:30Z"
        assert values["box-1"] == "True"
        assert (values["Machines power"], values["Machines money today"]) == ("50.0", "0.3")


async def test_a_sensor_without_a_value_is_unavailable_and_not_zero() -> None:
    """Of a machine of which nothing is known no energy, watts or money is shown."""
    async with open_desk(EMPTY) as desk:
        for where, sensor in sensors():
            if sensor.get("device_class") is not None:
                assert filled(sensor["availability"], await read(desk, where)) == "False", sensor["name"]


def test_energy_fits_the_energy_dashboard() -> None:
    """Kilowatt-hours that only grow, as the dashboard wants them; every sensor can be told apart."""
    found = [sensor for _, sensor in sensors()]
    energy = next(each for each in found if each["name"] == "box-1 energy")
    assert (energy["device_class"], energy["state_class"], energy["unit_of_measurement"]) == (
        "energy",
        "total_increasing",
        "kWh",
    )
    names = [each["unique_id"] for each in found]
    assert len(set(names)) == len(names)


async def test_the_switch_switches() -> None:
    """On holds the machine on for a time, off lets go of it; its state is what is held."""
    (switch,) = parts("switch")
    async with open_desk(SITE) as desk:

        async def state() -> str:
            found = await ask(desk.app, "GET", path(switch["state_resource"]))
            return filled(switch["is_on_template"], found.json)

        async def turn(side: str) -> None:
            answer = await ask(desk.app, switch["method"].upper(), path(switch["resource"]), body=switch[side].encode())
            assert answer.status == 200, answer.body

        assert await state() == "False"
        await turn("body_on")
        assert (await state(), (desk.hold("box-1", "homelab") or {})["power"]) == ("True", "on")
        await turn("body_off")
        assert (await state(), desk.hold("box-1", "homelab")) == ("False", None)


async def test_the_command_wakes() -> None:
    """An automation's wake is taken."""
    ((_, command),) = [item for each in configuration() for item in each.get("rest_command", {}).items()]
    async with open_desk(SITE) as desk:
        answer = await ask(desk.app, command["method"].upper(), path(command["url"]), body=command["payload"].encode())
        assert answer.json["changed"]
