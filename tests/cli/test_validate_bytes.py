"""`hexa validate` shows no traceback, whatever it is given to read."""

from pathlib import Path

import pytest
from tests.cli.test_validate import run

HEAD = b"apiVersion: infra.homecluster.dev/v1alpha1\nkind: Node\n"
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("i"))
)
CONTENTS = {
    "bytes": bytes(range(256)),
    "utf-16": "a: b".encode("utf-16"),
    "nul": b"a: \x00b",
    "deep": b"[" * 100_000,
    "deep-block": b"".join(b" " * depth + b"a:\n" for depth in range(300)),
    "bomb": BOMB,
    "alias-to-itself": b"&a [*a]",
    "merge-of-itself": b"a: &a\n  <<: *a\n",
    "twice": b"a: 1\na: 2",
    "tag": b"!!python/object/apply:os.system [x]",
    "not-a-number": b"a: .nan",
    "endless-number": HEAD + b"metadata: {name: a}\nspec: {retries: {attempts: " + b"9" * 5000 + b"}}",
    "surrogates": HEAD + b'metadata: {name: "\\uD800", labels: {group: "\\0"}}',
    "lists-for-maps": HEAD + b"metadata: [1]\nspec: 3",
    "maps-for-texts": b"apiVersion: []\nkind: {}\nmetadata: {name: []}",
    "times": HEAD + b"metadata: {name: a}\nspec: {hold: {power: on, until: 0001-01-01T00:00:00+14:00}}",
    "keys": b"1: 2\nnull: 4\n[a]: 5",
    "address": HEAD + b"metadata: {name: a}\nspec: {power: {redfish: {address: 'https://[fd00::10'}}}",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_failure_51_no_content_shows_a_traceback(name: str, tmp_path: Path) -> None:
    """Any bytes end with a sentence and one of the exit codes of the page, as text and as JSON."""
    (tmp_path / "x.yaml").write_bytes(CONTENTS[name])
    for more in ((), ("--json",)):
        result = run(*more, tmp_path / "x.yaml")
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.exit_code in (0, 1, 2)
        assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["no\x00name", "n" * 5000, "missing.yaml", ".", "dangling.yaml"])
def test_failure_51_no_file_shows_a_traceback(name: str, tmp_path: Path) -> None:
    """A name that no file can have, a folder without files and a link to nowhere are told in one line."""
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    result = run(tmp_path / name)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
