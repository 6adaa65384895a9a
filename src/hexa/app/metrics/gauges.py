"""What is read when somebody asks: sizes, phases, conditions, watts, energy. Nothing of it is kept."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import datetime

from hexa.app.metrics.scene import NOWHERE, Scene, named
from hexa.domain.machine.lifecycle import Phase, phase_of
from hexa.domain.money.rates import Rates, has_energy, rates_of
from hexa.domain.names import MEMBERSHIP_LABEL
from hexa.domain.policy.values import active_hold
from hexa.domain.resources.core import Condition
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import Energy, Lookup, Node
from hexa.domain.rules.health import NO_SENSOR, POWER_KNOWN
from hexa.domain.rules.hold import keeps_off
from hexa.domain.words.figures import JOULES, declared_watts
from hexa.domain.words.reasons import CONDITIONS
from hexa.ports.metrics import Labels

Samples = Iterator[tuple[Labels, float]]


def build(scene: Scene) -> Samples:
    """The version that runs."""
    yield (scene.around.version,), 1.0


# --- machines -----------------------------------------------------------------------------------------


def machines(scene: Scene) -> Samples:
    """Each group with each phase, and the phases of machines that have no group."""
    there = set(scene.places)
    found = Counter((_place(key, node, there), phase_of(node.status)) for key, node in scene.machines)
    found[(NOWHERE, Phase.UNKNOWN)] += len(scene.store.machines.malformed)
    for group in (*scene.places, NOWHERE):
        for phase in Phase:
            if (count := found[(group, phase)]) or group is not NOWHERE:
                yield (*group, phase), float(count)


def _place(key: Lookup, node: Node, there: Collection[Labels]) -> Labels:
    group = (key.namespace, node.metadata.labels.get(MEMBERSHIP_LABEL, ""))
    return group if group in there else NOWHERE


def phases(scene: Scene) -> Samples:
    """The phase that each machine is in."""
    return (((*named(key), phase_of(node.status)), 1.0) for key, node in scene.machines)


def machine_conditions(scene: Scene) -> Samples:
    """Conditions that are True."""
    for key, node in scene.machines:
        yield from (((*named(key), type_), 1.0) for type_ in _true(node.status.conditions))


def held(scene: Scene) -> Samples:
    """Machines that a person's word holds, or their group."""
    groups = {named(key) for key, policy in scene.policies.items() if active_hold(policy.hold, now=scene.now)}
    for key, node in scene.machines:
        if node.spec.hold is not None or groups:
            with suppress(Exception):  # an odd date is that machine's own matter
                of_group = _place(key, node, groups) is not NOWHERE
                if of_group or active_hold(node.spec.hold, now=scene.now):
                    yield named(key), 1.0


def unwoken(scene: Scene) -> Samples:
    """Machines whose last wake by hexa failed."""
    return ((named(key), 1.0) for key, node in scene.machines if node.status.wake_failed_at is not None)


def read(scene: Scene) -> Samples:
    """Whether the power of machines that something reads is known."""
    for key, node in scene.machines:
        for told in node.status.conditions:
            if told.type == POWER_KNOWN and told.reason != NO_SENSOR:
                yield named(key), float(told.status == "True")


def watts(scene: Scene) -> Samples:
    """As measured, else as declared for what the machine does. Machines of one make declare the same."""
    declared: dict[Energy, Rates] = {}
    for key, node in scene.machines:
        found, energy = scene.around.watts(node), node.spec.energy
        if found is None and has_energy(energy):
            if (rates := declared.get(energy)) is None:
                rates = declared[energy] = rates_of(node)
            found = declared_watts(rates, phase_of(node.status), node.status.boot_seconds, known=True)
        if found is not None:
            yield named(key), found


def joules(scene: Scene) -> Samples:
    """Of machines that have an account of energy."""
    for key, node in scene.machines:
        account = node.status.energy
        if account.energy_to is not None:
            yield named(key), max(account.kwh, 0.0) * JOULES


def cycles(scene: Scene) -> Samples:
    """Boots since the machine was enrolled."""
    return ((named(key), float(node.status.energy.boots)) for key, node in scene.machines)


# --- groups -------------------------------------------------------------------------------------------


def group_conditions(scene: Scene) -> Samples:
    """Conditions that are True."""
    for key, group in scene.groups:
        yield from (((*named(key), type_), 1.0) for type_ in _true(group.status.conditions))


def sizes(scene: Scene) -> Samples:
    """Machines of the group."""
    return ((named(key), float(group.status.size)) for key, group in scene.groups)


def targets(scene: Scene) -> Samples:
    """Those that are wanted on and can come."""
    return ((named(key), float(group.status.target)) for key, group in scene.groups)


def held_off(scene: Scene) -> Samples:
    """Those that a person holds off."""
    found: Counter[Labels] = Counter()
    for key, node in scene.machines:
        place = Lookup(key.namespace, node.metadata.labels.get(MEMBERSHIP_LABEL, ""))
        policy = scene.policies.get(place)
        if policy is not None and (node.spec.hold is not None or policy.hold is not None):
            with suppress(Exception):  # an odd date is that machine's own matter
                found[named(place)] += keeps_off(node.spec.hold, policy.hold, now=scene.now)
    for key in scene.policies:
        yield named(key), float(found[named(key)])


def ready(scene: Scene) -> Samples:
    """Those that are Ready."""
    return ((named(key), float(group.status.ready)) for key, group in scene.groups)


def least(scene: Scene) -> Samples:
    """minSize, with what schedules make of it; of a group that is kept off, none."""
    for key, policy in scene.policies.items():
        yield named(key), 0.0 if policy.mode is Mode.ALWAYS_OFF else float(policy.min_size)


def most(scene: Scene) -> Samples:
    """maxSize; of a group without one, all that it has."""
    sizes = {key: group.status.size for key, group in scene.groups}
    for key, policy in scene.policies.items():
        yield named(key), float(sizes[key] if policy.max_size is None else policy.max_size)


def changes(scene: Scene) -> Samples:
    """When schedules change a group next."""
    for key, policy in scene.policies.items():
        if policy.next_change is not None:
            yield named(key), _stamp(policy.next_change.at)


# --- hexa and what it stands on -----------------------------------------------------------------------


def lags(scene: Scene) -> Samples:
    """For how long watches have not been held."""
    return (((kind,), seconds) for kind, seconds in sorted(scene.around.lags().items()))


def called(scene: Scene) -> Samples:
    """When Cluster Autoscaler called last; nothing before it did."""
    if (ago := scene.around.called()) is not None:
        yield (), round(_stamp(scene.now - ago), 1)  # the same until it calls again


def certificates(scene: Scene) -> Samples:
    """When certificates end."""
    return (((name,), ends) for name, ends in sorted(scene.around.certificates.items()))


def prices(scene: Scene) -> Samples:
    """When tariffs have no more prices."""
    for name in sorted(scene.around.tariffs.known):
        if (end := scene.around.tariffs.end_of(name)) is not None:
            yield (name,), _stamp(end)


def _true(conditions: tuple[Condition, ...]) -> Iterator[str]:
    """Types that hexa writes, each once."""
    types = [c.type for c in conditions if c.status == "True" and c.type in CONDITIONS]
    return iter(types if len(types) < 2 or len(set(types)) == len(types) else dict.fromkeys(types))


def _stamp(at: datetime) -> float:
    return at.timestamp()
