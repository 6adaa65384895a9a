"""Which texts Kubernetes takes as names, keys and values of labels, and what becomes of labels that it does not take: they are told
by their field and left out, so that a node gets the others. It writes no label."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from hexa.domain.policy.problem import Problem, below

BAD_LABEL: Final = "BadLabel"
LONGEST: Final = 63
_LONGEST_NAME: Final = 253
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_VALUES: Final = f"use letters, digits, -, _ and . only, {LONGEST} at most"
_KEYS: Final = f"{_VALUES}, after a domain and / if you like"


def is_label_key(text: str) -> bool:
    """Whether Kubernetes takes the text as the key of a label or an annotation."""
    domain, slash, name = text.rpartition("/")
    return bool(name) and is_label_value(name) and (not slash or is_object_name(domain.lower()))


def is_object_name(text: str) -> bool:
    """Whether Kubernetes takes the text as the name of an object."""
    return len(text) <= _LONGEST_NAME and _SUBDOMAIN.fullmatch(text) is not None


def is_namespace(text: str) -> bool:
    """Whether Kubernetes takes the text as the name of a namespace, or of a volume."""
    return len(text) <= LONGEST and _DNS_LABEL.fullmatch(text) is not None


def is_label_value(text: str) -> bool:
    """Whether Kubernetes takes the text as the value of a label."""
    return len(text) <= LONGEST and _LABEL.fullmatch(text) is not None


def bad_label(where: str, value: str) -> Problem:
    """A text that Kubernetes does not take as the value of a label."""
    return Problem(where, f"{value!r} is no value for a label", _VALUES, reason=BAD_LABEL)


def bad_key(where: str, key: str) -> Problem:
    """The same of a key, of labels or of annotations."""
    return Problem(where, f"{key!r} is no key of a label or an annotation", _KEYS, reason=BAD_LABEL)


def label_problems(labels: Mapping[str, str], field: str) -> Iterator[Problem]:
    """Of labels of `field` those that no node can have."""
    for key, value in labels.items():
        where = below(field, key)
        if not _is_taken_key(key):
            yield bad_key(where, key)
        elif not is_label_value(value):
            yield bad_label(where, value)


def taken_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Those that a node can have."""
    return {key: value for key, value in labels.items() if _is_taken_key(key) and is_label_value(value)}


def _is_taken_key(key: str) -> bool:
    """Whether a label may have the key: unlike that of an annotation, its domain is in lower case."""
    domain = key.rpartition("/")[0]
    return is_label_key(key) and domain == domain.lower()
