"""What a scenario may rely on of the site in RAM: machines, kubelets, nodes, heartbeats, power Jobs."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from hexa.adapters.memory.clock import FOREVER, MemoryClock, Timers
from hexa.adapters.memory.ports.heartbeats import MemoryHeartbeats, open_heartbeats
from hexa.adapters.memory.ports.jobs import MemoryJobs
from hexa.adapters.memory.ports.sensors import MemorySensors
from hexa.adapters.memory.settings import Settings
from hexa.adapters.memory.site.machine import MemoryMachine, State
from hexa.adapters.memory.site.site import CONTROL_PLANE, Site, open_site
from hexa.domain.errors import Unavailable
from hexa.domain.names import GROUP_LABEL
from hexa.domain.resources.core import CRON_JOBS, JOBS, LEASES, NODES, PODS, KubeNode, Lease, Pod
from hexa.domain.resources.v1alpha1 import MACHINES, Lookup, Node, PowerPodSpec, Reading
from hexa.ports.jobs import Action, Order, Outcome
from hexa.ports.kube import Patch

FAST = Settings(job_seconds=1, off_seconds=5)


@pytest.fixture
async def site(autojump_clock: MockClock) -> AsyncIterator[Site]:
    """A site with a control plane and nothing else."""
    async with open_site(settings=FAST) as site:
        site.add_control_plane()
        yield site


def node(site: Site, name: str) -> KubeNode | None:
    """The Kubernetes node, if there is one."""
    stored = site.api.get(NODES, name)
    found = stored.decoded(NODES) if stored is not None else None
    assert found is None or isinstance(found, KubeNode)
    return found


def taints(site: Site, name: str) -> set[tuple[str, str]]:
    """Short keys and effects of the node's taints."""
    found = node(site, name)
    assert found is not None
    return {(taint.key.rpartition("/")[2], taint.effect) for taint in found.spec.taints}


def ready(site: Site, name: str) -> str:
    """Status of the node's condition Ready; empty without a node."""
    found = node(site, name)
    if found is None:
        return ""
    return next((condition.status for condition in found.status.conditions if condition.type == "Ready"), "")


def pods(site: Site, phase: str = "") -> list[Pod]:
    """The pods in a phase, or all."""
    found = [stored.decoded(PODS) for stored in site.api.find(PODS)]
    return [pod for pod in found if isinstance(pod, Pod) and phase in ("", pod.status.phase)]


async def booting(machine: MemoryMachine) -> float:
    """Wake it; returns how long it took to be up."""
    start = trio.current_time()
    machine.wake()
    while machine.state is not State.UP:  # noqa: ASYNC110
        await trio.sleep(0.1)
    return trio.current_time() - start


def order(site: Site, machine: str, action: Action = Action.STARTUP, *, attempt: int = 1, **options: Any) -> Order:
    """An order for a machine that is declared first, if it was not."""
    declared = site.api.get(MACHINES, machine, "machines")
    if declared is None:
        declared = site.api.create(MACHINES, {"metadata": {"name": machine, "namespace": "machines"}, "spec": {}})
    spec = PowerPodSpec(image="power", **options)
    return Order(Lookup("machines", machine), declared.uid, action, attempt, spec, 60.0, machine)


# --- time ---------------------------------------------------------------------------------------


async def test_timers_go_off_in_order_and_can_be_cancelled(autojump_clock: MockClock) -> None:
    """Timers happen at their time, in the order of making where that is the same; a cancelled one never does."""
    timers, seen = Timers(), list[tuple[str, float]]()

    def note(name: str) -> None:
        seen.append((name, trio.current_time()))

    async with trio.open_nursery() as nursery:
        await nursery.start(timers.run)
        timers.after(5, lambda: note("b"))
        timers.after(2, lambda: note("a"))
        timers.after(5, lambda: note("c"))
        timers.after(3, lambda: note("never")).cancel()
        await trio.sleep(4)
        timers.soon(lambda: note("now"))
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert seen == [("a", 2), ("now", 4), ("b", 5), ("c", 5)]


async def test_an_idle_site_never_wakes(autojump_clock: MockClock, site: Site) -> None:
    """With machines on and nothing to do a year passes without a single write or timer."""
    for index in range(20):
        site.add_machine(f"m{index}", on=True)
    await trio.sleep(60)
    version = site.api.version
    await trio.sleep(365 * 86400)
    assert site.api.version == version
    assert repr(site.timers) == "<Timers 0 waiting>"


