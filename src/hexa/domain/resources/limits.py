"""`timeouts` and `retries` of a Group and a Node. What they mean is decided in `hexa.domain.policy.limits`."""

from typing import Annotated, ClassVar

from msgspec import Meta

from hexa.domain.resources.core import Slice
from hexa.domain.resources.values import Duration, Rule, Rules


class Timeouts(Slice, frozen=True, kw_only=True):
    settle: Annotated[
        Duration | None,
        Meta(description="How long a machine found without status is watched before it counts as off. Default 15s."),
    ] = None
    power_on: Annotated[
        Duration | None,
        Meta(
            description="How long waking may take until there is a sign of power. Default: "
            "retries.attempts x retries.wakeInterval."
        ),
    ] = None
    boot: Annotated[
        Duration | None,
        Meta(
            description="How long booting may take until the Kubernetes node is Ready. Default: 0.6 x "
            "maxNodeProvisionTime, and shorter once three boots have shown how long this machine takes."
        ),
    ] = None
    drain: Annotated[
        Duration | None,
        Meta(description="How long a drain may take before it is given up (or forced). Default 10m."),
    ] = None
    power_off: Annotated[
        Duration | None,
        Meta(description="How long the machine may take to go dark after the shutdown Job started. Default 5m."),
    ] = None
    off_confirm: Annotated[
        Duration | None,
        Meta(
            description="Silence after the shutdown Job that counts as off where no sensor reads the "
            "power. Default 20s."
        ),
    ] = None
    lost: Annotated[
        Duration | None,
        Meta(
            description="How long a lost machine is left alone before it may be woken or, by force, "
            "switched off. Default 2m."
        ),
    ] = None


class Retries(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "!has(self.backoff) || !has(self.maxBackoff) || duration(self.backoff) <= duration(self.maxBackoff)",
            "backoff must not be longer than maxBackoff",
        ),
    )

    attempts: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(description="How many times a wake is sent for one boot. Default 3."),
    ] = None
    wake_interval: Annotated[
        Duration | None,
        Meta(
            description="A wake with no sign of life is sent again after this. Default: boot / 6, and shorter once three "
            "boots have shown how long this machine takes."
        ),
    ] = None
    backoff: Annotated[
        Duration | None,
        Meta(description="First cool-off after a failed start, stop or drain; doubles with each failure. Default 1m."),
    ] = None
    max_backoff: Annotated[Duration | None, Meta(description="Longest cool-off. Default 1h.")] = None
    hedge: Annotated[
        bool | None,
        Meta(
            description="Wake one spare machine of the group beside a machine that gives no sign of life for a wakeInterval "
            "after its first wake, instead of waiting for its boot to be given up. The spare must be shown to wake. Default false."
        ),
    ] = None
