"""States that the page is shown: a quiet site, a site of any size, and one whose every text is an attack."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

NOW: Final = datetime(2026, 11, 30, 14, 30, tzinfo=UTC)
PHASES: Final = ("Ready", "Off", "Booting", "Off", "Draining", "Off", "Ready", "Off", "PoweringOff", "StartFailed")

EVIL: Final = (
    "<script>window.hurt = 1</script>",
    "<img src=x onerror='window.hurt = 2'>",
    "\"'><svg/onload=window.hurt=3>",
    "javascript:window.hurt=4",
    "</title></script><script>window.hurt=5</script>",
    "{{constructor.constructor('window.hurt=6')()}}",
    "\u202egnp.exe \u0000 \ud7ff \U0001f480 " + "W" * 5000,
    "__proto__",
    "constructor",
    "../../../api/v1/machines/x/y/wake?a=b&c=d#e",
)


def stamp(moment: datetime) -> str:
    """As the API writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def ago(minutes: float) -> str:
    """So many minutes before now."""
    return stamp(NOW - timedelta(minutes=minutes))


def site(machines: int, *, groups: int = 4) -> dict[str, Any]:
    """A state of so many machines."""
    boxes = [_machine(number, f"group-{number % groups}") for number in range(machines)]
    racks = [
        _group(f"group-{number}", [box for box in boxes if box["group"] == f"group-{number}"])
        for number in range(groups)
    ]
    on = sum(box["phase"] not in ("Off", "StartFailed") for box in boxes)
    summary = {
        "machines": machines,
        "on": on,
        "watts": on * 48.0,
        "moneyToday": 1.02,
        "savedMonth": 34.5,
        "currency": "EUR",
    }
    change = {"nextChange": ago(-210), "nextChangeWhat": "office: minSize 0"}
    hands = [_hand(box) for box in boxes if box["phase"] == "StartFailed"][:3]
    boxes.sort(key=lambda box: box["name"])
    return {
        "at": stamp(NOW),
        "version": "0.1.0",
        "summary": summary | change,
        "groups": racks,
        "machines": boxes,
        "hands": hands,
    }


def _machine(number: int, group: str) -> dict[str, Any]:
    phase = PHASES[number % len(PHASES)]
    on = phase not in ("Off", "StartFailed")
    energy = {
        "onSeconds": 360000.0,
        "bootSeconds": 900.0,
        "offSeconds": 720000.0,
        "joules": 1.7e7,
        "savedJoules": 3.4e7,
    }
    cash = {
        "money": 12.4,
        "savedMoney": 21.9,
        "currency": "EUR",
        "estimated": True,
        "todayMoney": 0.11,
        "monthSaved": 4.25,
    }
    return {
        "namespace": "hexa-machines",
        "name": f"worker-{number:03}",
        "group": group,
        "phase": phase,
        "since": ago(20 + 3 * number),
        "power": "on" if on else "off",
        "wanted": "on" if on else "off",
        "by": "cluster-autoscaler",
        "wished": ago(21 + 3 * number),
        "why": f"worker-{number:03} is {'on' if on else 'off'}: cluster-autoscaler wants it {'on' if on else 'off'}",
        "blocker": None,
        "reading": "On" if on else "Off",
        "watts": 48.0 if on else 2.0,
        "wattsMeasured": number % 2 == 0,
        "progress": "",
        "readyAt": ago(-1) if phase == "Booting" else None,
        "etaSeconds": 60 if phase == "Booting" else None,
        "health": "healthy",
        "kubernetesNode": f"worker-{number:03}",
        "uptime": "99.9%",
        "energy": energy | cash,
    }


def _group(name: str, members: list[dict[str, Any]]) -> dict[str, Any]:
    counted = {"ready": "Ready", "off": "Off", "booting": "Booting", "failed": "StartFailed"}
    counts = {key: sum(box["phase"] == phase for box in members) for key, phase in counted.items()}
    change = {"nextChange": ago(-210), "nextChangeWhat": "office: minSize 0"} if name.endswith("0") else {}
    fixed = {
        "namespace": "hexa-machines",
        "name": name,
        "mode": "Auto",
        "minimum": 0,
        "maximum": None,
        "health": "healthy",
    }
    return fixed | counts | {"size": len(members), "target": counts["ready"], "blocker": None} | change | {"energy": {}}


def _hand(box: dict[str, Any]) -> dict[str, Any]:
    told = {
        "reason": "WakeFailed",
        "message": f"no sign of life after 3 wakes; next try at {box['since']}",
        "since": box["since"],
    }
    return {"kind": "Node", "namespace": box["namespace"], "name": box["name"], "severity": "error"} | told


def day(state: dict[str, Any]) -> dict[str, Any]:
    """A history that fits the state: each machine was on for some hours before."""
    found = []
    for number, box in enumerate(state["machines"]):
        began, since = 1440 - 11 * (number % 40), box["since"]
        steps = [
            (1440, "Off"),
            (began, "Booting"),
            (began - 2, "Ready"),
            (began - 300, "Draining"),
            (began - 303, "Off"),
        ]
        starts = [(ago(minutes), phase) for minutes, phase in steps] + [(since, box["phase"])]
        ends = [start for start, _ in starts[1:]] + [None]
        who = {"namespace": box["namespace"], "name": box["name"]}
        found += [
            {**who, "start": start, "end": end, "phase": phase}
            for (start, phase), end in zip(starts, ends, strict=True)
        ]
    return {"stretches": found}


def hostile() -> dict[str, Any]:
    """A site in which every text that anybody could write is an attack."""
    state = site(2 * len(EVIL), groups=2)

    def spoil(value: Any, number: int, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(each, number, name) for name, each in value.items()}
        if isinstance(value, list):
            return [spoil(each, number + place) for place, each in enumerate(value)]
        return EVIL[number % len(EVIL)] if isinstance(value, str) and key not in ("at", "name") else value

    spoilt: dict[str, Any] = spoil(state, 0)
    for place, box in enumerate(spoilt["machines"]):
        box["name"] = f"{EVIL[place % len(EVIL)]}{place}"
    for place, group in enumerate(spoilt["groups"]):
        group["name"] = EVIL[place]
    spoilt["machines"][1] |= {"watts": 1e300, "since": "never", "etaSeconds": -1e300, "phase": "__proto__"}
    return spoilt
