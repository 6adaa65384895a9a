"""The part of wiring that switches power: from `spec.power` to open drivers. A driver is imported only where it is used."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, cast

from hexa.adapters.power.context import Context, MountedSecrets
from hexa.adapters.power.guarded import Guarded
from hexa.adapters.system.clock import SystemClock
from hexa.app.commands.power import Ways
from hexa.domain.errors import Refused
from hexa.domain.policy.problem import Problem
from hexa.domain.power.roles import roles, settings
from hexa.domain.resources.power_spec import DriverName, Plugin, PowerSpec
from hexa.ports.power import HardPower, Power

PLUGINS: Final = "hexa.power"
"""Group of entry points by which other packages bring drivers."""

Opener = Callable[[Any, Context], AbstractAsyncContextManager[Power]]

_MODULES: Final[dict[DriverName, str]] = {
    "wakeOnLan": "wake_on_lan",
    "ipmi": "ipmi",
    "redfish": "redfish",
    "pdu": "pdu",
    "http": "http",
    "ssh": "ssh",
    "script": "script",
}


def context_for(machine: str, *, secrets: Path, patience: float) -> Context:
    """What drivers of one process share."""
    return Context(machine=machine, secrets=MountedSecrets(secrets), clock=SystemClock(), patience=patience)


@asynccontextmanager
async def open_ways(spec: PowerSpec, context: Context) -> AsyncIterator[Ways]:
    """The drivers that have a role, open during the block. Raises `Refused` for settings that can't be used."""
    found = roles(spec)
    if isinstance(found, Problem):
        raise Refused(f"{context.machine}: {found}" if context.machine else str(found), reason=found.reason)
    async with AsyncExitStack() as stack:
        powers: dict[DriverName | None, Power] = {
            name: Guarded(await stack.enter_async_context(_open(spec, name, context)), context.at(name))
            for name in found.names
        }
        yield Ways(
            machine=context.machine,
            roles=found,
            on=powers.get(found.on),
            on_else=powers.get(found.on_else),
            off=powers.get(found.off),
            cut=cast(HardPower | None, powers.get(found.cut)),
            sense=powers.get(found.sense),
        )


def _open(spec: PowerSpec, name: DriverName, context: Context) -> AbstractAsyncContextManager[Power]:
    if spec.plugin is not None and name == "plugin":
        return _plugin(spec.plugin, context)(spec.plugin.settings, context.at(f"plugin {spec.plugin.driver}"))
    opener: Opener = import_module(f"hexa.adapters.power.{_MODULES[name]}").open_power
    return opener(settings(spec, name), context)


def _plugin(plugin: Plugin, context: Context) -> Opener:
    known = {each.name: each for each in entry_points(group=PLUGINS)}
    if plugin.driver not in known:
        what = f"there is no driver {plugin.driver}"
        remedy = f"known are {', '.join(sorted(known))}" if known else f"install the package that brings it ({PLUGINS})"
        raise context.at("plugin").refused(what, remedy, reason="UnknownDriver")
    opener: Opener = known[plugin.driver].load()
    return opener
