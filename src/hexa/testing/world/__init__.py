"""A whole site in memory and virtual time: machines, an API server, hexa and a reference autoscaler.

For scenario tests, for `hexa simulate`, and for users who embed hexa:

    async with open_world(groups=[group("rack")], machines=[machine("rack-1", group="rack")]) as world:
        world.add_pods(3, cpu="2")
        await world.until(lambda: world.waiting == 0, within=120)

Run it under Trio's `MockClock(autojump_threshold=0)`; then a week takes seconds.
"""

from hexa.testing.world.agent import Agent, AgentCloud, MortalKube
from hexa.testing.world.builders import Machine, group, machine, profile
from hexa.testing.world.world import NotInTime, World, open_world

__all__ = [
    "Agent",
    "AgentCloud",
    "Machine",
    "MortalKube",
    "NotInTime",
    "World",
    "group",
    "machine",
    "open_world",
    "profile",
]
