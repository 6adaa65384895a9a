"""hexa notify test and hexa validate --config: whether those who are to be told can be, before something happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from hexa.cli.app import app


@contextmanager
def serving(status: int) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers so; its URL, and what it was sent."""
    heard: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/s3cret", heard
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def run(tmp_path: Path) -> object:
    """Write a configuration, and run a command of it."""

    def command(*arguments: str, config: str) -> tuple[int, str]:
        file = tmp_path / "hexa.yaml"
        file.write_text(config)
        found = CliRunner().invoke(app, [*arguments, "--config", str(file)])
        return found.exit_code, found.output

    return command


def test_a_test_is_sent_to_each_receiver(run: object) -> None:
    """What came back is said for each, and the worst of it is the exit code; no address is shown."""
    with serving(200) as (good, heard), serving(500) as (bad, _):
        odd = f"{{name: odd, url: '{good}', body: '{{x}}'}}"
        config = f"notify: [{{name: good, url: '{good}'}}, {{name: bad, url: '{bad}'}}, {odd}]"
        assert run("notify", "test", "good", config=config) == (0, "good: status 200\n")  # type: ignore[operator]
        code, said = run("notify", "test", config=config)  # type: ignore[operator]
    assert code == 1
    assert "good: status 200" in said
    assert "hexa: bad: not sent: status 500" in said
    assert "notify[2].body: there is no field {x}" in said
    assert "s3cret" not in said
    assert b'"state": "test"' in heard[0]
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("arguments", "config", "says"),
    [
        (["notify", "test"], "{}", "there are no receivers: see docs/notify.md"),
        (["notify", "test", "x"], "notify: [{name: a, url: 'http://x/'}]", "x: there is no such receiver; there are a"),
        (["notify", "test"], "notify: [{nam: a}]", "notify: object"),
        (["validate"], "notify: [{nam: a}]", "notify: object"),
    ],
)
def test_what_cannot_be_tried_is_said(arguments: list[str], config: str, says: str, run: object) -> None:
    """With exit code 2."""
    code, said = run(*arguments, config=config)  # type: ignore[operator]
    assert (code, says in said) == (2, True)


def test_validate_tells_what_is_wrong_with_receivers(run: object) -> None:
    """With field and remedy, as an error; receivers that can be used are none."""
    config = "log: {level: info}\nnotify:\n- name: a\n  url: http://x/\n  body: '{machin}'\n"
    code, said = run("validate", config=config)  # type: ignore[operator]
    assert code == 1
    assert "hexa.yaml:5: error: notify[0].body: there is no field {machin}: did you mean {machine}?" in said
    code, said = run("validate", config="notify: [{name: a, url: 'http://x/'}]")  # type: ignore[operator]
    assert (code, said.endswith(": 0 errors, 0 warnings\n"), "nothing to check" in said) == (0, True, False)
    found = CliRunner().invoke(app, ["validate"])
    assert (found.exit_code, "name files to check" in found.output) == (2, True)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("tariffs: {house: {zone: Mars/Base, price: 1}}", "error: tariffs.house.zone: 'Mars/Base'"),
        ("tariffs: {house: {}}", "error: tariffs.house.price: no window holds"),
        ("http: {address: '0.0.0.0:8080'}", "error: http.address: 0.0.0.0:8080 can be reached from the network"),
    ],
)
def test_validate_tells_what_the_agent_would_tell_later(config: str, says: str, run: object) -> None:
    """A tariff that cannot be read as written, and a port that the agent would not open, are told beforehand."""
    code, said = run("validate", config=config)  # type: ignore[operator]
    assert (code, says in said) == (1, True)


@pytest.mark.parametrize(
    "http",
    [
        "address: '127.0.0.1:8080'",
        "address: '[::1]:8080'",
        "address: '0.0.0.0:80', insecure: true",
        "address: 'box:80'",
    ],
)
def test_validate_lets_ports_pass_that_open(http: str, run: object) -> None:
    """The loopback, a port that is open on purpose, and names, which only the agent can look up, are no errors."""
    assert run("validate", config=f"http: {{{http}}}")[0] == 0  # type: ignore[operator]
