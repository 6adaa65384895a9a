"""A weekly window on real kubelets: machines go off when it opens, and are up again when it ends."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from agent import Agent, group, in_phase, machine
from lab import Api, Machines, eventually

FIRST_UP = timedelta(seconds=40)
LENGTH = timedelta(minutes=2)


def window(start: datetime, **sets: Any) -> dict[str, Any]:
    """A window of two minutes on each day, by UTC."""
    return {"from": f"{start:%H:%M}", "to": f"{start + LENGTH:%H:%M}", **sets}


async def test_a_machine_follows_a_schedule_off_and_on_again(
    api: Api, namespace: str, machines: Machines, hexa: Agent
) -> None:
    """minSize 1 wakes it; in a window of maxSize 0 it is drained and off; when that ends it is up again, without any pod that
    asks for it."""
    box = machines.add(boot_delay=2.0)
    now = datetime.now(UTC)
    opens = (now + FIRST_UP + timedelta(minutes=1)).replace(second=0, microsecond=0)
    await api.create(group(namespace, minSize=1, schedules=[window(opens, minSize=0, maxSize=0)]))
    await api.create(machine(namespace, box))
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=(opens - now).total_seconds())
    assert len(box.seen.wakes) == 1
    await eventually(partial(in_phase, api, namespace, "Off", [box.name]), within=60 + 60, every=0.5)
    assert datetime.now(UTC) >= opens
    assert box.power == "off"
    closes = (opens + LENGTH - datetime.now(UTC)).total_seconds()
    await eventually(partial(in_phase, api, namespace, "Ready", [box.name]), within=closes + 30, every=0.5)
    assert (len(box.seen.offs), len(box.seen.wakes)) == (1, 2)
