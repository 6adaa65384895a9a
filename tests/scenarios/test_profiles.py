"""What a user may rely on of PowerProfile: machines that share one are switched by it; what is wrong with it harms them alone."""

from typing import Any

import pytest
import trio
from tests.scenarios.stage import QUICK, JobWatch, boxes, kube_of, rack, reach, switch, up
from trio.testing import MockClock

from hexa.domain.errors import HexaError, Refused, Unavailable
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.resources.core import JOBS
from hexa.domain.resources.v1alpha1 import MACHINES, PROFILES
from hexa.testing.world import Machine, World, machine, open_world, profile
from hexa.testing.world.people import delete_profile

BMC: dict[str, Any] = {"power": {"ipmi": {"address": "{bmc}", "secretName": "{machine}-bmc"}}}


def taking(name: str, **parameters: str) -> Machine:
    """A machine that has nothing but its profile."""
    spec = {"startupPodSpec": None, "shutdownPodSpec": None, "profile": "bmc", "parameters": parameters}
    return machine(name, group="rack", spec=spec, boot_seconds=8.0)


def says(world: World, kind: str, name: str = "box-1") -> str:
    """What its condition of this type says; empty: it has none."""
    found = (each for each in world.node(name).status.conditions if each.type == kind and each.status == "True")
    return next((each.message for each in found), "")


async def test_machines_share_a_profile(autojump_clock: MockClock) -> None:
    """Each is switched and read with its own parameters, though its Node names nothing but the profile and them."""
    machines = [taking("box-1", bmc="10.0.0.1"), taking("box-2", bmc="10.0.0.2")]
    group = rack(wakeProof="Ignore")
    async with open_world(
        groups=[group], machines=machines, profiles=[profile("bmc", **BMC)], autoscaler=None, site=QUICK
    ) as world:
        made: list[str] = []
        world.site.api.listen(JOBS, lambda event: made.append(str(event.stored.raw)))
        await up(world, "box-1", "box-2")
        await switch(world, "off", "box-1", "box-2")
        for name in ("box-1", "box-2"):
            await reach(world, Phase.OFF, name)
            assert world.node(name).status.reading.source == "ipmi"
    for name, address in (("box-1", "10.0.0.1"), ("box-2", "10.0.0.2")):
        jobs = [text for text in made if address in text]
        assert jobs
        assert all(f"{name}-bmc" in text for text in jobs)


async def test_a_profile_that_is_not_there_stops_its_machines_alone(autojump_clock: MockClock) -> None:
    """Neither woken nor put off, with a condition that names object, field and remedy; other machines go on, and so do these once
    it is there, and once it is there again."""
    machines = [taking("box-1", bmc="10.0.0.1"), *boxes(2)[1:]]
    async with open_world(groups=[rack()], machines=machines, autoscaler=None, site=QUICK) as world:
        jobs = JobWatch(world)
        await switch(world, "on", "box-1", "box-2")
        await reach(world, Phase.READY, "box-2")
        assert world.phase("box-1") is Phase.OFF
        assert says(world, "ProfileMissing") == (
            "spec.profile: there is no PowerProfile bmc in namespace machines; create it, or correct the name; until then "
            "the machine is neither woken nor switched off by it"
        )
        world.add_profile(profile("bmc", **BMC))
        await reach(world, Phase.READY)
        assert not says(world, "ProfileMissing")
        proven = world.node("box-1").status.wake_proven_at
        delete_profile(world, "bmc")
        await switch(world, "off")
        await trio.sleep(300)
        assert world.phase("box-1") is Phase.READY
        assert says(world, "ProfileMissing")
        world.add_profile(profile("bmc", **BMC))
        await reach(world, Phase.OFF)
        assert world.node("box-1").status.wake_proven_at == proven
        assert [(name, action) for name, action, _ in jobs.made if name == "box-1"] == [
            ("box-1", "startup"),
            ("box-1", "shutdown"),
        ]


