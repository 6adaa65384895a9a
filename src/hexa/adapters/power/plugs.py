"""The languages of plugs and relays by HTTP: Shelly, Tasmota, requests of one's own. What they answer is judged in `outlets`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hexa.adapters.power.context import Context
from hexa.adapters.power.http_client import Answer, Client, credentials
from hexa.adapters.power.measurements import Figure, answered_at, dig, figure, measured, moment, product, shown, unfed
from hexa.adapters.power.outlets import Fed, fed
from hexa.domain.duration import parse_duration
from hexa.domain.errors import HexaError
from hexa.domain.resources.power_spec import Http, HttpRequest, HttpStatus, HttpTemplate
from hexa.domain.resources.v1alpha1 import Reading
from hexa.ports.power import UNMEASURED, Measurement

USER: Final = "admin"
"""Of Shelly and Tasmota."""

NO_METER: Final = frozenset({"SHSW-1", "SHSW-L"})
"""First generation without a meter: what it tells as power is a number that its owner typed in."""

CUTS: Final = frozenset({"overtemp", "overpower", "overvoltage", "undervoltage", "overcurrent"})
"""Errors of a Shelly for which it switched off: its figures are right."""

METER_AGE: Final = 180.0
"""Seconds after which the figure of a Shelly is too old: it renews them each minute and oftener."""

ZONE: Final = 900.0
"""Seconds: time zones are multiples of a quarter of an hour. The first generation writes a meter's time in local time."""

DIGITS: Final = re.compile(r"[0-9]{1,9}")

WATT_HOURS: Final = 1000.0
WATT_MINUTES: Final = 60_000.0
"""Of a kilowatt-hour. Relays of the first generation count these."""

MAX_AGE: Final = 120.0
"""Seconds, where the settings don't say (hexa.domain.resources.power_spec)."""


