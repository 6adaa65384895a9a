"""What of the settings of PDUs and plugs can't be used: patterns, ages, and texts of states. It reads no device."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from msgspec import structs

from hexa.domain.duration import parse_duration
from hexa.domain.policy.problem import Problem
from hexa.domain.resources.power_spec import Http, HttpStatus, Pdu, PowerSpec, SnmpOids

NUMBER: Final = re.compile(r"[0-9]{1,9}")
OID: Final = re.compile(r"\.?[0-9]{1,10}(\.[0-9]{1,10}){1,127}")
"""An object identifier of SNMP."""
POWER_SPEC_INVALID: Final = "PowerSpecInvalid"


def outlet_problems(spec: PowerSpec) -> Iterator[Problem]:
    """All of them, with their fields."""
    if spec.http is not None:
        yield from _http_problems(spec.http)
    if spec.pdu is not None:
        yield from _pdu_problems(spec.pdu)


def outlet_hints(spec: PowerSpec) -> Iterator[Problem]:
    """The same for a condition: the machine is switched by what works of it all the same."""
    for problem in outlet_problems(spec):
        yield structs.replace(problem, severity="warning", reason=POWER_SPEC_INVALID)


def _http_problems(http: Http) -> Iterator[Problem]:
    yield from _patterns("spec.power.http", http)
    yield from _numbers(http)
    if http.login == "query" and http.device != "tasmota":
        yield Problem("spec.power.http.login", "query is for device tasmota", "remove it", reason="BadSettings")
    status = http.template.status if http.template is not None else None
    if status is None:
        return
    where = "spec.power.http.template.status"
    yield from _patterns(where, status)
    yield from _age_problems(f"{where}.maxAge", status)
    if http.on_watts is not None and not status.watts:
        yield Problem(
            f"{where}.watts", "is absent, and onWatts needs it", "add it, or remove onWatts", reason="BadSettings"
        )


def _numbers(http: Http) -> Iterator[Problem]:
    for place, outlet in enumerate(http.outlets if http.device != "template" else ()):
        name = outlet.rpartition("/")[2]
        if not NUMBER.fullmatch(name) and "{" not in name:  # a parameter of a profile
            text, remedy = f"outlet {name[:60]!r} is no number", "write the number of the outlet, such as 0"
            yield Problem(f"spec.power.http.outlets[{place}]", text, remedy, reason="UnknownOutlet")


def _age_problems(field: str, status: HttpStatus) -> Iterator[Problem]:
    if status.max_age is None:
        return
    try:
        age = parse_duration(status.max_age)
    except ValueError as error:
        yield Problem(field, str(error), 'write a duration such as "2m"', reason="BadDuration")
        return
    if age <= timedelta(0):
        yield Problem(field, f"{status.max_age} lets no reading count", "lengthen it", reason="BadDuration")
    elif not status.read_at:
        yield Problem(
            field, "has no effect without readAt", "add readAt, or remove it", severity="warning", reason="NoTime"
        )


def _pdu_problems(pdu: Pdu) -> Iterator[Problem]:
    for place, outlet in enumerate(pdu.outlets):
        name = outlet.rpartition("/")[2]
        if not _has_oid(pdu, name) and "{" not in name:  # a parameter of a profile
            text, remedy = (
                f"outlet {name[:60]!r} is no number",
                "write the number that SNMP has for the outlet, such as 7",
            )
            yield Problem(f"spec.power.pdu.outlets[{place}]", text, remedy, reason="UnknownOutlet")
    oids = pdu.oids
    if pdu.on_watts is not None and not (oids and oids.watts):
        whose = f"profile {pdu.profile} has none" if oids is None and pdu.profile else "there is none"
        remedy = "write oids with watts, or remove onWatts"
        yield Problem("spec.power.pdu.onWatts", f"needs an OID of watts, and {whose}", remedy, reason="BadSettings")
    if oids is not None:
        yield from _oid_problems(oids)


def _has_oid(pdu: Pdu, outlet: str) -> bool:
    """Whether the outlet makes an OID, appended or where {outlet} stands."""
    text = (pdu.oids.control or pdu.oids.state) if pdu.oids is not None else "1.3"
    if not OID.fullmatch(text.replace("{outlet}", "1")):
        return True  # told as what it is
    return OID.fullmatch(text.replace("{outlet}", outlet) if "{outlet}" in text else f"{text}.{outlet}") is not None


def _oid_problems(oids: SnmpOids) -> Iterator[Problem]:
    for name, oid in (
        ("state", oids.state),
        ("control", oids.control),
        ("controlOn", oids.control_on),
        ("controlOff", oids.control_off),
        ("watts", oids.watts),
    ):
        if oid and not OID.fullmatch(oid.replace("{outlet}", "1")):
            remedy = "write numbers with dots between them, such as 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4"
            yield Problem(f"spec.power.pdu.oids.{name}", f"{oid[:60]!r} is no OID", remedy, reason="BadOid")
    if str(oids.on_state).lower() == str(oids.off_state).lower():
        text = f"and offState are both {oids.on_state}, so its state says nothing"
        yield Problem("spec.power.pdu.oids.onState", text, "write what the PDU says of each", reason="BadSettings")
    if oids.separator and "{outlet}" in oids.state:
        text, remedy = "is the OID of one outlet, and separator parts the text of all", "remove {outlet}, or separator"
        yield Problem("spec.power.pdu.oids.state", text, remedy, reason="BadSettings")


def _patterns(where: str, settings: Http | HttpStatus) -> Iterator[Problem]:
    if settings.on_pattern == settings.off_pattern:
        text = f"and offPattern are both {settings.on_pattern[:60]!r}, so the state says nothing"
        remedy = "write what the device says of each"
        yield Problem(f"{where}.onPattern", text, remedy, severity="warning", reason="BadPattern")
    for name, pattern in (("onPattern", settings.on_pattern), ("offPattern", settings.off_pattern)):
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            remedy = "write a regular expression of Python's re"
            yield Problem(f"{where}.{name}", f"is not a regular expression ({error})", remedy, reason="BadPattern")
