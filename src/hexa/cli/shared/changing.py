"""What `hexa get --watch` prints: at first everything, then each line whose text has changed. It reads and waits for nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from hexa.cli.shared.output import Column, Format, LongTable, cells, dump

T = TypeVar("T")
FAR: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""From here no age changes within a life."""
GONE: Final = "is gone"


@dataclass(frozen=True)
class Part(Generic[T]):
    """Lines of one kind, the columns to show them in now, and the same for comparing."""

    kind: str
    lines: Sequence[T]
    columns: Sequence[Column[T]]
    compared: Sequence[Column[T]]


@dataclass
class Changes:
    """What was shown last."""

    output: Format
    _shown: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    _table: LongTable[Any] = field(default_factory=LongTable)

    def of(self, *parts: Part[Any]) -> tuple[list[str], list[str]]:
        """What to print now, and of what to say that it is gone."""
        now = {
            (part.kind, line.namespace, line.name): self._compared(part, line) for part in parts for line in part.lines
        }
        fresh = {key for key, value in now.items() if self._shown.get(key) != value}
        gone = [f"{kind} {space}/{name} {GONE}" for kind, space, name in self._shown.keys() - now.keys()]
        self._shown = now
        changed = [(part, [each for each in part.lines if _key(part, each) in fresh]) for part in parts]
        return list(self._told(changed)), sorted(gone)

    def _compared(self, part: Part[T], line: T) -> Any:
        return line if self.output.for_programs else cells(part.compared, line)

    def _told(self, changed: list[tuple[Part[Any], list[Any]]]) -> Iterator[str]:
        if self.output.for_programs:
            document = {f"{part.kind}s": lines for part, lines in changed}
            if any(document.values()):
                yield _document(document, self.output)
            return
        for part, lines in changed:
            if lines:
                yield self._table.add(part.columns, lines)


def _key(part: Part[Any], line: Any) -> tuple[str, str, str]:
    return part.kind, line.namespace, line.name


def _document(lines: dict[str, list[Any]], output: Format) -> str:
    """JSON: a line. YAML: a document."""
    if output is Format.YAML:
        return f"---\n{dump(lines, output)}"
    import msgspec

    return msgspec.json.encode(lines).decode()
