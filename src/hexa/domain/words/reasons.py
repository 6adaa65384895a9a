"""Reasons and types of conditions that hexa writes, for whoever may not take any text: labels of metrics are to be few.

A reason that comes from elsewhere (another program's error, a later version) is `OTHER`.
"""

from typing import Final

from hexa.domain.errors import AlreadyExists, Conflict, Expired, NotFound, Refused, Unavailable
from hexa.domain.machine.reason import Reason
from hexa.domain.news import What

OTHER: Final = "Other"


def _each(words: str) -> frozenset[str]:
    return frozenset(words.split())


OF_CLASSES: Final = frozenset(
    error.__name__ for error in (Unavailable, Refused, Conflict, NotFound, AlreadyExists, Expired)
)
OF_API_SERVERS: Final = _each(
    "BadRequest Conflict Expired Forbidden Gone InternalError Invalid MethodNotAllowed NotAcceptable NotFound "
    "RequestEntityTooLarge ServerTimeout ServiceUnavailable StoreReadError Timeout TooManyRequests Unauthorized "
    "UnsupportedMediaType"
)
"""Status.reason of Kubernetes."""
OF_CONNECTIONS: Final = _each(
    "CloseError ConnectError ConnectTimeout DecodeError DecodingError InvalidURL LocalProtocolError NetworkError "
    "PoolTimeout ProtocolError ProxyError ReadError ReadTimeout RemoteProtocolError StreamClosed TimeoutException "
    "TooManyRedirects TransportError UnsupportedProtocol ValidationError WriteError WriteTimeout"
)
"""A connection to an API server that failed."""
OF_ERRORS: Final = _each(
    "AddressInUse AddressRefused AddressUnknown AuthorityEnds BadAddress BadAnswer BadCertificate BadCredentials BadFile "
    "BadKey BadKubeconfig BadMac BadName BadPodSpec BadSecret BadSettings Blind BrokenConnection Busy "
    "CertificateNotTrusted CommandFailed Contained CronJobAppeared DeviceError Doubtful DriverFailed DuplicatePower "
    "ExecPlugin Forbidden ForeignCronJob ForeignJob HardNotAllowed JobVanished KindNotServed Later Malformed NoAnswer "
    "NoCredentials NoKubeconfig NoScript NoServiceAccount NoSshClient NoTls NoToken NoWay NoWayOff NoWayOn NotSent "
    "NotSupported NotTaken NotVerified PlaintextOnNetwork Redirected ResourceVersionTooLarge ScriptFailed ScriptRefused "
    "SecretNotReadable ServerError Silent Unforeseen UnknownDriver UnknownHost UnknownOutlet UnknownSystem Unreachable "
    "UpsRefused UpsUnknown WakeNotArmed WrongDevice"
)
"""Of our own errors, where they are raised."""

REASONS: Final = frozenset(
    (*map(str, What), *map(str, Reason), *OF_CLASSES, *OF_API_SERVERS, *OF_CONNECTIONS, *OF_ERRORS)
)

OF_CONDITIONS: Final = _each(
    "BadLabel Blocked BootExceedsProvisionTime ButtonUnread CannotCycle CapacityAboveSeen CircuitTooSmall Contained "
    "ControlPlaneMember DependencyMissing ExerciseAfterProof Failed FitsNoPod GpuUnlabelled GraceOutlastsDrain "
    "HardOffForbidden HealthCheck HealthcheckPeriod Hedged IdentityChanged Invalid Joined KeptOn MaxBelowIdle "
    "MaxSizeZero MinAboveMachines MinAboveMax MixedShape NeverScaledDown NeverWokenAgain NoGroup NoKey NoMachines "
    "NoSensor NoSpare NoTime NodeUninitialized NotSetUp OutOfService PinnedPodsStay PodSpecInvalid PodSpecWins "
    "PodsWokenForInVain PowerJobFailed PowerJobWaiting PowerKnown PowerSpecInvalid PowerStateManagedBy PricesEnd "
    "ProfileIncomplete ProfileMissing Reachable Released Remediation RemediationStopped RequestAboveLimit "
    "ScheduleInvalid SelectorMismatch SelectorOfOneMachine ShapeUnknown SoftTooLong SparesAboveMax TemplateIncomplete "
    "UnevenShape UnknownCircuit UnknownTariff UnusedParameter UpsNotHeard Wakeable WattsUnknown"
)
CONDITIONS: Final = OF_CONDITIONS | frozenset(map(str, Reason))
"""Types of the conditions of machines and groups; a veto is a condition of its reason's name."""


def bounded(reason: str) -> str:
    """The reason, if it is one of those that are known, else `OTHER`."""
    return str(reason) if reason in REASONS else OTHER
