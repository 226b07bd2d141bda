"""The guest as a snapshot inside the file has it."""

from __future__ import annotations

from datetime import UTC, datetime

from diskimage.errors import UsageError
from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.layout import Header, Snapshot
from diskimage.limits import Limits
from diskimage.model import Option, Source

OPTIONS = (
    Option("snapshot", "ID|NAME", "the guest of that snapshot inside the file; an id goes first"),
)


def chosen(header: Header, source: Source, wanted: str, limits: Limits) -> Snapshot:
    """The snapshot whose id is `wanted`, or else its name. UsageError lists what there is."""
    rows = list(layout.snapshots(header, source, limits))
    found = [row for row in rows if row.id == wanted]
    found = found or [row for row in rows if row.name == wanted]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{row.id} ({row.name})" for row in found or rows) or "none"
    fault = f"several snapshots are called {wanted!r}" if found else f"no snapshot {wanted!r}"
    remedy = f"say the id of one: {listed}" if rows else "it has no snapshots"
    raise UsageError(fault, file=source.name, remedy=remedy)


def of_snapshot(header: Header, row: Snapshot, source: Source, limits: Limits) -> Header:
    """The header that makes `row` the active guest. Raises what a wrong L1 table does.

    Where a row says no size of its own (version 2 may not), the guest had that of today.
    """
    size = header.size if row.disk_size is None else row.disk_size
    then = header._replace(size=size, l1_at=row.l1_at, l1_entries=row.l1_entries)
    layout.demand_bounds(then, source, limits)
    return then


def told(row: Snapshot) -> dict[str, object]:
    """What `info` says of a snapshot."""
    date = datetime.fromtimestamp(row.seconds, UTC).isoformat()
    return {
        "id": row.id, "name": row.name, "date": date, "seconds": row.seconds,
        "disk_size": row.disk_size, "vm_state_size": row.state_size,
    }  # fmt: skip
