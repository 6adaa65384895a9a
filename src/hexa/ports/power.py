"""Switching and reading the power of one machine. It knows no vendor, no protocol and no group policy."""

from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from hexa.domain.resources.v1alpha1 import Reading

DOUBTFUL: Final = "Doubtful"
"""Reason of the `Unavailable` of an answer that came and can't be trusted: what was read before counts no more."""


class Measurement(Struct, frozen=True, kw_only=True):
    """What a meter says. None: it does not, or can't be trusted."""

    watts: float | None = None
    """Drawn now."""
    kwh: float | None = None
    """Counted since the device began to; it only grows, unless the device is reset."""


UNMEASURED: Final = Measurement()


class Power(Protocol):
    """One way to one machine's power. Every method raises `Unavailable` (try again) or `Refused` (a person must act: wrong
    credentials, an unknown outlet, a way that can't do this), with one sentence that names machine, driver, address and remedy."""

    async def turn_on(self) -> None:
        """Ask the machine to power up; one that is on already is left alone. Returns when the other side has taken the request,
        which is no proof: `sense` is. Repeating it is safe."""
        ...

    async def turn_off(self) -> None:
        """Ask the machine to shut down in order, which it may ignore; one that is off already is success. Returns when the other
        side has taken the request. Repeating it is safe. Never cuts power under a running system."""
        ...

    async def sense(self) -> Reading:
        """The power as it is now. Unknown where this way can't tell; never a guess. An answer that can't be trusted is raised with
        the reason `DOUBTFUL`."""
        ...


@runtime_checkable
class HardPower(Power, Protocol):
    """A way that can also take the power away without asking the system."""

    async def cut(self) -> None:
        """Take the power away at once, whatever runs; one that is off already is success. Repeating it is safe."""
        ...


@runtime_checkable
class Metered(Power, Protocol):
    """A way that also measures."""

    async def measure(self) -> Measurement:
        """What the machine draws, and has drawn. A device without a meter says nothing, which is no error."""
        ...
