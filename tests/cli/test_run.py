"""`hexa run` reads its settings, stops in order on a signal, and its exit code says how it ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hexa.cli.app import app

AGENT = """
import sys, types
wiring = types.ModuleType("hexa.wiring")
exec(sys.argv.pop(1), wiring.__dict__)
sys.modules["hexa.wiring"] = wiring
import hexa.cli
hexa.cli.main()
"""


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    """Run the command in this process, as far as its settings."""
    return CliRunner().invoke(app, ["run", *arguments], env=environment)


def agent(body: str) -> "subprocess.Popen[str]":
    """Start `hexa run` with this code as the wiring; it shall print a line once it runs."""
    return subprocess.Popen(
        [sys.executable, "-c", AGENT, f"import trio, os\n{body}", "run"],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ending(body: str) -> tuple[int, str]:
    """Exit code and standard error of an agent that ends by itself."""
    process = agent(body)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_in_order(number: signal.Signals) -> None:
    """A signal lets the agent clean up and ends with 0."""
    process = agent(
        "async def run_agent(config):\n"
        "    print('up', config.grpc.address)\n"
        "    try: await trio.sleep_forever()\n"
        "    finally: print('cleaned up')\n"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up 127.0.0.1:50051\n"
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (0, "cleaned up\n", "")


@pytest.mark.long
def test_agent_that_hangs_is_ended() -> None:
    """An agent that does not stop is ended after 5 s, with 1 and a line that says so."""
    process = agent(
        "async def run_agent(config):\n"
        "    print('up')\n"
        "    with trio.CancelScope(shield=True): await trio.sleep_forever()\n"
    )
    assert process.stdout is not None
    process.stdout.readline()
    since = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert 4.5 < time.monotonic() - since < 15
    assert errors.startswith("hexa: still not stopped 5 s after the signal")


ENDINGS = {
    "Refused('nodes is forbidden: needs verb list')": (3, "hexa: nodes is forbidden: needs verb list\n"),
    "Unavailable('no answer from https://127.0.0.1')": (1, "hexa: no answer from https://127.0.0.1\n"),
    "ExceptionGroup('x', [ExceptionGroup('y', [Refused('a')]), Unavailable('b')])": (3, "hexa: a\nhexa: b\n"),
}


@pytest.mark.parametrize("error", ENDINGS)
def test_errors_are_lines_and_codes(error: str) -> None:
    """Errors that a person can act on end with one line each and their code, without a traceback."""
    code = "from hexa.domain.errors import *\nasync def run_agent(config): raise "
    assert ending(code + error) == ENDINGS[error]


def test_defect_shows_its_traceback() -> None:
    """A defect of hexa ends with 1 and a traceback, to be reported."""
    code, errors = ending("async def run_agent(config): raise ZeroDivisionError('x')")
    assert code == 1
    assert "Traceback" in errors
    assert "ZeroDivisionError: x" in errors


# --- settings -----------------------------------------------------------------------------------


BAD = {
    ("--grpc-adress", "x"): "No such option",
    ("--log-level", "loud"): "hexa: --log-level: log.level: invalid enum value 'loud'",
    ("--namespace", "a", "--all-namespaces"): "hexa: --namespace and --all-namespaces exclude each other",
    ("--config", "absent.yaml"): "hexa: absent.yaml: No such file or directory; name another file with --config",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_arguments_end_with_usage(arguments: tuple[str, ...]) -> None:
    """What cannot be used ends with 2 before anything is done."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert BAD[arguments] in result.stderr
    assert "Traceback" not in result.stderr


def test_bad_file_and_environment_end_with_usage(tmp_path: Path) -> None:
    """A mistake in the file that HEXA_CONFIG names, or in a variable, ends with 2 and names its place."""
    file = tmp_path / "hexa.yaml"
    file.write_text("log:\n  levle: info\n")
    result = run(environment={"HEXA_CONFIG": str(file)})
    assert (result.exit_code, result.stderr) == (
        2,
        f"hexa: {file}:2: log.levle: no such setting; did you mean log.level?\n",
    )
    result = run(environment={"HEXA_GRPC_INSECURE": "perhaps"})
    assert result.exit_code == 2
    assert result.stderr.startswith("hexa: HEXA_GRPC_INSECURE: grpc.insecure:")


def test_flags_reach_the_agent() -> None:
    """Flags beat file and environment, and --all-namespaces takes back what they say of namespaces."""
    code = "async def run_agent(config): print(config.namespaces, config.context, config.log.level)"
    command = [sys.executable, "-c", AGENT, code, "run", "-A", "--context", "flag", "--log-level", "debug"]
    environment = {**os.environ, "HEXA_NAMESPACES": "a,b", "HEXA_CONTEXT": "variable"}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "() flag debug\n"