# --- machines -----------------------------------------------------------------------------------


async def test_a_wake_boots_a_machine(autojump_clock: MockClock, site: Site) -> None:
    """A woken machine has power at once and a Ready node, free of taints, after its boot."""
    machine = site.add_machine("m1", group="rack", cpu="8", boot_seconds=90)
    assert (machine.power, node(site, "m1")) == (False, None)
    machine.wake()
    await trio.sleep(89)
    assert (machine.power, machine.state, node(site, "m1")) == (True, State.BOOTING, None)
    await trio.sleep(2)
    found = node(site, "m1")
    assert found is not None
    assert (ready(site, "m1"), found.spec.taints, found.status.capacity["cpu"]) == ("True", (), "8")
    assert found.metadata.labels[GROUP_LABEL] == "rack"
    assert (machine.boots, machine.wakes) == (1, 1)


async def test_wakes_do_nothing_to_a_machine_with_power(autojump_clock: MockClock, site: Site) -> None:
    """A wake of a machine that runs, boots or shuts down is counted and changes nothing."""
    machine = site.add_machine("m1", boot_seconds=60)
    machine.wake()
    await trio.sleep(30)
    machine.wake()
    await trio.sleep(31)
    assert machine.state is State.UP
    machine.cut_soft()
    machine.wake()
    await trio.sleep(6)
    assert (machine.power, machine.boots, machine.wakes) == (False, 1, 3)


async def test_power_lost_while_booting(autojump_clock: MockClock, site: Site) -> None:
    """A boot that is cut short never ends."""
    machine = site.add_machine("m1", boot_seconds=60)
    machine.wake()
    await trio.sleep(30)
    machine.lose_power()
    await trio.sleep(60)
    assert (machine.state, node(site, "m1")) == (State.OFF, None)


async def test_boot_times_follow_their_list(autojump_clock: MockClock, site: Site) -> None:
    """Each boot takes its own time of the list, later ones the last."""
    machine = site.add_machine("m1", boot_seconds=(10.0, 30.0))
    times = []
    for _ in range(3):
        times.append(await booting(machine))
        machine.cut_soft()
        await trio.sleep(6)
    assert times == [pytest.approx(seconds, abs=0.2) for seconds in (10, 30, 30)]


async def test_jitter_is_the_same_for_the_same_seed(autojump_clock: MockClock) -> None:
    """Random boot times repeat exactly with the seed of the site, and differ with another."""

    async def boot(seed: int) -> float:
        async with open_site(settings=Settings(seed=seed)) as site:
            machine = site.add_machine("m1", boot_seconds=100, boot_jitter=0.3)
            return await booting(machine)

    first, again, other = await boot(1), await boot(1), await boot(2)
    assert 70 <= first <= 130
    assert first == pytest.approx(again)
    assert first != pytest.approx(other)


async def test_a_kept_node_keeps_its_cordon_taints_and_labels(autojump_clock: MockClock, site: Site) -> None:
    """A kubelet that starts takes over the Node that is there: cordon, taints and foreign labels stay, Ready comes back."""
    machine = site.add_machine("m1", on=True, boot_seconds=30)
    kube = site.client()
    body = {
        "metadata": {"labels": {"mine": "1"}},
        "spec": {"unschedulable": True, "taints": [{"key": "t", "effect": "NoSchedule"}]},
    }
    await kube.patch(NODES, "m1", Patch(body))
    before = node(site, "m1")
    machine.cut_soft()
    await trio.sleep(120)
    assert (ready(site, "m1"), ("unreachable", "NoExecute") in taints(site, "m1")) == ("Unknown", True)
    machine.wake()
    await trio.sleep(31)
    after = node(site, "m1")
    assert before is not None
    assert after is not None
    assert ready(site, "m1") == "True"
    assert (after.metadata.uid, after.metadata.labels["mine"], after.spec.unschedulable) == (
        before.metadata.uid,
        "1",
        True,
    )
    assert taints(site, "m1") == {("t", "NoSchedule"), ("unschedulable", "NoSchedule")}
    assert after.status.node_info.boot_id != before.status.node_info.boot_id


