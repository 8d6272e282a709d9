"""Every option that a message, a help text or a page of docs names exists where it is named."""

import ast
import json
import re
from pathlib import Path

import grimp
import pytest
import typer

from eval.commands.main import app

ROOT = Path(__file__).parents[3]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
CALL = re.compile(r"\binterest (bench \w+|[a-z]+)\b")
# Options of other programs: pip, make, wrk, neo4j-admin.
FOREIGN = {"--no-deps", "--recursive", "--timeout", "--nodes", "--relationships"}
# The rivals of the benchmark are programs of their own.
PROGRAMS = ROOT / "eval" / "benchmarks" / "rivals"
# Commands that read tables of users; messages of the reader name these options.
READING = ("build", "split", "train", "recommend", "evaluate", "compare", "abtest")
OF_READING = {"--column", "--encoding", "--delimiter", "--on-bad-rows", "--day-first"}


def options_by_command():
    group = typer.main.get_command(app)
    found = {"": _own(group)}
    for name, command in group.commands.items():
        for below, one in getattr(command, "commands", {}).items():
            found[f"{name} {below}"] = _own(one)
        if not hasattr(command, "commands"):
            found[name] = _own(command)
    return found


def _own(command):
    names = [name for p in command.params for name in (*p.opts, *p.secondary_opts)]
    return {name for name in names if name.startswith("--")} | {"--help"}


COMMANDS = options_by_command()
EVERY = set().union(*COMMANDS.values())


def texts_of(path):
    """Return the texts of a file: string constants of Python, the lines of a page."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text("utf-8"))["cells"]
        return ["".join(cell["source"]) for cell in cells]
    if path.suffix != ".py":
        return [path.read_text("utf-8")]
    return [*_strings(ast.parse(path.read_text("utf-8")))]


def _strings(node):
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
        yield "".join(parts)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def misnamed(text, allowed):
    """Return the options of a text that are not `allowed`, or not in the command they stand at.

    A call, ``interest NAME ... --option``, ends with its line or sentence; a line that ends in a
    backslash goes on.
    """
    wrong = []
    for line in re.sub(r"\\+\n", " ", text).split("\n"):
        starts = [*CALL.finditer(line)]
        calls = [match for match in starts if match[1] in COMMANDS]
        parts = [(allowed, line[: calls[0].start()] if calls else line)]
        for number, call in enumerate(calls):
            stop = calls[number + 1].start() if number + 1 < len(calls) else len(line)
            rest = line[call.end() : stop]
            end = re.search(r"`|[.;,] |#", rest)
            cut = end.start() if end else len(rest)
            parts += [(COMMANDS[call[1]], rest[:cut]), (allowed, rest[cut:])]
        wrong += [
            name
            for known, part in parts
            for name in OPTION.findall(part)
            if name not in known | FOREIGN
        ]
    return wrong


def test_the_test_can_fail():
    assert misnamed("Give --colunm.", EVERY) == ["--colunm"]
    assert misnamed("interest split log.csv --protocol x \\\n  --k-core 3", EVERY) == ["--k-core"]
    assert misnamed("`interest split log.csv`; then --k-core of `interest build`", EVERY) == []


SOURCES = [
    path
    for folder in ("graphgen", "gnn", "eval")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if PROGRAMS not in path.parents
]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]


@pytest.fixture(scope="module")
def reached_by():
    """By module, the names of the commands whose files import it, directly or not."""
    graph = grimp.build_graph("graphgen", "gnn", "eval", cache_dir=None)
    reached = {}
    for name in filter(None, COMMANDS):
        file = {"power": "abtest", "import": "importing"}.get(name, name.split(" ")[0])
        start = f"eval.commands.{file}"
        for module in {start, *graph.find_upstream_modules(start)}:
            reached.setdefault(module, set()).add(name)
    return reached


def test_options_in_messages_exist_in_a_command_that_raises_them(reached_by):
    named, wrong = 0, []
    for path in SOURCES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        commands = reached_by.get(module, set(COMMANDS))
        allowed = COMMANDS[""].union(*(COMMANDS[name] for name in commands))
        for text in texts_of(path):
            named += len(OPTION.findall(text))
            wrong += [(str(path.relative_to(ROOT)), name) for name in misnamed(text, allowed)]
    assert wrong == []
    assert named > 100


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_options_in_pages_exist_in_their_command(path):
    for text in texts_of(path):
        assert misnamed(text, EVERY) == []


@pytest.mark.parametrize("command", READING)
def test_commands_that_read_tables_have_the_options_that_the_reader_names(command):
    assert COMMANDS[command] >= OF_READING
