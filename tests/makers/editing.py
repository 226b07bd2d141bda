"""An image that is changed in place beside a plain array of bytes that is changed likewise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

import diskimage
from diskimage.gate import Policy

Edit = tuple[str, int, int]
"""What is done, where, and to how many bytes."""


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


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
