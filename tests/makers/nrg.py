"""Nero images written byte by byte from what is known of the format, without the package's writer.

Frames, then chunks (four letters, length, body; big-endian), then a footer: NER5 and 64 bits, or
NERO and 32 bits, of the place where the chunks begin.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from tests.makers import frames, q
from tests.makers.iso import volume
from tests.makers.sample import Sample

COOKED, FORM1, FORMS, MODE1, MODE2, AUDIO = 0x00, 0x02, 0x03, 0x05, 0x06, 0x07
MODE1_SUB, AUDIO_SUB, MODE2_SUB = 0x0F, 0x10, 0x11
SIZES = {
    COOKED: 2048, FORM1: 2048, FORMS: 2336, MODE1: 2352, MODE2: 2352, AUDIO: 2352,
    MODE1_SUB: 2448, AUDIO_SUB: 2448, MODE2_SUB: 2448,
}  # fmt: skip
CD, DVD = 1, 0x200
KINDS = {AUDIO: 0, AUDIO_SUB: 0, MODE1: 1, MODE1_SUB: 1, COOKED: 1}
PREGAP = 150


@dataclass(frozen=True)
class Track:
    """One track: `gap` are the stored frames before index 1 at `lba`, `main` those from there on.
    `size` is what a row says of a frame, `further` the LBA of index 2 and up."""

    number: int
    mode: int
    lba: int
    main: bytes
    gap: bytes = b""
    size: int = 0
    control: int = 4
    isrc: bytes = b""
    further: tuple[int, ...] = ()

    @property
    def pitch(self) -> int:
        return self.size or SIZES[self.mode]

    @property
    def frames(self) -> int:
        return len(self.main) // self.pitch

    @property
    def stop(self) -> int:
        return self.lba + self.frames

    @property
    def start(self) -> int:
        return self.lba - len(self.gap) // self.pitch


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk."""
    return name + struct.pack(">I", len(body)) + body


def ending(version: int, at: int) -> bytes:
    """The footer."""
    return b"NER5" + struct.pack(">Q", at) if version == 2 else b"NERO" + struct.pack(">I", at)


def whole(content: bytes, chunks: Sequence[bytes], version: int, medium: int | None = CD) -> bytes:
    """Frames, chunks, medium, end and footer."""
    told = [] if medium is None else [chunk(b"MTYP", struct.pack(">I", medium))]
    body = b"".join([*chunks, *told, chunk(b"END!", b"")])
    return content + body + ending(version, len(content))


def mark(version: int, control: int, track: int, index: int, lba: int, *, binary: bool) -> bytes:
    """An entry of a cue chunk; `track` is stored as it is."""
    lead = bytes((control << 4 | 1, track, q.bcd(index), 0))
    if version == 2:
        return lead + struct.pack(">i", lba)
    time = q.msf(lba + PREGAP)
    return lead + bytes((0, *(time if binary else map(q.bcd, time))))


def cue(tracks: Sequence[Track], version: int, *, binary: bool = False, move: int = 0) -> bytes:
    """CUES or CUEX of a session; `move` puts all of it elsewhere."""
    first, last = tracks[0], tracks[-1]
    rows = [(first.control, 0, 0, first.lba - PREGAP)]
    for track in tracks:
        number = q.bcd(track.number)
        rows.append((track.control, number, 0, track.start))
        rows.append((track.control, number, 1, track.lba))
        rows += [(track.control, number, n, lba) for n, lba in enumerate(track.further, 2)]
    rows.append((last.control, 0xAA, 1, last.stop))
    body = b"".join(
        mark(version, control, number, index, lba + move * (number not in (0, 0xAA)), binary=binary)
        for control, number, index, lba in rows
    )
    return chunk(b"CUEX" if version == 2 else b"CUES", body)


def dao_rows(
    tracks: Sequence[Track], version: int, at: int, catalog: bytes = b"", told: int | None = None
) -> bytes:
    """DAOI or DAOX of a session whose frames begin at byte `at`."""
    kind = 0x20 if any(t.mode in (FORM1, FORMS, MODE2, MODE2_SUB) for t in tracks) else 0
    kind = kind or max(KINDS[track.mode] for track in tracks)
    rows = b""
    for track in tracks:
        edges = (at, at + len(track.gap), at + len(track.gap) + len(track.main))
        size = track.pitch if told is None else told
        rows += track.isrc.ljust(12, b"\0") + struct.pack(">HBBH", size, track.mode, 0, 1)
        rows += struct.pack(">3Q" if version == 2 else ">3I", *edges)
        at = edges[2]
    head = catalog.ljust(14, b"\0")
    head += bytes((kind, 1, tracks[0].number, tracks[-1].number))
    body = struct.pack("<I", 4 + len(head) + len(rows)) + head + rows
    return chunk(b"DAOX" if version == 2 else b"DAOI", body)


