"""`spec.remediation` of a Group and `status.remediation` of a Node: what is done by itself about machines that are ill.

What the fields mean is decided in `hexa.domain.rules` (`power_cycle`, `out_of_service`); this module only knows shapes.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from hexa.domain.resources.core import Slice
from hexa.domain.resources.values import Duration, int_or_string

PERCENT_PATTERN = r"^(100|[0-9]{1,2})%$"

CountOrShare = Annotated[int | str, int_or_string(minimum=0, pattern=PERCENT_PATTERN)]
"""A number of machines, or a share of them such as "40%"."""


class Remediation(Slice, frozen=True, kw_only=True):
    power_cycle: Annotated[
        bool,
        Meta(
            description="Cut the power of a machine that is wanted on, reads On and has no living kubelet, and wake it "
            "again. Its pods end without grace. Default false."
        ),
    ] = False
    after: Annotated[
        Duration | None,
        Meta(
            description="How long a machine must have been lost, or have failed to join, before its power is cycled; "
            "doubled with each cycle in a row. Never shorter than the machine's timeouts.boot, so that a reboot is over "
            "by then. Default 10m."
        ),
    ] = None
    max_unhealthy: Annotated[
        CountOrShare | None,
        Meta(
            description="No power is cycled while more machines of the group than this are ill: a number, or a share of "
            "the machines that should be on, rounded down. Default 1."
        ),
    ] = None
    cycles: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None,
        Meta(
            description="Cycles in a row after which a machine is left as it is, for a person to look at. A machine that "
            "was well for six hours after one begins anew. Default 3."
        ),
    ] = None
    out_of_service: Annotated[
        bool,
        Meta(
            description="Taint the Kubernetes node of a machine that two independent proofs show to be off as "
            "node.kubernetes.io/out-of-service while pods or volumes are stuck on it, so that Kubernetes lets them go; "
            "the taint goes before the machine is woken. Needs something that reads its power. Default false."
        ),
    ] = False


class RemediationStatus(Slice, frozen=True, kw_only=True):
    ill_since: Annotated[
        datetime | None,
        Meta(description="Since when the machine is lost, or fails to join, though it was not off since."),
    ] = None
    cycles: Annotated[int, Meta(ge=0, description="Power cycles in a row.")] = 0
    cycled_at: Annotated[datetime | None, Meta(description="When the last of them began.")] = None
    cycling: Annotated[bool, Meta(description="The power is being cycled: from the power-off until the boot ends.")] = (
        False
    )
