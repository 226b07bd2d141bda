"""A table of one integer a block, as runs."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from diskimage.kernels.columns import cut
from diskimage.kernels.extension import NATIVE, column, ffi, lib, need, readable, writable
from diskimage.kernels.scan import first_nonzero
from diskimage.model import Kind, Runs
from diskimage.reference import tables as twin
from diskimage.reference.tables import SUBCLUSTERS, Found, Illegal, Match, Rule

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Found", "Illegal", "Match", "Rule", "first_nonzero", "table_runs"]


def table_runs(
    rule: Rule,
    table: ReadableBuffer,
    first_block: int,
    block: int,
    size: int,
    *,
    limit: int = 4096,
) -> Found:
    """Turn entries into coalesced runs: at most `limit` rows, of a guest of `size` bytes.

    The table's first entry is that of block `first_block`; the last block is clipped to `size`.
    Go on after `taken` entries. `illegal` tells what is wrong with entry `taken`. `source` and
    `codec` of the runs are the caller's to set. Raises ValueError.
    """
    _check(rule, first_block, block, limit)
    if not NATIVE:
        return twin.table_runs(rule, table, first_block, block, size, limit=limit)
    view = readable(table)
    limit = min(limit, max(1, len(view) // rule.width) * (SUBCLUSTERS if rule.width == 16 else 1))
    wide = bytes(8 * limit)
    runs = Runs(
        array("q", wide), array("q", wide), array("q", wide), array("B", bytes(limit)),
        array("q", wide), array("q"),
    )  # fmt: skip
    pointers = [column(runs.start), column(runs.length), column(runs.at), writable(runs.kind)]
    columns = ffi.new("di_columns *", (*pointers, column(runs.stored), ffi.NULL, limit, 0, 0))
    counts = ffi.new("int64_t[2]")
    c_rule = ffi.new("di_rule *", _plain(rule))
    illegal = lib.di_table_runs(
        c_rule, view, len(view) // rule.width, first_block, block, size, columns, counts
    )
    del columns, pointers
    cut(runs, counts[0])
    if Kind.CODED in bytes(runs.kind):  # by memchr, unlike an array
        runs.skip.frombytes(bytes(8 * counts[0]))
    else:
        del runs.stored[:]
    return Found(runs, counts[1], Illegal(illegal))


def _check(rule: Rule, first_block: int, block: int, limit: int) -> None:
    need(rule.width in (4, 8, 16), "an entry has 4, 8 or 16 bytes")
    need(len(rule.matches) <= 4, "a rule has at most four matches")
    need(all(0 <= match.kind < 256 for match in rule.matches), "a kind is one byte")
    need(0 <= rule.shift < 64 and 0 <= rule.coded_split < 63, "a shift lies within 64 bits")
    need(rule.align > 0 and rule.scale > 0, "align and scale are positive")
    need(rule.scale < 1 << 63 and abs(rule.base) < 1 << 62, "scale and base fit in 63 bits")
    need(rule.coded == 0 or rule.coded.bit_count() == 1, "coded is one bit")
    counted = max(0, rule.coded.bit_length() - 1 - rule.coded_split)
    need(counted <= 50 and 0 <= rule.clip < 1 << 63, "stored bytes fit in 63 bits")
    need(block > 0 and first_block >= 0, "blocks are positive")
    lone = rule.width != 16
    need(lone or block % SUBCLUSTERS == 0, "a cluster of subclusters has a multiple of 32 bytes")
    need(limit >= (1 if lone else SUBCLUSTERS), "a limit below one entry's rows")


def _plain(rule: Rule) -> tuple[object, ...]:
    matches = [tuple(match) for match in rule.matches]
    return (
        rule.width, rule.big_endian, len(matches), rule.shift, rule.coded_split, matches, rule.mask,
        rule.scale, rule.base, rule.align, rule.reserved, rule.coded, rule.clip,
    )  # fmt: skip
