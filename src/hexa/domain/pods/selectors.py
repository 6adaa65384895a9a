"""Whether a label selector chooses an object's labels, as budgets and affinity between pods write it."""

from collections.abc import Mapping

from hexa.domain.resources.core import LabelSelector, LabelSelectorRequirement


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector chooses these labels: an absent one nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return all(_requirement(each, labels) for each in selector.match_expressions)


def _requirement(wanted: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(wanted.key)
    match wanted.operator:
        case "In":
            return value in wanted.values
        case "NotIn":
            return value not in wanted.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
