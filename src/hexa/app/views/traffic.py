"""What the machines of each group do, as far as rules count that. What counts is judged in `domain.rules.traffic`."""

from typing import Final

from hexa.app.views.slots import Claimed
from hexa.domain.rules.traffic import NO_TRAFFIC, Move, Traffic, move_of, traffic_of

TRAFFIC: Final = Claimed[Move, Traffic](
    claim=lambda key, node, kube, policy, now: move_of(key, node, kube, policy, now=now),
    stand=lambda moves, now: traffic_of(moves),
    nothing=NO_TRAFFIC,
    seen=lambda traffic: traffic,
)
