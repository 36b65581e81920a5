"""Configs of runs, read as data without running them."""
import ast
from typing import Any, NamedTuple


class Settings(NamedTuple):
    """Settings of a config.

    Attributes:
        values: Values by name. Code in place of a plain value is kept as
            source.
        programs: Sources of all code.
    """

    values: dict
    programs: list[str]


def read_settings(text: str) -> Settings:
    """Read a config that mmengine saved in a checkpoint.

    Such a config assigns literals and ``dict(…)`` to names.

    Args:
        text: The config.

    Returns:
        The values, and the source of any code in the config.

    Raises:
        SyntaxError: If the text is not Python.
    """
    values: dict[str, Any] = {}
    programs: list[str] = []
    for statement in ast.parse(text).body:
        if (isinstance(statement, ast.Assign) and len(statement.targets) == 1
                and isinstance(statement.targets[0], ast.Name)):
            values[statement.targets[0].id] = _value(statement.value, programs)
        else:
            programs.append(ast.unparse(statement))
    return Settings(values, programs)


def _value(node: ast.expr, programs: list[str]):
    if isinstance(node, ast.Dict):
        keys = [_value(k, programs) for k in node.keys if k is not None]
        if len(keys) == len(node.keys):
            return dict(zip(keys, (_value(v, programs) for v in node.values)))
    if (isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict'
            and not node.args and all(k.arg for k in node.keywords)):
        return {k.arg: _value(k.value, programs) for k in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        parts = [_value(n, programs) for n in node.elts]
        return parts if isinstance(node, ast.List) else tuple(parts)
    try:
        return ast.literal_eval(node)
    except ValueError:
        programs.append(ast.unparse(node))
        return programs[-1]
