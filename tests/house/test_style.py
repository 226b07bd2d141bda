"""The rules of style that the linters do not know. A failure lists every place."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.rows import ROOT

FUNCTION_LINES = 60
MODULE_LINES = 400
MEDIAN_LINES = 15
WIDTH = 100
NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "base", "core", "misc"})

UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|NotImplementedError")
# a code in all cases, and words after it
SILENCED = re.compile(r"# (?:noqa(?!: \w+(?:, \w+)* +\W+\w)|type: ignore(?!\[[\w, -]+\] +\W+\w))")
ONE_MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home/\w+)/")
REGISTRY = re.compile(r"\b(?:pypi\.org|pythonhosted\.org|crates\.io|npmjs\.com)")


def tracked(*suffixes: str) -> list[Path]:
    """The repository's files with these suffixes, this one left out: it names what it forbids."""
    command = ["git", "-C", str(ROOT), "ls-files", "-zco", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    paths = [ROOT / name for name in names] or list(ROOT.rglob("*"))
    outside = {".venv", "build", "dist"}
    return sorted(
        path
        for path in paths
        if path.suffix in suffixes and path.is_file() and path != Path(__file__)
        if not outside & set(path.relative_to(ROOT).parts)
    )


PYTHON = tracked(".py")
C = tracked(".c", ".h")
PROSE = tracked(".md", ".toml", ".sh", ".tsv")


def place(path: Path, line: int = 0) -> str:
    """A file below the root, and a line of it."""
    return f"{path.relative_to(ROOT).as_posix()}:{line}".removesuffix(":0")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Place and lines of every function of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{place(path, node.lineno)} {node.name}", node.end_lineno - node.lineno + 1


def matches(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Every line that holds a pattern."""
    return [
        f"{place(path, number)}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_modules_are_short() -> None:
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert {name: lines for name, lines in lengths.items() if lines >= MODULE_LINES} == {}


def test_functions_are_short() -> None:
    lengths = {name: lines for path in PYTHON for name, lines in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines >= FUNCTION_LINES} == {}


def test_the_median_function_is_short() -> None:
    package = [path for path in PYTHON if path.is_relative_to(ROOT / "diskimage")]
    lengths = [lines for path in package for _, lines in functions(path)]
    assert statistics.median(lengths) < MEDIAN_LINES


def test_lines_of_c_fit() -> None:  # of Python too: ruff looks there
    assert matches(re.compile(f".{{{WIDTH + 1}}}"), C) == []


def test_files_and_directories_are_called_what_they_are() -> None:
    parts = {part: place(path) for path in PYTHON + C for part in path.relative_to(ROOT).parts}
    assert {at for part, at in parts.items() if part.partition(".")[0] in NAMES} == set()


def test_nothing_is_left_undone() -> None:
    assert matches(UNFINISHED, PYTHON + C) == []


def test_a_silenced_rule_has_its_code_and_its_reason() -> None:
    assert matches(SILENCED, PYTHON) == []


def test_no_file_names_a_place_on_one_machine() -> None:
    assert matches(ONE_MACHINE, PYTHON + C + PROSE) == []


def test_no_file_names_a_registry() -> None:
    assert matches(REGISTRY, PYTHON + C + PROSE) == []
