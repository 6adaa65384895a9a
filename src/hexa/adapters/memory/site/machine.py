"""A machine of the site: power, boots, and what is broken. It knows nothing of Kubernetes but that a kubelet starts and dies."""

import random
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol

import trio
from msgspec import Struct, structs

from hexa.adapters.memory.clock import Timer, Timers
from hexa.adapters.memory.settings import Settings
from hexa.adapters.memory.site.machine_spec import MachineSpec
from hexa.adapters.memory.site.meter import Meter


class Agent(Protocol):
    """What runs on the machine once it is up."""

    def start(self) -> None:
        """The operating system is up."""
        ...

    def die(self) -> list[str]:
        """It ends at once; returns the pods whose work is lost by it."""
        ...

    def cut_off(self, partitioned: bool) -> None:
        """The network is away, or back."""
        ...


class State(StrEnum):
    OFF = "Off"
    BOOTING = "Booting"
    UP = "Up"
    STOPPING = "Stopping"
    HUNG = "Hung"
    """Powered, and nothing runs."""


class Defects(Struct):
    """What is wrong with a machine now. Counts run down as they strike."""

    lost_wakes: int = 0
    slow_boots: int = 0
    slow_by: float = 0.0
    no_joins: int = 0
    ignored_offs: int = 0
    dead: bool = False
    """No wake and no button brings power."""
    sensor_blind: bool = False
    sick: bool = False
    """It runs, and its health check fails."""
    sensor_lies: bool = False


class MemoryMachine:
    """Power and life of one machine. All that happens to it is counted."""

    def __init__(self, spec: MachineSpec, *, timers: Timers, settings: Settings, rng: random.Random) -> None:
        self.spec = spec
        self.meter: Final = Meter(spec)
        self.defects: Final = Defects()
        self.state = State.OFF
        self.shown_since = trio.current_time() - 3600
        """Since when its sensor shows the power as it does, on Trio's clock."""
        self.partitioned = False
        self.boots = 0
        self.offs = 0
        self.wakes = 0
        """Wakes that were received, answered or not."""
        self.pods_killed = 0
        """Pods that ran while the machine was switched off by order: lost work that a drain would have saved."""
        self.pods_lost = 0
        """Pods that ran when it crashed or lost power by itself."""
        self.agent: Agent
        self.on_switch: Final[list[Callable[[], object]]] = []
        """Called when its power, or what it does, has changed."""
        self._timers = timers
        self._settings = settings
        self._random = rng
        self._next: Timer | None = None

    def reinstall(self, **changes: Any) -> None:
        """Its system is another one from its next boot on: `labels`, `taints` and other fields of `MachineSpec` that its kubelet
        reads when it registers."""
        self.spec = structs.replace(self.spec, **changes)

    def __repr__(self) -> str:
        return f"<MemoryMachine {self.spec.name} {self.state}{' partitioned' if self.partitioned else ''}>"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def fit(self) -> bool:
        """What its health check finds."""
        return self.state is State.UP and not self.partitioned and not self.defects.sick

    @property
    def power(self) -> bool:
        return self.state is not State.OFF

    @property
    def shown_power(self) -> bool:
        """What its sensor makes of it."""
        return self.power is not self.defects.sensor_lies

    def lie(self, lies: bool) -> None:
        """Its sensor shows the contrary, or the truth again."""
        if lies is not self.defects.sensor_lies:
            self.defects.sensor_lies, self.shown_since = lies, trio.current_time()

    def wake(self) -> None:
        """A magic packet arrives. It does nothing to a machine with power."""
        self.wakes += 1
        if self.defects.lost_wakes > 0:
            self.defects.lost_wakes -= 1
        elif not self.power:
            self._power_up()

    def press_on(self) -> None:
        """Somebody presses the power button of a machine that is off."""
        if not self.power:
            self._power_up()

    def cut_soft(self) -> None:
        """An orderly shutdown is asked for; only a system that runs can follow."""
        if self.defects.ignored_offs > 0:
            self.defects.ignored_offs -= 1
        elif self.state is State.UP:
            self._shut_down()

    def switch_off(self) -> None:
        """What its shutdown Job does."""
        if self.spec.hard_off and self.state in (State.HUNG, State.BOOTING):
            self.cut_hard()
        else:
            self.cut_soft()

    def cut_hard(self) -> None:
        """Power is cut by order, whatever runs."""
        if self.power:
            self.pods_killed += len(self.agent.die())
            self._power_down()

    def press_off(self) -> None:
        """Somebody shuts it down by its button."""
        if self.state is State.UP:
            self._shut_down(by_order=False)

    def lose_power(self) -> None:
        """The plug is pulled."""
        if self.power:
            self.pods_lost += len(self.agent.die())
            self._power_down()

    def hang(self) -> None:
        """The system stops, the power stays."""
        if self.power:
            self.pods_lost += len(self.agent.die())
            self._become(State.HUNG)

    def reboot(self) -> None:
        """It restarts by itself, without anybody's order."""
        if self.power:
            self.pods_lost += len(self.agent.die())
            self._boot()

    def partition(self, away: bool) -> None:
        """The network is away (or back) while the machine runs on."""
        self.partitioned = away
        self.agent.cut_off(away)

    def start_up(self) -> None:
        """The machine is up from the start of the site: no boot is counted."""
        self._become(State.UP)
        self.agent.start()

    def _power_up(self) -> None:
        if not self.defects.dead:
            self._boot()

    def _boot(self) -> None:
        seconds = self._boot_seconds()
        self.boots += 1
        self.meter.boot()
        self._become(State.BOOTING)
        if self.defects.no_joins > 0:
            self.defects.no_joins -= 1
        else:
            self._next = self._timers.after(seconds, self._up)

    def _boot_seconds(self) -> float:
        given = self.spec.boot_seconds
        times: Sequence[float] = given if isinstance(given, tuple) else (given,)
        seconds = times[min(self.boots, len(times) - 1)]
        seconds *= 1 + self._random.uniform(-self.spec.boot_jitter, self.spec.boot_jitter)
        if self.defects.slow_boots > 0:
            self.defects.slow_boots -= 1
            seconds += self.defects.slow_by
        return seconds

    def _up(self) -> None:
        self._become(State.UP)
        self.agent.start()

    def _shut_down(self, *, by_order: bool = True) -> None:
        lost = len(self.agent.die())
        if by_order:
            self.pods_killed += lost
        else:
            self.pods_lost += lost
        self._become(State.STOPPING)
        seconds = self.spec.off_seconds
        self._next = self._timers.after(self._settings.off_seconds if seconds is None else seconds, self._power_down)

    def _power_down(self) -> None:
        self.offs += 1
        self._become(State.OFF)

    def _become(self, state: State) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if (state is State.OFF) is self.power:
            self.shown_since = trio.current_time()
        self.state = state
        self.meter.switch(state is not State.OFF)
        for told in self.on_switch:
            told()

    def capacity(self) -> dict[str, Any]:
        """status.capacity of its Node."""
        spec = self.spec
        return {"cpu": spec.cpu, "memory": spec.memory, "pods": str(spec.pods), **spec.resources}