async def test_another_address_voids_the_wake_proof(autojump_clock: MockClock) -> None:
    """A profile that changes while a machine is on is like a change of its spec: what was shown of the old way proves nothing."""
    async with open_world(
        groups=[rack()],
        machines=[taking("box-1", bmc="b")],
        profiles=[profile("bmc", **BMC)],
        autoscaler=None,
        site=QUICK,
    ) as world:
        await up(world)
        assert world.node("box-1").status.wake_proven_at is not None
        world.edit_profile("bmc", {"power": {"ipmi": {"address": "{bmc}.lan"}}})
        await world.until(lambda: world.node("box-1").status.wake_proven_at is None, within=10)
        assert "PowerChanged" in world.journal.reasons("box-1")
        world.edit_profile("bmc", {"power": {"ipmi": {"address": "{bmc}.{room}"}}})
        await world.until(lambda: says(world, "ProfileIncomplete"), within=10)
        assert "has no room, which PowerProfile bmc needs" in says(world, "ProfileIncomplete")
        world.edit("box-1", {"parameters": {"room": "cellar"}})
        await world.until(lambda: not says(world, "ProfileIncomplete"), within=10)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Refused("the server has no powerprofiles", reason="KindNotServed"), "apply the CRDs of this version"),
        (Refused("hexa may not list powerprofiles", reason="Forbidden"), "may not list powerprofiles"),
        (Unavailable("500"), "is not read yet"),
    ],
    ids=["no CRD", "no right", "server error"],
)
async def test_an_agent_whose_profiles_cannot_be_read_goes_on(
    autojump_clock: MockClock, error: HexaError, told: str
) -> None:
    """An older CRD, an older role, an API server that fails: other machines are switched, and the one that names a profile says
    what is missing, until it can be read."""
    async with open_world(
        groups=[rack()], machines=boxes(2)[1:], profiles=[profile("bmc", **BMC)], autoscaler=None, site=QUICK
    ) as world:
        kube_of(world).latency = 0.2  # it is looked at before an answer is there
        kube_of(world).fail_next(error, verb="list", kind=PROFILES, times=2)
        world.add_machine(taking("box-1", bmc="b"))
        await switch(world, "on", "box-1", "box-2")
        await world.until(lambda: told in says(world, "ProfileMissing"), within=20, every=0.1)
        await reach(world, Phase.READY, "box-2")
        if isinstance(error, Refused):
            assert world.phase("box-1") is Phase.OFF
        await reach(world, Phase.READY, within=400)
        assert not says(world, "ProfileMissing")


async def test_an_agent_that_starts_knows_profiles_before_it_acts(autojump_clock: MockClock) -> None:
    """No machine looks as if its profile were gone while an agent starts: nothing is told, and nobody takes its place."""
    machines = [taking("box-1", bmc="a"), taking("box-2", bmc="b")]
    group = rack(minSize=1)
    async with open_world(
        groups=[group], machines=machines, profiles=[profile("bmc", **BMC)], autoscaler=None, site=QUICK
    ) as world:
        await reach(world, Phase.READY)
        before, missing = len(world.journal.events), list[str]()
        world.site.api.listen(MACHINES, lambda event: missing.append(event.stored.key[1] if told(event) else ""))
        world.agent.latency = 1.0
        await world.restart_agent(after=5.0)
        await trio.sleep(120)
        assert world.phases() == {"box-1": Phase.READY, "box-2": Phase.OFF}
        assert [event.reason for event in list(world.journal.events)[before:]] == []
        assert not any(missing)


def told(event: Any) -> bool:
    """Whether the machine says that its profile is missing."""
    return "ProfileMissing" in str(event.stored.raw.get("status", {}))


async def test_who_names_no_profile_pays_for_none(autojump_clock: MockClock) -> None:
    """Where no machine names one, profiles are neither listed nor watched."""
    async with open_world(groups=[rack()], machines=boxes(1), autoscaler=None, site=QUICK) as world:
        await up(world)
        assert not [call for call in kube_of(world).calls if "powerprofiles" in str(call)]
