"""The fixtures of the end-to-end tests; README.md says how to use them."""

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trio
from _pytest.capture import CaptureManager

sys.path.insert(0, str(Path(__file__).parent))  # `lab` is a package of the tests, not of hexa

import lab as labs
from agent import Agent, open_agent
from lab.borrowed import VARIABLE as BORROW

Kubectl = Callable[..., str]
_kind = pytest.StashKey[tuple[labs.Kind, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Decides for the whole session which kind of machines there are."""
    try:
        config.stash[_kind] = labs.choose_kind()
    except labs.CannotBeReal as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str:
    """Says what is tested with."""
    return f"e2e: Kubernetes {labs.version()}, {_describe(config)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says it again where -q has left out the header: a pass with simulated machines is a weaker one."""
    terminalreporter.write_line(f"e2e ran with {_describe(terminalreporter.config)}")


def _describe(config: pytest.Config) -> str:
    if borrowed := labs.Borrowed.from_environment():
        return f"the API server of {borrowed.kubeconfig()}, without machines"
    kind, reason = config.stash[_kind]
    return "real kubelets" if kind == "real" else f"simulated kubelets ({reason})"


@pytest.fixture(scope="session")
def uncaptured(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[None]]:
    """What is printed inside reaches the terminal at once."""
    manager = request.config.pluginmanager.getplugin("capturemanager")
    assert isinstance(manager, CaptureManager)
    return manager.global_and_fixture_disabled


@pytest.fixture(scope="session")
def say(uncaptured: Callable[[], AbstractContextManager[None]]) -> labs.Say:
    """Tells how far a build is."""

    def say(line: str) -> None:
        with uncaptured():
            print(f"\n{line}", end="", flush=True)

    return say


@pytest.fixture(scope="session")
def binaries(say: labs.Say) -> Path:
    """The folder of the control plane's binaries, built once for each version."""
    return _built(say)


@pytest.fixture(scope="session")
def helm(say: labs.Say) -> Path:
    """Helm, built once for each version."""
    return _built(say, module=labs.HELM) / "helm"


def _built(say: labs.Say, **module: Path) -> Path:
    try:
        return labs.build(say, **module)
    except labs.BuildError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def run_folder() -> Iterator[Path]:
    """A folder that lasts as long as the session."""
    with labs.open_run() as folder:
        yield folder


@pytest.fixture(scope="session")
def session_lab(binaries: Path, run_folder: Path, pytestconfig: pytest.Config) -> Iterator[labs.Lab]:
    """The session's lab: one control plane, and its place for machines."""
    if labs.Borrowed.from_environment():
        pytest.skip(f"needs a control plane of its own; {BORROW} lends another")
    lab = labs.Lab(run_folder, binaries, kind=pytestconfig.stash[_kind][0])
    try:
        trio.run(lab.start)
        yield lab
    finally:
        trio.run(lab.stop)


@pytest.fixture(scope="session")
def lab(session_lab: labs.Lab) -> labs.Lab:
    """The lab that a test works with; a module may have its own."""
    return session_lab


@pytest.fixture
async def control_plane(lab: labs.Lab) -> labs.ControlPlane:
    """The lab's control plane, in order again if the test before left it without its API server."""
    if not lab.control_plane.api_server.running:
        await lab.control_plane.start_api_server()
    lab.control_plane.require_running()
    return lab.control_plane


@pytest.fixture
def api_server(request: pytest.FixtureRequest) -> labs.ControlPlane | labs.Borrowed:
    """An API server, ours or the one that E2E_KUBECONFIG lends."""
    borrowed = labs.Borrowed.from_environment()
    return borrowed or request.getfixturevalue("lab").control_plane


@pytest.fixture
async def api(api_server: labs.ControlPlane | labs.Borrowed) -> AsyncIterator[labs.Api]:
    """A client of the API server that may do everything."""
    async with api_server.open_api() as api:
        yield api


@pytest.fixture
async def namespace(api: labs.Api) -> AsyncIterator[str]:
    """A namespace of the test's own."""
    async with labs.open_namespace(api, f"e2e-{secrets.token_hex(3)}") as name:
        yield name


@pytest.fixture
async def machines(lab: labs.Lab, control_plane: labs.ControlPlane) -> AsyncIterator[labs.Machines]:
    """The test's machines, none at first, and a worker that is ready for pods."""
    async with labs.open_machines(lab) as machines:
        yield machines


@pytest.fixture
def kubectl(lab: labs.Lab) -> Kubectl:
    """Runs kubectl as the administrator, and returns what it prints."""

    def run(*arguments: str, stdin: str = "") -> str:
        command = [str(lab.binaries / "kubectl"), f"--kubeconfig={lab.control_plane.kubeconfig()}", *arguments]
        answer = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, f"kubectl {' '.join(arguments)}: {answer.stderr}"
        return answer.stdout

    return run


@pytest.fixture
async def hexa(lab: labs.Lab, api: labs.Api, namespace: str, kubectl: Kubectl, tmp_path: Path) -> AsyncIterator[Agent]:
    """The agent on the test's namespace."""
    kubectl("apply", "-f", str(Path(__file__).parents[2] / "deploy" / "crds"))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "groups.infra.homecluster.dev")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "nodes.infra.homecluster.dev")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "powerprofiles.infra.homecluster.dev")
    async with open_agent(lab.control_plane.kubeconfig(), namespace, tmp_path) as agent:
        try:
            yield agent
        except BaseException:
            print(agent.words())
            raise
