"""From the descriptor to a disc: its files through the gate, deciphered and decoded where need be.

A track whose files hold its length and its pregap stores the pregap, one whose files hold its
length alone does not: the footers count frames. The row's first LBA says the same once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from diskimage.codecs.lrw import Lrw
from diskimage.disc import cdtext
from diskimage.disc.address import PREGAP
from diskimage.disc.confirm import confirmed
from diskimage.disc.modes import (
    AUDIO,
    MODE1_2048,
    MODE1_2352,
    MODE2_2048,
    MODE2_2324,
    MODE2_2332,
    MODE2_2336,
    MODE2_2352,
    RAW,
)
from diskimage.disc.subchannel import FLAGS
from diskimage.disc.tracks import Lay, assemble
from diskimage.disc.volume import weigh_disc
from diskimage.errors import CorruptError, TruncatedError, UnsupportedError
from diskimage.formats.mdx.groups import Cipher, Clear, Groups
from diskimage.formats.mdx.keys import open_data
from diskimage.formats.mdx.layout import SIGNATURE, Descriptor, Footer, Row, Session, load, tracks
from diskimage.layers.concat import Concat
from diskimage.model import (
    Bid,
    Device,
    Disc,
    Gate,
    Layout,
    Look,
    Mode,
    Piece,
    Source,
    Subchannel,
)
from diskimage.model.discs import SessionKind
from diskimage.sources.decrypt import turned

AUDIO_TYPE, MODE1_TYPE, MODE2_TYPE, FORM1_TYPE, FORM2_TYPE = 1, 2, 3, 4, 5
MODES = {
    (AUDIO_TYPE, RAW): AUDIO,
    (MODE1_TYPE, 2048): MODE1_2048, (MODE1_TYPE, RAW): MODE1_2352,
    (MODE2_TYPE, 2336): MODE2_2336, (MODE2_TYPE, RAW): MODE2_2352,
    (FORM1_TYPE, 2048): MODE2_2048, (FORM1_TYPE, 2336): MODE2_2336, (FORM1_TYPE, RAW): MODE2_2352,
    (FORM2_TYPE, 2324): MODE2_2324, (FORM2_TYPE, 2332): MODE2_2332, (FORM2_TYPE, 2336): MODE2_2336,
    (FORM2_TYPE, RAW): MODE2_2352,
}  # fmt: skip
SUBCHANNELS: dict[int, tuple[int, Layout]] = {
    1: (96, "interleaved"), 2: (16, "q16"), 4: (96, "rw"),
}  # fmt: skip
_KINDS: dict[int, SessionKind] = {0x10: "CDI", 0x20: "CDROM_XA"}
_FIRST_POINT = 0xA0
_OF_DATA = {"DCP"}  # flags that the control of a data track has; its other bits mean other things


def probe(look: Look) -> Bid | None:
    """The signature with version 2 behind it."""
    if look.head[:17] == SIGNATURE + b"\x02":
        return Bid(90, "MEDIA DESCRIPTOR of version 2 at 0")
    return None


def open_mdx(source: Source, gate: Gate) -> Disc:
    """The disc of an MDX, or of an MDS of version 2 and the files that it names.

    Raises PasswordError where the data need a password that is not given or is another, and
    UnsupportedError without the extra `crypto`.
    """
    told = load(source, gate.limits)
    lrw = open_data(told.keys, source, gate).lrw if told.keys is not None else None
    rows = [(session, row) for session in told.sessions for row in tracks(session)]
    runs = _Runs(source, gate, lrw)
    shapes = [_shape(row, source.name) for _, row in rows]
    for _, row in rows:
        runs.add(row)
    runs.decode()
    packs = _packs(told, source, gate)
    disc_text, texts = cdtext.texts(packs)
    lays: list[Lay] = []
    for (session, row), shape in zip(rows, shapes, strict=True):
        opening = not lays or lays[-1].session != session.number
        lay = _lay(session, row, shape, runs.of(row), source.name, gate, opening=opening)
        lay = replace(lay, text=texts.get(lay.number, {}))
        lays.append(confirmed(lay, source.name, gate, trust=False))
    disc = assemble(
        lays,
        file=source.name,
        medium=told.medium,
        text=disc_text,
        cdtext=packs,
        toc=tuple(row.toc for session in told.sessions for row in session.rows),
        kinds=dict(_session_kinds(told, lays)),
        info=_describe(told, runs),
    )
    weigh_disc(disc, gate)
    return disc


Shape: TypeAlias = "tuple[Mode, Layout | None]"
"""The main channel of a track's frames, and the layout of the subchannel behind them."""