@dataclass(frozen=True)
class Way:
    """How a disc at once is told. `cues` False leaves the cue chunks out."""

    version: int = 2
    catalog: bytes = b""
    cdtext: bytes = b""
    binary: bool = False
    cues: bool = True
    move: int = 0
    told: int | None = None
    extra: bytes = b""


def dao(sessions: Sequence[Sequence[Track]], way: Way = Way(), medium: int | None = CD) -> bytes:  # noqa: B008 - a frozen value
    """An image written disc at once."""
    content, chunks = b"", [way.extra]
    if way.cdtext:
        chunks.append(chunk(b"CDTX", way.cdtext))
    for tracks in sessions:
        if way.cues:
            chunks.append(cue(tracks, way.version, binary=way.binary, move=way.move))
        chunks.append(dao_rows(tracks, way.version, len(content), way.catalog, way.told))
        chunks.append(chunk(b"SINF", struct.pack(">I", len(tracks))))
        content += b"".join(track.gap + track.main for track in tracks)
    return whole(content, chunks, way.version, medium)


def tao(
    sessions: Sequence[Sequence[Track]],
    name: bytes = b"ETN2",
    *,
    lead: bytes = b"",
    told: str = "index",
    medium: int | None = CD,
    one: bool = False,
) -> bytes:
    """An image written track at once: no pregap is stored. The LBA of a row is that of index 1
    (`told` "index") or counts frames alone ("sum"); `one` tells all sessions in one chunk."""
    content, chunks, done = lead, [], 0
    groups = [[track for tracks in sessions for track in tracks]] if one else sessions
    for tracks in groups:
        rows = b""
        for track in tracks:
            place, length = len(content), len(track.main)
            lba = track.lba if told == "index" else done
            if name == b"ETN2":
                rows += struct.pack(">QQIiII", place, length, track.mode, lba, 0, track.frames)
            elif name == b"ETNF":
                rows += struct.pack(">IIIiI", place, length, track.mode, lba, 0)
            else:
                rows += struct.pack(">III", place, length, track.mode)
            content, done = content + track.main, done + track.frames
        chunks.append(chunk(name, rows))
    chunks += [chunk(b"SINF", struct.pack(">I", len(tracks))) for tracks in sessions]
    return whole(content, chunks, 2 if name == b"ETN2" else 1, medium)


