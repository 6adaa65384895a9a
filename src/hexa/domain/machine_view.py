"""A machine as decisions see it: resources, policy, Kubernetes node and vetoes put together. It knows no snapshot."""

from datetime import datetime
from functools import cached_property

from msgspec import Struct, structs

from hexa.domain.group.sizing import Member
from hexa.domain.group.standing import Standing, standing_of, traits_of
from hexa.domain.group.watts import Place, slots
from hexa.domain.group_view import GroupView
from hexa.domain.machine.arrival import lacking, set_up_until
from hexa.domain.machine.identity import kube_name
from hexa.domain.machine.lifecycle import COMING, Phase, phase_of, trying_since
from hexa.domain.machine.marks import leaving
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine.wish import effective_wish
from hexa.domain.memo import at_a_moment
from hexa.domain.money.rates import Rates, hourly_price
from hexa.domain.money.series import Step
from hexa.domain.money.tariff import Tariff, step_at
from hexa.domain.names import CORDON_ANNOTATION, MEMBERSHIP_LABEL, provider_id
from hexa.domain.policy.conventions import DEFAULTS, Conventions
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy
from hexa.domain.policy.problem import Problem, usable
from hexa.domain.resources.core import Condition, KubeNode
from hexa.domain.resources.group_values import Mode
from hexa.domain.resources.v1alpha1 import Lookup, Node, Power, Shape, WishRecord
from hexa.domain.rules import judge
from hexa.domain.rules.acted import acted_power
from hexa.domain.rules.dependencies import NO_TIES, Ties
from hexa.domain.rules.proof import Claim, tried_at, unproven
from hexa.domain.rules.quarantine import cooling, probe_due
from hexa.domain.rules.safe_hands import SafeHands
from hexa.domain.rules.traffic import NO_TRAFFIC, Traffic


