"""Rules of the house that no linter knows."""

import ast
import json
from pathlib import Path

import grimp
import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for folder in ("graphgen", "gnn", "eval", "tests", "notebooks")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".ipynb"} and ".ipynb_checkpoints" not in path.parts
]


def python_of(path):
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def hides_the_builtin(tree):
    """Whether a file binds the name `eval`, which hides the builtin in it."""
    return any(
        (alias.asname or alias.name.split(".")[0]) == "eval"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_imports_eval_as_a_name(path):
    assert not hides_the_builtin(ast.parse(python_of(path))), "write `from eval import X`"


def test_the_rule_itself_can_fail():
    assert hides_the_builtin(ast.parse("import eval.metrics"))
    assert not hides_the_builtin(ast.parse("from eval.metrics import NDCG\nimport evaluate"))


def test_readme_code_keeps_the_rule():
    for name in ("README.md", "CONTRIBUTING.md"):
        blocks = (ROOT / name).read_text(encoding="utf-8").split("```python")[1:]
        for block in blocks:
            assert not hides_the_builtin(ast.parse(block.split("```")[0]))


@pytest.mark.parametrize("package", ["graphgen", "gnn", "eval"])
def test_public_names_resolve_and_are_documented(package):
    import importlib

    module = importlib.import_module(package)
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None
        if callable(getattr(module, name)):
            assert getattr(module, name).__doc__, name


def test_library_raises_instead_of_asserting():
    for folder in ("graphgen", "gnn", "eval"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path


def circles(arrows):
    """Return the groups of files that reach each other."""
    graph = nx.DiGraph(arrows)
    return [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]


def test_no_two_files_import_each_other_directly_or_in_a_circle():
    graph = grimp.build_graph("graphgen", "gnn", "eval", cache_dir=None)
    arrows = [(m, n) for m in graph.modules for n in graph.find_modules_directly_imported_by(m)]
    assert len(arrows) > 500
    assert circles(arrows) == []  # imports inside functions and for typing count too
    assert circles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]) == [["a", "b", "c"]]


def test_tests_are_no_package():
    assert not (ROOT / "tests" / "__init__.py").exists()