class Stored(NamedTuple):
    """`frames` frames one behind the other at `at` of `source`, in clear."""

    source: Source
    at: int
    frames: int


class _Runs:
    """The stored frames of all tracks, as sources of bytes in clear."""

    def __init__(self, source: Source, gate: Gate, lrw: Lrw | None) -> None:
        self._source, self._gate, self._lrw = source, gate, lrw
        self._stem = source.name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
        self._parts: dict[str, Source] = {}
        self._rows: dict[int, list[tuple[Source | None, int, int]]] = {}
        self._devices: list[Device] = []
        self._decoded = 0
        self._reading: Source | None = None

    @property
    def names(self) -> list[str]:
        """The files beside the descriptor."""
        return list(self._parts)

    @property
    def compressed(self) -> bool:
        """Whether any track is."""
        return bool(self._devices)

    def add(self, row: Row) -> None:
        """Open the files of a track, in the order of the descriptor."""
        at, runs = row.at, []
        for footer in row.footers:
            runs.append(self._run(row, footer, at))
            at = 0  # a further file holds nothing else before it
        self._rows[row.toc.point] = runs

    def decode(self) -> None:
        """One reader for all that is compressed: it keeps chunks, and memory follows its number."""
        if self._devices:
            self._reading = self._gate.reading(Concat(self._devices), self._source.name)

    def of(self, row: Row) -> Iterator[Stored]:
        """The stored frames of a track, in order."""
        for own, at, frames in self._rows[row.toc.point]:
            source = own or self._reading
            assert source is not None
            yield Stored(source, at, frames)

    def _run(self, row: Row, footer: Footer, at: int) -> tuple[Source | None, int, int]:
        """Source, place and number of frames; no source where they have yet to be decoded."""
        part = self._part(footer.name)
        cipher = Cipher(self._lrw, row.pitch) if self._lrw is not None else None
        if footer.group:
            groups = Groups(
                part, at, at + footer.table, footer.frames, row.pitch, footer.group,
                self._gate.limits,
            )  # fmt: skip
            self._devices.append(groups.device(Clear(groups, cipher) if cipher else part))
            self._decoded += groups.size
            return None, self._decoded - groups.size, footer.frames
        if at + footer.frames * row.pitch > part.size:
            whole = max(0, part.size - at) // row.pitch
            raise TruncatedError(
                f"track {row.toc.point} ends in the frame at LBA {row.first + whole}, it has "
                f"{footer.frames} frames of {row.pitch} bytes at {at}",
                file=part.name,
                at=part.size,
                remedy="the file is cut short, or belongs to another descriptor",
            )
        if cipher is None:
            return part, at, footer.frames
        clear = turned(part, cipher.decrypt, unit=row.pitch, count=footer.frames, at=at)
        return clear, 0, footer.frames

    def _part(self, name: str) -> Source:
        """The file `name`: "" is this one, and an asterisk stands for its stem."""
        if not name:
            return self._source
        wanted = self._stem + name[1:] if name.startswith("*.") else name
        if wanted not in self._parts:
            suffix = wanted.rpartition(".")[2]
            self._parts[wanted] = self._gate.part(wanted, instead=(f"{self._stem}.{suffix}",))
        return self._parts[wanted]


