"""CloneCD images (.ccd, .img, .sub) written line by line from the facts, with no code of ours.

The sheet is INI text; the .img holds 2352-byte frames session after session, the gap between two
sessions left out; the .sub holds 96 bytes for each of the same frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tests.makers import frames
from tests.makers.iso import volume
from tests.makers.packs import crc16, titles
from tests.makers.sample import Sample

RAW, SUB = 2352, 96
FIRST_GAP, NEXT_GAP = 11400, 6900  # lead-out, lead-in and 150 frames between sessions
DATA, AUDIO = 0x04, 0x00  # CONTROL
KIND = {0: 0x00, 1: 0x00, 2: 0x20}  # PSEC of point A0: CD-DA or CD-ROM, and CD-ROM XA


@dataclass(frozen=True)
class Made:
    """A track: `make(lba)` gives its stored frames, of which `pregap` come before index 1.

    `later` are the places of index 2 and up, in frames after index 1. `told` is the MODE of the
    sheet where it is not that of the frames.
    """

    mode: int
    count: int
    make: Callable[[int], bytes]
    pregap: int = 0
    later: tuple[int, ...] = ()
    isrc: str = ""
    flags: str = ""  # "DCP PRE 4CH"
    control: int = DATA
    told: int | None = None


def shifted(make: Callable[[int], bytes], by: int, lba: int) -> bytes:
    """Frames whose headers say that they are `by` frames from where they are."""
    return make(lba + by)


@dataclass(frozen=True)
class Style:
    """How a writer spells: each field is a liberty that some writer takes."""

    numbers: Literal["usual", "decimal", "hexadecimal"] = "usual"
    equals: str = "="
    ends: str = "\r\n"
    upper: bool = False  # section names and keys in capitals
    indexes: Literal["absolute", "session", "one"] = "absolute"  # one: index 1 alone, none before


USUAL = Style()


@dataclass(frozen=True)
class Placed:
    """A track on the disc: `lba` is its first stored frame, `one` its index 1."""

    number: int
    session: int
    lba: int
    made: Made

    @property
    def one(self) -> int:
        return self.lba + self.made.pregap

    @property
    def stop(self) -> int:
        return self.lba + self.made.count


def ccd(
    sessions: Sequence[Sequence[Made]],
    *,
    style: Style = USUAL,
    sub: Literal["packed", "interleaved"] | None = "packed",
    scrambled: bool = False,
    packs: bytes = b"",
    catalog: str = "",
    start: int = 0,
    stem: str = "disc",
) -> dict[str, bytes]:
    """The files of a disc, the sheet first. `packs` is CD-Text, 18 bytes each.

    `start` is the address of the first stored frame: -150 where the first pregap is stored too.
    """
    placed = place(sessions, start)
    text = sheet(placed, style, scrambled=scrambled, packs=packs, catalog=catalog)
    files = {f"{stem}.ccd": text.encode("ascii"), f"{stem}.img": image(placed, scrambled)}
    if sub is not None:
        files[f"{stem}.sub"] = subchannel(placed, sub, catalog)
    return files


def place(sessions: Sequence[Sequence[Made]], start: int = 0) -> list[Placed]:
    """The tracks at their addresses: the next session begins one gap behind the lead-out."""
    placed: list[Placed] = []
    at = start
    for session, tracks in enumerate(sessions, 1):
        for made in tracks:
            placed.append(Placed(len(placed) + 1, session, at, made))
            at += made.count
        at += FIRST_GAP if session == 1 else NEXT_GAP
    return placed


def image(placed: Sequence[Placed], scrambled: bool = False) -> bytes:
    """The .img: frames one behind the other."""
    out = bytearray()
    for track in placed:
        content = track.made.make(track.lba)
        assert len(content) == RAW * track.made.count, track
        out += scramble(content) if scrambled and track.made.control & DATA else content
    return bytes(out)


def sheet(
    placed: Sequence[Placed],
    style: Style = USUAL,
    *,
    scrambled: bool = False,
    packs: bytes = b"",
    catalog: str = "",
) -> str:
    """The .ccd."""
    count = max(track.session for track in placed)
    rows = [row for number in range(1, count + 1) for row in points(placed, number)]
    disc = {"TocEntries": len(rows), "Sessions": count, "DataTracksScrambled": int(scrambled)}
    disc["CDTextLength"] = len(packs)
    text = _section("CloneCD", {"Version": 3}, style)
    text += _section("Disc", disc | ({"CATALOG": catalog} if catalog else {}), style)
    for number in range(1, count + 1):
        first = next(track for track in placed if track.session == number)
        gap = {"PreGapMode": first.made.mode, "PreGapSubC": 0}
        text += _section(f"Session {number}", gap, style)
    for number, row in enumerate(rows):
        text += _section(f"Entry {number}", row, style)
    for track in placed:
        text += _section(f"TRACK {track.number}", _track(track, placed, style), style)
    if packs:
        text += _section("CDText", _text(packs), style)
    return text


def _section(name: str, keys: Mapping[str, int | str], style: Style) -> str:
    lines = [f"[{name.upper() if style.upper else name}]"]
    for key, value in keys.items():
        told = _spelled(key, value, style) if isinstance(value, int) else value
        lines.append(f"{key.upper() if style.upper else key}{style.equals}{told}")
    return style.ends.join(lines) + style.ends


def _spelled(key: str, value: int, style: Style) -> str:
    if style.numbers == "decimal" or value < 0:
        return str(value)
    usual = key in ("Point", "ADR", "Control")
    return f"0x{value:02x}" if usual or style.numbers == "hexadecimal" else str(value)


def points(placed: Sequence[Placed], session: int) -> list[dict[str, int | str]]:
    """The rows of one session's table of contents: A0, A1, A2, its tracks, B0 where more follow."""
    tracks = [track for track in placed if track.session == session]
    first, last = tracks[0], tracks[-1]
    rows = [
        _row(session, 0xA0, first.made.control, (first.number, KIND[first.made.mode], 0)),
        _row(session, 0xA1, last.made.control, (last.number, 0, 0)),
        _row(session, 0xA2, last.made.control, time(last.stop)),
    ]
    rows += [_row(session, track.number, track.made.control, time(track.one)) for track in tracks]
    if session < max(track.session for track in placed):
        gap = FIRST_GAP if session == 1 else NEXT_GAP
        begins = time(last.stop + gap - 150)
        rows.append(_row(session, 0xB0, 0, (79, 59, 74), adr=5, at=begins))
    return rows


