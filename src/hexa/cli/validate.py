"""hexa validate: what is wrong with Groups, Nodes and PowerProfiles in files, and with the agent's settings, without a cluster."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hexa.cli.shared.exits import Exit, fail
from hexa.cli.shared.files import STANDARD_INPUT, name_of, read_text, unusable

if TYPE_CHECKING:
    from hexa.cli.shared.checking import Located, Written
    from hexa.config import Config
    from hexa.yaml import Document

SUFFIXES: Final = {".yaml", ".yml", ".json"}


def validate(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Files or folders of YAML or JSON; - is standard input."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of text.")] = False,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace of objects that name none.")
    ] = "default",
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The agent's configuration file: its settings, tariffs, receivers of notifications, and what objects name of it.",
        ),
    ] = None,
) -> None:
    """Check Groups, Nodes and PowerProfiles offline: each by itself and all together. Of other objects, only keys of Secrets count.

    Ends with 0 if there is no error (warnings are allowed), 1 if there is one, 2 if a file cannot be read.
    """
    from hexa.cli.shared.checking import check, no_objects, written_objects, written_secrets
    from hexa.cli.shared.settings import settings_of
    from hexa.domain.policy.conventions import UNREAD

    if not files and config is None:
        fail("name files to check, or the agent's configuration by --config", Exit.USAGE)
    located, documents = _read(list(_sources(files or ())))
    settings = settings_of(config, {}) if config is not None else None
    located += _of_config(config, settings) if config is not None and settings is not None else []
    objects = list(written_objects(documents, namespace=namespace))
    located += no_objects(documents)
    conventions = settings.conventions if settings is not None else UNREAD
    now = datetime.now(UTC)  # noqa: TID251  # a command is where time comes from
    secrets = written_secrets(documents, namespace=namespace)
    located += check(objects, now=now, conventions=conventions, secrets=secrets)
    typer.echo(_json(objects, located) if as_json else _text(objects, located, settings="" if files else str(config)))
    if any(each.problem.severity == "error" for each in located):
        raise typer.Exit(Exit.FAILED)


def _sources(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each file's name and text; folders stand for all that is in them."""
    for file in files:
        if file == STANDARD_INPUT:
            yield name_of(file), read_text(file)
            continue
        found = _found(Path(file))
        if not found:
            fail(f"{file}: no .yaml, .yml or .json file in it", Exit.USAGE)
        for each in found:
            yield str(each), read_text(each)


def _found(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES) if path.is_dir() else [path]
    except (OSError, ValueError) as error:
        unusable(path, error)


def _read(sources: Sequence[tuple[str, str]]) -> tuple[list["Located"], list["Document"]]:
    """The documents, and a problem for each file that is no YAML."""
    from hexa.cli.shared.checking import unreadable
    from hexa.yaml import YamlError, read_documents

    located: list[Located] = []
    documents: list[Document] = []
    for source, text in sources:
        try:
            documents += read_documents(text, source=source)
        except YamlError as error:
            located.append(unreadable(error))
    return located, documents


def _of_config(file: Path, settings: "Config") -> list["Located"]:
    """What is wrong with settings that the agent goes on without. A setting that it does not start with ends the command."""
    from hexa.cli.shared.checking import Located, Written
    from hexa.cli.shared.settings_problems import settings_problems
    from hexa.config import read_config_file
    from hexa.domain.written.validation import Subject

    problems = [*settings_problems(settings)]
    document = read_config_file(read_text(file), source=name_of(file)) if problems else None
    if document is None:
        return []
    whole = Written({}, document, (), Subject("", "", ""))
    return [Located(whole.place(each.field), None, each) for each in problems]


def _text(objects: Sequence["Written"], located: Sequence["Located"], *, settings: str) -> str:
    lines = []
    for each in located:
        problem, subject = each.problem, each.subject
        about = f"{subject}: {problem.field}: " if subject else f"{problem.field}: " if problem.field else ""
        lines.append(f"{each.place.file}:{each.place.line}: {problem.severity}: {about}{problem.text}")
        lines.append(f"    {problem.remedy}")
    return "\n".join([*lines, _summary(objects, located, settings=settings)])


def _summary(objects: Sequence["Written"], located: Sequence["Located"], *, settings: str) -> str:
    """How much was checked, and what came of it. `settings` names the configuration where nothing else was given."""
    if settings:
        counts = _counts((), located)
        return f"{settings}: {_many(counts, 'error')}, {_many(counts, 'warning')}"
    if not objects and not located:
        return "nothing to check: no Group, Node or PowerProfile of infra.homecluster.dev in there"
    counts = _counts(objects, located)
    words = ("group", "node", "profile", "error", "warning")
    groups, nodes, profiles, errors, warnings = (_many(counts, word) for word in words)
    checked = f"{groups}, {nodes}, {profiles}" if counts["profiles"] else f"{groups}, {nodes}"
    return f"{checked}: {errors}, {warnings}"


def _many(counts: dict[str, int], word: str) -> str:
    return f"{counts[f'{word}s']} {word}{'s' * (counts[f'{word}s'] != 1)}"


def _counts(objects: Sequence["Written"], located: Sequence["Located"]) -> dict[str, int]:
    kinds = [each.subject.kind for each in objects]
    severities = [each.problem.severity for each in located]
    return {
        "groups": kinds.count("Group"),
        "nodes": kinds.count("Node"),
        "profiles": kinds.count("PowerProfile"),
        "errors": severities.count("error"),
        "warnings": severities.count("warning"),
    }


def _json(objects: Sequence["Written"], located: Sequence["Located"]) -> str:
    import json

    problems: list[dict[str, Any]] = []
    for each in located:
        subject, problem = each.subject, each.problem
        named = {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name} if subject else None
        problems.append(
            {
                "file": each.place.file,
                "line": each.place.line,
                "object": named,
                "field": problem.field,
                "severity": problem.severity,
                "reason": problem.reason,
                "text": problem.text,
                "remedy": problem.remedy,
            }
        )
    return json.dumps({"checked": _counts(objects, located), "problems": problems}, indent=2)
