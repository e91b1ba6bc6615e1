"""Compile and call an untrusted program inside the child, and put what went wrong into words.

Knows nothing of layers or channels. What it reports is checked again by the parent.
"""

from __future__ import annotations

import ast
import builtins
import errno
import linecache
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

from w4s.sandbox.plain import NotPlainError, to_plain

FILENAME = "<workflow>"
MODULE = "__workflow__"
ENTRY_POINTS = ("workflow", "solver")
_LAST = "__last_value__"
_MAX_TEXT = 600
_REFUSED = (errno.EPERM, errno.EACCES, errno.EROFS)
_NO_THREAD = "can't start new thread"


class ProgramError(Exception):
    """The program has no usable result: kind of the failure, text, and its own line."""

    def __init__(self, kind: str, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.kind, self.text, self.line = kind, text, line


def run_workflow(code: str, agent: object, task: str) -> Any:
    """Return the dict that `workflow(agent, task)` (or `solver`) returned. Raises ProgramError."""
    namespace = _define(code, code)
    function = next(
        (namespace[name] for name in ENTRY_POINTS if callable(namespace.get(name))), None
    )
    if function is None:
        raise ProgramError("no_workflow", "the code defines no function workflow(agent, task)")
    value = _guarded(lambda: _finished(function(agent, task)))
    return _answer(value)


def run_code(code: str, entry_point: str, calls: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Call `entry_point` for each argument list; each gives {"ok": …} or {"error": …}.

    Where the code defines no such function and `calls` is one empty list, the value of the last
    line counts. Raises ProgramError where the code does not even load.
    """
    source: str | ast.Module = code
    last = ""
    if f"def {entry_point}" not in code:
        source, last = _keep_last(code)
    namespace = _define(source, code)
    function = namespace.get(entry_point)
    if callable(function):
        return [_one_call(function, arguments) for arguments in calls]
    if [list(arguments) for arguments in calls] == [[]] and last in namespace:
        return [{"ok": to_plain(namespace[last], lenient=True)}]
    raise ProgramError("runtime", f"NameError: the code defines no function {entry_point}()")


def _compile(source: str | ast.Module) -> types.CodeType:
    try:
        return compile(source, FILENAME, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = error.lineno if isinstance(error.lineno, int) else None
        raise ProgramError("syntax", f"{type(error).__name__}: {error.msg}", line) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise ProgramError("syntax", _describe(error)) from error


def _define(source: str | ast.Module, code: str) -> dict[str, Any]:
    compiled = _compile(source)
    module = types.ModuleType(MODULE)
    # dataclasses, typing and pickle look a class's module up by name
    sys.modules[MODULE] = module
    namespace = module.__dict__
    namespace["__builtins__"] = builtins
    linecache.cache[FILENAME] = (len(code), None, code.splitlines(keepends=True), FILENAME)
    _guarded(lambda: exec(compiled, namespace))  # noqa: S102  # the sandbox's very purpose
    return namespace


def _guarded(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ProgramError:
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt are the program's too
        raise ProgramError(_kind(error), _describe(error), _line(error)) from None


def _one_call(function: Callable[..., Any], arguments: Sequence[Any]) -> dict[str, Any]:
    try:
        value = _guarded(lambda: _finished(function(*arguments)))
        return {"ok": _guarded(lambda: to_plain(value, lenient=True))}
    except ProgramError as error:
        where = f" (line {error.line})" if error.line else ""
        return {"error": f"{error.text}{where}"}


def _finished(value: Any) -> Any:
    if isinstance(value, types.CoroutineType):
        import asyncio

        return asyncio.run(value)
    return value


def _answer(value: Any) -> Any:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise ProgramError("no_answer", f"the workflow returned a {kind}, not a dict with 'answer'")
    if "answer" not in value:
        keys = ", ".join(repr(key)[:40] for key in list(value)[:10]) or "nothing"
        raise ProgramError("no_answer", f"the dict returned has no key 'answer', but {keys}")
    try:
        return _guarded(lambda: to_plain(value))
    except ProgramError as error:
        kind = "no_answer" if error.text.startswith(NotPlainError.__name__) else error.kind
        raise ProgramError(kind, f"the dict returned is not JSON: {error.text}") from None


def _keep_last(code: str) -> tuple[str | ast.Module, str]:
    """Return a program that keeps the value of its last line, and the name that will hold it."""
    _compile(code)  # for its errors
    tree = ast.parse(code, FILENAME)
    if not tree.body:
        return tree, _LAST
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        target = ast.copy_location(ast.Name(_LAST, ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
        return tree, _LAST
    stores = [
        node
        for node in ast.walk(last)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    assigned = [node.id for node in sorted(stores, key=lambda node: (node.lineno, node.col_offset))]
    return tree, (assigned or [_LAST])[-1]


def _kind(error: BaseException) -> str:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return "memory"
    if isinstance(error, RuntimeError) and _NO_THREAD in _text(error):
        return "memory"
    if isinstance(error, OSError) and (error.errno in _REFUSED or _hidden(error)):
        return "forbidden"
    return "runtime"


def _hidden(error: OSError) -> bool:
    """Whether it names a file of the machine, which namespaces show as missing."""
    name = error.filename
    return isinstance(error, FileNotFoundError) and str(name).startswith("/")


def _describe(error: BaseException) -> str:
    text = _text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_MAX_TEXT]
    except BaseException:  # noqa: BLE001  # a hostile __str__ is no reason to lose the result
        return "(its text cannot be shown)"


def _line(error: BaseException) -> int | None:
    """Return the innermost line of the program itself on the traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
