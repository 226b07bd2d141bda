"""A VHDX mended: its log carried out, damaged copies of header and region table made again."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.vhdx import layout, log
from diskimage.formats.vhdx.layout import HEADERS_AT, REGIONS_AT, TABLE_SIZE
from diskimage.formats.vhdx.open import begun
from diskimage.formats.vhdx.write import Headers, carried_out
from diskimage.model import Barrier, Finding, Gate, Plan, Put, Repair, Source
from diskimage.sources.patched import Patched


def repair(source: Source, gate: Gate) -> Repair:
    """What is mended, and the plan of it. Raises what opening raises."""
    header, file, entries = begun(source, gate)
    mended = []
    if entries:
        text = f"{entries} entries of its log, which its writer left, are carried out"
        mended.append(Finding("log", text, header.log_at))
    damaged = dict(_damaged(source, file))
    mended += [Finding("checksum", f"a damaged {what} is made again from the other one", at)
               for at, what in damaged.items()]  # fmt: skip
    layout.regions(file, gate)
    return Repair(tuple(mended), _plan(source, file, Headers(header), damaged))


def _damaged(source: Source, file: Source) -> Iterator[tuple[int, str]]:
    """(place, name) of copies whose checksum does not hold."""
    for of, places, length, signature, what in (
        (source, HEADERS_AT, layout.HEADER_SIZE, b"head", "header"),
        (file, REGIONS_AT, TABLE_SIZE, b"regi", "region table"),
    ):
        sound = {at for at, _ in layout.copies(of, places, length, signature, f"VHDX {what}")}
        yield from ((at, what) for at in places if at not in sound)


def _plan(source: Source, file: Source, headers: Headers, damaged: dict[int, str]) -> Plan:
    """The log first: it may hold what the rest is made from."""
    sound = layout.copies(file, REGIONS_AT, TABLE_SIZE, b"regi", "VHDX region table")
    if isinstance(file, Patched):
        log.judge(source, headers.now)
        yield from carried_out(file, source, headers)
    elif set(damaged) & set(HEADERS_AT):
        yield from headers.plan()
    for at in damaged:
        if at in REGIONS_AT:
            yield Put(at, sound[0][1])
    yield Barrier()
