"""What runs beside tests and solutions in the sandbox, and the programs made of it.

Three programs, so that a solution never meets the answers that its tests expect:
the recorder runs the tests with a stand-in and notes the arguments of every call; the runner
calls the solution with those arguments; the judge runs the tests with the results played back, and
says so where they make a call that follows from a result, so that the stand-in could not make it.
Only the runner holds untrusted code, and only arguments and results pass between them.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass

from w4s.benchmarks.code_codec import CODEC
from w4s.parsing import parse_quietly

PREFIX = "_w4s_"
RECORD, RUN, JUDGE = f"{PREFIX}record", f"{PREFIX}run", f"{PREFIX}judge"
_FUTURE = re.compile(r"^from __future__ import .*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CodeTests:
    """Tests of one function.

    `source` defines `check(candidate)`; `preamble` is trusted code (imports, helper functions)
    that both the solution and the tests see.
    """

    entry_point: str
    source: str
    preamble: str = ""


def asserts_as_tests(
    asserts: list[str], *, entry_point: str, imports: list[str] | None = None, preamble: str = ""
) -> CodeTests:
    """Return tests that run assert statements which call the function by its name."""
    body = [f"{entry_point} = candidate", *asserts]
    lines = [*(imports or []), "def check(candidate):", textwrap.indent("\n".join(body), "    ")]
    return CodeTests(entry_point, "\n".join(lines) + "\n", preamble)


def recorder_program(tests: CodeTests) -> str:
    """Return the program whose `RECORD()` gives {calls, error, odd}.

    The arguments of the calls up to the first that follows from a result; what ended the tests
    early; an argument that cannot be passed on.
    """
    tree = _Tolerant().visit(parse_quietly(f"{tests.preamble}\n{tests.source}"))
    source = ast.unparse(ast.fix_missing_locations(tree))
    return "\n".join([source, _entry_point(tests), CODEC, _RECORDER])


def runner_program(tests: CodeTests, solution: str) -> str:
    """Return the program whose `RUN(arguments)` calls the solution once."""
    program = f"{tests.preamble}\n{solution}"
    futures = _FUTURE.findall(program)  # they must come first
    caller = _RUNNER.format(entry_point=tests.entry_point)
    return "\n".join([*futures, _FUTURE.sub("", program), CODEC, caller])


def judge_program(tests: CodeTests) -> str:
    """Return the program whose `JUDGE(calls, results)` runs the tests on recorded results.

    It gives {passed, line, error, last}, or {needs, at} for a call that is missing at a place.
    """
    return "\n".join([tests.preamble, tests.source, _entry_point(tests), CODEC, _JUDGE])


def failing_line(tests: CodeTests, line: int | None) -> str:
    """Return the line of the tests that `judge_program` numbers `line`, or ""."""
    lines = f"{tests.preamble}\n{tests.source}".split("\n")
    return lines[line - 1].strip() if line is not None and 0 < line <= len(lines) else ""


def _entry_point(tests: CodeTests) -> str:
    return f"_W4S_ENTRY_POINT = {tests.entry_point!r}"


class _Tolerant(ast.NodeTransformer):
    """Turn `assert x` into an evaluation of x that may fail, so that every call is reached."""

    def visit_Assert(self, node: ast.Assert) -> ast.Try:
        handler = ast.ExceptHandler(
            type=ast.Name(id="Exception", ctx=ast.Load()), name=None, body=[ast.Pass()]
        )
        body: list[ast.stmt] = [ast.Expr(value=node.test)]
        return ast.Try(body=body, handlers=[handler], orelse=[], finalbody=[])


_RECORDER = '''
class _w4s_Stop(BaseException):
    """What follows cannot be known before there are results."""


class _w4s_Stub:
    """Goes along with whatever a test does with a result."""

    def __repr__(self):
        return "_w4s_stub"

    def __format__(self, form):
        return format(0.0, form)

    def _same(self, *args, **kwargs):
        return self

    __call__ = __getitem__ = __abs__ = __neg__ = __round__ = _same
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _same
    __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _same

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __eq__(self, other):
        return True

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__

    def __hash__(self):
        return 0

    def __len__(self):
        return 0

    def __bool__(self):
        return True

    def __iter__(self):
        return iter(())

    def __float__(self):
        return 0.0

    def __int__(self):
        return 0

    __index__ = __int__


def _w4s_odd(call):
    """Return the text of an argument that is no plain value, or None."""
    if call[:1] == ["o"]:
        return call[1]
    return next(filter(None, (_w4s_odd(part) for part in call if isinstance(part, list))), None)


def _w4s_record():
    import random
    found = {"calls": [], "error": None, "odd": None}

    def candidate(*args, **kwargs):
        call = _w4s_encode([list(args), kwargs])
        odd = _w4s_odd(call)
        if odd is not None or len(found["calls"]) >= 10000:
            found["odd"] = None if odd is None or "_w4s_stub" in odd else odd
            raise _w4s_Stop
        found["calls"].append(call)
        return _w4s_Stub()

    # some tests call the function by its own name too
    globals()[_W4S_ENTRY_POINT] = candidate
    random.seed(0)
    try:
        check(candidate)
    except _w4s_Stop:
        pass
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"[:300]
    return found
'''

_RUNNER = """
def _w4s_run(call):
    args, kwargs = _w4s_decode(call)
    before = call[1][0][1]
    try:
        value = _w4s_encode({entry_point}(*args, **kwargs))
    except Exception as error:
        # the tests know built-in errors alone
        kind = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
        if kind is type(error):
            raise
        raise kind(str(error)).with_traceback(error.__traceback__) from None
    # lists, dicts and sets that the solution changed
    after = [(i, _w4s_encode(args[i])) for i, was in enumerate(before) if was[0] in "ldS"]
    return [value, [[i, now] for i, now in after if now != before[i]]]
