"""What is known of a machine at one moment beside its view: what the snapshot shows, what the agent remembers, and what was read or
done for this very decision. It holds no environment and no arguments of Jobs.

A decision that needs something which was not read raises `Unread`; `machine.decide` answers it by a `Look`.
"""

from datetime import datetime, timedelta
from typing import Final, TypeVar

from msgspec import UNSET, Struct, UnsetType, structs

from hexa.domain.decide.decision import Looked
from hexa.domain.group.sizing import Member
from hexa.domain.machine.identity import NameFacts
from hexa.domain.machine.trust import LEASE_PERIOD, Sample
from hexa.domain.money.booking import Prices
from hexa.domain.pods.drain import Plan
from hexa.domain.resources.core import KubeNode
from hexa.domain.resources.v1alpha1 import Counter, JobRecord, WishRecord
from hexa.domain.rules.health_checks import Run
from hexa.domain.rules.power_cycle import Site
from hexa.domain.weekly import Span

T = TypeVar("T")


class Unread(Exception):
    """Something was not read yet that the decision depends on."""

    def __init__(self, at: Looked) -> None:
        super().__init__(at)
        self.at = at


class CheckSeen(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The machine's health check, as the agent knows it."""

    name: str = ""
    """Of its CronJob; empty: the machine declares no check."""
    run: Run | None = None
    """The newest run that has ended."""
    gone: bool = False
    """There is no CronJob of it, for sure."""
    trouble: str = ""


NO_CHECK: Final = CheckSeen()


class OrderSeen(Struct, frozen=True):
    """Whether and how the Job of an attempt can be made."""

    able: bool
    """There is a way to switch the machine."""
    of_another_time: bool = False
    """There is a Job of its name that was made well before the attempt began."""
    there: bool = False
    """The Job of this attempt is known to be there."""
    unmade: JobRecord | None = None
    """What the API server said when the Job could not be made."""


class Load(Struct, frozen=True):
    """What a look at the machine's pods has shown."""

    idle: bool
    """No pods are on it that would have to move."""
    before: datetime | None
    """When this agent had looked before."""


class Swept(Struct, frozen=True):
    """What became of the pods that the last power-off left behind."""

    gone: int
    kept: str = ""
    """What the API server says of one that it keeps."""


class Read(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was read and done since the machine was last written; UNSET: not yet."""

    job: JobRecord | UnsetType | None = UNSET
    order: OrderSeen | UnsetType = UNSET
    plan: Plan | UnsetType = UNSET
    name: NameFacts | UnsetType = UNSET
    stuck: tuple[str, ...] | UnsetType = UNSET
    members: tuple[Member, ...] | UnsetType = UNSET
    site: Site | UnsetType = UNSET
    unclaimed: tuple[KubeNode, ...] | UnsetType = UNSET
    woken: tuple[datetime, ...] | UnsetType = UNSET
    load: Load | UnsetType = UNSET
    price: float | UnsetType = UNSET
    prices: Prices | UnsetType = UNSET
    done: frozenset[str] = frozenset()
    """Acts that were carried out, and need not be repeated now."""
    started: JobRecord | None = None
    """The Job that was started."""
    ended: bool = False
    """No other power Job of the machine is left."""
    evicted: str | None = None
    """Who blocks the drain, by the answers to the evictions; empty: nobody."""
    room: str | None = None
    """What comes of making room."""
    welcomed: str = ""
    """uid of the Kubernetes node that was welcomed."""
    swept: Swept | None = None
    in_vain: bool = False
    """A status was written, and the API server kept nothing of it: its CRDs are older than we are."""
    confirmed: str = ""
    """The version that the machine has by an empty write of ours, which a webhook of the cluster may fill: what was read holds for
    it as well."""

    @property
    def fetched(self) -> bool:
        """Whether something was asked of the API server: the snapshot may have told of a change since."""
        return any(part is not UNSET for part in (self.job, self.order, self.plan, self.name, self.stuck, self.load))


NOTHING_READ: Final = Read()


def outdated(read: Read) -> Read:
    """Without what the snapshot showed: others were at work since."""
    return structs.replace(read, members=UNSET, site=UNSET, unclaimed=UNSET, woken=UNSET, price=UNSET, prices=UNSET)


class Observed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of the machine beside its view."""

    now: datetime
    born: datetime
    """Since when this agent lives."""
    first_seen: datetime
    """When it first saw the machine."""
    seeing_since: datetime | None
    """Since when the snapshot is watched without a gap; None: we are blind."""
    hearing_since: datetime | None
    """The same of the kubelets' Leases."""
    blind_seconds: float = 0.0
    """Seconds since the phase began in which we were blind."""
    heard: datetime | None = None
    """When its kubelet's Lease was last seen to change."""
    heard_until: datetime | None = None
    lease_period: timedelta = LEASE_PERIOD
    renewal: str = ""
    """What the Lease says of its last renewal, to be compared for being equal only (ports.heartbeats)."""
    reading: Sample | None = None
    """The power as its sensor reads it; None: nothing reads this machine."""
    sensor_trouble: str = ""
    check: CheckSeen | None = None
    """None: nobody runs health checks."""
    recorded: WishRecord | None = None
    """The wish that is stored on the machine."""
    renewed: bool = False
    """The present attempt was begun by this agent in place of one whose Job may be forgotten."""
    job_over: bool = False
    """The snapshot shows the recorded Job as over, or does not show it."""
    stops: bool = False
    """The shutdown Job of the present attempt is there, recorded or not."""
    jobs: frozenset[str] = frozenset()
    """Names of the machine's power Jobs that may be there."""
    marked_node: str = ""
    """A Kubernetes node that bears the machine's marks."""
    nothing_stuck: bool = False
    """Since the phase began nothing was stuck on its Kubernetes node."""
    pods_seen_at: datetime | None = None
    """When this agent last looked at the machine's pods for its receipt."""
    counter: Counter | None = None
    """The last reading of its meter."""
    skipped: tuple[Span, ...] = ()
    """Time over which the clock was set forward since the machine's account was complete, or its pause began."""
    read: Read = NOTHING_READ

    @property
    def sight(self) -> datetime | None:
        """Since when we see everything; None: blind."""
        store, lives = self.seeing_since, self.hearing_since
        return None if store is None or lives is None else max(store, lives)

    @property
    def job(self) -> JobRecord | None:
        return _known(self.read.job, Looked.JOB)

    @property
    def order(self) -> OrderSeen:
        return _known(self.read.order, Looked.ORDER)

    @property
    def plan(self) -> Plan:
        return _known(self.read.plan, Looked.PLAN)

    @property
    def name(self) -> NameFacts:
        return _known(self.read.name, Looked.NAME)

    @property
    def stuck(self) -> tuple[str, ...]:
        return _known(self.read.stuck, Looked.STUCK)

    @property
    def members(self) -> tuple[Member, ...]:
        return _known(self.read.members, Looked.MEMBERS)

    @property
    def site(self) -> Site:
        return _known(self.read.site, Looked.SITE)

    @property
    def unclaimed(self) -> tuple[KubeNode, ...]:
        return _known(self.read.unclaimed, Looked.UNCLAIMED)

    @property
    def load(self) -> Load:
        return _known(self.read.load, Looked.LOAD)

    @property
    def price(self) -> float:
        return _known(self.read.price, Looked.PRICE)

    @property
    def last_look(self) -> datetime | None:
        """When the machine's pods were looked at before this decision."""
        return self.pods_seen_at if isinstance(self.read.load, UnsetType) else self.read.load.before

    def pods_due(self, span: timedelta) -> bool:
        """Whether they are to be looked at now, or were for this decision."""
        at = self.pods_seen_at
        return not isinstance(self.read.load, UnsetType) or at is None or not at <= self.now < at + span

    @property
    def woken(self) -> tuple[datetime, ...]:
        return _known(self.read.woken, Looked.WOKEN)

    @property
    def prices(self) -> Prices:
        return _known(self.read.prices, Looked.PRICES)


def _known(value: T | UnsetType, at: Looked) -> T:
    if isinstance(value, UnsetType):
        raise Unread(at)
    return value
