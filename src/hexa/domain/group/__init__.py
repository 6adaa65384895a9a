"""The machines of a group: sizes, template, requests for several at once, and who makes room.

What a Group says was here, and is in `hexa.domain.policy` now: those names warn.
"""

from hexa.domain._moved import moved

__getattr__ = moved(
    __name__,
    "hexa.domain.policy.problem",
    "hexa.domain.policy.values",
    "hexa.domain.policy.limits",
    "hexa.domain.policy.policy",
)
