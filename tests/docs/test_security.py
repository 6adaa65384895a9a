"""The security page says what the code needs."""

from collections.abc import Iterable

from tests.docs.pages import DOCS

from hexa.domain.people.rights import RIGHTS, Right, Scope, for_eta, for_http


def rows(rights: Iterable[Right]) -> list[str]:
    """The table of rights, a line each."""
    return [
        f"| {', '.join(right.verbs)} | `{right.resource}` | {right.group or 'core'} | {place(right, right.scope)} "
        f"| {place(right, right.tenant)} | {right.reason} |"
        for right in rights
    ]


def place(right: Right, scope: Scope) -> str:
    """Where a right holds, in words."""
    return "**whole cluster**" if scope is Scope.CLUSTER else f"`{right.namespace}`" if right.namespace else "machines"


def test_the_page_has_the_table_of_rights() -> None:
    """docs/security.md lists exactly the rights of hexa.domain.people.rights, in their order."""
    page = (DOCS / "security.md").read_text(encoding="utf-8").splitlines()
    begin = page.index("| verbs | resource | API group | where | tenant | what for |") + 2
    end = next(number for number in range(begin, len(page)) if not page[number].startswith("|"))
    assert page[begin:end] == rows(RIGHTS)


def test_the_page_has_what_is_asked_for_by_options() -> None:
    """Rights that come with an option stand there too, as the code has them."""
    page = (DOCS / "security.md").read_text(encoding="utf-8").splitlines()
    assert set(rows([*for_eta(), *for_http()])) <= set(page)
