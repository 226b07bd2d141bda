"""DiscJuggler images (.cdi) written byte by byte from what is known of the format.

Little-endian. The frames of all tracks back to back, pregaps among them, then a descriptor and its
trailer: a version word and the descriptor's offset (2, 3) or length (3.5). What versions 2 and 3
have behind their last session is not known and left out: catalogue number and packs are of 3.5.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tests.makers import frames, q
from tests.makers.iso import volume
from tests.makers.sample import Sample

VERSIONS = {"2": 0x80000004, "3": 0x80000005, "3.5": 0x80000006}
CD, DVD = 0x98, 0x38
AUDIO, MODE1, MODE2 = 0, 1, 2
COOKED, FORMS, RAW, Q16, RAW96 = 0, 1, 2, 3, 4
SIZES = {COOKED: 2048, FORMS: 2336, RAW: 2352, Q16: 2352, RAW96: 2352}
MARK = bytes((0, 0, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF))
KINDS = {AUDIO: 0, MODE1: 1, MODE2: 2}  # of a session, by the mode of its last track
PREGAP, FIRST_GAP, NEXT_GAP = 150, 11250, 6750  # later pregaps of 150 come on top of the gaps
TITLE = 10  # of the 18 texts of a track


@dataclass(frozen=True)
class Track:
    """One track: `main` is its stored frames without subchannel, its pregap first. `indexes` are
    the lengths of index 0, 1, 2...: together as many as there are frames."""

    mode: int
    main: bytes
    indexes: tuple[int, ...]
    read: int = RAW
    isrc: str = ""
    title: bytes = b""
    told: int | None = None  # its length, where the descriptor is to say another

    @property
    def frames(self) -> int:
        return len(self.main) // SIZES[self.read]

    @property
    def control(self) -> int:
        return 0 if self.mode == AUDIO else 4


@dataclass(frozen=True)
class Style:
    """What of a descriptor its version decides, and what its text fields hold."""

    version: str = "3.5"
    name: bytes = b"C:\\a.cdi"
    medium: int = CD
    catalog: str = ""
    packs: bytes = b""
    label: bytes = b""


USUAL = Style()


@dataclass(frozen=True)
class Placed:
    """A track where it is: `first` is the LBA of its first stored frame."""

    track: Track
    number: int  # from 1
    session: int  # from 1
    first: int
    last: bool  # of its session

    @property
    def one(self) -> int:
        """The LBA of index 1."""
        return self.first + self.track.indexes[0]

    def index(self, lba: int) -> tuple[int, int]:
        """The index at `lba`, and where index 1 begins."""
        number, stop = -1, self.first
        for length in self.track.indexes:
            if lba < stop:
                break
            number, stop = number + 1, stop + length
        return number, self.one


def placed(sessions: Sequence[Sequence[Track]]) -> list[Placed]:
    """Each track at its address: the first at LBA -150, later sessions behind the gap."""
    out, lba, number = [], -PREGAP, 0
    for session, tracks in enumerate(sessions, 1):
        for i, track in enumerate(tracks):
            number += 1
            out.append(Placed(track, number, session, lba, i == len(tracks) - 1))
            lba += track.frames
        lba += FIRST_GAP if session == 1 else NEXT_GAP
    return out


def sub16(place: Placed, lba: int) -> bytes:
    """Q, its checksum, three zeros, and P in the highest bit of the last byte."""
    index, one = place.index(lba)
    told = q.position(lba, place.number, index, one, place.track.control)
    return told + bytes(3) + (b"\x80" if index == 0 else b"\0")


def sub96(place: Placed, lba: int) -> bytes:
    """All channels, interleaved."""
    index, one = place.index(lba)
    told = q.position(lba, place.number, index, one, place.track.control)
    return q.interleaved(q.packed(told, pause=index == 0))


def stored(place: Placed) -> bytes:
    """The track's frames, subchannel behind each where it is read so."""
    track, make = place.track, {Q16: sub16, RAW96: sub96}.get(place.track.read)
    if make is None:
        return track.main
    return b"".join(
        track.main[i * frames.RAW : (i + 1) * frames.RAW] + make(place, place.first + i)
        for i in range(track.frames)
    )