def subbed(track: Track, mode: int) -> Track:
    """`track` with interleaved subchannel behind each frame."""
    stored = track.gap + track.main
    made = b"".join(
        stored[i * frames.RAW : (i + 1) * frames.RAW]
        + q.frame(track.start + i, track.number, track.lba, track.control)
        for i in range(len(stored) // frames.RAW)
    )
    cut = len(track.gap) // frames.RAW * 2448
    return replace(track, mode=mode, gap=made[:cut], main=made[cut:], size=0)


@cache
def data(user: bytes, lba: int, *, number: int = 1, mode: int = MODE1, gap: int = PREGAP) -> Track:
    """A data track of `user` whose index 1 is at `lba`."""
    make = frames.mode1 if mode in (COOKED, MODE1) else frames.form1
    sectors = [bytes(2048)] * gap + [user[i : i + 2048] for i in range(0, len(user), 2048)]
    made = [make(sector, lba - gap + i) for i, sector in enumerate(sectors)]
    first = {COOKED: 16, FORM1: 24, FORMS: 16}.get(mode, 0)
    size = SIZES[mode]
    cut = [one[first : first + size] for one in made]
    return Track(number, mode, lba, b"".join(cut[gap:]), b"".join(cut[:gap]))


def song(number: int, lba: int, count: int, gap: int = 0, seed: int = 1, **told: bytes) -> Track:
    """An audio track."""
    sound = frames.audio(gap + count, seed)
    cut = gap * frames.RAW
    isrc = told.get("isrc", b"")
    return Track(number, AUDIO, lba, sound[cut:], sound[:cut], control=2, isrc=isrc)


@cache
def forms(number: int, lba: int) -> Track:
    """A track of Mode 2 whose frames have both forms, 2336 bytes each."""
    made = [frames.form1(one, lba + i) for i, one in enumerate(frames.sectors(6, 5))]
    made += [frames.form2(bytes(2324), lba + 6 + i) for i in range(2)]
    gap = [frames.form1(bytes(2048), lba - PREGAP + i) for i in range(PREGAP)]
    main, before = (b"".join(one[16:] for one in part) for part in (made, gap))
    return Track(number, FORMS, lba, main, before)


def mixed() -> tuple[list[Track], bytes]:
    """Mode 1, audio with INDEX 02 and an ISRC, Mode 2 with both forms; and the user data."""
    user = volume()
    second = song(2, 24 + 150, 30, 150, isrc=b"DEZ650700001")
    second = replace(second, further=(24 + 150 + 20,))
    return [data(user, 0), second, forms(3, second.stop + PREGAP)], user


def two() -> tuple[list[list[Track]], bytes]:
    """Two songs, and a second session of data 11400 frames behind them."""
    user = volume()
    songs = [song(1, 0, 25, PREGAP), song(2, 25, 15, seed=2)]
    return [songs, [data(user, 40 + 11400, number=3, mode=MODE2)]], user


def pack(kind: int, number: int, sequence: int, text: bytes) -> bytes:
    """A pack of CD-TEXT of at most 12 bytes."""
    out = bytes((kind, number, sequence, 0)) + text.ljust(12, b"\0")
    return out + q.crc(out)


def magic(mode: int, user: bytes) -> bytes:
    """An image of MagicISO: frames of 2352 bytes under the code of shorter ones."""
    track = data(user, 0, mode=MODE1 if mode == COOKED else MODE2)
    return dao([[replace(track, mode=mode, size=2352)]])


def at_once() -> list[tuple[str, bytes, bytes]]:
    """Images written disc at once: label, image, user data."""
    user = volume()
    tracks, _ = mixed()
    sessions, last = two()
    text = pack(0x80, 0, 0, b"Disc\0One\0") + pack(0x81, 0, 1, b"Nobody\0")
    named = Way(catalog=b"4006381333931", cdtext=text, extra=chunk(b"XYZW", b"hello"))
    raw, sound = data(user, 0), song(2, 24, 20, seed=3)
    form = data(user, 0, mode=MODE2)
    return [
        ("mixed", dao([tracks], named), user),
        ("mixed 1", dao([tracks], Way(version=1)), user),
        ("binary times", dao([tracks], Way(version=1, binary=True)), user),
        ("no cue chunk", dao([tracks], Way(cues=False)), user),
        ("wrong cue chunk", dao([tracks], Way(move=-4500)), user),
        ("two sessions", dao(sessions), last),
        ("two sessions 1", dao(sessions, Way(version=1)), last),
        ("2048", dao([[data(user, 0, mode=COOKED)]]), user),
        ("form 1", dao([[data(user, 0, mode=FORM1)]]), user),
        ("2336", dao([[data(user, 0, mode=FORMS)]]), user),
        ("no pregap", dao([[data(user, 0, gap=0)]]), user),
        ("2448", dao([[subbed(raw, MODE1_SUB), subbed(sound, AUDIO_SUB)]]), user),
        ("2448, mode 2", dao([[subbed(form, MODE2_SUB)]]), user),
        ("MagicISO 0", magic(COOKED, user), user),
        ("MagicISO 2", magic(FORM1, user), user),
        ("MagicISO 3", magic(FORMS, user), user),
        ("wrong frame size", dao([[raw]], Way(told=2336)), user),
    ]


def apart() -> list[tuple[str, bytes, bytes]]:
    """Images written track at once: label, image, user data."""
    user = volume()
    tracks = [replace(track, gap=b"") for track in mixed()[0]]
    tracks[1] = replace(tracks[1], further=())
    sessions = [[replace(track, gap=b"") for track in group] for group in two()[0]]
    songs = sessions[0]
    sessions[0] = [songs[0], replace(songs[1], lba=25 + PREGAP)]
    main = data(user, 40 + PREGAP + 11400, number=3, mode=MODE2, gap=0)
    sessions[1] = [main]
    cooked = Track(1, COOKED, 0, user)
    padded = tao([[replace(cooked, main=bytes(PREGAP * 2048) + user)]], medium=DVD)
    return [
        ("ETN2", tao([tracks]), user),
        ("ETNF", tao([tracks], b"ETNF", told="sum"), user),
        ("TINF", tao([tracks], b"TINF", medium=None), user),
        ("sessions at once", tao(sessions), user),
        ("sessions in one chunk", tao(sessions, told="sum", one=True), user),
        ("dvd", tao([[cooked]], medium=DVD), user),
        ("dvd of MagicISO", padded, user),
    ]


@cache
def samples() -> list[Sample]:
    """Versions, chunks, modes, sessions, subchannel, and what other writers make of them."""
    user = volume()
    plain = dao([[data(user, 0)]])
    at = len(data(user, 0).gap) + len(user) // 2048 * frames.RAW
    borders = (0, 2352 * 151 + 9, at, at + 8, at + 48, len(plain) - 12, len(plain) - 8)
    made = [Sample(label, {"a.nrg": image}, guest) for label, image, guest in at_once() + apart()]
    return [Sample("plain", {"a.nrg": plain}, user, 0, borders), *made]