class Shelly:
    """Generation 1: /relay/N with Basic authentication. From generation 2 on: /rpc/Switch.* with Digest."""

    def __init__(self, context: Context, old: Client, new: Client) -> None:
        self._context, self._old, self._new = context, old, new
        self._generation = 0
        self._meters = True

    async def switch(self, outlet: str, wanted: Reading) -> None:
        await self._set(outlet, on=wanted is Reading.ON)

    async def press(self, outlet: str) -> None:
        await self._set(outlet, on=True, pulse=True)

    async def _set(self, outlet: str, *, on: bool, pulse: bool = False) -> None:
        number = _number(self._context, outlet)
        if await self._is_new():
            path = f"/rpc/Switch.Set?id={number}&on={str(on).lower()}{'&toggle_after=1' if pulse else ''}"
            await self._ask(self._new, path, outlet, asks=False)
        else:
            path = f"/relay/{number}?turn={'on' if on else 'off'}{'&timer=1' if pulse else ''}"
            await self._ask(self._old, path, outlet, asks=False)

    async def read(self, outlet: str, *, metered: bool) -> Fed:
        number = _number(self._context, outlet)
        if await self._is_new():
            status = await self._ask(self._new, f"/rpc/Switch.GetStatus?id={number}", outlet)
            state, doubt = _truth(status.get("output"))
            return fed(
                state,
                await self._new_figure(status, metered=metered),
                doubt=doubt,
                apparent=product(status.get("voltage"), status.get("current")),
            )
        relay = await self._ask(self._old, f"/relay/{number}", outlet)
        if not metered:
            state, doubt = _truth(relay.get("ison"))
            return Fed(state, doubt=doubt)
        status = await self._ask(self._old, "/status", outlet)
        meter = dig(status, "meters", number) or dig(status, "emeters", number)
        state, doubt = _truth(relay.get("ison"))
        apparent = product(dig(meter, "voltage"), dig(meter, "current"))
        return fed(state, self._old_figure(relay, meter, status.get("unixtime")), doubt=doubt, apparent=apparent)

    async def measure(self, outlet: str) -> Measurement:
        number = _number(self._context, outlet)
        if await self._is_new():
            status = await self._ask(self._new, f"/rpc/Switch.GetStatus?id={number}", outlet)
            return measured(status.get("apower"), dig(status, "aenergy", "total"), per_kwh=WATT_HOURS)
        if not self._meters:
            return UNMEASURED
        status = await self._ask(self._old, "/status", outlet)
        meter, emeter = dig(status, "meters", number), dig(status, "emeters", number)
        per_kwh = WATT_MINUTES if meter is not None else WATT_HOURS
        meter = emeter if meter is None else meter
        return measured(dig(meter, "power"), dig(meter, "total"), per_kwh=per_kwh)

    async def _new_figure(self, status: Mapping[str, Any], *, metered: bool) -> Figure:
        errors = status.get("errors")
        faults = [str(each) for each in errors if str(each) not in CUTS] if isinstance(errors, list) else []
        if faults:
            return Figure(doubt=f"its meter reports an error ({', '.join(faults)})")
        begun = moment(dig(status, "aenergy", "minute_ts"))
        if metered and begun is not None:
            about = await self._new.ask("GET", "/rpc/Sys.GetStatus")
            now = moment(dig(about.json(), "unixtime"))
            if now is not None and now - begun > METER_AGE:
                return Figure(doubt=f"its watts are {now - begun:.0f} s old by its own clock")
        return unfed(figure(status.get("apower")), status.get("voltage"))

    def _old_figure(self, relay: Mapping[str, Any], meter: Any, now: Any) -> Figure:
        if not self._meters:
            return Figure(doubt="it has no meter: the power that it reports was entered by hand")
        if any(valid is not None and valid is not True for valid in (dig(meter, "is_valid"), relay.get("is_valid"))):
            return Figure(doubt="its meter says that the figure is not valid")
        told, clock = moment(dig(meter, "timestamp")), moment(now)
        age = (clock - told) % ZONE if told is not None and clock is not None else 0.0
        if METER_AGE < age < ZONE - METER_AGE:  # a clock may be a little ahead
            return Figure(doubt=f"its watts are {age:.0f} s old, or more, by its own clock")
        return unfed(figure(dig(meter, "power")), dig(meter, "voltage"))

    async def _is_new(self) -> bool:
        """Which generation it is: /shelly tells, and needs no password."""
        if not self._generation:
            answer = await self._old.ask("GET", "/shelly")
            about = answer.json()
            known = isinstance(about, dict) and ("gen" in about or "type" in about)
            if not known and (not about or not answer.ok) and answer.status != 404:
                raise self._old.odd(answer, "asking for its generation")
            if not known:
                raise self._context.refused("it is no Shelly", "correct its address or device", reason="WrongDevice")
            counted = about.get("num_meters", 1), about.get("num_emeters", 0)
            self._meters = str(about.get("type")) not in NO_METER and counted != (0, 0)
            self._generation = int(gen) if DIGITS.fullmatch(gen := str(about.get("gen", 1))) else 1
        return self._generation > 1

    async def _ask(self, client: Client, path: str, outlet: str, *, asks: bool = True) -> Mapping[str, Any]:
        """The answer; only one that is to tell something needs a body."""
        answer = await client.ask("GET", path)
        body = answer.json()
        if self._lacks_outlet(answer, body):
            raise _no_outlet(self._context, outlet)
        if not answer.ok or (asks and (not isinstance(body, dict) or not body)):
            raise client.odd(answer, "the request")
        return body if isinstance(body, dict) else {}

    def _lacks_outlet(self, answer: Answer, body: Any) -> bool:
        """That there is no such outlet, in its own words: a 404 of one that still starts has none."""
        said = answer.text.lower()
        if self._generation > 1:
            return answer.status in (400, 404, 500) and (dig(body, "code") == -105 or "argument 'id'" in said)
        return answer.status == 404 or (answer.status in (400, 500) and "id" in said)