def texts(title: bytes) -> bytes:
    """A block of 18 texts, each behind its length."""
    fields = [title if i == TITLE else b"" for i in range(18)]
    return b"".join(bytes((len(field),)) + field for field in fields)


def lead(style: Style, tracks: int) -> bytes:
    """What tracks and the disc begin with: marks, name, and from 3.5 on capacity and medium."""
    out = b"\xff\xff" + MARK + bytes((0x64, 0x05, 0x2A, tracks)) + bytes((len(style.name),))
    out += style.name + bytes(11) + b"\2" + bytes(10)
    if style.version != "3.5":
        return out + b"\0"
    return out + b"\x80" + struct.pack("<IHH", 360000, 0, style.medium)


def block(place: Placed, style: Style, tracks: int) -> bytes:
    """A track's block."""
    track = place.track
    length = track.frames if track.told is None else track.told
    out = lead(style, tracks) + struct.pack("<H", len(track.indexes))
    out += struct.pack(f"<{len(track.indexes)}I", *track.indexes)
    out += struct.pack("<I", 1) + texts(track.title) if track.title else bytes(4)
    out += struct.pack("<HII", 0, track.mode, 0)
    out += struct.pack("<IIII", place.session - 1, place.number - 1, place.first + PREGAP, length)
    out += bytes(16) + struct.pack("<II", track.read, track.control)
    out += b"\0" + struct.pack("<I", length) + bytes(4)
    out += track.isrc.encode().ljust(12, b"\0") + struct.pack("<I", bool(track.isrc))
    return out + tail(place, style)


def tail(place: Placed, style: Style) -> bytes:
    """The 99 bytes that end a block, of which version 2 has the last 12 alone."""
    out = b"\0" + b"\xff" * 8 + struct.pack("<5I", 1, 0x80, 2, 16, 44100)
    out = out.ljust(71, b"\0") + b"\xff" * 4
    out = b"" if style.version == "2" else out.ljust(87, b"\0")
    kind = KINDS[place.track.mode] if place.last else 0
    end = place.first + place.track.frames + PREGAP if place.last else 0xFFFF0000
    return out + struct.pack("<I2sBBI", kind, b"", not place.last, 0, end)


def session(tracks: int, *, first: bool, style: Style) -> bytes:
    """The 15 bytes before the tracks of a session; between two, version 2 leaves out the first."""
    out = bytes((0, tracks)) + bytes(7) + b"\1" + bytes(3) + b"\xff\xff"
    return out[1:] if style.version == "2" and not first else out


def disc(sectors: int, tracks: int, style: Style) -> bytes:
    """The block of the disc, up to the version word."""
    out = lead(style, tracks) + struct.pack("<I", sectors)
    out += bytes((len(style.label),)) + style.label + b"\0" + struct.pack("<II", 1, 1)
    out += style.catalog.encode().ljust(13, b"\0") + struct.pack("<I", bool(style.catalog))
    return out + struct.pack("<I", len(style.packs)) + style.packs + bytes(8)


def cdi(sessions: Sequence[Sequence[Track]], style: Style = USUAL) -> bytes:
    """An image of `sessions`."""
    tracks = placed(sessions)
    content = b"".join(map(stored, tracks))
    out = bytes((len(sessions),))
    for number, inside in enumerate(sessions, 1):
        out += session(len(inside), first=number == 1, style=style)
        out += b"".join(block(t, style, len(tracks)) for t in tracks if t.session == number)
    out += session(0, first=False, style=style)
    if style.version == "3.5":
        out += disc(sum(t.track.frames for t in tracks), len(tracks), style)
    where = len(out) + 8 if style.version == "3.5" else len(content)
    return content + out + struct.pack("<II", VERSIONS[style.version], where)


