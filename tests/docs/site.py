"""What the site adds to the pages (a hook of mkdocs): examples and changelog, and how many blocks of each page are checked."""

import logging
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from tests.docs.pages import DOCS, PAGES, ROOT, is_external, links, tally

ELSEWHERE: Final = {"CHANGELOG.md": "changelog.md"}
"""Files beside docs/ that are pages of the site."""

log = logging.getLogger("mkdocs.hooks.site")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Decisions are listed by number; a page that the navigation does not name yet stands at its end."""
    nav: list[Any] = config.nav or []
    named = set(re.findall(r"[\w/.-]+\.md", str(nav)))
    pages = [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md"))]
    decisions = [page for page in pages if page.startswith("decisions/0")]
    rest = [page for page in pages if page not in named and not page.startswith("decisions/")]
    config.nav = [*nav, *rest, {"Decisions": [{"All decisions": "decisions/README.md"}, *decisions]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Files that pages link to and that lie outside docs/."""
    for source, target in ELSEWHERE.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    for example in sorted((ROOT / "examples").rglob("*")):
        if example.is_file() and "__pycache__" not in example.parts:
            files.append(File.generated(config, str(example.relative_to(ROOT)), abs_src_path=str(example)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links as the site has them, and the tally at the end."""
    source = Path(page.file.abs_src_path or "")
    up = "../" * len(source.relative_to(DOCS).parts) if source.is_relative_to(DOCS) else ""
    for path, target in {**ELSEWHERE, "examples/": "examples/"}.items():
        markdown = markdown.replace(f"]({up}{path}", f"]({up.removeprefix('../')}{target}") if up else markdown
    markdown = markdown if up else markdown.replace("](docs/", "](")
    markdown = re.sub(r"^<!-- not (run|applied): .+ -->\n\n?", "", markdown, flags=re.M)
    told = tally(source)
    return f"{markdown}\n\n---\n\n<small>{told}</small>\n" if told else markdown


def on_post_build(**_: Any) -> None:
    """The links that leave the site are not fetched by any check: here they are."""
    external = sorted({link for each in PAGES for link in links(each) if is_external(link)})
    log.info("external links, not fetched: %s", " ".join(external) or "none")