def _lay(
    session: Session, row: Row, shape: Shape, runs: Iterable[Stored], file: str, gate: Gate, *,
    opening: bool,
) -> Lay:  # fmt: skip
    """A track. A pregap that is not stored is made up, but before the first track of a session
    (`opening`), where the lead-in is; what the disc hides before a first track is made up too."""
    number, runs, (mode, _) = row.toc.point, list(runs), shape
    pregap, length = row.lengths[0], sum(row.lengths[1:])
    kept = sum(run.frames for run in runs)
    if kept not in (length, length + pregap):
        raise CorruptError(
            f"track {number} has {length} frames after a pregap of {pregap}, its files {kept}",
            file=file,
            remedy="the descriptor belongs to other files, or is damaged",
        )
    whole = kept == length + pregap
    if row.first != row.lba - (pregap if whole else 0):
        text = f"track {number}: its stored frames begin at LBA {row.first}, by their number not"
        gate.warn("pregap", text, row.lba)
    gap = pregap
    if opening and not whole:
        gap = max(0, row.lba) if session.number == 1 else pregap if pregap > PREGAP else 0
        if gap and session.number == 1:
            gate.warn("pregap", f"{gap} frames before track {number} are not stored", 0)
    indexes = [(0, row.lba - gap)] if gap else []
    indexes += enumerate(accumulate(row.lengths[1:-1], initial=row.lba), 1)
    flags = frozenset(name for name, bit in FLAGS.items() if row.toc.control & bit)
    return Lay(
        number, session.number, mode, tuple(_pieces(row, shape, runs, gap, made=not whole)),
        tuple(indexes), flags=flags if mode.audio else flags & _OF_DATA,
    )  # fmt: skip


def _pieces(
    row: Row, shape: Shape, runs: Iterable[Stored], gap: int, *, made: bool
) -> Iterator[Piece]:
    """A pregap of `gap` frames, `made` up or the first ones that are stored, and the others."""
    (mode, layout), lba = shape, row.lba - gap
    if gap and made:
        yield Piece(lba, gap, None, 0, mode)
        lba = row.lba
    for source, at, frames in runs:
        behind = at + mode.size
        sub = None if layout is None else Subchannel(source, behind, row.pitch, layout)
        if frames:
            yield Piece(lba, frames, source, at, mode, pitch=row.pitch, sub=sub)
        lba += frames


def _shape(row: Row, file: str) -> Shape:
    """What the frames of a track are.

    Version 2.0 leaves the subchannel out of its field: then the size of the frames tells it.
    """
    told = SUBCHANNELS.get(row.subchannel)
    guesses = [told] if told else [None, *SUBCHANNELS.values()]
    for guess in guesses:
        size, layout = guess or (0, None)
        mode = MODES.get((row.mode & 7, row.pitch - size))
        if mode is not None:
            return mode, layout
    if row.subchannel and told is None:
        raise UnsupportedError(
            f"track {row.toc.point}: subchannel of kind {row.subchannel}", file=file
        )
    raise CorruptError(
        f"track {row.toc.point} of kind {row.mode:#04x} has frames of {row.pitch} bytes", file=file,
        remedy="the descriptor is damaged: copy the file again",
    )  # fmt: skip


def _packs(told: Descriptor, source: Source, gate: Gate) -> bytes | None:
    if not told.cdtext:
        return None
    try:
        return cdtext.packs(told.cdtext, source.name)
    except CorruptError as error:
        gate.warn("cdtext", error.message)
        return None


def _session_kinds(told: Descriptor, lays: Sequence[Lay]) -> Iterator[tuple[int, SessionKind]]:
    """What each session is, as point A0 tells; one that is no more than a CD is told by tracks."""
    for session in told.sessions:
        audio = all(lay.mode.audio for lay in lays if lay.session == session.number)
        plain: SessionKind = "CDDA" if audio else "CDROM"
        for row in session.rows:
            if row.toc.point == _FIRST_POINT:
                yield session.number, _KINDS.get(row.toc.pointed[1], plain)


def _describe(told: Descriptor, runs: _Runs) -> dict[str, object]:
    words = ["MDX" if told.inside else "MDS", told.version]
    words += ["compressed"] if runs.compressed else []
    words += ["encrypted"] if told.keys is not None else []
    return {
        "variant": " ".join(words), "version": told.version, "compressed": runs.compressed,
        "encrypted": told.keys is not None, "files": runs.names, "structures": told.structures,
        "dpm": told.dpm,
    }  # fmt: skip
