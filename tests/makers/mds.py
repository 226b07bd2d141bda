"""MDS v1 descriptors and their MDF files, byte by byte from what is known of Alcohol 120%'s format.

Little-endian. A header of 88 bytes, sessions of 24, rows of 80 (A0, A1, A2, tracks, B0, C0),
8 bytes for each CD row but A0 to A2, 16 for each data file, and the files' names.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from tests.makers import frames, q
from tests.makers.iso import volume
from tests.makers.sample import Sample

AUDIO, MODE1, MODE2, FORM1, FORM2, DVD = 0xA9, 0xAA, 0xAB, 0xAC, 0xAD, 0x02
CD_ROM, CD_R, DVD_ROM, DVD_R = 0, 1, 0x10, 0x12
SUB = 96
SESSION, ROW, EXTRA, FOOTER = 24, 80, 8, 16
PLACES = ("absent", "before", "at")
"""Where the pregap of a later track is: in no file, before the offset that its row tells, or from
that offset on."""


@dataclass(frozen=True)
class Track:
    """One track. `main` and `gap` are whole stored frames of `size` bytes, without subchannel: from
    index 1 on, and the stored pregap. `pregap` is what the extra block tells; `session` from 1."""

    number: int
    mode: int
    main: bytes
    lba: int
    size: int = frames.RAW
    pregap: int = 0
    gap: bytes = b""
    session: int = 1
    sub: bool = False
    control: int = 4

    @property
    def frames(self) -> int:
        return len(self.main) // self.size

    @property
    def pitch(self) -> int:
        return self.size + (SUB if self.sub else 0)

    @property
    def stop(self) -> int:
        return self.lba + self.frames

    def stored(self) -> bytes:
        """The pregap, where it is stored, and the track, subchannel behind each frame."""
        content = self.gap + self.main
        if not self.sub:
            return content
        first = self.lba - len(self.gap) // self.size
        return b"".join(
            content[i * self.size : (i + 1) * self.size]
            + q.frame(first + i, self.number, self.lba, self.control)
            for i in range(len(content) // self.size)
        )


def split(mdf: bytes, cuts: Sequence[int], names: Sequence[str]) -> dict[str, bytes]:
    """`mdf` cut at `cuts` into files called `names`."""
    edges = (0, *cuts, len(mdf))
    return {name: mdf[edges[i] : edges[i + 1]] for i, name in enumerate(names)}


def row(
    *,
    mode: int = 0,
    sub: int = 0,
    control: int = 0,
    point: int = 0,
    time: Sequence[int] = (0, 0, 0),
    pointed: Sequence[int] = (0, 0, 0),
    extra: int = 0,
    size: int = 0,
    start: int = 0,
    offset: int = 0,
    files: int = 0,
    footer: int = 0,
    cd: bool = True,
) -> bytes:
    """The 80 bytes of a row; times are binary."""
    head = struct.pack("<4B", mode, sub, 0x10 | control, 0)
    head += bytes((point, *time, 0, *pointed))
    head += struct.pack("<IH", extra, size) + bytes((2 if cd and point < 0xA0 else 0,)) + bytes(17)
    return head + struct.pack("<IQII24x", start, offset, files, footer)


@dataclass(frozen=True)
class _Places:
    """Where things are: of each track the offset in the MDF, and its extra block and the footers in
    the MDS."""

    offsets: dict[int, int]
    extras: dict[int, int]
    footer: int
    files: int
    placement: str


def _track(track: Track, places: _Places) -> bytes:
    """A track's row."""
    stored = len(track.gap) // track.size * track.pitch
    offset = places.offsets[track.number] + (0 if places.placement == "at" else stored)
    return row(
        mode=track.mode, sub=8 if track.sub else 0, control=track.control, point=track.number,
        pointed=q.msf(track.lba + 150), extra=places.extras[track.number], size=track.pitch,
        start=track.lba, offset=offset, files=places.files, footer=places.footer,
    )  # fmt: skip


