"""What runs beside tests and solutions in the sandbox, and the programs made of it.

Three programs, so that a solution never meets the answers that its tests expect:
the recorder runs the tests with a stand-in and notes the arguments of every call; the runner
calls the solution with those arguments; the judge runs the tests with the results played back.
Only the runner holds untrusted code, and only arguments and results pass between them.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass

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
    """Return the program whose `RECORD()` gives the arguments of every call of the tests."""
    tree = _Tolerant().visit(ast.parse(f"{tests.preamble}\n{tests.source}"))
    source = ast.unparse(ast.fix_missing_locations(tree))
    return "\n".join([source, _entry_point(tests), _CODEC, _RECORDER])


def runner_program(tests: CodeTests, solution: str) -> str:
    """Return the program whose `RUN(arguments)` calls the solution once."""
    program = f"{tests.preamble}\n{solution}"
    futures = _FUTURE.findall(program)  # they must come first
    caller = _RUNNER.format(entry_point=tests.entry_point)
    return "\n".join([*futures, _FUTURE.sub("", program), _CODEC, caller])


def judge_program(tests: CodeTests) -> str:
    """Return the program whose `JUDGE(calls, results)` runs the tests on recorded results."""
    return "\n".join([tests.preamble, tests.source, _entry_point(tests), _CODEC, _JUDGE])


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


# values travel as tagged JSON: JSON alone would turn tuples into lists and lose nan and sets
_CODEC = """
def _w4s_encode(value):
    kinds = ((list, "l"), (tuple, "t"), (set, "S"), (frozenset, "F"))
    if value is None:
        return ["n"]
    if isinstance(value, bool):
        return ["b", bool(value)]
    if isinstance(value, int):
        return ["i", hex(int(value))]
    if isinstance(value, float):
        return ["f", float(value).hex()]
    if isinstance(value, str):
        return ["s", str(value)]
    if isinstance(value, bytes):
        return ["y", value.hex()]
    if isinstance(value, complex):
        return ["c", value.real.hex(), value.imag.hex()]
    if isinstance(value, range):
        return ["r", value.start, value.stop, value.step]
    for kind, tag in kinds:
        if isinstance(value, kind):
            return [tag, [_w4s_encode(item) for item in value]]
    if isinstance(value, dict):
        return ["d", [[_w4s_encode(key), _w4s_encode(item)] for key, item in value.items()]]
    if hasattr(value, "__next__") or type(value).__name__.startswith("dict_"):
        import itertools
        return ["I", [_w4s_encode(item) for item in itertools.islice(value, 100000)]]
    return ["o", repr(value)[:200], bool(value)]


class _w4s_Opaque:
    def __init__(self, text, truth):
        self.text, self.truth = text, truth

    def __repr__(self):
        return self.text

    def __bool__(self):
        return self.truth


def _w4s_decode(value):
    tag, rest = value[0], value[1:]
    if tag == "n":
        return None
    if tag in "bs":
        return rest[0]
    if tag == "i":
        return int(rest[0], 16)
    if tag == "f":
        return float.fromhex(rest[0])
    if tag == "y":
        return bytes.fromhex(rest[0])
    if tag == "c":
        return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
    if tag == "r":
        return range(*rest)
    if tag == "d":
        return {_w4s_decode(key): _w4s_decode(item) for key, item in rest[0]}
    if tag == "o":
        return _w4s_Opaque(*rest)
    items = [_w4s_decode(item) for item in rest[0]]
    return {"l": list, "t": tuple, "S": set, "F": frozenset, "I": iter}[tag](items)
"""

_RECORDER = '''
class _w4s_Stub:
    """Goes along with whatever a test does with a result."""

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


def _w4s_record():
    import random
    calls = []

    def candidate(*args, **kwargs):
        calls.append(_w4s_encode([list(args), kwargs]))
        return _w4s_Stub()

    # some tests call the function by its own name too
    globals()[_W4S_ENTRY_POINT] = candidate
    random.seed(0)
    check(candidate)
    return calls
'''

_RUNNER = """
def _w4s_run(call):
    args, kwargs = _w4s_decode(call)
    return _w4s_encode({entry_point}(*args, **kwargs))
"""

_JUDGE = """
def _w4s_judge(calls, results):
    import builtins, random, re
    seen = []

    def candidate(*args, **kwargs):
        call = _w4s_encode([list(args), kwargs])
        if len(seen) >= len(calls) or calls[len(seen)] != call:
            raise RuntimeError("the test makes other calls than were recorded")
        result = results[len(seen)]
        seen.append(result)
        if "error" not in result:
            return _w4s_decode(result["ok"])
        name = re.match(r"\\w*", result["error"]).group()
        kind = getattr(builtins, name, RuntimeError)
        known = isinstance(kind, type) and issubclass(kind, Exception)
        raise (kind if known else RuntimeError)(result["error"])

    def last():
        if not seen:
            return "nothing"
        result = seen[-1]
        return result["error"] if "error" in result else repr(_w4s_decode(result["ok"]))[:300]

    globals()[_W4S_ENTRY_POINT] = candidate
    random.seed(0)
    try:
        check(candidate)
    except Exception as error:
        trace, line = error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code.co_name == "check":
                line = trace.tb_lineno
            trace = trace.tb_next
        text = f"{type(error).__name__}: {error}"[:300]
        return {"passed": False, "line": line, "error": text, "last": last()}
    return {"passed": True, "line": None, "error": "", "last": last()}
"""