class Tasmota:
    """/cm?cmnd=PowerN with Basic authentication; with the password in the URL only where the settings ask for it."""

    def __init__(self, context: Context, client: Client, settings: Http) -> None:
        self._context, self._client, self._settings = context, client, settings
        client.hint = (
            ""
            if settings.login == "query"
            else ", or update its firmware: before 9.3 it takes no Basic "
            "authentication (login: query puts the password into the URL for those)"
        )

    async def switch(self, outlet: str, wanted: Reading) -> None:
        await self._power(outlet, " On" if wanted is Reading.ON else " Off")

    async def press(self, outlet: str) -> None:
        number = _number(self._context, outlet)
        await self._power(outlet, "")  # the outlet must be there
        await self._command(f"Backlog Power{number} On; Delay 5; Power{number} Off")  # Delay counts tenths of a second

    async def read(self, outlet: str, *, metered: bool) -> Fed:
        state = await self._power(outlet, "")
        reading = _matched(state, on=self._settings.on_pattern, off=self._settings.off_pattern)
        doubt = f"its state is {shown(state)}: set onPattern and offPattern" if reading is Reading.UNKNOWN else ""
        if not metered:
            return Fed(reading, doubt=doubt)
        meter = dig(await self._command("Status 10"), "StatusSNS", "ENERGY")
        index = _number(self._context, outlet) - 1
        watts, volts, amperes = (_of_outlet(dig(meter, name), index) for name in ("Power", "Voltage", "Current"))
        apparent = _of_outlet(dig(meter, "ApparentPower"), index)
        return fed(
            reading, unfed(figure(watts), volts), doubt=doubt, apparent=product(apparent, 1) or product(volts, amperes)
        )

    async def measure(self, outlet: str) -> Measurement:
        meter, index = dig(await self._command("Status 10"), "StatusSNS", "ENERGY"), _number(self._context, outlet) - 1
        if index > 0 and not isinstance(dig(meter, "Power"), list):
            return UNMEASURED  # one meter of several outlets
        return measured(*(_of_outlet(dig(meter, name), index) for name in ("Power", "Total")))

    async def _power(self, outlet: str, argument: str) -> str:
        number = _number(self._context, outlet)
        body = await self._command(f"Power{number}{argument}")
        state = body.get(f"POWER{number}", body.get("POWER") if number == 1 else None)
        if state is None and body.get("Command") in ("Unknown", "Error"):
            raise _no_outlet(self._context, outlet)
        if not isinstance(state, str):
            remedy = "look whether it is a Tasmota with that outlet, and wait if it has just started"
            raise self._context.unavailable(f"it reports no state of outlet {outlet}", remedy, reason="DeviceError")
        return state

    async def _command(self, command: str) -> Mapping[str, Any]:
        answer = await self._client.ask("GET", "/cm", params={**self._login(), "cmnd": command})
        body = answer.json()
        if isinstance(body, dict) and "WARNING" in body and "Command" not in body:
            raise self._not_taken()
        if not answer.ok or not isinstance(body, dict):
            raise self._client.odd(answer, f"the command {command.partition(' ')[0]}")
        return body

    def _login(self) -> dict[str, str]:
        if self._settings.login != "query" or not self._settings.secret_name:
            return {}
        name, password = credentials(self._context, self._settings.secret_name, user=USER)
        return {"user": name, "password": password}

    def _not_taken(self) -> HexaError:
        what = "it does not accept the user and the password, or received none"
        remedy = f"correct the Secret that secretName names{self._client.hint}"
        return self._context.refused(what, remedy, reason="BadCredentials")


