"""New ISO 9660 images from files: plain names always, Joliet and Rock Ridge beside them.

The only importer of pycdlib, which lays out and writes the volume. Interchange level 3 (ECMA-119
10.3): names of 30 characters from A-Z, 0-9 and "_", files of several extents. Joliet names hold 64
UCS-2 characters, without the six that the Joliet specification forbids.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from diskimage.errors import ChangedError, UnsupportedError, UsageError, from_os
from diskimage.sinks.file import FileSink


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`, for Rock Ridge."""

    target: str


Content: TypeAlias = "bytes | os.PathLike[str] | Link"
Files: TypeAlias = "Mapping[str, Content] | str | os.PathLike[str]"

_NOT_ISO = re.compile(r"[^A-Z0-9_]")
_NOT_JOLIET = re.compile(r"[*/:;?\\\x00-\x1f]|[^\x00-\uffff]")
_ISO_NAME, _JOLIET_NAME, _SUFFIX = 30, 64, 8
_MODE = {"dir": 0o755, "file": 0o644}
_TYPES = {"dir": stat.S_IFDIR, "file": stat.S_IFREG, "link": stat.S_IFLNK}


def author(
    files: Files,
    out: str | os.PathLike[str] | BinaryIO,
    *,
    joliet: bool = True,
    rock_ridge: bool = True,
    volume_id: str = "DISC",
    overwrite: bool = False,
) -> None:
    """Write an ISO of `files` to `out`, a path (which appears whole) or a seekable binary file.

    `files`: a directory, or a mapping from paths to content: bytes, the path of a file, or a Link;
    a path that ends in "/" is an empty directory. Without Rock Ridge and Joliet names are cut to
    what ISO 9660 holds; times are those of the writing. Raises UsageError for names or depths that
    cannot be, UnsupportedError for FIFOs and devices, and for links without Rock Ridge;
    ExistsError, ChangedError, IoError.
    """
    from pycdlib.pycdlibexception import PyCdlibException

    nodes = list(_of_mapping(files) if isinstance(files, Mapping) else _of_directory(files))
    links = [node.path for node in nodes if node.kind == "link"]
    if links and not rock_ridge:
        raise UnsupportedError(f"{links[0]} is a link: only Rock Ridge holds links")
    try:
        if isinstance(out, str | os.PathLike):
            _publish(nodes, os.fspath(out), joliet, rock_ridge, volume_id, overwrite)
        else:
            _write(nodes, out, joliet, rock_ridge, volume_id)
    except PyCdlibException as error:
        text = f"ISO 9660 cannot hold this: {error}"
        raise UsageError(text, remedy="choose another name, or an option of less") from error


@dataclass(frozen=True, slots=True)
class _Node:
    """One thing to put on the disc; directories come before what they hold."""

    path: str  # parts joined by "/", none at the start
    kind: str  # dir, file, link
    content: bytes | Path | str = b""
    mode: int = 0o644
    stamp: tuple[int, int] = (0, 0)  # size and time of a file, to notice changes


@dataclass(slots=True)
class _Names:
    """The names of one directory in one tree; each is given once."""

    taken: dict[str, int] = field(default_factory=dict)

    def free(self, stem: str, suffix: str, room: int) -> str:
        """`stem` + `suffix`, cut to `room` characters and numbered where it is taken."""
        name = stem[: room - len(suffix)] + suffix
        key = name.upper()
        number = self.taken.get(key)
        self.taken[key] = 0 if number is None else number + 1
        if number is None:
            return name
        return self.free(f"{stem[: room - len(suffix) - 6]}_{number + 1}", suffix, room)


def _of_mapping(files: Mapping[str, Content]) -> Iterator[_Node]:
    made: set[str] = set()
    for name in sorted(files):
        parts = [part for part in name.split("/") if part]
        if not parts or {".", ".."} & set(parts) or "\0" in name:
            raise UsageError(f"{name!r} is no path in an image")
        for depth in range(1, len(parts) + name.endswith("/")):
            above = "/".join(parts[:depth])
            if above in files:
                raise UsageError(f"{above!r} is a file and a directory")
            if above not in made:
                made.add(above)
                yield _Node(above, "dir", mode=_MODE["dir"])
        if not name.endswith("/"):
            yield _of_content("/".join(parts), files[name])


def _of_content(path: str, content: Content) -> _Node:
    if isinstance(content, Link):
        return _Node(path, "link", content.target)
    if isinstance(content, bytes):
        return _Node(path, "file", content, _MODE["file"])
    return _of_path(path, Path(content), follow=True)


def _of_directory(root: str | os.PathLike[str]) -> Iterator[_Node]:
    """Everything below a directory of the host; links are not followed."""
    waiting = [(Path(root), "")]
    while waiting:
        directory, above = waiting.pop()
        try:
            found = sorted(directory.iterdir())
        except OSError as error:
            raise from_os(error, str(directory)) from error
        for path in found:
            node = _of_path(above + path.name, path)
            yield node
            if node.kind == "dir":
                waiting.append((path, f"{node.path}/"))


