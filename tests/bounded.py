"""A child process with bounded address space, file size and wall time."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
"""The type of the `run` fixture: `bounded` below."""


def bounded(
    command: Sequence[str | Path],
    *,
    memory_mib: int = 2048,
    file_mib: int = 4096,
    seconds: float = 60,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end; one that is still running after `seconds` fails the test."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mib << 20,) * 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_mib << 20,) * 2)

    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            preexec_fn=limit,  # limits hold before exec; two system calls
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input="" if stdin is None else stdin,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"still running after {seconds} s: {' '.join(map(str, command))}")