async def test_a_running_kubelet_never_registers_again(autojump_clock: MockClock, site: Site) -> None:
    """A Node deleted under a running kubelet stays away until the next boot; its Lease beats on."""
    machine = site.add_machine("m1", on=True, boot_seconds=30)
    kube = site.client()
    await kube.delete(NODES, "m1")
    await trio.sleep(3600)
    assert node(site, "m1") is None
    leases = {lease.metadata.name: lease for lease in (await kube.list(LEASES)).items if isinstance(lease, Lease)}
    renewed = leases["m1"].spec.renew_time
    assert renewed is not None
    assert site.clock.now() - renewed < timedelta(seconds=10)
    machine.partition(True)
    machine.partition(False)
    assert node(site, "m1") is None
    machine.reboot()
    await trio.sleep(31)
    assert ready(site, "m1") == "True"


async def test_a_new_node_takes_no_pods_before_it_is_ready(autojump_clock: MockClock, site: Site) -> None:
    """A Node made by hand, without kubelet, carries not-ready taints and gets no pods."""
    await site.client().create(
        NODES, {"metadata": {"name": "ghost"}, "status": {"allocatable": {"cpu": "9", "pods": "9"}}}
    )
    site.add_pod("p")
    await trio.sleep(10)
    assert taints(site, "ghost") == {("not-ready", "NoSchedule"), ("not-ready", "NoExecute")}
    assert pods(site)[0].spec.node_name == ""


async def test_a_cordon_shows_as_a_taint(autojump_clock: MockClock, site: Site) -> None:
    """Cordon and uncordon put on and take off the taint that real clusters have."""
    site.add_machine("m1", on=True)
    kube = site.client()
    await kube.patch(NODES, "m1", Patch({"spec": {"unschedulable": True}}))
    assert taints(site, "m1") == {("unschedulable", "NoSchedule")}
    await kube.patch(NODES, "m1", Patch({"spec": {"unschedulable": None}}))
    assert taints(site, "m1") == set()


# --- power cuts and lost work -------------------------------------------------------------------


async def test_a_power_off_with_pods_is_lost_work(autojump_clock: MockClock, site: Site) -> None:
    """Pods that run when a machine is switched off by order are counted as killed; DaemonSet pods and finished ones are not."""
    site.add_daemonset("logs")
    machine = site.add_machine("m1", on=True)
    site.add_workload("web", replicas=2)
    site.add_pod("done", run=5)
    await trio.sleep(10)
    machine.cut_soft()
    await trio.sleep(10)
    assert (machine.power, machine.offs, machine.pods_killed, machine.pods_lost) == (False, 1, 2, 0)
    assert site.report().pods_killed == 2


async def test_a_crash_is_told_apart_from_a_power_off(autojump_clock: MockClock, site: Site) -> None:
    """Pods lost by a hang or a pulled plug are no violation of hexa's; a hung machine has power."""
    machines = [site.add_machine(name, on=True) for name in ("a", "b")]
    site.add_workload("web", replicas=2, cpu="3")
    await trio.sleep(10)
    machines[0].hang()
    machines[1].lose_power()
    assert [(m.power, m.pods_killed, m.pods_lost) for m in machines] == [(True, 0, 1), (False, 0, 1)]


async def test_pods_of_a_dead_machine_stay_until_the_taint_evicts_them(autojump_clock: MockClock, site: Site) -> None:
    """After a power cut the API says Running for long: Unknown after 50 s, deletion 300 s later, gone with the next boot."""
    machine = site.add_machine("m1", on=True, boot_seconds=30)
    site.add_workload("web")
    await trio.sleep(10)
    machine.lose_power()
    await trio.sleep(30)
    assert (ready(site, "m1"), len(pods(site, "Running"))) == ("True", 1)
    await trio.sleep(30)
    assert (ready(site, "m1"), len(pods(site, "Running"))) == ("Unknown", 1)
    await trio.sleep(310)
    assert sorted(pod.metadata.deletion_timestamp is None for pod in pods(site)) == [False, True]
    machine.press_on()
    await trio.sleep(40)
    (pod,) = pods(site)
    assert (pod.status.phase, pod.spec.node_name) == ("Running", "m1")


async def test_pods_of_a_deleted_node_are_collected(autojump_clock: MockClock, site: Site) -> None:
    """Pods bound to a node that is gone are removed a minute later, and their controller makes new ones."""
    machine = site.add_machine("m1", on=True)
    site.add_workload("web")
    await trio.sleep(10)
    machine.lose_power()
    await site.client().delete(NODES, "m1")
    await trio.sleep(61)
    (pod,) = pods(site)
    assert (pod.spec.node_name, pod.status.phase) == ("", "Pending")


