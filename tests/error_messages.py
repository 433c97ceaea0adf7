"""The messages of all one-line errors, read from the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.paths import ROOT

_RAISES = {"FacegenderError": 1, "_mistake": 0}
"""The position of the argument that says what is wrong."""


def error_messages() -> set[str]:
    """Return what is wrong according to each error, with … for what is known only when it happens."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    messages = {message for file in files for message in _messages_of(file)}
    # Others are the messages of the operating system and of libraries.
    return {message for message in messages if re.search("[a-z]", message)}


def _messages_of(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for scope in functions:
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _RAISES:
                yield from _texts(node.args[_RAISES[node.func.id]], scope)


def _texts(node: ast.expr, scope: ast.FunctionDef) -> Iterator[str]:
    """Yield the possible values of an expression inside a function."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, scope)
        yield from _texts(node.orelse, scope)
    elif isinstance(node, ast.Name):
        values = [
            each.value
            for each in ast.walk(scope)
            if isinstance(each, ast.Assign) and [ast.unparse(target) for target in each.targets] == [node.id]
        ]
        for value in values:
            yield from _texts(value, scope)
    else:
        yield "…"
