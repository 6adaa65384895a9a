"""Whether a group's tariff is there."""

from collections.abc import Sequence

from hexa.domain.policy.problem import Problem


def unknown_tariff(name: str, known: Sequence[str]) -> tuple[Problem, ...]:
    """What is wrong with the name of a tariff that is not among those `known`, the configuration's."""
    if not name or name in known:
        return ()
    there = f"it has {', '.join(sorted(known))}" if known else "it has none"
    text = f"hexa's configuration has no tariff {name}; {there}"
    remedy = "write one of them, or add it to tariffs in the configuration: spec.cost.pricePerKWh counts until then"
    return (Problem("spec.cost.tariff", text, remedy, severity="warning", reason="UnknownTariff"),)
