"""A site in which anything may happen: what hexa must never do it never does, and every machine settles when faults stop."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.domain.agent import Crash
from tests.domain.box import PodInSite
from tests.domain.builders import at
from tests.domain.site import Site

from hexa.domain.group.sizing import counts, may_be_woken, target
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason
from hexa.domain.machine.wish import NOBODYS_OFF, effective_wish
from hexa.domain.resources.v1alpha1 import Hold, Paused, Power

QUICK: dict[str, Any] = {
    "maxNodeProvisionTime": "2m",
    "timeouts": {"drain": "1m", "powerOff": "1m", "lost": "30s"},
}
RETRIES = {"backoff": "10s", "maxBackoff": "1m"}
SETTLES_WITHIN = 1200.0
"""Seconds in which every machine settles: more than a whole round of failing, cooling off and trying again."""
REST = 600.0
machines = st.sampled_from(["m0", "m1", "m2"])


class SiteMachine(RuleBasedStateMachine):
    """Three machines of a group, people, Cluster Autoscaler and misfortune."""

    @initialize(
        sensors=st.lists(st.booleans(), min_size=3, max_size=3),
        found=st.lists(st.booleans(), min_size=3, max_size=3),
        least=st.integers(0, 2),
        more=st.none() | st.integers(0, 2),
        force=st.booleans(),
        does=st.sampled_from(["Adopt", "Correct", "Ignore"]),
        hedge=st.sampled_from([{}, {"wakeProof": "Ignore"}]),
        cycle=st.booleans(),
    )
    def begin(
        self,
        sensors: list[bool],
        found: list[bool],
        least: int,
        more: int | None,
        force: bool,
        does: str,
        hedge: dict[str, str],
        cycle: bool,
    ) -> None:
        """Some machines are on when hexa sees them for the first time."""
        self.force, self.does, self.hedge, self.cycle, self.born = force, does, hedge, cycle, 0
        self.site = Site(sensors=sensors, group=self.group(least, more))
        for box, on in zip(self.site.boxes.values(), found, strict=True):
            if on:
                box.power = True
                box.register(0.0)
                box.turn(0.0, ready=True)
                box.beats_from = box.last_beat = 0.0
                box.pods["first"] = PodInSite()
        self.site.pass_time(30)

    def group(self, least: int, more: int | None) -> dict[str, Any]:
        """A group of these limits."""
        limits = {"minSize": least} if more is None else {"minSize": least, "maxSize": least + more}
        spec = {"drain": {"force": self.force}, "onUnexpectedPower": self.does, **self.hedge}
        cycles = {"powerCycle": self.cycle, "after": "1m"}
        return {
            **QUICK,
            **limits,
            **spec,
            "retries": {**RETRIES, "hedge": bool(self.hedge)},
            "remediation": cycles,
        }

    # --- time and wishes ---

    @rule(seconds=st.sampled_from([1.0, 5.0, 15.0, 45.0, 100.0, 400.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.site.pass_time(seconds)

    @rule(name=machines, power=st.sampled_from(["on", "off"]))
    def person_edits(self, name: str, power: str) -> None:
        """A person sets spec.powerState."""
        self.site.edit(name, power_state=power)
        self.site.pass_time(0.5)

    @rule(name=machines, power=st.sampled_from([None, "on", "off"]))
    def person_holds(self, name: str, power: Any) -> None:
        """A person holds a machine, or lets it go."""
        self.site.edit(name, hold=None if power is None else Hold(power=power))
        self.site.pass_time(0.5)

    @rule(name=machines, on=st.booleans())
    def person_pauses(self, name: str, on: bool) -> None:
        """A person tells hexa to keep its hands off a machine, or gives it back."""
        self.site.edit(name, paused=Paused(reason="BIOS") if on else None)
        self.site.pass_time(0.5)

    @rule(least=st.integers(0, 2), more=st.none() | st.integers(0, 2))
    def person_resizes(self, least: int, more: int | None) -> None:
        """The group's limits change."""
        self.site.set_group(**self.group(least, more))
        self.site.pass_time(0.5)

    @rule(delta=st.integers(1, 2))
    def autoscaler_asks(self, delta: int) -> None:
        """Cluster Autoscaler asks for more."""
        self.dare(lambda: self.site.agent.increase(delta))

    @rule(name=machines)
    def autoscaler_deletes(self, name: str) -> None:
        """Cluster Autoscaler deletes a node."""
        self.dare(lambda: self.site.agent.delete(name))

    def dare(self, act: Any) -> None:
        """Do it; the agent may be killed in the middle of it."""
        try:
            act()
        except Crash:
            self.site.agent = type(self.site.agent)(self.site)
        self.site.pass_time(0.5)

    # --- pods ---

    @rule(stuck=st.booleans(), again=st.integers(1, 2))
    def pods_come(self, stuck: bool, again: int) -> None:
        """The scheduler puts pods on every node that takes pods."""
        for box in self.site.boxes.values():
            if box.node_exists and box.node_ready and not box.cordoned:
                self.born += again
                box.pods |= {f"p{self.born - n}": PodInSite(stuck=stuck) for n in range(again)}

    @rule(name=machines)
    def pods_go(self, name: str) -> None:
        """The work is done."""
        if self.site.boxes[name].beats_from is not None:
            self.site.boxes[name].pods.clear()

    # --- misfortune ---

    @rule(name=machines)
    def power_fails(self, name: str) -> None:
        """The plug is pulled."""
        self.site.boxes[name].lose_power()
        self.site.pass_time(0.5)

    @rule(name=machines)
    def button(self, name: str) -> None:
        """Somebody presses the power button of a machine that is off."""
        self.site.boxes[name].gain_power(self.site.now)
        self.site.pass_time(0.5)

    @rule(name=machines, wakes=st.integers(1, 4))
    def wakes_get_lost(self, name: str, wakes: int) -> None:
        """Magic packets don't arrive."""
        self.site.boxes[name].lost_wakes = wakes

    @rule(name=machines, what=st.sampled_from(["dead", "ignores_shutdown", "partitioned"]), ill=st.booleans())
    def falls_ill(self, name: str, what: str, ill: bool) -> None:
        """A machine that never boots, one that ignores its shutdown, a cut network; or it is well again."""
        setattr(self.site.boxes[name], what, ill)

    @rule(name=machines, seconds=st.sampled_from([5.0, 20.0, 100.0]))
    def boots_slowly(self, name: str, seconds: float) -> None:
        """The next boots take that long."""
        self.site.boxes[name].boot = seconds

    @rule(name=machines)
    def kubelet_hangs(self, name: str) -> None:
        """Power, and no sign of life."""
        self.site.boxes[name].beats_from = None

    @rule(name=machines, seconds=st.sampled_from([130.0, 300.0]))
    def system_hangs(self, name: str, seconds: float) -> None:
        """The same, for longer than a machine's illness is watched."""
        self.site.boxes[name].beats_from = None
        self.site.pass_time(seconds)

    @rule(jobs=st.integers(1, 3))
    def jobs_fail(self, jobs: int) -> None:
        """The next power Jobs fail."""
        self.site.failing_jobs = jobs

    @rule(seconds=st.sampled_from([2.0, 30.0, 200.0]))
    def api_server_is_away(self, seconds: float) -> None:
        """A spell of blindness."""
        self.site.agent.goes_blind()
        self.site.pass_time(seconds)
        self.site.agent.sees()

    @rule(writes=st.integers(1, 6))
    @precondition(lambda self: self.site.crash_after is None)
    def agent_will_crash(self, writes: int) -> None:
        """hexa is killed after so many more writes, and started again."""
        self.site.crash_after = writes

    @rule()
    def agent_restarts(self) -> None:
        """hexa is updated."""
        self.site.agent = type(self.site.agent)(self.site)
        self.site.pass_time(0.5)

    # --- what always holds ---

    @invariant()
    def no_machine_has_two_jobs(self) -> None:
        """Never two power Jobs at once for a machine, and none but that of the present attempt."""
        if not hasattr(self, "site"):
            return
        for name, node in self.site.nodes.items():
            running = [job for job in self.site.jobs if job.machine == name and job.outcome == "running"]
            assert len(running) <= 1
            assert all(job.attempt <= node.status.attempt for job in running)

    def teardown(self) -> None:
        """Faults stop; some time later every machine is where it is wanted, and nothing happens any more."""
        if not hasattr(self, "site"):
            return
        self.mend()
        self.site.pass_time(SETTLES_WITHIN)
        for name in self.site.boxes:
            self.settled(name)
        self.within_limits()
        before = {name: node.status.history for name, node in self.site.nodes.items()}
        self.site.pass_time(REST)
        assert before == {name: node.status.history for name, node in self.site.nodes.items()}

    def mend(self) -> None:
        """Everything works from here on, and nobody interferes."""
        site = self.site
        site.crash_after, site.failing_jobs = None, 0
        site.agent.sees()
        for name, box in site.boxes.items():
            box.dead = box.ignores_shutdown = box.partitioned = False
            box.lost_wakes, box.boot = 0, 20.0
            for pod in box.pods.values():
                pod.stuck = False
            site.edit(name, paused=None)
            orphan = not box.node_exists and not self.unwanted(name)  # its node was deleted while it ran
            if box.power and box.boots_at is None and (box.beats_from is None or orphan):
                box.lose_power()  # somebody cycles what hangs
                box.gain_power(site.now)

    def unwanted(self, name: str) -> bool:
        """Off is what is recorded, or held, and somebody would miss it: else the machine is adopted as soon as it is heard."""
        wish = effective_wish(self.site.nodes[name], self.site.policy, now=at(self.site.now))
        return wish is not None and wish.power is Power.OFF and wish.reason not in NOBODYS_OFF

    def settled(self, name: str) -> None:
        """The machine is where it is wanted; or lost, unwanted, and with pods that nobody ended."""
        box, node = self.site.boxes[name], self.site.nodes[name]
        machine, now = self.site.agent.views.of(name), at(self.site.now)
        phase, wanted = machine.phase, machine.acted_wish(now)
        if phase is Phase.LOST and wanted is Power.OFF and box.pods and not self.force:
            return
        if phase is Phase.READY and any(veto.reason == Reason.WAKE_PROOF for veto in machine.off_vetoes(now)):
            return  # off is wanted, or not, and another one without wake proof is off
        assert phase is {Power.ON: Phase.READY, Power.OFF: Phase.OFF}[wanted or Power.OFF], (node.status, box)
        assert box.power == (wanted is Power.ON), (node.status, box)
        assert not (phase is Phase.READY and box.cordoned), (node.status, box)
        job = node.status.job
        proven = box.sensor or (job is not None and (job.action, job.outcome) == ("shutdown", "done"))
        assert not (phase is Phase.OFF and box.node_exists and proven), (node.status, box)

    def within_limits(self) -> None:
        """The group is as large as its limits and its holds allow."""
        members, policy = self.site.agent.members(), self.site.policy
        missing = policy.min_size - target(members)
        assert missing <= 0 or not any(map(may_be_woken, members))
        if policy.max_size is not None and target(members) > policy.max_size:
            assert all(member.off_vetoes for member in members if counts(member))


TestSite = SiteMachine.TestCase
TestSite.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
