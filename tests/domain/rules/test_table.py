"""The table of rules: every row says what it is, ranks its vetoes, and is folded for whoever asks."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from tests.domain.builders import OFF, T0, at, machine, status, wish

from hexa.domain.group.sizing import Member, candidates
from hexa.domain.machine.lifecycle import Phase
from hexa.domain.machine.reason import Reason, Veto
from hexa.domain.machine_view import MachineView
from hexa.domain.money.rates import Rates
from hexa.domain.policy.limits import Limits
from hexa.domain.policy.policy import Policy
from hexa.domain.resources.core import Condition
from hexa.domain.resources.v1alpha1 import Asker, Hold, Lookup, Paused
from hexa.domain.rules import power_cycle
from hexa.domain.rules.dependencies import Prerequisite, State, Ties
from hexa.domain.rules.judge import RANKS, REMEDIES, SAFETY, forbidden, stands_against, stays_until, tells
from hexa.domain.rules.rule import Rank
from hexa.domain.rules.table import ALONE, AMONG, RULES

NOW = at(100)
LATER, LAST = at(200), at(300)
GONE = Prerequisite(Lookup("site", "nas"), State.FAILS, "is lost")
COMES = Prerequisite(Lookup("site", "switch"), State.COMES)


def view(phase: Phase = Phase.READY, *, ties: Ties = Ties(), policy: Policy = Policy(), **spec: Any) -> MachineView:  # noqa: B008
    """A machine without a Kubernetes node."""
    changes = spec.pop("status", {})
    node = structs.replace(machine(**spec), status=status(phase, **changes))
    return MachineView(
        key=Lookup("site", "m1"),
        node=node,
        group=None,
        policy=policy,
        limits=Limits(),
        rates=Rates(),
        kube=None,
        problems=(),
        control_plane=False,
        hosts=(),
        shape=None,
        ties=ties,
    )


def test_every_row_says_what_it_is() -> None:
    """A name and a sentence for people, each once; a rule that forbids has a reason of its own, and no two have the same."""
    assert all(rule.name and rule.what.endswith(".") for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)
    reasons = [rule.reason for rule in RULES if rule.reason is not None]
    assert len(set(reasons)) == len(reasons)
    assert all((rule.reason is not None) == bool(rule.off or rule.on or rule.last or rule.later) for rule in RULES)
    assert all(rule.reason for rule in RULES if rule.remedy)
    assert (*ALONE, *AMONG) == RULES


def test_rank_comes_from_the_table() -> None:
    """What stands above a hold, what keeps an off that is wanted from being acted on, and what only refuses to be asked."""
    above = {"ControlPlane", "HostsControl", "HostsStorage", "PowerOffUnavailable", "NeededBy", "SafeHands"}
    assert above | {"MaintenanceInProgress"} == SAFETY
    assert RANKS["WakeProof"] is Rank.STAYS
    assert (RANKS["CoolingOff"], RANKS["Hold"], RANKS["Paused"]) == (Rank.DELAYS, Rank.ASKS, Rank.ASKS)
    vetoes = [Veto("Hold", ""), Veto("CoolingOff", ""), Veto("WakeProof", ""), Veto("HostsControl", "")]
    assert [veto.reason for veto in stands_against(vetoes)] == ["CoolingOff", "WakeProof", "HostsControl"]
    assert forbidden(vetoes)
    assert not forbidden(vetoes[:3])
    assert stays_until([Veto("WakeProof", "", LATER), Veto("Hold", "", LAST)]) == LATER
    assert stays_until([Veto("WakeProof", ""), Veto("NobodysRule", "", LAST)]) is None


def test_a_remedy_names_the_machine() -> None:
    """What a person can do about a veto is a command, or a field."""
    assert REMEDIES["Hold"].format(name="site/m1") == "hexa auto site/m1"
    assert all(remedy.format(name="x", machine="m") for remedy in REMEDIES.values())


def test_rules_about_others_are_judged_apart() -> None:
    """A machine that waits for others is barred by them, and by nothing of its own: so others may depend on its own rules only."""
    waiting = view(Phase.OFF, ties=Ties(before=(GONE,)))
    assert [veto.reason for veto in waiting.on_vetoes(NOW)] == ["DependsOn"]
    assert waiting.own_on_vetoes(NOW) == ()
    held = view(Phase.OFF, ties=Ties(before=(GONE,)), hold=Hold(power="off"))
    assert [veto.reason for veto in held.on_vetoes(NOW)] == ["Hold", "DependsOn"]
    assert [veto.reason for veto in held.own_on_vetoes(NOW)] == ["Hold"]


def test_a_wake_that_waits_is_not_barred() -> None:
    """A machine whose dependencies come may be chosen, and is woken once they are up."""
    waiting = view(Phase.OFF, ties=Ties(before=(COMES,)))
    assert waiting.on_vetoes(NOW) == ()
    assert not waiting.may_wake(NOW)
    assert waiting.member(NOW).waits_for == ("switch",)
    assert view(Phase.BOOTING, ties=Ties(before=(COMES,))).may_wake(NOW)


@pytest.mark.parametrize(
    ("known", "ends"),
    [
        (view(), None),
        (view(hold=Hold(power="on", until=LATER)), LATER),
        (view(hold=Hold(power="off", until=LATER)), LATER),
        (view(policy=Policy(hold=Hold(power="on", until=LATER))), LATER),
        (view(hold=Hold(power="on", until=LAST), policy=Policy(hold=Hold(power="on", until=LATER))), LATER),
        (view(paused=Paused(until=LATER)), LATER),
        (view(paused=Paused(until=T0)), None),
        (view(status={"cool_until": LATER}), LATER),
        (view(Phase.START_FAILED, status={"cool_until": LATER}), LATER),
        (view(status={"since": NOW}), NOW + timedelta(minutes=1)),
    ],
    ids=str,
)
def test_a_rule_says_when_it_ends(known: MachineView, ends: Any) -> None:
    """What was judged stands until the first rule changes by time alone, and no longer."""
    settled = structs.replace(
        known.node.status, since=known.node.status.since if known.node.status.since == NOW else T0
    )
    aged = structs.replace(known, node=structs.replace(known.node, status=settled))
    assert aged.judged_until(NOW) == ends


def test_the_last_by_a_rule_comes_last_and_comes() -> None:
    """A veto that only ranks a machine last leaves it a candidate, after one that a person has put off."""
    tired = Member(key=Lookup("site", "a"), phase=Phase.OFF, last_vetoes=(Veto("Test", "just went dark"),))
    put_off = Member(key=Lookup("site", "b"), phase=Phase.OFF, wish=wish(OFF, Asker.USER))
    slow = Member(key=Lookup("site", "c"), phase=Phase.POWERING_OFF)
    assert [member.key.name for member in candidates([tired, put_off, slow])] == ["c", "b", "a"]


def test_reasons_are_api() -> None:
    """Condition types, reasons of Events and of refusals are read by programs: one that is renamed breaks them."""
    assert {str(reason) for reason in Reason} >= {
        *("ControlPlane", "HostsControl", "HostsStorage", "PowerOffUnavailable", "PowerOnUnavailable", "CoolingOff"),
        *("Hold", "Paused", "ButtonPressed", "KubernetesNodeTaken", "DependsOn", "NeededBy", "WakeProof"),
        *("PowerStateChanged", "ScaleUp", "ScaleDown", "RequestTakenBack", "Adopted", "FoundOn", "FoundOff"),
        *("Corrected", "AdoptionOver", "DrainGivenUp", "Replaced", "Hedge", "GivenUp", "LateArrival", "Exercise"),
        *("QuietProbe", "Exercised", "InUse", "NotNeeded", "MakesRoom"),
    }


def test_a_condition_is_told_when_it_begins_and_not_again() -> None:
    """By its own reason, in the order of the table; one that stood before is no news, and most conditions never are."""
    stands = tuple(
        Condition(type=type_, status=status, reason=reason, message=f"about {type_}")
        for type_, status, reason in (
            ("PowerKnown", "Unknown", "Contradiction"),
            ("NotSetUp", "True", "StartupTaint"),
            ("Remediation", "False", power_cycle.GIVEN_UP),
            ("IdentityChanged", "True", "NodeNameWaits"),
            ("Blocked", "True", "DrainBlocked"),
        )
    )
    assert [(notice.what, notice.why) for notice in tells((), stands)] == [
        ("NodeNameWaits", "about IdentityChanged"),
        (power_cycle.GIVEN_UP, "its power is not cycled: about Remediation"),
        ("NotSetUp", "about NotSetUp"),
        ("Contradiction", "about PowerKnown"),
    ]
    assert list(tells(stands, stands)) == []
