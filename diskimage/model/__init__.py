"""The nouns: where bytes are (Extent, Runs, Source), who answers (Device, Disc), what is to be done
(Step, Plan), where it lands (Sink), and what a format is. Values and protocols; no behaviour.

`start`, `stop`: guest bytes; `at`, `to`: host bytes; `stored`: a host length; `lba`: a frame.
"""

from __future__ import annotations

from diskimage.model.discs import Disc, Layout, Piece, Session, Subchannel, TocRow, Track
from diskimage.model.extents import HOLE, Codec, Device, Extent, Kind, Mode, Records, Runs, Source
from diskimage.model.formats import (
    Ability,
    Bid,
    Checking,
    Creator,
    Finding,
    Folder,
    Format,
    Gate,
    Held,
    Look,
    Loss,
    Opener,
    Option,
    Part,
    Reference,
)
from diskimage.model.plans import (
    Barrier,
    Copy,
    Pack,
    Packed,
    Plan,
    Put,
    Sink,
    Size,
    Step,
    Target,
    Writable,
)

__all__ = [
    "HOLE",
    "Ability",
    "Barrier",
    "Bid",
    "Checking",
    "Codec",
    "Copy",
    "Creator",
    "Device",
    "Disc",
    "Extent",
    "Finding",
    "Folder",
    "Format",
    "Gate",
    "Held",
    "Kind",
    "Layout",
    "Look",
    "Loss",
    "Mode",
    "Opener",
    "Option",
    "Pack",
    "Packed",
    "Part",
    "Piece",
    "Plan",
    "Put",
    "Records",
    "Reference",
    "Runs",
    "Session",
    "Sink",
    "Size",
    "Source",
    "Step",
    "Subchannel",
    "Target",
    "TocRow",
    "Track",
    "Writable",
]