class Template:
    """Requests that the settings spell out."""

    def __init__(self, context: Context, client: Client, template: HttpTemplate) -> None:
        self._context, self._client, self._template = context, client, template

    async def switch(self, outlet: str, wanted: Reading) -> None:
        request = self._template.turn_on if wanted is Reading.ON else self._template.turn_off
        await self._ask(request, outlet)

    async def press(self, outlet: str) -> None:
        await self._ask(self._template.turn_on, outlet)

    async def read(self, outlet: str, *, metered: bool) -> Fed:
        status = self._template.status
        if status is None:
            return Fed(Reading.UNKNOWN)
        answer = await self._ask(status, outlet)
        body = answer.json()
        reading, doubt = _told(_at(body, status.state) if status.state else answer.text or None, status)
        old = self._too_old(answer, body)
        if old:
            return Fed(Reading.UNKNOWN, doubt=old)
        watts = figure(_at(body, status.watts)) if status.watts else Figure(doubt="watts are not set")
        return fed(reading, watts, doubt=doubt)

    async def measure(self, outlet: str) -> Measurement:
        status = self._template.status
        if status is None or not status.watts:
            return UNMEASURED
        answer = await self._ask(status, outlet)
        body = answer.json()
        return UNMEASURED if self._too_old(answer, body) else measured(_at(body, status.watts))

    def _too_old(self, answer: Answer, body: Any) -> str:
        """Why the reading is not one of now; empty: it is, or nobody tells."""
        status = self._template.status
        if status is None or not status.read_at:
            return ""
        told = moment(_at(body, status.read_at))
        if told is None:
            return f"the time of its reading is {shown(_at(body, status.read_at))}, which is no time with a zone"
        most = parse_duration(status.max_age).total_seconds() if status.max_age else MAX_AGE
        clock = self._context.clock
        now = answered_at(answer.headers, clock.now().timestamp() if clock is not None else None)
        if now is None:
            return "it does not report its time, so the age of its reading is not known"
        age = now - told
        return f"its reading is {age:.0f} s old" if abs(age) > most else ""

    async def _ask(self, request: HttpRequest, outlet: str) -> Answer:
        path, body = request.path.replace("{outlet}", outlet), request.body.replace("{outlet}", outlet)
        more = {"content": body, "headers": {"Content-Type": request.content_type}} if body else {}
        answer = await self._client.ask(request.method, "/" + path.lstrip("/"), **more)
        if not answer.ok:
            raise self._client.odd(answer, f"{request.method} {request.path}")
        return answer


def _told(value: Any, status: HttpStatus) -> tuple[Reading, str]:
    """The reading of a state, and the doubt where it says nothing. What is not there is neither on nor off, whatever a pattern
    matches."""
    if value is None:
        return Reading.UNKNOWN, f"nothing stands at {status.state}" if status.state else "nothing is in its answer"
    if isinstance(value, dict | list):
        return Reading.UNKNOWN, f"its state is {shown(value)}, and a text, a number or a boolean is needed"
    state = str(value).lower() if isinstance(value, bool) else str(value)
    reading = _matched(state, on=status.on_pattern, off=status.off_pattern)
    doubt = f"its state is {shown(value)}, which is neither onPattern nor offPattern"
    return reading, doubt if reading is Reading.UNKNOWN else ""


def _matched(state: str, *, on: str, off: str) -> Reading:
    """What a state means. One that both patterns match means nothing."""
    found = (re.fullmatch(on, state.strip()) is not None, re.fullmatch(off, state.strip()) is not None)
    return {(True, False): Reading.ON, (False, True): Reading.OFF}.get(found, Reading.UNKNOWN)


def _of_outlet(value: Any, index: int) -> Any:
    """The outlet's figure where there is one for each."""
    if not isinstance(value, list):
        return value
    return value[index] if 0 <= index < len(value) else None


def _at(body: Any, path: str) -> Any:
    """relays.0.ison: keys and numbers of items, parted by dots."""
    for part in path.split("."):
        body = dig(body, int(part) if isinstance(body, list) and DIGITS.fullmatch(part) else part)
    return body


def _truth(value: Any) -> tuple[Reading, str]:
    """The reading of a boolean, and the doubt about anything else."""
    if isinstance(value, bool):
        return (Reading.ON if value else Reading.OFF), ""
    return Reading.UNKNOWN, f"its state is {shown(value)}, and true or false is needed"


def _number(context: Context, outlet: str) -> int:
    if not DIGITS.fullmatch(outlet):
        raise context.refused(f"outlet {outlet!r} is no number", "correct outlets", reason="UnknownOutlet")
    return int(outlet)


def _no_outlet(context: Context, outlet: str) -> HexaError:
    return context.refused(f"it has no outlet {outlet}", "correct outlets", reason="UnknownOutlet")
