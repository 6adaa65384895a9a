"""YAML as kubectl reads it, with line numbers: the one loader of validate, simulate and configuration.

Plain scalars follow kubectl (sigs.k8s.io/yaml): on, off, yes, no, y and n are booleans, 0644 is octal, 1e3 is a
number; 52:54:00:12:34:56 and 22:00 are strings, and so are timestamps. Stricter than kubectl: a key that
stands twice in a mapping is an error. It knows nothing of what a document is about.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import yaml
from msgspec import Struct

if TYPE_CHECKING:
    from yaml import SafeLoader as _Parser
else:
    _Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]
"""Where a value is in its document: keys and indices."""

MOST_VALUES: Final = 1_000_000
"""Values in a document once its aliases are written out."""
FROM_ALIASES: Final = 50_000
"""Of these, values beyond one for each character of the text: without aliases there are fewer."""

DEEPEST: Final = 100


class YamlError(ValueError):
    """Text that cannot be read as YAML; the message is SOURCE:LINE:COLUMN: TEXT."""

    def __init__(self, text: str, *, source: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"{source}:{line}:{column}: {text}")
        self.line, self.column = line, column
        self.text, self.source, self.line = text, source, line


class Document(Struct, frozen=True):
    """One document: builtins as JSON has them, and where in the source they stand."""

    value: Any
    source: str
    lines: Mapping[Path, int]
    """The line, from 1, of each key and list item; () is the document's first."""

    def line(self, path: Path = ()) -> int:
        """The line of the value at `path`, or of the nearest there is around it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read_documents(text: str, *, source: str) -> list[Document]:
    """Every document of the text that is not empty. Raises `YamlError`."""
    try:
        _refuse_depth(text, source)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise _error(source, error.problem_mark, _tab(text, error.problem_mark) or _sentence(error)) from error
    except yaml.reader.ReaderError as error:
        raise _odd_character(source, text, error) from error
    except yaml.YAMLError as error:
        raise YamlError(str(error), source=source) from error
    most = min(MOST_VALUES, len(text) + FROM_ALIASES)
    documents = (_document(node, source, most=most) for node in nodes)
    return [document for document in documents if document.value is not None]


def read_document(text: str, *, source: str) -> Document | None:
    """The only document of the text; None if it is empty. Raises `YamlError`, also where there are more."""
    documents = read_documents(text, source=source)
    if len(documents) > 1:
        line = documents[1].line()
        raise YamlError("a second document; there can be only one here", source=source, line=line)
    return documents[0] if documents else None


def read_scalar(text: str) -> str | int | float | bool | None:
    """What an unquoted word means. Raises `ValueError` for a number that JSON cannot hold."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no number that JSON can hold; quote it if it is a text")
    digits = _BETWEEN_DIGITS.sub("", text) if text[0] == "." else text.replace("_", "")
    return _number(digits, text)


