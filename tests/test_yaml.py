"""The YAML loader reads what kubectl reads."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexa.yaml import YamlError, read_document, read_documents, write_document

TEXTS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=100)

READ_BY_KUBECTL = json.loads((Path(__file__).parent / "objects" / "scalars.json").read_text(encoding="utf-8"))
"""What kubectl makes of words; tests/e2e/test_crds.py asks it."""


@pytest.mark.parametrize("text", READ_BY_KUBECTL)
def test_words_read_as_in_kubectl(text: str) -> None:
    """An unquoted word has the type and the value that kubectl gives it."""
    read = value(f"a: {text}\n")
    assert json.dumps(read) == json.dumps({"a": READ_BY_KUBECTL[text]})


@pytest.mark.parametrize(
    ("text", "key"), [("on: x", "true"), ("22: x", "22"), ("0.5: x", "0.5"), ("'on': x", "on"), ("22:00: x", "22:00")]
)
def test_keys_become_texts_as_in_kubectl(text: str, key: str) -> None:
    """JSON has only texts as keys: kubectl writes true for an unquoted on, and so do we."""
    assert value(text) == {key: "x"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    )
)
def test_json_reads_as_itself(thing: Any) -> None:
    """Every JSON text is read as the JSON value it is."""
    assert value(json.dumps({"a": thing})) == {"a": thing}


@given(st.dictionaries(TEXTS, TEXTS | st.sampled_from(list(READ_BY_KUBECTL)) | st.booleans() | st.floats(-1e9, 1e9)))
def test_written_documents_read_back(thing: dict[str, Any]) -> None:
    """What write_document writes is read back as it was: what looks like a number or a boolean is quoted."""
    assert value(write_document(thing)) == thing


def test_repeated_values_are_written_out() -> None:
    """A document that is written has no anchors and aliases."""
    shared = {"x": ["µs", "long " * 50]}
    text = write_document({"a": shared, "b": shared})
    assert value(text) == {"a": shared, "b": shared}
    assert "&" not in text


def test_documents_are_read_one_by_one() -> None:
    """A file holds many documents; empty ones do not count."""
    text = "# nothing\n---\na: 1\n---\n---\n# still nothing\n---\nb: 2\n...\n"
    assert [document.value for document in read_documents(text, source="site.yaml")] == [{"a": 1}, {"b": 2}]


def test_lines_are_known() -> None:
    """The line of every key and list item is known, and of what is missing the line of what is around it."""
    text = "---\nkind: Node\nspec:\n  args:\n    - one\n    -\n      two: 2\n"
    (document,) = read_documents(text, source="site.yaml")
    assert document.line() == 2
    assert document.line(("spec",)) == 3
    assert document.line(("spec", "args", 0)) == 5
    assert document.line(("spec", "args", 1, "two")) == 7
    assert document.line(("spec", "absent", 3, "deeper")) == 3


def test_aliases_and_merges() -> None:
    """Aliases repeat a value; << merges mappings, what is written out counts most, then the first merged."""
    text = "base: &base {a: 1, b: 2}\nother: &other {b: 9, c: 3}\nmerged: {<<: [*base, *other], a: 0}\nsame: *base\n"
    read = value(text)
    assert read["merged"] == {"a": 0, "b": 2, "c": 3}
    assert read["same"] == {"a": 1, "b": 2}


BAD = {
    "a: 1\na: 2\n": "site.yaml:2:1: 'a' stands in line 1 already",
    "on: 1\n'true': 2\n": "site.yaml:2:1: 'true' stands in line 1 already",
    "a: [1\nb: 2\n": "site.yaml:2:",
    "a:\n\t- 1\n": "site.yaml:2:1: a tab, and YAML is indented with spaces alone",
    "a:\n  b: 1\n\tc: 2\n": "site.yaml:3:1: a tab, ",
    "a: {{ .Values.a }}\n": "site.yaml:1:5: a key must be a text: a template with {{ }} must be rendered first",
    "? [a]\n: 1\n": "site.yaml:1:3: a key must be a text",
    "~: 1\n": "site.yaml:1:1: a key must be a text",
    "a: .inf\n": "site.yaml:1:4: .inf is no number",
    "a: .nan\n": "site.yaml:1:4: .nan is no number",
    "a: !!int x\n": "site.yaml:1:4: 'x' cannot be read as !!int",
    "a: !!python/object:os.system {}\n": "not known here",
    "a: !secret x\n": "site.yaml:1:4: 'x' cannot be read as !secret",
    "a: &a [*a]\n": "an alias inside of what it stands for",
    "a: *b\n": "undefined alias",
    "<<: 5\n": "site.yaml:1:5: << needs a mapping",
    "a: \x00\n": "site.yaml:1:4: the control character U+0000",
    "a: 1\nb: x\x1b[31m\n": "site.yaml:2:5: the control character U+001B",
    f"a: {'9' * 5000}\n": "site.yaml:1:4: 99999999999999999999... is a number of 5000 characters; quote it",
    "[" * 1_000_000: "nested deeper than 100",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:20]))
def test_what_cannot_be_read_is_named_with_its_place(text: str) -> None:
    """An error begins with source, line and column and says what is wrong."""
    with pytest.raises(YamlError) as caught:
        read_documents(text, source="site.yaml")
    assert str(caught.value).startswith("site.yaml")
    assert BAD[text] in str(caught.value)


def test_aliases_cannot_exhaust_memory() -> None:
    """A small text whose aliases stand for billions of values is refused."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(YamlError, match="aliases written out"):
        read_documents("\n".join(levels), source="site.yaml")


def test_a_second_document_is_refused_where_one_is_wanted() -> None:
    """A configuration file with two documents is an error, not half read."""
    with pytest.raises(YamlError, match=r"hexa\.yaml:3:1: a second document"):
        read_document("a: 1\n---\nb: 2\n", source="hexa.yaml")
    assert read_document("# empty\n", source="hexa.yaml") is None


def value(text: str) -> Any:
    """The value of the only document of `text`."""
    document = read_document(text, source="site.yaml")
    assert document is not None
    return document.value