async def test_a_node_that_is_back_in_time_keeps_its_pods(autojump_clock: MockClock, site: Site) -> None:
    """A Node deleted and registered again within the minute keeps its pods; so does one that was Unknown for a while."""
    machine = site.add_machine("m1", on=True, boot_seconds=20)
    site.add_workload("web")
    await trio.sleep(10)
    (before,) = pods(site)
    await site.client().delete(NODES, "m1")
    machine.reboot()
    await trio.sleep(90)
    machine.partition(True)
    await trio.sleep(200)
    assert ready(site, "m1") == "Unknown"
    machine.partition(False)
    await trio.sleep(600)
    (after,) = pods(site)
    assert (after.metadata.uid, after.metadata.deletion_timestamp) == (before.metadata.uid, None)
    assert {condition.type: condition.status for condition in after.status.conditions}["Ready"] == "True"


async def test_a_short_silence_is_not_noticed(autojump_clock: MockClock, site: Site) -> None:
    """A node that is back before the grace is over stays Ready, also when that grace would have ended."""
    machine = site.add_machine("m1", on=True)
    machine.partition(True)
    await trio.sleep(30)
    machine.partition(False)
    version = site.api.version
    await trio.sleep(60)
    assert (ready(site, "m1"), site.api.version) == ("True", version)


async def test_a_reboot_keeps_pods_but_not_those_that_never_restart(autojump_clock: MockClock, site: Site) -> None:
    """After a quick reboot pods run again where they were; a pod with restartPolicy Never has failed."""
    machine = site.add_machine("m1", on=True, boot_seconds=20)
    site.add_workload("web")
    site.add_pod("batch", run=600)
    await trio.sleep(10)
    machine.reboot()
    await trio.sleep(30)
    assert {pod.metadata.name.partition("-")[0]: pod.status.phase for pod in pods(site)} == {
        "web": "Running",
        "batch": "Failed",
    }


async def test_a_partitioned_machine_works_on_and_reports_later(autojump_clock: MockClock, site: Site) -> None:
    """Cut off, a machine has power and runs its pods; what ended meanwhile is known once it is back."""
    machine = site.add_machine("m1", on=True)
    site.add_pod("batch", run=60)
    await trio.sleep(10)
    machine.partition(True)
    await trio.sleep(100)
    assert (machine.power, ready(site, "m1"), [pod.status.phase for pod in pods(site)]) == (
        True,
        "Unknown",
        ["Running"],
    )
    machine.partition(False)
    await trio.sleep(1)
    assert (ready(site, "m1"), [pod.status.phase for pod in pods(site)]) == ("True", ["Succeeded"])


# --- signs of life ------------------------------------------------------------------------------


async def test_life_goes_on_without_end_while_a_kubelet_beats(autojump_clock: MockClock, site: Site) -> None:
    """A living node was heard at its last beat and counts as alive from then on; a dead one for a lease period."""
    machine = site.add_machine("m1", on=True)
    hearts = MemoryHeartbeats(site)
    assert hearts.life("m1") is None  # nothing was heard since we watch
    await trio.sleep(35)
    life = hearts.life("m1")
    assert life is not None
    assert (site.clock.now() - life.heard, life.until) == (timedelta(seconds=5), FOREVER)
    machine.lose_power()
    await trio.sleep(60)
    silent = hearts.life("m1")
    assert silent is not None
    assert (silent.heard, silent.until) == (life.heard, life.heard + timedelta(seconds=40))
    assert hearts.life("unknown") is None


async def test_who_speaks_again_is_told(autojump_clock: MockClock, site: Site) -> None:
    """Subscribers hear of each start of a kubelet, of the end of a partition, and of nodes that live when they begin to watch."""
    machine = site.add_machine("m1", on=True, boot_seconds=20)
    await trio.sleep(3)
    async with open_heartbeats(site) as hearts:
        heard: list[tuple[str, float]] = []
        hearts.subscribe(lambda name: heard.append((name, trio.current_time())) if name == "m1" else None)
        await trio.sleep(17)
        machine.reboot()
        await trio.sleep(30)
        machine.partition(True)
        await trio.sleep(10)
        machine.partition(False)
    machine.reboot()
    await trio.sleep(30)
    assert heard == [("m1", 10), ("m1", 40), ("m1", 60)]