"""

_JUDGE = """
def _w4s_judge(calls, results):
    import builtins, random, re
    seen = []

    class Missing(BaseException):
        pass

    def candidate(*args, **kwargs):
        call = _w4s_encode([list(args), kwargs])
        if len(seen) >= len(calls) or calls[len(seen)] != call:
            raise Missing(call)
        result = results[len(seen)]
        seen.append(result)
        if "error" not in result:
            value, changed = result["ok"]
            for index, now in changed:
                if isinstance(args[index], list):
                    args[index][:] = _w4s_decode(now)
                else:
                    args[index].clear()
                    args[index].update(_w4s_decode(now))
            return _w4s_decode(value)
        said = re.match(r"(\\w*)(?:: )?(.*?)(?: \\(line \\d+\\))?$", result["error"], re.DOTALL)
        name, text = said.groups()
        kind = getattr(builtins, name, RuntimeError)
        known = isinstance(kind, type) and issubclass(kind, Exception)
        if not known:
            raise RuntimeError(result["error"])
        try:
            error = kind(text)
        except TypeError:  # UnicodeDecodeError is made of five parts
            error = kind.__new__(kind)
        raise error

    def last():
        if not seen:
            return "nothing"
        result = seen[-1]
        return result["error"] if "error" in result else repr(_w4s_decode(result["ok"][0]))[:300]

    globals()[_W4S_ENTRY_POINT] = candidate
    random.seed(0)
    try:
        check(candidate)
    except Missing as missing:
        return {"needs": missing.args[0], "at": len(seen)}
    except Exception as error:
        trace, line = error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code.co_name == "check":
                line = trace.tb_lineno
            trace = trace.tb_next
        text = f"{type(error).__name__}: {error}"[:300]
        return {"passed": False, "line": line, "error": text, "last": last()}
    return {"passed": True, "line": None, "error": "", "last": ""}
"""