def data(user: bytes, first: int, *, mode: int = MODE1, read: int = RAW, gap: int = 0) -> Track:
    """A data track around `user` that begins at LBA `first` with `gap` frames of pregap."""
    make = frames.mode1 if mode == MODE1 else frames.form1
    sectors = [bytes(2048)] * gap + [user[i : i + 2048] for i in range(0, len(user), 2048)]
    whole = [make(sector, first + i) for i, sector in enumerate(sectors)]
    lead = {COOKED: 24 if mode == MODE2 else 16, FORMS: 16}.get(read, 0)
    main = b"".join(one[lead : lead + SIZES[read]] for one in whole)
    return Track(mode, main, (gap, len(sectors) - gap), read)


def forms(first: int, gap: int) -> Track:
    """A track of Mode 2 with two frames of Form 2 among those of Form 1, read as 2336 bytes."""
    made = [frames.form1(bytes(2048), first + i) for i in range(gap)]
    made += [frames.form1(one, first + gap + i) for i, one in enumerate(frames.sectors(6, 5))]
    made += [frames.form2(bytes(2324), first + gap + 6 + i) for i in range(2)]
    main = b"".join(one[16:] for one in made)
    return Track(MODE2, main, (gap, 8), FORMS)


def song(count: int, *indexes: int, read: int = RAW, seed: int = 1, **told: str) -> Track:
    """An audio track; `indexes` are the lengths of its indexes."""
    assert sum(indexes) == count
    return Track(AUDIO, frames.audio(count, seed), indexes, read, isrc=told.get("isrc", ""))


def pack(kind: int, number: int, sequence: int, text: bytes) -> bytes:
    """A pack of CD-TEXT of at most 12 bytes."""
    out = bytes((kind, number, sequence, 0)) + text.ljust(12, b"\0")
    return out + q.crc(out)


def mixed() -> tuple[list[list[Track]], bytes]:
    """Mode 1, audio with INDEX 02 and an ISRC, Mode 2 with both forms; and the user data."""
    user = volume()
    first = data(user, -PREGAP, gap=PREGAP)
    second = song(180, 150, 20, 10, isrc="DEZ650700001")
    third = forms(first.frames + second.frames - PREGAP, 150)
    return [[first, second, third]], user


def two() -> tuple[list[list[Track]], bytes]:
    """Two songs, and a second session of data."""
    user = volume()
    songs = [song(150 + 20, 150, 20), song(25, 0, 25, seed=2)]
    at = 45 + FIRST_GAP
    return [songs, [data(user, at, mode=MODE2, gap=PREGAP)]], user


def kept(read: int) -> tuple[list[list[Track]], bytes]:
    """Data and audio with the subchannel of read mode `read`."""
    user = volume()
    first = data(user, -PREGAP, gap=PREGAP, read=read)
    return [[first, song(40, 30, 10, read=read)]], user


def samples() -> list[Sample]:
    """Versions, read modes, sessions, indexes, texts."""
    user = volume()
    plain = [[data(user, -PREGAP, gap=PREGAP)]]
    whole = cdi(plain)
    at = len(plain[0][0].main)
    borders = (0, 2352 * 151 + 9, at, at + 16, at + 64, len(whole) - 8, len(whole) - 4)
    named = Style(catalog="4006381333931", packs=pack(0x80, 0, 0, b"Disc\0"), label=b"VOLUME")
    made = [(f"version {version}", plain, Style(version), user) for version in ("2", "3")]
    made += [(f"mixed {version}", mixed()[0], Style(version), user) for version in VERSIONS]
    made += [
        (f"two sessions {version}", two()[0], Style(version), two()[1]) for version in VERSIONS
    ]
    cooked = [[data(user, -PREGAP, gap=PREGAP, read=COOKED)]]
    formed = [[data(user, -PREGAP, mode=MODE2, gap=PREGAP, read=FORMS)]]
    made += [
        ("2048", cooked, USUAL, user),
        ("2336", formed, USUAL, user),
        ("16 of Q", kept(Q16)[0], USUAL, user),
        ("96 raw", kept(RAW96)[0], USUAL, user),
        ("texts", plain, named, user),
        ("dvd", cooked, Style(medium=DVD), user),
    ]
    rest = [Sample(label, {"a.cdi": cdi(tracks, style)}, g) for label, tracks, style, g in made]
    return [Sample("plain", {"a.cdi": whole}, user, 0, borders), *rest]