async def test_heartbeats_are_blind_during_an_outage(autojump_clock: MockClock, site: Site) -> None:
    """While the API server is away nothing is heard; afterwards the living are news again."""
    site.add_machine("m1", on=True)
    hearts = MemoryHeartbeats(site)
    heard: list[float] = []
    hearts.subscribe(lambda _: heard.append(trio.current_time()))
    await trio.sleep(25)
    heard.clear()
    site.api.outage(60)
    await trio.sleep(50)
    life = hearts.life("m1")
    assert hearts.watching_since() is None
    assert life is not None
    assert life.until < site.clock.now()
    await trio.sleep(20)
    assert hearts.watching_since() == site.clock.at(85)
    assert heard == [90, 90]  # the control plane's node too


# --- sensors ------------------------------------------------------------------------------------


async def test_sensors_read_power(autojump_clock: MockClock, site: Site) -> None:
    """A machine with a sensor reads On or Off with the time, Unknown when the sensor is blind; without one, nothing."""
    known = site.add_machine("m1", sensor=True)
    site.add_machine("m2")
    sensors = MemorySensors(site)

    def read(name: str) -> Reading | None:
        reading = sensors.reading(Node(metadata=type(Node().metadata)(name=name)))
        return None if reading is None else reading.power

    assert (read("m1"), read("m2"), read("m3")) == (Reading.OFF, None, None)
    known.wake()
    assert read("m1") is Reading.ON
    known.defects.sensor_blind = True
    assert read("m1") is Reading.UNKNOWN


# --- power Jobs ---------------------------------------------------------------------------------


async def test_a_startup_job_wakes_its_machine(autojump_clock: MockClock, site: Site) -> None:
    """An order becomes a Job on a node outside all groups; when it is done the machine has been woken."""
    machine = site.add_machine("m1", group="rack")
    site.add_machine("m2", group="rack", on=True)
    jobs, wanted = MemoryJobs(site.client()), order(site, "m1")
    assert await jobs.observe(wanted) is None
    started = await jobs.start(wanted)
    again = await jobs.start(wanted)
    assert (started.outcome, again) == (Outcome.RUNNING, started)
    await trio.sleep(5)
    seen = await jobs.observe(wanted)
    assert seen is not None
    assert (seen.name, seen.outcome, machine.wakes) == (jobs.name(wanted), Outcome.DONE, 1)
    assert [pod.spec.node_name for pod in pods(site)] == [CONTROL_PLANE]


async def test_a_shutdown_job_stops_its_machine(autojump_clock: MockClock, site: Site) -> None:
    """A shutdown Job asks for an orderly shutdown: silence at once, power off a little later."""
    machine = site.add_machine("m1", on=True)
    await MemoryJobs(site.client()).start(order(site, "m1", Action.SHUTDOWN))
    await trio.sleep(3)
    assert machine.state is State.STOPPING
    await trio.sleep(5)
    assert machine.state is State.OFF


async def test_a_cancelled_job_switches_nothing(autojump_clock: MockClock, site: Site) -> None:
    """Cancelling takes a running Job and its pod away; it is True once nothing is left but what was to be kept."""
    machine = site.add_machine("m1")
    jobs, first, second = MemoryJobs(site.client()), order(site, "m1"), order(site, "m1", attempt=2)
    await jobs.start(first)
    await trio.sleep(1.5)
    assert not await jobs.cancel(first.machine, uid=first.uid)
    await jobs.start(second)
    await trio.sleep(5)
    assert await jobs.observe(first) is None
    assert await jobs.cancel(first.machine, uid=first.uid, keep=jobs.name(second))
    kept = await jobs.observe(second)
    assert kept is not None
    assert (kept.outcome, machine.wakes) == (Outcome.DONE, 1)


async def test_a_pod_that_is_taken_away_switches_nothing(autojump_clock: MockClock, site: Site) -> None:
    """A power Job whose pod is removed by force before its end does nothing, and has failed."""
    machine = site.add_machine("m1")
    jobs, wanted = MemoryJobs(site.client()), order(site, "m1")
    await jobs.start(wanted)
    await trio.sleep(1.5)
    (pod,) = pods(site, "Running")
    await site.client().delete(PODS, pod.metadata.name, namespace="machines", grace=0)
    await trio.sleep(5)
    seen = await jobs.observe(wanted)
    assert seen is not None
    assert (seen.outcome, machine.wakes) == (Outcome.FAILED, 0)


