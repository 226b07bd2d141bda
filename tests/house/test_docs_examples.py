"""Every example of README and docs runs: a page's console lines in order, then its Python.

A fenced `console` block: each line that starts with `$ diskimage` is run by a shell and must end
with status 0, or with N where a later line of its output reads `exit status N`. Other `$` lines
(installing, other tools) are left alone. The fenced `python` blocks of a page are one script. Both
run in a new directory that holds the images of `tests/house/samples.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from diskimage.cli.frame import VERBS
from tests.bounded import Run
from tests.house.samples import make_samples
from tests.rows import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A line to run, and the status it must end with."""

    line: str
    status: int


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = page.read_text(encoding="utf-8")
    return [match[2] for match in FENCE.finditer(text) if match[1] == language]


def commands(page: Path) -> list[Command]:
    """The `$ diskimage` lines of a page, with backslash continuations joined."""
    found: list[Command] = []
    for block in blocks(page, "console"):
        for shown in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            line, _, output = shown.partition("\n")
            said = re.search(r"^exit status (\d+)$", output, re.MULTILINE)
            if line.startswith("diskimage"):
                found.append(Command(line, int(said[1]) if said else 0))
    return found


def with_examples(language: str) -> list[Path]:
    """The pages that have something to run."""
    if language == "console":
        return [page for page in PAGES if commands(page)]
    return [page for page in PAGES if blocks(page, language)]


def shown(page: Path) -> str:
    """A page's name as a test identifier."""
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample images, made once."""
    directory = tmp_path_factory.mktemp("samples")
    make_samples(directory)
    return directory


@pytest.fixture
def here(samples: Path, tmp_path: Path) -> Path:
    """A new directory with the sample images."""
    return Path(shutil.copytree(samples, tmp_path / "here"))


@pytest.mark.parametrize("page", with_examples("console"), ids=shown)
def test_console_examples_do_what_they_say(page: Path, here: Path, run: Run) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands(page):
        script = f"set -o pipefail; {command.line}"
        done = run(["bash", "-c", script], cwd=here, env={"PATH": path})
        assert done.returncode == command.status, f"$ {command.line}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", with_examples("python"), ids=shown)
def test_python_examples_run(page: Path, here: Path, run: Run) -> None:
    done = run([sys.executable, "-c", "\n".join(blocks(page, "python"))], cwd=here)
    assert done.returncode == 0, done.stderr


def test_there_are_examples() -> None:
    assert ROOT / "README.md" in with_examples("console")
    assert ROOT / "README.md" in with_examples("python")


@pytest.mark.parametrize("name", ["README.md", "docs/howto/read-files.md"])
def test_python_examples_are_typed(name: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "example.py").write_text("\n".join(blocks(ROOT / name, "python")))
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent"]
    done = run([*command, str(tmp_path / "example.py")], cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_every_verb_and_option_stands_in_its_page() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    for verb in VERBS:
        assert any(re.search(rf"`{verb.name}[ `]", row) for row in rows), verb.name
        for option in verb.params:
            if isinstance(option, click.Option):
                long = max(option.opts, key=len)
                assert re.search(rf"{long}\b", text), f"{verb.name} {long}"
