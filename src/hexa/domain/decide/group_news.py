"""What is told of groups."""

from hexa.domain.news import About, Happened, News, Severity
from hexa.domain.resources.v1alpha1 import Group, Lookup


def about_group(
    group: Group, what: Happened, why: str, *, severity: Severity = Severity.WARNING, cause: str = ""
) -> News:
    """One thing that happened to the group."""
    metadata = group.metadata
    of = Lookup(metadata.namespace, metadata.name)
    return News(of=of, about=About.GROUP, uid=metadata.uid, what=what, why=why, severity=severity, cause=cause)
