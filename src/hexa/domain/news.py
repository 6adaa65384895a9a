"""What hexa tells: each thing that happened is one value. Who is told subscribes (`app.news`), and the core knows none of them.

`What` lists every reason that hexa tells by itself. A reason that it passes on, of an error, a condition, a veto or a wish, is an
`OpenReason`.
"""

from enum import StrEnum
from typing import Final, NewType

from msgspec import Struct

from hexa.domain.errors import HexaError
from hexa.domain.resources.v1alpha1 import Lookup


class Severity(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


class About(StrEnum):
    """The kind of the object that something happened to."""

    NODE = "Node"
    """A machine."""
    GROUP = "Group"
    KUBE_NODE = "KubernetesNode"
    POD = "Pod"
    JOB = "Job"
    CRON_JOB = "CronJob"
    LEASE = "Lease"
    PROFILE = "PowerProfile"


class Work(StrEnum):
    """Work that failed."""

    MACHINE = "machine"
    GROUP = "group"
    KUBE_NODE = "Kubernetes node"
    CHECK = "health check"
    """The CronJob of a machine's health check is kept."""
    READING = "reading"
    """A machine's power is read."""
    WATCH = "watch"
    """All objects of a kind are watched."""
    PENDING = "pending pod"
    """Where the volumes of a pod that waits can be had is read."""
    CONDITION = "condition"
    """The condition of a contained object is written."""
    OBJECT = "object"
    """The data of one object raised what nobody foresaw: it is contained."""
    NEWS = "news"
    """A subscriber is told."""


class What(StrEnum):
    """Every reason that hexa tells by itself, in CamelCase, as Kubernetes Events have it."""

    # A machine comes into a phase (`lifecycle.Phase`).
    UNKNOWN = "Unknown"
    OFF = "Off"
    POWERING_ON = "PoweringOn"
    BOOTING = "Booting"
    READY = "Ready"
    DRAINING = "Draining"
    POWERING_OFF = "PoweringOff"
    START_FAILED = "StartFailed"
    STOP_FAILED = "StopFailed"
    LOST = "Lost"

    # On the way of a machine.
    STARTUP_JOB = "StartupJob"
    """The Job that switches it on was made."""
    SHUTDOWN_JOB = "ShutdownJob"
    """The Job that switches it off was made."""
    JOB_TAKEN_BACK = "JobTakenBack"
    """A power Job that had not ended was removed: the machine is not to be switched by it any more."""
    WAKE_AGAIN = "WakeAgain"
    """It gives no sign of life, and another wake is sent."""
    WORKS_AGAIN = "WorksAgain"
    """It failed to start and is seen to work: it is tried again sooner."""
    RETURNED = "Returned"
    """It came up after starts that failed."""
    POWER_CYCLE = "PowerCycle"
    """Its power is cut, because its kubelet is silent."""
    NOT_SET_UP = "NotSetUp"
    """A startup taint, or a missing device, keeps it from being used for too long."""
    DRAIN_BLOCKED = "DrainBlocked"
    """Pods cannot leave it."""
    VOLUMES_ATTACHED = "VolumesAttached"
    """Its pods are gone; volumes are not detached yet."""
    VOLUMES_LEFT = "VolumesLeft"
    """Its drain ended, though volumes are still attached."""
    PODS_SWEPT = "PodsSwept"
    """Pods that its last power-off left behind were removed."""
    PODS_NOT_SWEPT = "PodsNotSwept"
    """Pods that its last power-off left behind stay."""
    NODE_LEFT = "NodeLeft"
    """Its Kubernetes node was deleted while it is off."""
    HANDED_BACK = "HandedBack"
    """It was released while its Kubernetes node is deleted: what a person has to restore after its next boot."""
    CIRCUIT_FULL = "CircuitFull"
    """It is wanted on, and no watts of its circuit are left for it; or a request was refused for that."""
    WAITS_ITS_TURN = "WaitsItsTurn"
    """It is wanted on, and another machine of its circuit was woken a moment ago."""
    OUT_OF_SERVICE = "OutOfService"
    """Its Kubernetes node bears the taint out-of-service."""
    IN_SERVICE = "InService"
    """That taint was removed."""
    KEPT_ON = "KeptOn"
    """Another rule than before keeps it on."""
    METER_DOUBTED = "MeterDoubted"
    """Its meter went back, or jumped: that energy is computed instead."""
    READ_AGAIN = "ReadAgain"
    """Its power was not read for a while, and is again."""

    # A person changed what a machine is.
    STATUS_OF_ANOTHER = "StatusOfAnother"
    """Its status is of a resource that was deleted: it is looked at anew."""
    GROUP_CHANGED = "GroupChanged"
    """It is in another group."""
    POWER_CHANGED = "PowerChanged"
    """What switches or reads its power is another."""
    NODE_RENAMED = "NodeRenamed"
    """Its Kubernetes node is another."""

    # Somebody wants a machine on or off.
    WISH_CHANGED = "WishChanged"
    """A person, a program or a rule of hexa's wants it otherwise."""
    FOUND_ON = "FoundOn"
    """Somebody else switched it on, or its power came back: it stays on."""
    FOUND_OFF = "FoundOff"
    """Somebody else switched it off, or its power failed: it stays off."""
    CORRECTED = "Corrected"
    """Somebody else switched it on: it is switched off again."""
    NEEDED_BY = "NeededBy"
    """On, for a machine that depends on it."""
    SPARE = "Spare"
    """The group has fewer idle machines than its spares."""
    MIN_SIZE = "MinSize"
    """The group has fewer machines than its minSize."""
    MAX_SIZE = "MaxSize"
    """The group has more machines than its maxSize."""
    TAKES_PLACE = "TakesPlace"
    """On, in place of a machine that failed to start."""
    REPLACED = "Replaced"
    """Off: another took its place."""
    HEDGE = "Hedge"
    """On, beside a machine that gives no sign of life."""
    HEDGED = "Hedged"
    """It gives no sign of life: another is woken beside it."""
    EXERCISE = "Exercise"
    """On, to show that it can be woken."""
    QUIET_PROBE = "QuietProbe"
    """On, to see whether it works again after starts that failed."""
    EXERCISED = "Exercised"
    """Off: its exercise or its probe is over."""
    IN_USE = "InUse"
    """Pods came during its exercise or its probe: it stays on."""
    MAKES_ROOM = "MakesRoom"
    """On, for pods of a machine that a person wants off."""
    PINNED_POD = "PinnedPod"
    """On, for a pod that can run on no other machine."""
    LEARN_SHAPE = "LearnShape"
    """On, to learn the shape of a group that a pod waits for."""
    NOT_NEEDED = "NotNeeded"
    """Off, before it was up: no pod waits for it any more."""

    # Cluster Autoscaler calls.
    SCALE_UP = "ScaleUp"
    """IncreaseSize: machines are wanted on."""
    SCALE_DOWN = "ScaleDown"
    """DeleteNodes: machines are wanted off."""
    REQUEST_TAKEN_BACK = "RequestTakenBack"
    """DecreaseTargetSize: machines that have not come are wanted off."""
    MAX_SIZE_REACHED = "MaxSizeReached"
    """Refused: the group would have too many machines."""
    NOT_ENOUGH_MACHINES = "NotEnoughMachines"
    """Refused: too few machines can be woken."""
    NOT_A_MEMBER = "NotAMember"
    """Refused: the Kubernetes node is no machine of the group."""
    WAKE_PROOF = "WakeProof"
    """Refused: one machine at a time may be off that hexa has not shown to wake."""
    MIN_SIZE_REACHED = "MinSizeReached"
    """Refused: the group would have too few machines."""
    CHOSEN = "Chosen"
    """Why machines of a group with spec.order were woken, or rested, and not the next one."""

    # Pods.
    MACHINE_BOOTS = "MachineBoots"
    """A machine boots that will serve the pod."""

    # The site.
    CALM = "Calm"
    """SafeHands is over: the site is calm again."""
    POWER_IS_BACK = "PowerIsBack"
    """The UPS keeps no machine off any more."""

    # Objects that hexa cannot work with, and hexa itself.
    DOES_NOT_DECODE = "DoesNotDecode"
    """A resource that cannot be read."""
    CONTAINED = "Contained"
    """The data of an object raised what nobody foresaw: hexa leaves that object alone."""
    CONTESTED = "Contested"
    """Somebody else undoes what hexa writes, each time anew."""
    NOT_TOLD = "NotTold"
    """A subscriber of the news failed."""


OpenReason = NewType("OpenReason", str)
"""A reason that is passed on: of an error, a condition, a veto or a wish. CamelCase too; whoever names it documents it."""

Happened = What | OpenReason


class Change(Struct, frozen=True):
    """From one phase to another."""

    was: str
    phase: str
    noticed: str
    """The event of the lifecycle table."""


class News(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. It is told after what it tells of was stored or done."""

    of: Lookup
    """The object that it happened to; without a name: all objects of the kind."""
    about: About = About.NODE
    uid: str = ""
    """Of that object; empty: not known."""
    what: Happened
    """What happened: the reason of the Kubernetes Event."""
    why: str
    """In one sentence, for people; of a failure: the error."""
    severity: Severity = Severity.NORMAL
    by: str = ""
    """Who asked for it, where somebody did: the asker of the wish. News of a machine with it begins something."""
    change: Change | None = None
    """The step in the machine's life that it is about."""
    failed: Work | None = None
    """The work that failed. What can be repeated is tried again later."""
    trace: str = ""
    """The traceback of a failure that nobody foresaw."""
    quiet: bool = False
    """For logs only: nothing that anybody could mend."""
    cause: str = ""
    """The call or the decision that began it, for those who follow one through the logs, such as IncreaseSize-3; empty: hexa's own
    look at the object."""


NOTHING: Final[tuple[News, ...]] = ()


def failure(work: Work, of: Lookup, error: HexaError, *, about: About = About.NODE, quiet: bool = True) -> News:
    """Work on the object that failed by an error that is known."""
    return News(
        of=of,
        about=about,
        what=OpenReason(error.reason),
        why=str(error),
        severity=Severity.WARNING,
        failed=work,
        quiet=quiet,
    )
