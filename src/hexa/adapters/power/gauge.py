"""Reads power from inside the agent: implements `ports.sensors.Gauge` by the drivers that power Jobs use.

Credentials are read for each question, by name, and forgotten after it: a rotated Secret is picked up by the next one. Whoever
shares a controller waits for its turn.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from hexa.adapters.power.context import Context, Memory, Turns
from hexa.adapters.power.guarded import broken
from hexa.domain.errors import HexaError, Refused
from hexa.domain.power.jobs import secret_names
from hexa.domain.power.sensor import sensing_part
from hexa.domain.resources.power_spec import DriverName, PowerSpec
from hexa.domain.resources.v1alpha1 import Node, Reading
from hexa.ports.clock import Clock
from hexa.ports.power import UNMEASURED, Measurement, Metered, Power
from hexa.ports.sensors import Secrets

T = TypeVar("T")

Opener = Callable[[PowerSpec, Context], AbstractAsyncContextManager[Power | None]]
"""Opens what reads the power by a spec with one driver."""


class HeldSecrets:
    """Secrets of one question, held as long as it takes."""

    def __init__(self, namespace: str, values: Mapping[str, Mapping[str, bytes]]) -> None:
        self._namespace, self._values = namespace, values

    def __repr__(self) -> str:
        return f"<HeldSecrets {self._namespace} {', '.join(self._values)}>"

    def read(self, secret: str, key: str) -> bytes | None:
        return self._values.get(secret, {}).get(key)

    def place(self, secret: str, key: str) -> str:
        return f"key {key} of Secret {self._namespace}/{secret}"


class DriverGauge:
    """Asks by the driver that a machine's `spec.power` has for it."""

    def __init__(self, open_driver: Opener, secrets: Secrets, *, patience: float, clock: Clock | None = None) -> None:
        """`patience`: seconds for one answer."""
        self._open, self._secrets, self._patience = open_driver, secrets, patience
        self._turns, self._memory, self._clock = Turns(), Memory(), clock

    def __repr__(self) -> str:
        return "<DriverGauge>"

    async def read(self, machine: Node, driver: DriverName) -> Reading:
        return await self._ask(machine, driver, _sense)

    async def measure(self, machine: Node, driver: DriverName) -> Measurement:
        return await self._ask(machine, driver, _measure)

    async def _ask(self, machine: Node, driver: DriverName, question: Callable[[Power | None], Awaitable[T]]) -> T:
        assert machine.spec.power is not None
        part, name = sensing_part(machine.spec.power, driver), machine.metadata.name
        context = Context(machine=name, driver=driver, turns=self._turns, patience=self._patience)
        held = await self._held(part, machine.metadata.namespace, context)
        own = Context(
            machine=name,
            secrets=held,
            turns=self._turns,
            memory=self._memory,
            clock=self._clock,
            patience=self._patience,
        )
        try:
            async with self._open(part, own) as power:
                return await question(power)
        except HexaError:
            raise
        except Exception as error:  # a defect of a driver, or an answer that nobody thought of, must not end the agent
            raise broken(context, error) from error

    async def _held(self, part: PowerSpec, namespace: str, context: Context) -> HeldSecrets:
        values: dict[str, Mapping[str, bytes]] = {}
        for name in secret_names(part):
            try:
                found = await self._secrets.read(namespace, name)
            except Refused as error:
                remedy = "let hexa get this Secret: docs/power.md says how"
                raise context.refused(str(error), remedy, reason="SecretNotReadable") from error
            if found is None:
                raise context.refused(f"there is no Secret {namespace}/{name}", "create it", reason="NoCredentials")
            values[name] = found
        return HeldSecrets(namespace, values)


async def _sense(power: Power | None) -> Reading:
    return Reading.UNKNOWN if power is None else await power.sense()


async def _measure(power: Power | None) -> Measurement:
    return await power.measure() if isinstance(power, Metered) else UNMEASURED
