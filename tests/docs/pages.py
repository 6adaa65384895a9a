"""Blocks of code in our pages, what shall become of each, and the links. `./dev docs`, `./dev test` and `./dev e2e` read it alike.

A block's language says how it is checked (`CHECKS`). A comment on the line above says so where it is not, and why:
`<!-- not run: REASON -->` above commands, `<!-- not applied: REASON -->` above YAML.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

COMMANDS: Final = "sh"
RESOURCES: Final = "yaml"
CHECKS: Final = {
    COMMANDS: ("command block", "run on a real control plane"),
    RESOURCES: ("YAML block", "applied to a real API server"),
    "python": ("Python block", "run"),
    "json": ("JSON block", "parsed"),
}
SHOWN: Final = {"console", "csv", "text"}
"""Languages of what is only shown: sessions with their answers, tables, drawings."""

_DONE: Final = {language: done.split()[0] for language, (_, done) in CHECKS.items()}

_BLOCK: Final = re.compile(
    r"(?:<!-- (?P<not>not run|not applied): (?P<reason>[^>]+?) -->\n\n?)?^```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_SNIPPET: Final = re.compile(r'^--8<-- "(.+)"$', re.M)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.M)


@dataclass(frozen=True)
class Block:
    """One block of a page; `unchecked` is the reason why it is only shown."""

    page: Path
    number: int
    language: str
    text: str
    unchecked: str = ""

    @property
    def name(self) -> str:
        """Page and number."""
        return f"{self.page.relative_to(ROOT)}-{self.number}"


@cache
def blocks_of(page: Path) -> tuple[Block, ...]:
    """The blocks of a page in order; snippets are filled in."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return tuple(
        Block(page, number, each["language"], _filled(each["text"]), each["reason"] or "")
        for number, each in enumerate(found, start=1)
    )


def _filled(text: str) -> str:
    return _SNIPPET.sub(lambda each: (ROOT / each[1]).read_text(encoding="utf-8").rstrip("\n"), text)


def blocks(language: str) -> dict[str, str]:
    """Every block of a language that is to be checked, by page and number."""
    every = (each for page in PAGES for each in blocks_of(page))
    return {each.name: each.text for each in every if each.language == language and not each.unchecked}


def resources() -> dict[str, str]:
    """Everything that a user would apply: YAML blocks of the pages, and files of examples/ with an apiVersion."""
    files = {str(file.relative_to(ROOT)): file.read_text() for file in sorted((ROOT / "examples").rglob("*.yaml"))}
    return {**blocks(RESOURCES), **{name: text for name, text in files.items() if _is_applied(text)}}


def _is_applied(text: str) -> bool:
    """Files say in their first line if they are not."""
    return re.search("^apiVersion:", text, re.M) is not None and not text.startswith("# not applied: ")


def tally(page: Path) -> str:
    """How many blocks of a page are checked and how many are not, in a sentence or two; empty where there are none."""
    found = [each for each in blocks_of(page) if each.language in CHECKS]
    checked = Counter(each.language for each in found if not each.unchecked)
    reasons = Counter((each.language, each.unchecked) for each in found if each.unchecked)
    told = [f"{_count(number, language)} {CHECKS[language][1]}" for language, number in checked.items()]
    told += [f"{_count(number, language)} not {_DONE[language]} ({why})" for (language, why), number in reasons.items()]
    return f"On this page: {', '.join(told)}." if told else ""


def _count(number: int, language: str) -> str:
    noun = CHECKS[language][0]
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


# --- links ----------------------------------------------------------------------------------------


def links(page: Path) -> Iterator[str]:
    """Where the links of a page lead, as written, outside of blocks and of code in a line."""
    text = re.sub(r"`[^`\n]+`", "", _BLOCK.sub("", page.read_text(encoding="utf-8")))
    yield from _LINK.findall(text)


def is_external(link: str) -> bool:
    """Whether a link leaves the project."""
    return "://" in link or link.startswith("mailto:")


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as the site and code hosts make them."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return frozenset(slug(heading) for heading in _HEADING.findall(text))


def slug(heading: str) -> str:
    """The anchor of a heading."""
    words = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", heading)
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", words).strip().lower())


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    return [link for link in links(page) if not is_external(link) and not _leads(page, link)]


def _leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_file():
        return False
    return not anchor or anchor in anchors(target)