def _row(
    session: int,
    point: int,
    control: int,
    pointed: tuple[int, int, int],
    *,
    adr: int = 1,
    at: tuple[int, int, int] = (0, 0, 0),
) -> dict[str, int | str]:
    a = dict(zip(("AMin", "ASec", "AFrame"), at, strict=True)) | {"ALBA": lba_of(at), "Zero": 0}
    p = dict(zip(("PMin", "PSec", "PFrame"), pointed, strict=True)) | {"PLBA": lba_of(pointed)}
    head = {"Session": session, "Point": point, "ADR": adr, "Control": control, "TrackNo": 0}
    return {**head, **a, **p}


def time(lba: int) -> tuple[int, int, int]:
    """Minutes, seconds, frames of a disc time."""
    count = lba + 150
    return count // 4500, count // 75 % 60, count % 75


def lba_of(at: tuple[int, int, int]) -> int:
    """The address of a disc time."""
    return (at[0] * 60 + at[1]) * 75 + at[2] - 150


def _track(track: Placed, placed: Sequence[Placed], style: Style) -> dict[str, int | str]:
    made = track.made
    begins = next(other.lba for other in placed if other.session == track.session)
    less = begins if style.indexes == "session" else 0
    keys: dict[str, int | str] = {"MODE": made.mode if made.told is None else made.told}
    if made.flags:
        keys["FLAGS"] = made.flags
    if made.isrc:
        keys["ISRC"] = made.isrc
    if made.pregap and style.indexes != "one":
        keys["INDEX 0"] = track.lba - less
    keys["INDEX 1"] = track.one - less
    for number, place in enumerate(made.later, 2):
        keys[f"INDEX {number}"] = track.one + place - less
    return keys


