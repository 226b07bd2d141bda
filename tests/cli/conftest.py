"""The installed command, run in a directory of images."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.bounded import Run
from tests.cli.samples import Command, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """game.cue with its two BINs, game.data (its user data), disk.raw (with holes)."""
    write(tmp_path)
    return tmp_path


@pytest.fixture
def diskimage(run: Run, dim: str, folder: Path) -> Command:
    """Run the installed command in `folder`."""

    def command(*arguments: str | Path, **how: Any) -> CompletedProcess[str]:
        done = run([dim, *arguments], cwd=folder, **how)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return command