def _session(tracks: Sequence[Track], places: _Places, *, last: bool) -> list[bytes]:
    """The rows of a session."""
    first, end = tracks[0], tracks[-1]
    xa = any(track.mode in (MODE2, FORM1, FORM2) for track in tracks)
    rows = [
        row(point=0xA0, control=first.control, pointed=(first.number, 0x20 if xa else 0, 0)),
        row(point=0xA1, pointed=(end.number, 0, 0), control=end.control),
        row(point=0xA2, pointed=q.msf(end.stop + 150), control=end.control),
    ]
    rows += [_track(track, places) for track in tracks]
    if not last:
        following = q.msf(end.stop + 150 + (11250 if first.session == 1 else 6750))
        extra = places.extras[-first.session]
        rows.append(row(point=0xB0, time=following, pointed=(79, 59, 74), extra=extra))
        if first.session == 1:
            rows.append(row(point=0xC0, pointed=(97, 34, 23), extra=extra + EXTRA))
    return rows


def _kept(track: Track, placement: str) -> Track:
    """`track` with its pregap in the file, or not."""
    return replace(track, gap=b"") if placement == "absent" else track


def _extras(sessions: Iterable[Sequence[Track]], at: int) -> tuple[dict[int, int], bytes]:
    """Where the extra block of each track is (of a session's B0 and C0: minus its number), and all
    of them."""
    places, out, groups = {}, b"", list(sessions)
    for tracks in groups:
        for track in tracks:
            places[track.number] = at + len(out)
            out += struct.pack("<II", track.pregap, track.frames)
        if tracks is not groups[-1]:
            places[-tracks[0].session] = at + len(out)
            out += bytes(2 * EXTRA)
    return places, out


def _footers(names: Sequence[str], at: int, *, wide: bool) -> bytes:
    """The footers and the names that they tell."""
    texts = [(name + "\0").encode("utf-16-le" if wide else "cp1252") for name in names]
    out, place = b"", at + FOOTER * len(names)
    for text in texts:
        out += struct.pack("<IIII", place, int(wide), 0, 0)
        place += len(text)
    return out + b"".join(texts)


def header(
    medium: int, sessions: int, at: int, *, version: tuple[int, int] = (1, 3), structures: int = 0
) -> bytes:
    """The 88 bytes of the header; session blocks are at `at`."""
    out = b"MEDIA DESCRIPTOR" + struct.pack("<BBHHHH", *version, medium, sessions, 2, 0)
    return out.ljust(64, b"\0") + struct.pack("<I12xII", structures, at, 0)


def cd(
    tracks: Sequence[Track],
    *,
    placement: str = "absent",
    names: Sequence[str] = ("*.mdf",),
    stem: str = "a",
    cuts: Sequence[int] = (),
    wide: bool = False,
    medium: int = CD_ROM,
    version: tuple[int, int] = (1, 3),
) -> dict[str, bytes]:
    """The MDS and MDF files of a CD. `cuts` are the places where the MDF is split."""
    assert placement in PLACES
    kept = [_kept(track, placement) for track in tracks]
    mdf, offsets = b"", {}
    for track in kept:
        offsets[track.number] = len(mdf)
        mdf += track.stored()
    groups = [list(group) for _, group in groupby(kept, key=lambda track: track.session)]
    rows = sum(len(g) + 3 for g in groups) + (2 + len(groups) - 2 if len(groups) > 1 else 0)
    at = 88 + SESSION * len(groups)
    extras, extra = _extras(groups, at + ROW * rows)
    footer = at + ROW * rows + len(extra)
    places = _Places(offsets, extras, footer, len(names), placement)
    blocks, body = b"", b""
    for group in groups:
        made = _session(group, places, last=group is groups[-1])
        first, end = group[0], group[-1]
        blocks += struct.pack(
            "<iiHBBHHII", first.lba - 150, end.stop, first.session, len(made),
            len(made) - len(group), first.number, end.number, 0, at + len(body),
        )  # fmt: skip
        body += b"".join(made)
    assert len(body) == ROW * rows
    head = header(medium, len(groups), 88, version=version)
    mds = head + blocks + body + extra + _footers(names, footer, wide=wide)
    files = [name.replace("*", stem) for name in names]
    return {f"{stem}.mds": mds, **split(mdf, cuts, files)}


def structures(layers: int, sectors: int) -> bytes:
    """Of each layer: copyright 4, manufacturing 2048, physical 2048 (layers in bits 5 and 6)."""
    physical = bytearray(2048)
    physical[0:3] = bytes((0x02, 0x0F, (layers - 1) << 5 | 1))
    physical[4:8] = struct.pack(">I", 0x30000)
    physical[8:12] = struct.pack(">I", 0x30000 + sectors - 1)
    return b"".join(bytes(4) + bytes(2048) + bytes(physical) for _ in range(layers))


