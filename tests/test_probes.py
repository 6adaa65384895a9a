"""The probes say what a tracer would."""

import ast
import sys
import types

from tests.probes import HITS, Instrument

SAMPLE = '''"""A docstring."""
from __future__ import annotations

def wrap(function):
    """A docstring of a function."""
    return function

class Thing:
    kind: str = "a"
    def __init__(self):
        self.seen = [
            each
            for each in range(3)
        ]

@wrap
@wrap
def look(value):
    match value:
        case 1 | 2:
            return "few"
        case [first, *_] if first:
            found = first
        case {"a": _}:
            found = "a"
    if value == 3:
        found = 3
    elif value == 4:
        found = 4
    else:
        found = None
    try:
        found.upper()
    except ValueError:
        raise
    except (
        AttributeError
    ):
        pass
    else:
        found = "text"
    finally:
        value = None
    while found:
        found = None
        break
    else:
        return 5
    with open(__file__) as file:
        for each in ():
            return each
    return found

Thing()
'''


def executed(calls: str) -> set[int]:
    """The lines that a tracer sees."""
    lines: set[int] = set()

    def trace(frame: types.FrameType, event: str, _: object) -> object:
        if frame.f_code.co_filename != "sample":
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    code = compile(SAMPLE + calls, "sample", "exec", dont_inherit=True)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        exec(code, {"__file__": __file__, "__name__": "sample"})
    finally:
        sys.settrace(before)
    return lines


def probed(calls: str) -> set[int]:
    """The lines that the probes know of."""
    instrument = Instrument()
    code = compile(instrument.visit(ast.parse(SAMPLE + calls)), "sample", "exec", dont_inherit=True)
    hits = [0] * len(instrument.lines)
    exec(code, {"__file__": __file__, "__name__": "sample", HITS: hits})
    return set().union(*(lines for hit, lines in zip(hits, instrument.lines, strict=True) if hit))


def test_the_probes_say_what_a_tracer_would() -> None:
    """Of the lines on which a statement begins, a case or a handler, the same are reached, whichever way the code takes."""
    nodes = list(ast.walk(ast.parse(SAMPLE)))
    begins = {each.lineno for each in nodes if isinstance(each, ast.stmt | ast.excepthandler)}
    begins |= {case.pattern.lineno for each in nodes if isinstance(each, ast.Match) for case in each.cases}
    begins -= {1, 5}  # docstrings, which a tracer never sees
    for value in ("1", "3", "4", "[7]", "['a']", "{'a': 1}", "'b'", "None"):
        calls = f"try:\n    look({value})\nexcept UnboundLocalError:\n    pass\n"
        assert (probed(calls) & begins, value) == (executed(calls) & begins, value)
