"""Blocks of code in our pages, by language."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> dict[str, str]:
    """Every block of a language, by page and number."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.M | re.S)
    return {f"{page.name}-{n}": text for page in PAGES for n, text in enumerate(pattern.findall(page.read_text()))}


def resources() -> dict[str, str]:
    """Everything that a user would apply: YAML blocks of the pages and files of examples/ with an apiVersion."""
    files = {str(file.relative_to(ROOT)): file.read_text() for file in sorted((ROOT / "examples").rglob("*.yaml"))}
    return {name: text for name, text in {**blocks("yaml"), **files}.items() if re.search("^apiVersion:", text, re.M)}
