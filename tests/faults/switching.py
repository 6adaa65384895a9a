"""What bounds of switching promise: never more offs a day, machines that go down at once, or wakes and offs within a span, than a
group allows; people's word apart. It reads what is stored of machines, and counts by itself."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from hexa.app.core import Core
from hexa.domain.duration import parse_duration
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.wish import PROGRAMS
from hexa.domain.names import MEMBERSHIP_LABEL
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup
from hexa.domain.rules.spares import to_spare
from hexa.testing.world.builders import NAMESPACE
from tests.faults.acts import Stage

GOING: Final = frozenset({Phase.DRAINING, Phase.POWERING_OFF})
MAY_BEGIN: Final = frozenset({Phase.READY, Phase.LOST, Phase.POWERING_ON, Phase.BOOTING})
UNCOUNTED: Final = frozenset(
    {"clockSet", "restore", "rival", "moveGroup", "groupGone", "releaseGroup", "oddMachine", "release"}
)
"""With these a machine is counted elsewhere, twice, or not at all."""
DAY: Final = timedelta(days=1)


class Switching:
    """Counts what is stored. `say(rule, text)`: a bound was broken."""

    def __init__(self, stage: Stage, say: Callable[[str, str], None]) -> None:
        self._say, self._groups, self._world = say, stage.script.groups, stage.world
        self._phases: dict[str, dict[str, str]] = {}
        """Of each group, its machines' phases."""
        self._wakes: dict[str, list[datetime]] = {}
        self._offs: dict[str, list[tuple[datetime, str]]] = {}
        if not any(act.what in UNCOUNTED for act in stage.script.acts):
            stage.world.site.api.listen(MACHINES, self._changed)

    def _changed(self, event: Any) -> None:
        metadata, status = event.stored.raw["metadata"], event.stored.raw.get("status") or {}
        name, group = metadata["name"], (metadata.get("labels") or {}).get(MEMBERSHIP_LABEL, "")
        spec, phases = self._groups.get(group), self._phases.setdefault(group, {})
        new, old = status.get("phase", ""), phases.get(name, "")
        phases[name] = new
        if spec is None or new == old or not old:
            return
        since = datetime.fromisoformat(status["since"].replace("Z", "+00:00"))
        if new == Phase.POWERING_ON:
            self._woken(spec, group, name, since)
        elif new in GOING and old in MAY_BEGIN and _by_program(status):
            self._goes(spec, group, name, since)
        elif new == Phase.OFF and old in (Phase.POWERING_OFF, Phase.STOP_FAILED):
            self._offs.setdefault(group, []).append((since, name))

    def _woken(self, spec: dict[str, Any], group: str, name: str, since: datetime) -> None:
        rate = spec.get("rateLimit", {})
        lately = self._wakes.setdefault(group, [])
        lately.append(since)
        if "wakes" in rate and _within(lately, since, _per(rate)) > rate["wakes"]:
            self._say("rate-wakes", f"{name} is woken, and {rate} of {group} was used up")

    def _goes(self, spec: dict[str, Any], group: str, name: str, since: datetime) -> None:
        rate, offs = spec.get("rateLimit", {}), self._offs.get(group, [])
        others = sum(phase in GOING for other, phase in self._phases[group].items() if other != name)
        if others >= spec.get("maxDraining", others + 1):
            self._say("max-draining", f"{name} goes down beside {others} others of {group}")
        if "rests" in rate and others + _within([at for at, _ in offs], since, _per(rate)) >= rate["rests"]:
            self._say("rate-rests", f"{name} goes down, and {rate} of {group} was used up")
        own = [at for at, each in offs if each == name]
        if _within(own, since, DAY) >= spec.get("maxCyclesPerDay", len(own) + 1):
            self._say("cycles", f"{name} goes down, and was off {len(own)} times")

    def at_end(self, core: Core) -> None:
        """All was calm for long: as many machines are idle as the group wants, or no more can be had."""
        now = self._world.now
        for name in self._groups:
            view = core.views.group(Lookup(NAMESPACE, name))
            if view is None or not view.valid or view.released or view.observes or view.policy.spares is None:
                continue
            change = self._world.group(name).status.next_schedule_change
            if change is not None and change.at <= now:
                continue  # a window begins or ends at this very moment
            missing = [each.key.name for each in to_spare(view.policy, core.views.judged(view.key, now))]
            if missing:
                self._say("spares", f"{name} wants {view.policy.spares}, and {missing} are not woken")


def _by_program(status: dict[str, Any]) -> bool:
    wish = status.get("wish") or {}
    return wish.get("power") == "off" and wish.get("by") in PROGRAMS


def _per(rate: dict[str, Any]) -> timedelta:
    return parse_duration(rate["per"])


def _within(moments: list[datetime], now: datetime, span: timedelta) -> int:
    return sum(now - moment < span for moment in moments)
