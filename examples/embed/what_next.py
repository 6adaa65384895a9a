"""What would hexa do next with these machines, and why? Asked of `hexa.domain.decide`, without a cluster, an event loop or a clock.

Say what you know of a machine (`MachineView`: its Node resource, its group, its Kubernetes node; `Observed`: what was heard, read
and done), and ask. The answer is a value. `Look` asks for more knowledge: add it to `Observed.read` and ask again. `Save`, `Want`
and the others say what hexa would write or do, with the news that it would tell; `Rest` says when to look again.

    python examples/embed/what_next.py
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import structs

from hexa.domain.decide.decision import Decision, Edit, Look, Looked, OnNode, Rest, Save, Want
from hexa.domain.decide.machine import decide
from hexa.domain.decide.observed import Observed, OrderSeen
from hexa.domain.group_view import GroupView
from hexa.domain.machine.wish import recorded_wish, wish_patch
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.pods.drain import plan
from hexa.domain.policy.policy import policy_of
from hexa.domain.resources.core import KubeNode, Pod
from hexa.domain.resources.v1alpha1 import Group, Lookup, Node

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
BEFORE = "2026-03-02T07:59:30Z"

GROUP = {"metadata": {"name": "rack", "namespace": "site"}, "spec": {"maxSize": 4}}
JOB = {"image": "registry.example/power"}
UP = {"conditions": [{"type": "Ready", "status": "True"}]}
WEB = {
    "metadata": {"name": "web", "namespace": "apps", "ownerReferences": [{"kind": "ReplicaSet", "controller": True}]},
    "spec": {"containers": [{"name": "main"}]},
}

MACHINES: dict[str, dict[str, Any]] = {
    "asleep": {"phase": "Off", "wants": "on"},
    "serving": {"phase": "Ready", "wants": "on", "node": {"status": UP}},
    "in-use": {"phase": "Draining", "wants": "off", "node": {"status": UP, "spec": {"unschedulable": True}}},
    "open": {"phase": "Draining", "wants": "off", "node": {"status": UP}},
    "told-to-stay": {"phase": "Off", "wants": "on", "hold": {"power": "off", "reason": "BIOS update"}},
}
"""Machines of one rack, and what a person wants of each."""


def view(name: str, said: dict[str, Any]) -> MachineView:
    """The machine as decisions see it."""
    group = msgspec.convert(GROUP, Group)
    policy, problems = policy_of(group)
    node = {
        "metadata": {"name": name, "namespace": "site", "labels": {"group": "rack"}},
        "spec": {"startupPodSpec": JOB, "shutdownPodSpec": JOB, "powerState": said["wants"], "hold": said.get("hold")},
        "status": {"phase": said["phase"], "since": BEFORE, "welcomed": True},
    }
    kube = {"metadata": {"name": name}, **said["node"]} if "node" in said else None
    return MachineView(
        key=Lookup("site", name),
        node=msgspec.convert(node, Node),
        group=GroupView(key=Lookup("site", "rack"), group=group, policy=policy, problems=tuple(problems)),
        policy=policy,
        limits=policy.limits,
        rates=Rates(),
        kube=msgspec.convert(kube, KubeNode) if kube is not None else None,
        problems=(),
        control_plane=False,
        hosts=(),
        shape=None,
        node_exists=kube is not None,
    )


def known(machine: MachineView) -> Observed:
    """What is known beside the view: everything was seen for an hour, and a kubelet that serves was heard just now."""
    long_ago = NOW - timedelta(hours=1)
    heard = NOW - timedelta(seconds=3) if machine.node_ready else None
    return Observed(
        now=NOW,
        born=long_ago,
        first_seen=long_ago,
        seeing_since=long_ago,
        hearing_since=long_ago,
        heard=heard,
        heard_until=heard + timedelta(seconds=40) if heard is not None else None,
    )


def looked(at: Looked, machine: MachineView, observed: Observed) -> Observed:
    """The answer to a look. A tool of yours would ask its own inventory, or the API server."""
    answers: dict[Looked, Any] = {
        Looked.ORDER: OrderSeen(able=True),
        Looked.PLAN: plan([msgspec.convert(WEB, Pod)], rules=machine.policy.drain),
        Looked.MEMBERS: (),
        Looked.UNCLAIMED: (),
        Looked.WOKEN: (),
    }
    return structs.replace(observed, read=structs.replace(observed.read, **{str(at): answers[at]}))


def say(machine: MachineView, decision: Decision) -> str:
    """A decision in a line."""
    match decision:
        case Want(wish):
            return f"store the wish {wish.power} by {wish.by}: {wish.reason}"
        case Save(status) if status.phase != machine.node.status.phase:
            return f"go on to {status.phase}"
        case Save(status):
            told = [f"{each.type}: {each.message}" for each in status.conditions if each.reason == "Hold"]
            return "; ".join(["store what is new of its status", *told])
        case OnNode(touch):
            return f"{touch} its Kubernetes node"
        case Edit():
            return "change its metadata"
        case Rest(until):
            return f"nothing until {until:%H:%M:%S}" if until else "nothing, until something changes"
        case _:
            return type(decision).__name__.lower()


def stored(machine: MachineView, decision: Save | Want) -> MachineView:
    """The machine once that is written."""
    if isinstance(decision, Save):
        return structs.replace(machine, node=structs.replace(machine.node, status=decision.status))
    annotations = wish_patch(machine.node, decision.wish)["metadata"]["annotations"]
    metadata = structs.replace(machine.node.metadata, annotations=annotations)
    return structs.replace(machine, node=structs.replace(machine.node, metadata=metadata))


def steps(machine: MachineView, observed: Observed) -> list[str]:
    """What hexa would do, step by step, as long as that changes nothing but what this program holds: a wish, a status."""
    told = []
    for _ in range(20):
        decision = decide(machine, observed)
        if isinstance(decision, Look):
            observed = looked(decision.at, machine, observed)
            continue
        why = "".join(f" ({news.why})" for news in getattr(decision, "news", ()))
        told.append(f"{say(machine, decision)}{why}")
        if not isinstance(decision, (Save, Want)):
            break
        machine = stored(machine, decision)
        observed = structs.replace(known(machine), recorded=recorded_wish(machine.node))
    return told


def main() -> None:
    """Print the steps of each machine."""
    for name, said in MACHINES.items():
        machine = view(name, said)
        print(f"{name}:", *steps(machine, known(machine)), sep="\n  ")


if __name__ == "__main__":
    main()