_WORDS: Final[dict[str, bool | None]] = {
    **{form: True for word in ("y", "yes", "true", "on") for form in (word, word.capitalize(), word.upper())},
    **{form: False for word in ("n", "no", "false", "off") for form in (word, word.capitalize(), word.upper())},
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_FINITE: Final = re.compile(r"[+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER: Final = re.compile(r"([+-]?)(?:0[bB]([01]+)|0[oO]?([0-7]+)|0[xX]([0-9a-fA-F]+)|(0|[1-9][0-9]*))", re.ASCII)
_BETWEEN_DIGITS: Final = re.compile(r"(?<=[0-9])_(?=[0-9])")
_BASES: Final = (2, 8, 16, 10)
_MOST_DIGITS: Final = 1_000
"""A number of more digits is beyond every number here, and Python refuses to read the longest."""
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


def _number(digits: str, text: str) -> str | int | float:
    if len(digits) > _MOST_DIGITS and (_INTEGER.fullmatch(digits) or _FLOAT.fullmatch(digits)):
        raise ValueError(f"{text[:20]}... is a number of {len(digits)} characters; quote it if it is a text")
    if match := _INTEGER.fullmatch(digits):
        sign, *groups = match.groups()
        value = next(int(group, base) for group, base in zip(groups, _BASES, strict=True) if group)
        value = -value if sign == "-" else value
        if -(2**63) <= value < (2**63 if sign else 2**64):
            return value
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        return text
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


_PLAIN: Final = "hexa:plain"
_TAG: Final = "tag:yaml.org,2002:"
_STRING_TAGS: Final = {f"{_TAG}str", f"{_TAG}timestamp", "!"}
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    f"{_TAG}bool": (bool,),
    f"{_TAG}int": (int,),
    f"{_TAG}float": (int, float),
    f"{_TAG}null": (type(None),),
}


class _Loader(_Parser):
    """Leaves plain scalars to `read_scalar`, and tells them from quoted and tagged ones."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def _refuse_depth(text: str, source: str) -> None:
    """The parser's C code composes by recursion, and a stack that overflows there ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _error(source, event.start_mark, f"nested deeper than {DEEPEST}")


def _document(node: yaml.Node, source: str, *, most: int) -> Document:
    builder = _Builder(source, most)
    value = builder.build(node, ())
    return Document(value, source, builder.lines)


class _Builder:
    """Turns composed nodes into builtins."""

    def __init__(self, source: str, most: int) -> None:
        self.source, self.most = source, most
        self.lines: dict[Path, int] = {}
        self.open: set[int] = set()  # nodes that are being built: one of them again is an alias to itself
        self.count = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self.count += 1
        if id(node) in self.open:
            raise _error(self.source, node.start_mark, "an alias inside of what it stands for")
        if self.count > self.most:
            raise _error(self.source, node.start_mark, f"more than {self.most} values, aliases written out")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        self.open.add(id(node))
        built = self.mapping(node, path) if isinstance(node, yaml.MappingNode) else self.sequence(node, path)
        self.open.remove(id(node))
        return built

    def scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag in _STRING_TAGS:
            return node.value
        try:
            value = read_scalar(node.value)
        except ValueError as error:
            raise _error(self.source, node.start_mark, str(error)) from error
        if node.tag == _PLAIN:
            return value
        if type(value) not in _TYPES.get(node.tag, ()):
            tag = node.tag.replace(_TAG, "!!")
            raise _error(self.source, node.start_mark, f"{node.value!r} cannot be read as {tag}")
        return value

    def sequence(self, node: yaml.Node, path: Path) -> list[Any]:
        self.expect(node, "seq")
        return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self.expect(node, "map")
        built: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                continue
            key = self.key(key_node)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise _error(self.source, key_node.start_mark, f"{key!r} stands in line {seen[key]} already")
            seen[key] = line
            self.lines.setdefault((*path, key), line)
            built[key] = self.build(value_node, (*path, key))
        for merged in self.merged(node, path):
            built = {**merged, **built}
        return built

    def key(self, node: yaml.Node) -> str:
        key = self.scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if key is None:
            rendered = ": a template with {{ }} must be rendered first" if isinstance(node, yaml.MappingNode) else ""
            raise _error(self.source, node.start_mark, f"a key must be a text{rendered}")
        if isinstance(key, bool):
            return "true" if key else "false"
        return f"{key:g}" if isinstance(key, float) else str(key)

    def merged(self, node: yaml.MappingNode, path: Path) -> Iterator[dict[str, Any]]:
        """The mappings that `<<` brings in, the one that counts most first."""
        for key_node, value_node in node.value:
            if not _is_merge(key_node):
                continue
            sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for each in sources:
                if not isinstance(each, yaml.MappingNode):
                    raise _error(self.source, each.start_mark, "<< needs a mapping, or a list of mappings")
                yield self.build(each, path)

    def expect(self, node: yaml.Node, kind: str) -> None:
        if node.tag != _TAG + kind:
            raise _error(self.source, node.start_mark, f"the tag {node.tag} is not known here")


def _is_merge(node: yaml.Node) -> bool:
    return node.tag == f"{_TAG}merge" or (node.tag == _PLAIN and node.value == "<<")


def _odd_character(source: str, text: str, error: yaml.reader.ReaderError) -> YamlError:
    """A control character, which YAML has none of; only its place is worth the parser's words."""
    found = _CONTROL.search(text)
    if found is None:
        return YamlError(str(error.reason), source=source)
    before = text[: found.start()].split("\n")
    told = f"the control character U+{ord(found[0]):04X}, which YAML does not take"
    return YamlError(told, source=source, line=len(before), column=len(before[-1]) + 1)


_CONTROL: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _tab(text: str, mark: Any) -> str:
    """What is said of a tab that the parser stumbled over, at the mark or in the indentation before it."""
    line = next(iter(text.splitlines()[mark.line : mark.line + 1]), "")
    before = line[: len(line) - len(line.lstrip())]
    return "a tab, and YAML is indented with spaces alone" if "\t" in before or line[mark.column :][:1] == "\t" else ""


def _sentence(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part)


def _error(source: str, mark: Any, text: str) -> YamlError:
    return YamlError(text, source=source, line=mark.line + 1, column=mark.column + 1)


class _Dumper(yaml.SafeDumper):
    """Writes repeated values out instead of aliasing them, and quotes what kubectl takes for more than a text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.Node:
        style = '"' if _BREAKS.search(data) else None if _is_text(data) else "'"
        return self.represent_scalar(f"{_TAG}str", data, style=style)


_BREAKS: Final = re.compile("[\x85\u2028\u2029]")  # YAML takes them for ends of lines unless escaped


def _is_text(word: str) -> bool:
    try:
        return isinstance(read_scalar(word), str)
    except ValueError:
        return False


_Dumper.add_representer(str, _Dumper.represent_text)


def write_document(value: Any) -> str:
    """Builtins as one YAML document in block style, keys in their own order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