async def test_a_job_of_a_removed_machine_goes_with_it(autojump_clock: MockClock, site: Site) -> None:
    """Deleting the Node resource takes its Jobs and their pods along."""
    site.add_machine("m1")
    kube = site.client()
    await MemoryJobs(kube).start(order(site, "m1"))
    await kube.delete(MACHINES, "m1", namespace="machines")
    await trio.sleep(5)
    assert ((await kube.list(JOBS)).items, pods(site)) == ((), [])


async def test_finished_jobs_go_after_their_ttl(autojump_clock: MockClock, site: Site) -> None:
    """A finished Job is deleted with its pod after ttlSecondsAfterFinished."""
    site.add_machine("m1")
    jobs, wanted = MemoryJobs(site.client()), order(site, "m1", ttl_seconds_after_finished=100)
    await jobs.start(wanted)
    await trio.sleep(90)
    assert await jobs.observe(wanted) is not None
    await trio.sleep(20)
    assert (await jobs.observe(wanted), pods(site)) == (None, [])


async def test_job_names_are_labels_and_differ(autojump_clock: MockClock, site: Site) -> None:
    """Long names are cut to 63 characters; action, attempt, uid and namespace make different names."""
    jobs = MemoryJobs(site.client())
    long = "a" * 60 + ".example.org"
    base = Order(Lookup("machines", long), "uid-1", Action.STARTUP, 1, PowerPodSpec(image="x"), 60.0)
    others = [
        Order(Lookup("machines", long + "x"), "uid-1", Action.STARTUP, 1, base.spec, 60.0),
        Order(Lookup("elsewhere", long), "uid-1", Action.STARTUP, 1, base.spec, 60.0),
        Order(base.machine, "uid-2", Action.STARTUP, 1, base.spec, 60.0),
        Order(base.machine, "uid-1", Action.SHUTDOWN, 1, base.spec, 60.0),
        Order(base.machine, "uid-1", Action.STARTUP, 2, base.spec, 60.0),
    ]
    names = [jobs.name(wanted) for wanted in (base, *others)]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 and "." not in name for name in names)


async def test_jobs_share_the_faults_of_their_client(autojump_clock: MockClock, site: Site) -> None:
    """What goes wrong with the API server goes wrong with orders."""
    site.add_machine("m1")
    kube = site.client()
    kube.fail_next(Unavailable("no"), verb="create", kind=JOBS)
    with pytest.raises(Unavailable):
        await MemoryJobs(kube).start(order(site, "m1"))


# --- what it costs ------------------------------------------------------------------------------


async def test_energy_follows_power_and_load(autojump_clock: MockClock, site: Site) -> None:
    """Hours and kilowatt-hours are exact: off, idle, and by the share of cores that running pods request."""
    machine = site.add_machine("m1", cpu="4", boot_seconds=0.0, idle_watts=50, max_watts=150, off_watts=2)
    await trio.sleep(3600)
    machine.wake()
    await trio.sleep(3600)
    site.add_workload("web", cpu="2")
    await trio.sleep(3600)
    assert machine.meter.on_hours == pytest.approx(2)
    assert machine.meter.kwh == pytest.approx(0.002 + 0.050 + 0.100, rel=1e-3)


def test_clock_needs_trio() -> None:
    """The clock exists only inside a Trio run: its time is Trio's."""
    with pytest.raises(RuntimeError):
        MemoryClock()


async def test_a_cron_job_that_forbids_it_never_runs_twice_at_once(autojump_clock: Any) -> None:
    """A Job that never ends is the only one; where overlapping is allowed there is one more each minute."""
    for policy, jobs in (("Forbid", 1), ("Allow", 5)):
        async with open_site() as site:
            pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example"}]}}
            spec = {"schedule": "* * * * *", "concurrencyPolicy": policy, "jobTemplate": {"spec": {"template": pod}}}
            site.api.create(CRON_JOBS, {"metadata": {"name": "each-minute", "namespace": "default"}, "spec": spec})
            await trio.sleep(330)
            assert len(site.api.find(JOBS)) == jobs
