"""Plain chunks that are packed without passing through memory."""

from __future__ import annotations

import os
import random
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from diskimage.engine import heads
from diskimage.engine.copy import Work
from diskimage.engine.pack import pack
from diskimage.errors import TruncatedError
from diskimage.kernels import copying
from diskimage.layers.plain import Plain
from diskimage.model import Pack
from diskimage.sinks.file import FileSink
from diskimage.sources.file import FileSource, open_file

CHUNK = 65536


@pytest.fixture
def source(tmp_path: Path) -> Iterator[FileSource]:
    """Forty chunks: full, zero, zero but for the last byte, zero in the head alone, and a part."""
    draw = random.Random(1)
    chunks = [
        [draw.randbytes(CHUNK), bytes(CHUNK), bytes(CHUNK - 1) + b"\1",
         bytes(heads.HEAD) + draw.randbytes(CHUNK - heads.HEAD)][draw.randrange(4)]
        for _ in range(40)
    ]  # fmt: skip
    path = tmp_path / "data.img"
    path.write_bytes(b"".join(chunks) + draw.randbytes(1000))
    held = open_file(str(path))
    yield held
    held.close()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("room", [None, 9 * CHUNK + 5])
def test_kept_chunks_are_copied_and_zero_ones_dropped(
    source: FileSource, tmp_path: Path, threads: int, room: int | None
) -> None:
    sink = FileSink(str(tmp_path / "out"), durable=False)
    step = Pack(Plain(source).runs(), CHUNK, (), CHUNK, align=CHUNK, room=room)
    packed = pack(step, sink.target(), Work(threads=threads))
    sink.commit()
    plain, out = Path(source.name).read_bytes(), (tmp_path / "out").read_bytes()
    kept = 0
    for row, to in enumerate(packed.to):
        chunk = plain[row * CHUNK : (row + 1) * CHUNK].ljust(CHUNK, b"\0")
        assert (to == -1) == (not any(chunk))
        if to >= 0:
            assert to == CHUNK + kept * CHUNK
            assert out[to : to + CHUNK] == chunk
            kept += 1
    assert packed.done == len(packed.to)
    assert kept == 9 if room else packed.done == 41


def test_a_kept_chunk_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "full.img"
    path.write_bytes(random.Random(2).randbytes(32 * CHUNK))
    asked: list[int] = []
    read = copying.read_runs

    def counted(fd: int, at: array[int], length: array[int], buffer: memoryview) -> int:
        asked.append(sum(length))
        return read(fd, at, length, buffer)

    monkeypatch.setattr(copying, "read_runs", counted)
    monkeypatch.setattr(FileSource, "read_into", lambda *_: pytest.fail("read whole"))
    full = open_file(str(path))
    sink = FileSink(str(tmp_path / "out"), durable=False)
    pack(Pack(Plain(full).runs(), CHUNK, (), 0, align=CHUNK), sink.target(), Work(threads=1))
    full.close()
    sink.commit()
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    assert sum(asked) == 32 * heads.HEAD


def test_a_source_that_became_shorter_is_truncated(source: FileSource, tmp_path: Path) -> None:
    runs = list(Plain(source).runs())
    os.truncate(source.name, 5 * CHUNK)
    sink = FileSink(str(tmp_path / "out"), durable=False)
    step = Pack(runs, CHUNK, (), 0, align=CHUNK)
    with pytest.raises(TruncatedError):
        pack(step, sink.target(), Work(threads=1))
    sink.abort()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_lead_stands_before_each_chunk_that_is_kept(
    source: FileSource, tmp_path: Path, threads: int
) -> None:
    sink = FileSink(str(tmp_path / "out"), durable=False)
    step = Pack(Plain(source).runs(), CHUNK, (), 100, align=4096, lead=b"L" * 512)
    packed = pack(step, sink.target(), Work(threads=threads))
    sink.commit()
    plain, out = Path(source.name).read_bytes(), (tmp_path / "out").read_bytes()
    kept = [row for row, to in enumerate(packed.to) if to >= 0]
    assert [packed.to[row] for row in kept] == [4096 + n * (CHUNK + 4096) for n in range(len(kept))]
    for row in kept:
        to, chunk = packed.to[row], plain[row * CHUNK : (row + 1) * CHUNK].ljust(CHUNK, b"\0")
        assert out[to - 512 : to + CHUNK] == b"L" * 512 + chunk
    assert packed.end == len(out)
