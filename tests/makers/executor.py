"""A plan carried out with no engine: one chunk at a time, into memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from diskimage.errors import RefusedReferenceError
from diskimage.model import Barrier, Copy, Extent, Kind, Pack, Packed, Plan, Put, Runs, Size, Step
from diskimage.runs import view
from tests.makers.naive import coded, piece


def image_of(plan: Plan, *, steps: int | None = None) -> bytes:
    """The main output after `steps` steps (all of them where None)."""
    out = bytearray()
    result: Any = None
    done = 0
    try:
        while steps is None or done < steps:
            result = step(plan.send(result), out)
            done += 1
    except StopIteration:
        pass
    plan.close()
    return bytes(out)


def step(one: Step, out: bytearray) -> Packed | None:
    """One step on `out`."""
    if isinstance(one, Put):
        put(out, one.to, bytes(one.data))
    elif isinstance(one, Size):
        put(out, one.size, b"")
        del out[one.size :]
    elif isinstance(one, Copy):
        content = b"".join(data for data in guest(one.extents, 1 << 20) if data is not None)
        put(out, one.to, content)
    elif isinstance(one, Pack):
        return pack(one, out)
    else:
        assert isinstance(one, Barrier)
    return None


def put(out: bytearray, to: int, data: bytes) -> None:
    """Write, with zeros before what did not exist."""
    if len(out) < to + len(data):
        out.extend(bytes(to + len(data) - len(out)))
    out[to : to + len(data)] = data


def guest(blocks: Iterable[Runs], chunk: int) -> Iterator[bytes | None]:
    """The guest bytes in pieces of `chunk`; None for a piece that is absent."""
    content, absent = bytearray(), bytearray()
    for runs in blocks:
        for row in view(runs):
            missing = row.kind == Kind.ABSENT
            data = bytes(row.length) if missing else piece_of(row, runs.chunk)
            content += data
            absent += bytes([missing]) * row.length
    for at in range(0, len(content), chunk):
        gone = absent[at : at + chunk]
        assert all(gone) or not any(gone), "a chunk of which this layer has only a part"
        yield None if all(gone) else bytes(content[at : at + chunk])


def piece_of(row: Extent, chunk: int) -> bytes:
    """The guest bytes of a row of a block with chunks of `chunk` bytes."""
    return coded(row, chunk) if row.kind == Kind.CODED else piece(row)


def pack(one: Pack, out: bytearray) -> Packed:
    """Chunks that are not zero appended, each as its smallest coding."""
    to, stored, codecs, sums = array("q"), array("q"), array("b"), array("I")
    known: dict[bytes, int] = {}
    end, blocks = one.to, list(one.extents)
    first = blocks[0].start[0] if blocks else 0
    for number, plain in enumerate(guest(blocks, one.chunk)):
        if plain is None and not one.absent:
            raise RefusedReferenceError(f"chunk {number} is not in this layer")
        codec = -1
        whole = b"" if plain is None else plain.ljust(one.chunk, b"\0")
        total = 0
        if one.dedupe and whole in known:
            to.append(known[whole])
            stored.append(0)
            codec = -2
        elif plain is None or not (one.keep_zeros or one.dedupe or any(plain)):
            to.append(-2 if plain is None else -1)
            stored.append(0)
        else:
            known[whole], best = number, whole
            total = one.chunk_sum(memoryview(whole)) if one.chunk_sum else 0
            for index, coder in enumerate(one.codecs):
                made = coder.encode(memoryview(whole))
                if made is not None and len(made) < len(best):
                    best, codec = made, index
            if one.seal is not None:
                best = one.seal(first + number * one.chunk, best)
            align = one.align if codec < 0 else one.align_coded
            end = -(-(end + len(one.lead)) // align) * align
            if one.room is not None and end + len(best) - one.to > one.room:
                break
            put(out, end - len(one.lead), one.lead + best)
            for stored_sum in one.stored_sums:
                stored_sum.update(best)
            to.append(end)
            stored.append(len(best))
            end += len(best)
        codecs.append(codec)
        sums.append(total)
        for plain_sum in one.sums:
            plain_sum.update(plain or b"")
    return Packed(to, stored, codecs, len(to), end, sums if one.chunk_sum else array("I"))
