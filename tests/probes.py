"""What the tests reach of domain and app, measured at the cost of a few percent instead of three times the time.

`MEASURE_COVERAGE=1 pytest ...` compiles the modules of domain and app with a probe before each statement: a list takes a 1, where
tracing would call for every line. The tests of domain, app and commands run first, and what the others reach does not count, but
for what runs as a module is loaded, which all are before the first test. The figure, what is left out of it and its floor are
coverage.py's, by [tool.coverage] of pyproject.toml; an `except` that lets an error pass counts as not reached, unlike there.
"""

import ast
import importlib.abc
import importlib.machinery
import io
import os
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

WANTED: Final = bool(os.environ.get("MEASURE_COVERAGE"))
ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("hexa.domain", "hexa.app")
COUNTED: Final = ("tests/domain/", "tests/app/", "tests/cli/")
HITS: Final = "__hits__"  # the name of a module's list

Reached = dict[str, list[int]]  # by file: the lines that were executed

_hits: dict[str, tuple[list[int], list[set[int]]]] = {}  # by file: which probes were reached, and the lines of each


class Instrument(ast.NodeTransformer):
    """Puts probes into a module's tree; `lines` has what reaching the Nth of them says was executed."""

    def __init__(self) -> None:
        self.lines: list[set[int]] = []

    def probe(self, at: ast.AST, lines: set[int]) -> ast.stmt:
        """The statement `__hits__[N] = 1`, at the place of `at`."""
        self.lines.append(lines)
        target = ast.Subscript(ast.Name(HITS, ast.Load()), ast.Constant(len(self.lines) - 1), ast.Store())
        return ast.fix_missing_locations(ast.copy_location(ast.Assign([target], ast.Constant(1)), at))

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Each list of statements with a probe before each."""
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                setattr(node, name, list(self._probed(block)))
        return node

    def _probed(self, block: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
        passed: set[int] = set()  # lines of what has to be first: the next probe tells of them
        for position, each in enumerate(block):
            if _is_future(each) or (position == 0 and _is_docstring(each)):
                passed.add(each.lineno)
            else:
                yield self.probe(each, _own_lines(each) | passed)
                passed = set()
            yield each

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """Where a handler runs, its `except` and those before it were looked at."""
        self.generic_visit(node)
        self._ladder(node.handlers)
        return node

    visit_TryStar = visit_Try  # noqa: N815 - names of ast

    def visit_Match(self, node: ast.Match) -> ast.AST:
        """Where a case runs, or none does, its `case` and those before it were looked at."""
        self.generic_visit(node)
        rungs = [each.pattern for each in node.cases]
        self._ladder(node.cases)
        last = node.cases[-1]
        if last.guard or not (isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None):
            nothing = self.probe(rungs[-1], {each.lineno for each in rungs})
            wildcard = ast.copy_location(ast.MatchAs(), rungs[-1])
            node.cases.append(ast.match_case(wildcard, None, [nothing]))
        return node

    def _ladder(self, rungs: Sequence[Any]) -> None:
        tried: set[int] = set()
        for rung in rungs:
            place = getattr(rung, "pattern", rung)
            tried.add(place.lineno)
            rung.body.insert(0, self.probe(place, set(tried)))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _own_lines(node: ast.stmt) -> set[int]:
    return {node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))}


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with probes in it."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Compiled here: never from a cache, and never into one. A module that is loaded again goes on with its list."""
        instrument = Instrument()
        tree = instrument.visit(ast.parse(Path(self.path).read_bytes()))
        code = compile(tree, self.path, "exec", dont_inherit=True)
        hits, _ = _hits.setdefault(self.path, ([0] * len(instrument.lines), instrument.lines))
        vars(module)[HITS] = hits
        exec(code, vars(module))


class Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that are measured."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """As anyone would, with our loader."""
        if not any(fullname == each or fullname.startswith(f"{each}.") for each in PACKAGES):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and spec.origin and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(fullname, spec.origin)
        return spec


def install() -> None:
    """From here on these modules are loaded with probes; none of them may be loaded yet."""
    assert not [name for name in sys.modules if name.startswith(PACKAGES)]
    sys.meta_path.insert(0, Finder())


class Measuring:
    """The plugin: it sorts the tests, gathers what every process reached, and tells the figure."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_worker, self._config = hasattr(config, "workerinput"), config
        self._reached: Reached = {}
        self._done = False
        self._text = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The tests that count go first; pytest-xdist keeps the order for each process."""
        items.sort(key=lambda item: not item.nodeid.startswith(COUNTED))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """With the first test that doesn't count, this process has measured."""
        if not item.nodeid.startswith(COUNTED):
            self._finish()
        else:
            assert not self._done, f"{item.nodeid} comes after a test that does not count"

    def _finish(self) -> None:
        if not self._done:
            self._done, self._reached = True, reached()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process of pytest-xdist hands in what it reached."""
        for file, lines in getattr(node, "workeroutput", {}).get(HITS, {}).items():
            self._reached[file] = sorted({*lines, *self._reached.get(file, ())})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        """After the tests: hand it in, or tell the figure; one below the floor fails the run."""
        result = yield
        if _hits:
            self._finish()
        if self._is_worker:
            self._config.workeroutput[HITS] = self._reached
        elif self._reached:
            total, floor, self._text = report(self._reached)
            session.testsfailed += total < floor
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table of coverage.py."""
        terminalreporter.write(self._text)


def reached() -> Reached:
    """By file, the lines that this process has executed."""
    return {
        file: sorted(set[int]().union(*(each for hit, each in zip(hits, lines, strict=True) if hit)))
        for file, (hits, lines) in _hits.items()
    }


def report(found: Reached) -> tuple[float, float, str]:
    """The percentage, its floor, and the table; a file that nobody has loaded counts too."""
    import coverage  # only where it is asked for

    measured = coverage.Coverage(data_file=None, config_file=str(ROOT / "pyproject.toml"))
    files = (str(file) for each in PACKAGES for file in (ROOT / "src" / each.replace(".", "/")).rglob("*.py"))
    measured.get_data().add_lines({file: found.get(file, []) for file in files})
    text = io.StringIO()
    total, floor = measured.report(file=text), float(measured.get_option("report:fail_under") or 0)
    verdict = f"coverage of {total:.2f} %; the floor is {floor:g} %\n"
    return total, floor, f"{text.getvalue()}{verdict}"
