"""ECM: a dump of sectors or frames less their EDC and ECC, made again on reading.

What is inside opens as a bare dump does (`disc.bare`); a dump of several tracks opens by its sheet,
which finds `NAME.bin.ecm` for the `NAME.bin` that it names.
"""

from __future__ import annotations

from diskimage.disc import volume
from diskimage.disc.bare import mode_of, opened
from diskimage.errors import ChecksumError, UnsupportedError
from diskimage.model import Bid, Checking, Device, Disc, Finding, Format, Gate, Held, Look, Source
from diskimage.sources.ecm import MAGIC, Ecm


def probe(look: Look) -> Bid | None:
    """The magic at 0."""
    return Bid(90, "ECM at 0") if look.head[:4] == MAGIC else None


def open_ecm(source: Source, gate: Gate) -> Device | Disc:
    """What is inside, as a bare dump.

    Raises UnsupportedError where that is audio, or nothing that shows itself; CorruptError,
    TruncatedError and LimitError for the stream and for impossible descriptors.
    """
    inner = Ecm(source)
    if mode_of(inner) is None and not volume.present(inner):
        raise UnsupportedError(
            "what is inside shows neither frames nor a volume",
            file=source.name,
            remedy="open the sheet of the dump: it finds this file",
        )
    return opened(inner, gate)


def check(source: Source, _gate: Gate) -> Checking:
    """Whether the whole has the EDC that its end tells."""
    inner = Ecm(source)
    try:
        inner.prove(int)
    except ChecksumError as error:
        yield Finding(error.kind, str(error), error.at, "whole")
    return Held("", "EDC, which tells nothing of Form 2 frames" if inner.blind else "EDC")


FORMAT = Format(
    name="ecm",
    title="ECM, frames less their EDC and ECC",
    suffixes=(".ecm",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_ecm,
    check=check,
)