def _text(packs: bytes) -> dict[str, int | str]:
    """Each pack without its two bytes of CRC."""
    keys: dict[str, int | str] = {"Entries": len(packs) // 18}
    for number in range(len(packs) // 18):
        keys[f"Entry {number}"] = packs[18 * number : 18 * number + 16].hex(" ")
    return keys


def subchannel(placed: Sequence[Placed], layout: str, catalog: str = "") -> bytes:
    """The .sub: P high before index 1, Q with its CRC, R to W empty."""
    out = bytearray()
    for track in placed:
        for lba in range(track.lba, track.stop):
            p = bytes([0xFF if lba < track.one else 0]) * 12
            packed = p + q(track, lba, catalog) + bytes(72)
            out += packed if layout == "packed" else interleave(packed)
    return bytes(out)


def q(track: Placed, lba: int, catalog: str = "") -> bytes:
    """Q of a frame: its position; at each 90th frame from 40 the catalogue number, from 60 ISRC."""
    made, within = track.made, lba - track.lba
    frame = bcd(time(lba)[2])
    if catalog and within % 90 == 40:
        digits = bytes.fromhex(f"{catalog}0")
        body = bytes((made.control << 4 | 2,)) + digits + b"\0" + frame
    elif made.isrc and within % 90 == 60:
        body = bytes((made.control << 4 | 3,)) + isrc(made.isrc) + frame
    else:
        index = 0 if lba < track.one else 1 + sum(lba - track.one >= at for at in made.later)
        # before index 1 the time counts down, to 0 on the frame ahead of it
        relative = track.one - 1 - lba if index == 0 else lba - track.one
        body = bytes((made.control << 4 | 1,)) + bcd(track.number, index)
        body += bcd(relative // 4500, relative // 75 % 60, relative % 75) + b"\0" + bcd(*time(lba))
    return body + crc16(body)


def isrc(code: str) -> bytes:
    """Five signs of six bits, two bits, seven digits, four bits."""
    value = 0
    for sign in code[:5]:
        value = value << 6 | ord(sign) - 0x30
    value <<= 2
    for digit in code[5:]:
        value = value << 4 | int(digit)
    return (value << 4).to_bytes(8, "big")


def bcd(*numbers: int) -> bytes:
    """Two digits a byte."""
    return bytes(int(f"{number:02}", 16) for number in numbers)


def interleave(packed: bytes) -> bytes:
    """Byte i holds bit i of P (highest) to W (lowest)."""
    out = bytearray(SUB)
    for channel in range(8):
        for i in range(SUB):
            bit = packed[12 * channel + i // 8] >> (7 - i % 8) & 1
            out[i] |= bit << (7 - channel)
    return bytes(out)


def key_stream() -> bytes:
    """The bytes of ECMA-130 annex B: x^15 + x + 1 from 0x0001, lowest bit first."""
    register, out = 1, bytearray()
    for _ in range(RAW - 12):
        value = 0
        for bit in range(8):
            value |= (register & 1) << bit
            register = register >> 1 | ((register ^ register >> 1) & 1) << 14
        out.append(value)
    return bytes(out)


def scramble(content: bytes) -> bytes:
    """Every frame but its sync, combined with the key stream; twice is not at all."""
    key = int.from_bytes(bytes(12) + key_stream(), "big")
    parts = [content[at : at + RAW] for at in range(0, len(content), RAW)]
    return b"".join((int.from_bytes(one, "big") ^ key).to_bytes(RAW, "big") for one in parts)


def mode1(user: bytes, told: int | None = None) -> Made:
    """A track of mode 1 around `user`."""
    count = len(user) // 2048

    def make(lba: int) -> bytes:
        parts = (user[2048 * i : 2048 * i + 2048] for i in range(count))
        return b"".join(frames.mode1(one, lba + i) for i, one in enumerate(parts))

    return Made(1, count, make, told=told)


def mode2(user: bytes, videos: int = 0) -> Made:
    """A track of mode 2: `user` in Form 1, then `videos` frames of Form 2."""
    count = len(user) // 2048

    def make(lba: int) -> bytes:
        parts = (user[2048 * i : 2048 * i + 2048] for i in range(count))
        cooked = [frames.form1(one, lba + i) for i, one in enumerate(parts)]
        payload = bytes(range(83)) * 28
        return b"".join(cooked + [frames.form2(payload, lba + count + i) for i in range(videos)])

    return Made(2, count + videos, make)


def audio(count: int, seed: int = 1, pregap: int = 0, later: tuple[int, ...] = ()) -> Made:
    """A track of `count` frames of noise, `pregap` of them before index 1."""
    return Made(0, count, lambda _: frames.audio(count, seed), pregap, later, control=AUDIO)


def discs() -> dict[str, dict[str, bytes]]:
    """Discs worth reading, by what is odd about them."""
    user, spare = volume(), b"".join(frames.sectors(20, 7))
    plain = [[mode1(user)]]
    sound = [
        replace(audio(90, 2, 0, (30, 60)), isrc="USRC17607839", flags="DCP"),
        replace(audio(100, 3, 20), flags="PRE", control=0x01),
    ]
    mixed = [[mode1(user), replace(audio(80, 4, 30, (25,)), isrc="GBAYE0000351")]]
    two = [[mode1(user), audio(60, 5, 10)], [mode1(spare), audio(40, 6, 10)]]
    packs = titles(["Disc", "First light", "Last light"], ["All", "One", "Two"])
    return {
        "one": ccd(plain),
        "no sub": ccd(plain, sub=None),
        "interleaved": ccd(mixed, sub="interleaved"),
        "audio": ccd([sound], catalog="4006381333931", packs=packs),
        "mixed": ccd(mixed, catalog="4006381333931"),
        "mode 2": ccd([[mode2(user, 12)]]),
        "sessions": ccd(two),
        "session indexes": ccd(two, style=Style(indexes="session")),
        "index 1 alone": ccd(mixed, style=Style(indexes="one")),
        "scrambled": ccd(mixed, scrambled=True),
        "wrong mode": ccd([[mode1(user, told=2), replace(audio(30), told=1)]]),
        "first pregap": ccd([[audio(200, 8, 150)]], start=-150),
        "decimal": ccd(plain, style=Style("decimal", " = ", "\n", upper=True)),
        "hexadecimal": ccd(plain, style=Style("hexadecimal")),
    }


def samples() -> list[Sample]:
    """Every disc with a data track: the guest is the user data of the first."""
    user = volume()
    made = []
    for label, files in discs().items():
        if label in ("audio", "mode 2", "first pregap", "index 1 alone"):
            continue
        header = len(files["disc.ccd"]) if label == "no sub" else 0
        borders = (RAW * 5 + 9, len(files["disc.img"]) - 1) if label == "no sub" else ()
        made.append(Sample(label, files, user, header, borders, "disc.img"))
    return made
