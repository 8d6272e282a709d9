"""Lists of settings for `--help`, read from the source: importing the models takes seconds."""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from typer.core import TyperCommand

from graphgen.plugins import plugins

# The group of their entry points.
MODELS = "interest.models"

Rows: TypeAlias = list[tuple[str, str]]
# The module that a node of the syntax tree is in, and the node.
Found: TypeAlias = tuple[str, Any]


def with_settings(title: str, rows: Callable[[], Rows]) -> type[TyperCommand]:
    """Return a command class whose help ends in a list, made only when help is asked for."""

    class WithSettings(TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:
            """Write the list."""
            with formatter.section(title):
                formatter.write_dl(rows())

    return WithSettings


def build_settings() -> Rows:
    """Return the settings of `interest build`."""
    return _config_settings("graphgen.build", "BuildConfig")


def clean_settings() -> Rows:
    """Return the settings of `interest clean`."""
    return _config_settings("graphgen.cleaning.config", "CleanConfig")


def _config_settings(module: str, name: str) -> Rows:
    rows = _settings(_find(module, name))
    return [(f"{name}={default}", text) for name, default, text in rows]


def split_settings() -> Rows:
    """Return each protocol with its options."""
    module, protocols = _find("eval.splits.protocols", "PROTOCOLS")
    rows = []
    for name, function in zip(protocols.keys, protocols.values, strict=True):
        within, node = _find(module, function.id)
        first = (ast.get_docstring(node) or "").split("\n\n")[0]
        options = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        known = [f"{o.arg}={_value(within, given)}" for o, given in options if o.arg != "seed"]
        rows.append((ast.literal_eval(name), f"{first} {', '.join(known)}."))
    return rows


def models_settings() -> Rows:
    """Return each model with its settings; those of other packages are not looked into."""
    rows = [(name, settings_of(name)) for name in _models()]
    shown = [(name, ", ".join(f"{k}={v}" for k, v, _ in row) or "none") for name, row in rows]
    return [*shown, *((name, f"see `interest models {name}`") for name in plugins(MODELS))]


def models_titles() -> Rows:
    """Return each model with the first line of its docstring, those of other packages last."""
    rows = [(name, (ast.get_docstring(_class(name)[1]) or "").split("\n")[0]) for name in _models()]
    if plugins(MODELS):
        from gnn.registry import model_class

        docs = {name: inspect.getdoc(model_class(name)) or "" for name in plugins(MODELS)}
        rows += [(name, doc.split("\n")[0]) for name, doc in docs.items()]
    return rows


def settings_of(model: str) -> list[tuple[str, str, str]]:
    """Return name, default and description of each setting of a model of this package."""
    return _of_class(*_class(model))


def _of_class(module: str, node: ast.ClassDef) -> list[tuple[str, str, str]]:
    configs = [
        ast.unparse(line.value)
        for line in node.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "Config"
    ]
    if configs:
        return _settings(_find(module, configs[0]))
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    return [row for base in bases[:1] if base != "Model" for row in _of_class(*_find(module, base))]


def _models() -> dict[str, str]:
    return dict(_value(*_find("gnn.registry", "MODELS")))


def _class(model: str) -> Found:
    module, _, name = _models()[model].partition(":")
    return _find(module, name)


@cache
def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    return ast.parse(Path(str(spec and spec.origin)).read_text(encoding="utf-8"))


def _find(module: str, name: str) -> Found:
    """Return where a class, a function or a constant is defined, through imports."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return module, node.value
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            return module, node.value
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find(str(node.module), alias.name)
    raise LookupError(f"{module} does not define {name}.")


def _settings(found: Found) -> list[tuple[str, str, str]]:
    """Return name, default and description of each field of a config class, bases first."""
    fields = {name: (name, default, text) for name, default, text in _fields(*found)}
    return list(fields.values())


def _fields(module: str, node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    for base in reversed(node.bases):
        if isinstance(base, ast.Name) and base.id != "Config":
            yield from _fields(*_find(module, base.id))
    for line, text in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign):
            described = text.value if isinstance(text, ast.Expr) else _of_type(module, line)
            if described is not None:
                words = ast.literal_eval(described).replace("`", "").split()
                yield ast.unparse(line.target), str(_value(module, line.value)), " ".join(words)


def _of_type(module: str, line: ast.AnnAssign) -> ast.expr | None:
    """Return the description in the type of a field, ``Annotated[int, Field(description=...)]``."""
    if not isinstance(line.annotation, ast.Name) or hasattr(builtins, line.annotation.id):
        return None
    calls = [n for n in ast.walk(_find(module, line.annotation.id)[1]) if isinstance(n, ast.Call)]
    return next((k.value for call in calls for k in call.keywords if k.arg == "description"), None)


def _value(module: str, node: Any) -> Any:
    """Return the value of a literal, a constant, or the default of a ``Field(...)``."""
    if isinstance(node, ast.Name):
        return _value(*_find(module, node.id))
    return _value(module, node.args[0]) if isinstance(node, ast.Call) else ast.literal_eval(node)
