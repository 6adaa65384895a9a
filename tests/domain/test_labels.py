"""Labels that no node can have are told by their field, and left out of what nodes are given."""

import pytest

from hexa.domain.policy.labels import label_problems, taken_labels


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("rack", "upper floor", "spec.nodeSelector.rack"),
        ("rack", "x" * 64, "spec.nodeSelector.rack"),
        ("rack", "größer", "spec.nodeSelector.rack"),
        ("rack 1", "x", 'spec.nodeSelector["rack 1"]'),
        ("a/b/c", "x", 'spec.nodeSelector["a/b/c"]'),
        ("Example.com/rack", "x", 'spec.nodeSelector["Example.com/rack"]'),
        ("", "x", 'spec.nodeSelector[""]'),
    ],
)
def test_what_kubernetes_takes_for_no_label_is_told_and_left_out(key: str, value: str, field: str) -> None:
    """Each mistake is one problem with its field and a remedy; the label beside it stays."""
    labels = {key: value, "example.com/disk": "fast", "empty": "", "Zone_1": "a.b"}
    (problem,) = label_problems(labels, "spec.nodeSelector")
    assert (problem.field, problem.reason) == (field, "BadLabel")
    assert problem.remedy.startswith("use letters")
    assert taken_labels(labels) == {"example.com/disk": "fast", "empty": "", "Zone_1": "a.b"}
