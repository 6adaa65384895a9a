"""What a drain would meet, said at once to who asks for an off: pods that block or fit nowhere else, and who would make room."""

from collections.abc import Iterator, Sequence

from hexa.app.commands.shared.draining import DRAINABLE, check
from hexa.app.commands.shared.snapshot import Snapshot
from hexa.app.node.make_room import lenders
from hexa.domain.decide.room import full_groups, offered
from hexa.domain.errors import HexaError
from hexa.domain.group.make_room import choose, nobody
from hexa.domain.machine_view import MachineView
from hexa.domain.pods.drain import Blocker
from hexa.domain.pods.left import few
from hexa.domain.resources.core import Pod
from hexa.domain.resources.v1alpha1 import Power
from hexa.ports.kube import Kube


async def foresee(kube: Kube, snapshot: Snapshot, view: MachineView) -> list[str]:
    """What stands against the off that is wanted of the machine, beside the rules: its pods. Empty where no off is wanted."""
    wish = view.wish(snapshot.now)
    if wish is None or wish.power is not Power.OFF or view.phase not in DRAINABLE or view.kube is None:
        return []
    try:
        found = await check(kube, view, now=snapshot.now)
    except HexaError as error:
        return [f"what its drain would meet is not known: {error}"]
    texts = list(_blocked([each for each in found.blockers if each.reason != "NoRoom"]))
    if found.homeless:
        texts.append(_room(snapshot, view, found.homeless, asked=wish.make_room))
    texts += [f"{pod.pod}: {pod.message}; a drain that it outlasts is given up" for pod in found.slow]
    return texts


def _blocked(blockers: Sequence[Blocker]) -> Iterator[str]:
    if blockers:
        yield f"it will be Blocked by DrainBlocked: {few([str(blocker) for blocker in blockers])}"


def _room(snapshot: Snapshot, view: MachineView, pods: Sequence[Pod], *, asked: bool) -> str:
    """Pods that fit on no other node that is on: who makes room, or would."""
    names = few([f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in pods])
    around = lenders(snapshot.views, view, now=snapshot.now)
    choice = choose(pods, offered(around, view))
    if not choice.wake:
        why = nobody(pods, full_groups(around))
        return f"it will be Blocked by NoRoom: {names} fit on no other node, and {why}"
    makers, rest = ", ".join(str(key) for key in choice.wake), f"; {nobody(choice.left, [])}" if choice.left else ""
    if asked:
        return f"{makers} is woken first, for {names}{rest}"
    remedy = f"hexa off {view.key} --make-room wakes it first"
    return f"it will be Blocked by NoRoom: {names} fit on no other node; {makers} would make room: {remedy}{rest}"
