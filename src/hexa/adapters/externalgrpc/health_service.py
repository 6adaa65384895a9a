"""grpc.health.v1: whether this process is alive, and whether CloudProvider is answered. Check only; Watch is not served.

`""` is the process: it answers, so it lives. The service's name is readiness: no before the snapshot was complete once,
yes ever after, since a read path that goes up and down with the API server would stop Cluster Autoscaler for nothing.
"""

from collections.abc import Callable
from typing import Final

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from hexa.adapters.externalgrpc import scan
from hexa.adapters.externalgrpc.service import PREFIX, Read

CHECK: Final = "/grpc.health.v1.Health/Check"
CLOUD_PROVIDER: Final = PREFIX.strip("/")

_SERVING: Final = b"\x08\x01"
_NOT_SERVING: Final = b"\x08\x02"


def check(ready: Callable[[], bool]) -> Read:
    """The answer of Check."""

    def answer(request: bytes) -> bytes:
        service = scan.first_text(request)
        if service == "":
            return _SERVING
        if service == CLOUD_PROVIDER:
            return _SERVING if ready() else _NOT_SERVING
        raise GRPCError(Status.NOT_FOUND, f"UnknownService: {service!r}; there are '' and {CLOUD_PROVIDER}")

    return answer
