"""What the agent knows beside its snapshot; the command line knows nothing of it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from hexa.app.tariffs import Tariffs
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.v1alpha1 import Node
from hexa.domain.words.figures import day_of


def _unmeasured(_: Node) -> float | None:
    return None


def _never() -> timedelta | None:
    return None


class Beside(Struct, frozen=True, kw_only=True):
    """What the agent knows beside its snapshot; the command line knows nothing of it."""

    version: str = ""
    watts: Callable[[Node], float | None] = _unmeasured
    """What a machine's meter said last."""
    tariffs: Tariffs = Tariffs()
    certificates: Callable[[], Mapping[str, float]] = dict
    """When certificates of the agent's own end, in seconds since 1970, by what they are for."""
    called: Callable[[], timedelta | None] = _never
    """How long ago Cluster Autoscaler called last; None: it did not."""

    def today(self, policy: Policy, now: datetime) -> str:
        """The day of accounts by the clock of the group's tariff; of UTC, where none is known."""
        tariff = self.tariffs.known.get(policy.tariff)
        zone: tzinfo | None = tariff.zone if tariff is not None else None
        return day_of(now, zone)


NOTHING: Final = Beside()
