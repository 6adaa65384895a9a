"""Devices whose meters lie, and whose answers no one understands. What they answer goes through the real driver of a Shelly plug:
the client, the judgement of figures and the gauge are those of the product. Drawn from a seed of their own; a machine that they
strike gets a plug with a meter, and nothing else of a run changes."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

import httpx
import trio
from msgspec import structs

from hexa.adapters.memory.ports.sensors import MemoryGauge
from hexa.adapters.memory.site.site import Site
from hexa.adapters.power.context import Context
from hexa.adapters.power.gauge import DriverGauge
from hexa.adapters.power.http import HttpPower
from hexa.adapters.power.http_client import Client
from hexa.adapters.power.outlets import Outlet
from hexa.adapters.power.plugs import Shelly
from hexa.domain.resources.power_spec import DriverName, PowerSpec
from hexa.domain.resources.v1alpha1 import Node, Reading
from hexa.ports.power import Power
from tests.faults.script import Act, Box

ODDITY: Final = "deviceOdd"
"""Act: the device of a machine answers so (`value`) for `duration`."""
SPANS: Final = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
BLIPS: Final = (0.3, 1.0, 2.5)
"""Seconds of a figure that no one can tell from a true one: about one sample."""
RUNNING, RESTING, VOLTS = 100.0, 1.0, 230.0

Body = dict[str, Any]
Answer = Callable[[Body, float], Any]
"""The true status of the outlet and the time of the device -> what it answers: a body, or a response."""

FIGURES: Final[dict[str, Answer]] = {
    "negative": lambda status, _: status | {"apower": -status["apower"]},
    "nan": lambda status, _: status | {"apower": "nan"},
    "infinite": lambda status, _: httpx.Response(200, text='{"output": true, "apower": 1e999}'),
    "text": lambda status, _: status | {"apower": "0"},
    "none": lambda status, _: {name: each for name, each in status.items() if name != "apower"},
    "jump": lambda status, _: status | {"apower": 1e6},
    "kilowatts": lambda status, _: status | {"apower": status["apower"] / 1000},
    "invalid": lambda status, _: status | {"apower": 0.0, "errors": ["power_calibration"]},
    "old": lambda status, now: status | {"apower": 0.0, "aenergy": {"minute_ts": now - 3600}},
    "contrary": lambda status, _: status | {"output": False},
    "zero": lambda status, _: status | {"apower": 0.0, "current": 0.0},
}
"""A meter that lies. `zero` is drawn for one sample only."""
ANSWERS: Final[dict[str, Answer]] = {
    "empty": lambda *_: httpx.Response(200),
    "page": lambda *_: httpx.Response(200, text="<html>Off</html>"),
    "list": lambda *_: [],
    "object": lambda *_: {},
    "stateText": lambda status, _: status | {"output": "off"},
    "stateNumber": lambda status, _: status | {"output": 0},
    "bytes": lambda *_: httpx.Response(200, content=b"\xff\xfe{"),
    "away": lambda *_: httpx.Response(302, headers={"location": "http://elsewhere.lan/"}),
    "circle": lambda *_: httpx.Response(302, headers={"location": "/rpc/Switch.GetStatus?id=0"}),
    "missing": lambda *_: httpx.Response(404, text="Not found"),
    "noOutlet": lambda *_: httpx.Response(404, json={"code": -105, "message": "Argument 'id', value 0 not found!"}),
    "unauthorised": lambda *_: httpx.Response(401),
    "unknownMethod": lambda *_: httpx.Response(501),
    "busy": lambda *_: httpx.Response(503),
    "defect": lambda *_: 1 / 0,
    "silent": lambda *_: None,
}
"""Answers that no one understands, and none."""


def draw_devices(seed: int, hurts: float, boxes: tuple[Box, ...]) -> tuple[list[Act], tuple[Box, ...]]:
    """None to two such acts, and the boxes, those with a plug that are struck. Often the network of the machine is away as well:
    nothing but its plug tells then whether it runs."""
    dice = Random(f"devices {seed}")
    acts = [_act(dice, hurts, dice.choice(boxes).name) for _ in range(dice.choices((0, 1, 2), (3, 2, 1))[0])]
    struck = {act.of for act in acts if act.what == ODDITY}
    acts += [_away(dice, act) for act in acts if act.what == ODDITY and dice.random() < 0.4]
    return acts, tuple(structs.replace(box, metered=True) if box.name in struck else box for box in boxes)


def _act(dice: Random, hurts: float, name: str) -> Act:
    at = round(dice.uniform(0, hurts * 0.9), dice.choice((0, 1, 3)))
    if dice.random() < 0.3:
        return Act(at=at, what="oddAnswer", of=name, count=dice.choice((1, 1, 2, 4)))
    kinds = FIGURES if dice.random() < 0.5 else ANSWERS
    value = dice.choice(list(kinds))
    return Act(at=at, what=ODDITY, of=name, value=value, duration=dice.choice(BLIPS if value == "zero" else SPANS))


def _away(dice: Random, act: Act) -> Act:
    """Soon before or after."""
    return Act(
        at=max(0.0, act.at + dice.choice((-60.0, -10.0, 5.0))), what="partition", of=act.of, duration=dice.choice(SPANS)
    )


class Devices(MemoryGauge):
    """`ports.sensors.Gauge`: machines in `metered` are asked by the driver of their plug, the others as ever."""

    def __init__(self, site: Site, metered: set[str]) -> None:
        super().__init__(site)
        self._site, self._metered = site, metered
        self.odd: dict[str, str] = {}
        """How the device of a machine answers now, by machine."""
        self._real = DriverGauge(self._opened, _Secrets(), patience=5.0, clock=site.clock)

    async def read(self, machine: Node, driver: DriverName) -> Reading:
        name = machine.metadata.name
        if name not in self._metered or self._site.machines[name].defects.sensor_blind:
            return await super().read(machine, driver)
        await trio.sleep(self.seconds)
        return await self._real.read(machine, driver)

    @asynccontextmanager
    async def _opened(self, spec: PowerSpec, context: Context) -> AsyncIterator[Power]:
        assert spec.http is not None
        name, address = context.machine, spec.http.address
        context = context.at("http", address)
        transport = httpx.MockTransport(lambda request: self._answer(name, request))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{address}", trust_env=False) as http:
            client = Client(http, context, auth=lambda: None, server_name="")
            yield HttpPower(spec.http, context, [Outlet(address, "0")], {address: Shelly(context, client, client)})

    async def _answer(self, name: str, request: httpx.Request) -> httpx.Response:
        now = self._site.clock.now().timestamp()
        if request.url.path == "/shelly":
            return httpx.Response(200, json={"gen": 2})
        if request.url.path == "/rpc/Sys.GetStatus":
            return httpx.Response(200, json={"unixtime": now})
        odd = self.odd.get(name)
        given = (FIGURES | ANSWERS)[odd](self._status(name, now), now) if odd else self._status(name, now)
        if given is None:
            await trio.sleep_forever()
        return given if isinstance(given, httpx.Response) else httpx.Response(200, json=given)

    def _status(self, name: str, now: float) -> Body:
        """What the plug of the machine would tell."""
        watts = RUNNING if self._site.machines[name].shown_power else RESTING
        figures = {"apower": watts, "voltage": VOLTS, "current": watts / VOLTS}
        return {"id": 0, "output": True, "aenergy": {"minute_ts": now - 30}, **figures}


class _Secrets:
    """Whatever is asked for."""

    async def read(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        return {"username": b"admin", "password": b"test"}
