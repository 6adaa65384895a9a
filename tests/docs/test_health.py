"""The tables of docs/health.md are those that hexa judges by."""

from tests.docs.pages import DOCS

from hexa.domain.rules.health import GROUP_RULES, RULES

PAGE = DOCS / "health.md"


def rules() -> str:
    """The table of a machine's health."""
    return "\n".join(f"| {rule.reason} | {rule.health} | {rule.text} |" for rule in RULES)


def groups() -> str:
    """The table of a group's health."""
    return "\n".join(f"| {rule.health} | {rule.text} |" for rule in GROUP_RULES)


def test_the_tables_of_the_page_are_the_rules() -> None:
    """Whoever reads the page knows what the agent judges by, in its order."""
    page = PAGE.read_text()
    assert rules() in page
    assert groups() in page
