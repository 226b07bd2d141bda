"""An image that is changed in place beside a plain array of bytes that is changed likewise."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

import diskimage
from diskimage.gate import Policy
from tests.makers.alone import noise

Edit = tuple[str, int, int]
"""What is done, where, and to how many bytes."""


def edits(size: int, lengths: Sequence[int]) -> st.SearchStrategy[list[Edit]]:
    """Changes of an image of `size` bytes."""
    verbs = st.sampled_from(["write", "zero", "flush", "reopen"])
    one = st.tuples(verbs, st.integers(0, size - 1), st.sampled_from(lengths))
    return st.lists(one, max_size=12)


def edited(path: Path, changes: Sequence[Edit], references: Policy = "parts") -> bytes:
    """Make `changes`, the guest held against the array after each; what it is in the end."""
    opened = diskimage.open(path, mode="r+", references=references)
    size = opened.size
    model = bytearray(opened.read(0, size))
    for number, (verb, start, length) in enumerate(changes):
        stop = min(size, start + length)
        if verb == "write":
            model[start:stop] = noise(stop - start, number)
            opened.write(start, model[start:stop])
        elif verb == "zero":
            model[start:stop] = bytes(stop - start)
            opened.zero(start, stop - start)
        elif verb == "flush":
            opened.flush()
        else:
            opened.close()
            opened = diskimage.open(path, mode="r+", references=references)
        assert opened.read(0, size) == model, (number, verb, start, stop)
    opened.close()
    with diskimage.open(path, references=references) as again:
        assert again.read(0, size) == model
        assert list(again.problems()) == []
        assert again.warnings == ()
    return bytes(model)


def guest(path: Path) -> bytes:
    """All that an image and its parents beside it hold."""
    with diskimage.open(path, references="siblings") as image:
        return image.read(0, image.size)


def qemu(tool: str, *arguments: str | Path, within: Path) -> str:
    """What a tool of QEMU says, in a directory; it has to succeed."""
    done = subprocess.run(
        [tool, *arguments], check=False, capture_output=True, text=True, cwd=within
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def seen_by_qemu(tool: str, path: Path) -> bytes:
    """The guest that qemu-img reads, of an image that it finds sound."""
    if path.suffix == ".qcow2":
        qemu(tool, "check", path.name, within=path.parent)
    qemu(tool, "convert", "-O", "raw", path.name, "seen.raw", within=path.parent)
    return (path.parent / "seen.raw").read_bytes()


def drawn(path: Path, size: int, seed: str) -> bytes:
    """Write and zero an empty image of `size` bytes here and there; what it holds then."""
    expected, draw = bytearray(size), random.Random(seed)
    with diskimage.open(path, mode="r+") as image:
        for number in range(30):
            start = draw.randrange(size)
            data = noise(min(draw.randrange(1, 1 << 20), size - start), number)
            if number % 5 == 4:
                image.zero(start, len(data))
                data = bytes(len(data))
            else:
                image.write(start, data)
            expected[start : start + len(data)] = data
    return bytes(expected)


def taken_in_turns(path: Path, kind: str, qemu_io: str) -> None:
    """Ours and qemu-io, which calls the format `kind`, write to a new image in turn."""
    size = 8 << 20
    diskimage.create(path, size)
    expected = bytearray(size)
    for turn, at in enumerate((0, 5 << 20, 3 << 20, 7 << 20)):
        expected[at : at + 65536] = bytes([turn + 1]) * 65536
        if turn % 2:
            write = f"write -P {turn + 1} {at} 65536"
            command = [qemu_io, "-f", kind, "-c", write, str(path)]
            subprocess.run(command, check=True, capture_output=True)
        else:
            with diskimage.open(path, mode="r+") as image:
                image.write(at, expected[at : at + 65536])
    with diskimage.open(path) as image:
        assert image.read(0, size) == expected
        assert list(image.problems()) == []