class MachineView(Struct, frozen=True, kw_only=True, dict=True):
    """A machine and everything that a decision about it needs. One decision asks the same of it many times: the answers are kept in
    it."""

    key: Lookup
    node: Node
    group: GroupView | None
    policy: Policy
    limits: Limits
    rates: Rates
    kube: KubeNode | None
    problems: tuple[Problem, ...]
    control_plane: bool
    hosts: tuple[str, ...]
    """Pods on it that hexa depends on."""
    storage: tuple[str, ...] = ()
    """Pods on it that hold data for others."""
    shape: Shape | None
    """What its Kubernetes node will look like when it comes up; None: not known."""
    image_known: bool = True
    """Whether there is an image for the Jobs of spec.power."""
    waits_for: Claim | None = None
    """Another machine of the group, which is the one without wake proof that may be off; None: there is none."""
    node_exists: bool = True
    """Whether there is a Kubernetes node of its name; `kube` is None also for one that does not decode."""
    name_taken: bool = False
    """Another machine has the Kubernetes node that its spec names anew."""
    traffic: Traffic = NO_TRAFFIC
    """What the machines of its group do, itself included, as far as rules count that."""
    ties: Ties = NO_TIES
    """What it has to do with others by spec.dependsOn."""
    safe_hands: SafeHands | None = None
    """The site itself is in doubt."""
    places: tuple[Place, ...] = ()
    """What its circuits have for it."""
    conventions: Conventions = DEFAULTS
    tariff: Tariff | None = None
    """Of its group, where that compares machines by their price."""

    @cached_property
    def kube_name(self) -> str:
        return kube_name(self.node)

    @cached_property
    def phase(self) -> Phase:
        return phase_of(self.node.status)

    @property
    def provider_id(self) -> str:
        """What its Kubernetes node carries, carried, or will carry."""
        return provider_id_of(self.node, self.kube)

    @cached_property
    def node_ready(self) -> bool:
        return self.kube is not None and ready(self.kube)

    @property
    def kubelet_says(self) -> Condition | None:
        """The condition Ready of its Kubernetes node."""
        return ready_condition(self.kube) if self.kube is not None else None

    @cached_property
    def our_cordon(self) -> bool:
        return self.kube is not None and CORDON_ANNOTATION in self.kube.metadata.annotations

    @cached_property
    def valid(self) -> bool:
        refused = self.control_plane and not self.policy.allow_control_plane
        return usable(self.problems) and not refused and (self.group is None or self.group.valid)

    @cached_property
    def leaving(self) -> bool:
        """Released or being deleted: nothing more is done to it."""
        return leaving(self.node)

    @property
    def observing(self) -> bool:
        """Its group only observes: nothing is done to it."""
        return self.group is not None and self.policy.mode is Mode.OBSERVE

    @property
    def unseen(self) -> bool:
        """Nothing is decided yet: it is seen for the first time, or anew."""
        return not self.node.status.phase or self.to_be_seen_anew

    @property
    def to_be_seen_anew(self) -> bool:
        """Its group has ceased to observe, and the machine does not know yet."""
        receipt = self.node.status.receipt
        if receipt is None or receipt.until is not None or self.observing or self.group_unreadable:
            return False
        return self.group is None or self.group.valid

    @property
    def ungrouped(self) -> bool:
        """It is in no group, or in one that is gone or given up: it serves nobody but those who use it by hand."""
        return (self.group is None and not self.group_unreadable) or (self.group is not None and self.group.released)

    @property
    def group_missing(self) -> bool:
        """It says which group it belongs to, and there is none."""
        return self.group is None and membership_of(self.node) is not None and not self.group_unreadable

    @cached_property
    def group_unreadable(self) -> bool:
        """Its Group is there, and does not decode."""
        return any(problem.reason == "GroupUnreadable" for problem in self.problems)

    @cached_property
    def lacks(self) -> tuple[str, ...]:
        """What its Kubernetes node waits for until it is open to pods."""
        return tuple(lacking(self.kube, self.node.status, self.conventions)) if self.kube is not None else ()

    @property
    def set_up_until(self) -> datetime | None:
        """Until when its Kubernetes node is waited for on that account."""
        return set_up_until(self.node.status, self.conventions, provision=self.policy.provision)

    @at_a_moment
    def wish(self, now: datetime) -> WishRecord | None:
        return effective_wish(self.node, self.policy, now=now)

    @at_a_moment
    def off_vetoes(self, now: datetime) -> tuple[Veto, ...]:
        """Every rule that forbids switching it off, the one to be told first."""
        return judge.off_vetoes(self, now)

    @at_a_moment
    def on_vetoes(self, now: datetime) -> tuple[Veto, ...]:
        """Every rule that keeps it from being chosen to wake."""
        return judge.on_vetoes(self, now)

    @at_a_moment
    def own_on_vetoes(self, now: datetime) -> tuple[Veto, ...]:
        """Those that have nothing to do with other machines."""
        return judge.own_on_vetoes(self, now)

    @at_a_moment
    def put_off(self, now: datetime) -> tuple[Veto, ...]:
        """Every rule by which its wake, once it is wanted, does not begin yet."""
        return judge.put_off(self, now)

    def withheld(self, now: datetime) -> tuple[Veto, ...]:
        """Every rule by which a wake that was begun is not sent now, or not sent again."""
        return judge.withheld(self, now)

    @at_a_moment
    def may_wake(self, now: datetime) -> bool:
        """Whether a wake may be sent now. One that is on its way already does not wait for those that it depends on."""
        if self.phase in COMING:
            return not self.own_on_vetoes(now) and not self.withheld(now)
        return not self.on_vetoes(now) and not judge.waits_for(self) and not self.put_off(now)

    def probed(self, now: datetime) -> bool:
        """Whether it is on, or on its way, to see whether it works again."""
        wish = self.wish(now)
        return wish is not None and wish.power is Power.ON and wish.reason == Reason.PROBE

    def unproven(self, now: datetime) -> bool:
        """Whether it may be off only as the one of its group without wake proof."""
        return self.group is not None and unproven(self.node, self.policy, now=now)

    @at_a_moment
    def acted_wish(self, now: datetime) -> Power | None:
        """What to act on: the wish, unless safety forbids it."""
        return acted_power(self.node, self.policy, vetoes=self.off_vetoes(now), serves=self.node_ready, now=now)

    def judged_until(self, now: datetime) -> datetime | None:
        """When a judgement of this machine changes by time alone."""
        changes, price = judge.changes_at(self, now), self._price(now)
        if price is None:
            return changes
        return price.end if changes is None else min(changes, price.end)

    def _price(self, now: datetime) -> Step | None:
        return step_at(self.tariff, now) if self.tariff is not None else None

    def _standing(self, now: datetime) -> Standing:
        """Where it stands by the order of its group."""
        if not self.policy.order:
            return ()
        price = self._price(now)
        rates = self.rates if price is None else structs.replace(self.rates, per_kwh=price.per_kwh)
        return standing_of(self.policy.order, traits_of(self.node, rates, self.shape, tariff=price is not None))

    def member(self, now: datetime) -> Member:
        """The machine as sizing sees it."""
        status, off, wish = self.node.status, self.off_vetoes(now), self.wish(now)
        return Member(
            key=self.key,
            phase=self.phase,
            wish=wish,
            node_ready=self.node_ready,
            on_vetoes=self.on_vetoes(now),
            off_vetoes=off,
            fixed=judge.forbidden(off),
            last_vetoes=judge.last_vetoes(self, now),
            put_off=self.put_off(now),
            failures=status.failures,
            boot_seconds=status.boot_seconds,
            hourly=hourly_price(self.rates),
            index=self.node.spec.index,
            standing=self._standing(now),
            replaced=status.replaced,
            cooling=cooling(status, now),
            valid=self.valid and not self.unseen,
            found_up=self.unseen and self.valid and self.node_ready and (wish is None or wish.power is Power.ON),
            since=status.since,
            switched=status.switched,
            vacant=self.key in self.traffic.idle,
            silent=status.silent,
            waits_for=judge.waits_for(self),
            places=self.places,
            slots=slots(self.places, within=self.policy.provision / 2, now=now) if self.places else None,
            began=trying_since(status),
            ill=status.remediation.ill_since is not None,
            cycling=status.remediation.cycling,
            unproven=self.unproven(now),
            tried_at=tried_at(status),
            health=status.health,
            probe_due=probe_due(status, limits=self.limits),
            observed=self.observing,
            idle=status.receipt is not None and status.receipt.idle_since is not None,
        )


def provider_id_of(machine: Node, kube: KubeNode | None) -> str:
    """What the Kubernetes node of the machine carries, carried, or will carry."""
    if kube is not None and kube.spec.provider_id:
        return kube.spec.provider_id
    seen = machine.status.template
    return (seen.provider_id if seen else "") or provider_id(machine.metadata.namespace, machine.metadata.name)


def ready(node: KubeNode) -> bool:
    """The kubelet reports Ready."""
    said = ready_condition(node)
    return said is not None and said.status == "True"


def ready_condition(node: KubeNode) -> Condition | None:
    """What the kubelet, or of a silent one the controller manager, says of being Ready."""
    return next((condition for condition in node.status.conditions if condition.type == "Ready"), None)


def membership_of(node: Node) -> Lookup | None:
    """The group that the machine's label names."""
    name = node.metadata.labels.get(MEMBERSHIP_LABEL)
    return Lookup(node.metadata.namespace, name) if name else None
