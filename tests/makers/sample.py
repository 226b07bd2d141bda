"""What every maker hands to the conformance suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """An image: `files` by name, the first of them opened; `guest` is what it has to read as.

    `header` bytes of the main file are changed one by one; the main file, or `cut`, is cut at each
    of `borders`. `exact` is False where a cut file is a shorter guest, as in raw. `password` opens
    it.
    """

    label: str
    files: Mapping[str, bytes]
    guest: bytes
    header: int = 0
    borders: tuple[int, ...] = ()
    cut: str = ""
    exact: bool = True
    password: str | None = None

    @property
    def main(self) -> str:
        return next(iter(self.files))

    def write(self, folder: Path, **changed: bytes) -> Path:
        """The files in `folder`, `changed` ones by name with `_` for the dot; the main path."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(changed.get(name.replace(".", "_"), content))
        return folder / self.main