def dvd(
    sectors: bytes,
    *,
    layers: int = 2,
    names: Sequence[str] = ("*.mdf",),
    stem: str = "a",
    cuts: Sequence[int] = (),
    medium: int = DVD_ROM,
) -> dict[str, bytes]:
    """The MDS and MDF files of a DVD: one row, whose length stands in the place of the extra."""
    count = len(sectors) // 2048
    told = structures(layers, count)
    at = 88 + len(told)
    footer = at + SESSION + ROW
    head = header(medium, 1, at, structures=88)
    block = struct.pack("<iiHBBHHII", 0, count, 1, 1, 0, 1, 1, 0, at + SESSION)
    only = row(
        mode=DVD, control=4, point=1, extra=count, size=2048, files=len(names), footer=footer,
        cd=False,
    )  # fmt: skip
    mds = head + told + block + only + _footers(names, footer, wide=False)
    files = [name.replace("*", stem) for name in names]
    return {f"{stem}.mds": mds, **split(sectors, cuts, files)}


def data(user: bytes, lba: int = 0, *, gap: int = 0, form: bool = False) -> tuple[bytes, bytes]:
    """Whole frames of mode 1 (or Form 1) around `user` from `lba` on, and `gap` before them."""
    make = frames.form1 if form else frames.mode1
    main = b"".join(make(user[i : i + 2048], lba + i // 2048) for i in range(0, len(user), 2048))
    return main, b"".join(make(bytes(2048), lba - gap + i) for i in range(gap))


def mixed(*, sub: bool = False) -> tuple[list[Track], bytes]:
    """Mode 1, audio behind 150 frames of pregap, mode 2 behind 150 more; and the user data."""
    user = volume()
    first, _ = data(user)
    second = frames.audio(20)
    lba = 24 + 150
    third, gap = data(b"".join(frames.sectors(9, 5)), lba + 20 + 150, gap=150, form=True)
    silence = frames.audio(150, 7)
    return [
        Track(1, MODE1, first, 0, pregap=150, sub=sub),
        Track(2, AUDIO, second, lba, pregap=150, gap=silence, sub=sub, control=0),
        Track(3, MODE2, third, lba + 20 + 150, pregap=150, gap=gap, sub=sub),
    ], user


def sessions() -> tuple[list[Track], bytes]:
    """Two audio tracks, and a second session of data 11400 frames behind them."""
    user = volume()
    lba = 40 + 11400
    main, _ = data(user, lba, form=True)
    return [
        Track(1, AUDIO, frames.audio(25), 0, pregap=150, control=0),
        Track(2, AUDIO, frames.audio(15, 2), 25, control=0),
        Track(3, FORM1, main, lba, session=2, pregap=150),
    ], user


def samples() -> list[Sample]:
    """Frame sizes, subchannel, the three places of a pregap, sessions, split files, DVD, names."""
    user = volume()
    raw, _ = data(user)
    tracks, _ = mixed()
    subbed, _ = mixed(sub=True)
    two, last = sessions()
    half = 10 * frames.RAW
    plain = cd([Track(1, MODE1, raw, 0, pregap=150)])
    head = len(plain["a.mds"])
    cut = (0, frames.RAW * 5 + 9, len(raw))
    with_sub = cd([Track(1, MODE1, raw, 0, pregap=150, sub=True)])
    parts = cd([Track(1, MODE1, raw, 0, pregap=150)], names=("*.mdf", "*.md1"), cuts=(half,))
    wide = cd([Track(1, MODE1, raw, 0, pregap=150)], names=("Ünï.mdf",), wide=True)
    layered = dvd(user, names=("*.mdf", "*.md1"), cuts=(5 * 2048,))
    made = [
        Sample("raw", plain, user, head, cut, "a.mdf"),
        Sample("cut descriptor", plain, user, 0, (0, 16, 88, 112, 432, 480, head - 9)),
        Sample("2048", cd([Track(1, MODE1, user, 0, 2048, pregap=150)]), user),
        Sample("2448", with_sub, user),
        Sample("two sessions", cd(two, medium=CD_R), last),
        Sample("split", parts, user),
        Sample("wide", wide, user),
        Sample("dvd", layered, user, 88, (0, 5 * 2048), "a.mdf"),
    ]
    for place in PLACES:
        made.append(Sample(f"pregap {place}", cd(tracks, placement=place), user))
        made.append(Sample(f"pregap {place}, 2448", cd(subbed, placement=place), user))
    return made