def _of_path(name: str, path: Path, *, follow: bool = False) -> _Node:
    try:
        seen = path.stat(follow_symlinks=follow)
        if stat.S_ISLNK(seen.st_mode):
            return _Node(name, "link", str(path.readlink()))
    except OSError as error:
        raise from_os(error, str(path)) from error
    mode = stat.S_IMODE(seen.st_mode)
    if stat.S_ISDIR(seen.st_mode):
        return _Node(name, "dir", mode=mode)
    if not stat.S_ISREG(seen.st_mode):
        raise UnsupportedError("is no file, directory or link", file=str(path))
    return _Node(name, "file", path, mode, (seen.st_size, seen.st_mtime_ns))


def _publish(
    nodes: list[_Node], path: str, joliet: bool, rock_ridge: bool, volume_id: str, overwrite: bool
) -> None:
    sink = FileSink(path, overwrite=overwrite)
    try:
        target = sink.target()
        assert target.fd is not None
        with os.fdopen(os.dup(target.fd), "wb") as file:
            _write(nodes, file, joliet, rock_ridge, volume_id)
    except OSError as error:
        sink.abort()
        raise from_os(error, path) from error
    except BaseException:
        sink.abort()
        raise
    sink.commit()


def _write(
    nodes: list[_Node], out: BinaryIO, joliet: bool, rock_ridge: bool, volume_id: str
) -> None:
    from pycdlib import PyCdlib  # 40 ms: only who makes an image pays

    disc = PyCdlib()
    disc.new(
        interchange_level=3,
        vol_ident=volume_id,
        joliet=3 if joliet else None,
        rock_ridge="1.09" if rock_ridge else None,
    )
    try:
        _fill(disc, nodes, joliet, rock_ridge)
        disc.write_fp(out)
    finally:
        disc.close()
    for node in nodes:
        if isinstance(node.content, Path):
            now = node.content.stat()
            if (now.st_size, now.st_mtime_ns) != node.stamp:
                raise ChangedError("changed while it was read", file=str(node.content))


def _fill(disc: Any, nodes: list[_Node], joliet: bool, rock_ridge: bool) -> None:
    """Hand every node to pycdlib under its names in each tree."""
    plain: dict[str, str] = {"": ""}  # our path to the path in the plain tree
    wide: dict[str, str] = {"": ""}  # and in Joliet
    names: dict[tuple[str, bool], _Names] = {}
    for node in nodes:
        above, _, name = node.path.rpartition("/")
        iso = _iso_name(name, node.kind, names.setdefault((above, False), _Names()))
        plain[node.path] = f"{plain[above]}/{iso}"
        ways = {"iso_path": plain[node.path]}
        if rock_ridge:
            ways["rr_name"] = name
        if joliet:
            cut = names.setdefault((above, True), _Names())
            wide[node.path] = f"{wide[above]}/{_joliet_name(name, cut)}"
            ways["joliet_path"] = wide[node.path]
        _add(disc, node, ways, rock_ridge)


def _add(disc: Any, node: _Node, ways: dict[str, str], rock_ridge: bool) -> None:
    modes = {"file_mode": node.mode | _TYPES[node.kind]} if rock_ridge else {}
    if node.kind == "dir":
        disc.add_directory(**ways, **modes)
    elif node.kind == "link":
        ways = {"symlink_path": ways["iso_path"], "rr_symlink_name": ways["rr_name"]}
        disc.add_symlink(**ways, rr_path=node.content)
    elif isinstance(node.content, bytes):
        disc.add_fp(io.BytesIO(node.content), len(node.content), **ways, **modes)
    else:
        disc.add_file(str(node.content), **ways, **modes)


def _iso_name(name: str, kind: str, names: _Names) -> str:
    """A name of level 3, files with version 1."""
    stem, dot, suffix = name.upper().rpartition(".")
    if kind == "dir" or not stem:
        return _with_version(names.free(_NOT_ISO.sub("_", name.upper()), "", _ISO_NAME), kind)
    tail = _NOT_ISO.sub("_", suffix)[:_SUFFIX]
    return _with_version(names.free(_NOT_ISO.sub("_", stem), dot + tail, _ISO_NAME), kind)


def _with_version(name: str, kind: str) -> str:
    if kind == "dir":
        return name
    return f"{name};1" if "." in name else f"{name}.;1"


def _joliet_name(name: str, names: _Names) -> str:
    stem, dot, suffix = _NOT_JOLIET.sub("_", name).rpartition(".")
    if not stem or len(suffix) > _SUFFIX:
        return names.free(stem + dot + suffix, "", _JOLIET_NAME)
    return names.free(stem, dot + suffix, _JOLIET_NAME)
