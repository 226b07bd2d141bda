"""Every public name is told: `__all__` is what is there, and each name has its docstring."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import diskimage


def members(name: str, value: object) -> Iterator[tuple[str, object]]:
    """A public name and, of a class of ours, its public methods and properties."""
    yield name, value
    if inspect.isclass(value):
        for own, member in vars(value).items():
            if not own.startswith("_") and (callable(member) or isinstance(member, property)):
                yield f"{name}.{own}", member


def test_all_names_are_there_once() -> None:
    assert len(diskimage.__all__) == len(set(diskimage.__all__))
    assert [name for name in diskimage.__all__ if not hasattr(diskimage, name)] == []


def test_every_public_name_has_a_docstring() -> None:
    bare = [
        told
        for name in diskimage.__all__
        if inspect.isclass(value := getattr(diskimage, name)) or inspect.isroutine(value)
        for told, member in members(name, value)
        if not inspect.getdoc(member)
    ]
    assert bare == []


def test_dir_shows_them() -> None:
    assert set(diskimage.__all__) <= set(dir(diskimage))
