"""CD-TEXT: packs by hand from the standard's layout, and what another program makes of ours."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage.disc import cdtext
from diskimage.errors import CorruptError

DISC = {"TITLE": "Songs of the sea, volume one", "PERFORMER": "Choir"}
TRACKS = {1: {"TITLE": "Calm", "PERFORMER": "Choir"}, 2: {"TITLE": "A storm", "MESSAGE": "loud"}}


def crc(row: bytes) -> bytes:
    """CRC-16/GSM bit by bit."""
    value = 0
    for byte in row:
        for bit in range(8):
            high = value >> 15 ^ (byte >> 7 - bit & 1)
            value = value << 1 & 0xFFFF ^ (0x1021 if high else 0)
    return (value ^ 0xFFFF).to_bytes(2, "big")


def pack(kind: int, track: int, sequence: int, place: int, text: bytes) -> bytes:
    row = bytes([kind, track, sequence, place]) + text.ljust(12, b"\0")
    return row + crc(row)


HAND = b"".join(
    (
        pack(0x80, 0, 0, 0, b"Abcdefghijkl"),
        pack(0x80, 0, 1, 12, b"mn\0First\0\t\0"),  # the third title is that of the second
        pack(0x87, 0, 2, 0, b"\0\x0fFolk\0"),
    )
)


def test_texts_flow_over_packs_and_tracks() -> None:
    (found,) = cdtext.parse(HAND)
    assert found.disc == {"TITLE": "Abcdefghijklmn", "GENRE": "Folk"}
    assert found.tracks == {1: {"TITLE": "First"}, 2: {"TITLE": "First"}}
    assert list(cdtext.problems(HAND)) == []


def test_two_bytes_a_character() -> None:
    name = "\u6771\u4eac".encode("cp932")
    sizes = bytes([0x80, 1, 1]).ljust(12, b"\0")
    rows = pack(0x80, 0, 0, 0x80, name + b"\0\0") + b"".join(
        pack(0x8F, i, 1 + i, 0, sizes if i == 0 else b"") for i in range(3)
    )
    assert cdtext.parse(rows)[0].disc == {"TITLE": "\u6771\u4eac"}


def test_each_block_is_a_language() -> None:
    rows = pack(0x80, 0, 0, 0, b"One\0") + pack(0x80, 0, 1, 0x10, b"Eins\0")
    assert [(one.block, one.disc["TITLE"]) for one in cdtext.parse(rows)] == [
        (0, "One"),
        (1, "Eins"),
    ]


def test_a_changed_byte_is_told() -> None:
    bad = bytearray(HAND)
    bad[20] ^= 1
    assert [(one.kind, one.at) for one in cdtext.problems(bytes(bad))] == [("checksum", 1)]


@pytest.mark.parametrize(
    "data", [HAND, HAND + b"\0", (len(HAND) + 2).to_bytes(2, "big") + b"\0\0" + HAND]
)
def test_header_and_closing_zero_are_no_packs(data: bytes) -> None:
    assert cdtext.packs(data, "x") == HAND


@pytest.mark.parametrize("data", [b"", HAND[:-2], b"\0\1\0\0"])
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError, match="packs"):
        cdtext.packs(data, "x")


def test_what_is_encoded_is_read_again() -> None:
    made = cdtext.encode(DISC, TRACKS)
    assert cdtext.texts(made) == (DISC, TRACKS)
    assert list(cdtext.problems(made)) == []
    assert cdtext.sealed(b"".join(made[at : at + 16] for at in range(0, len(made), 18))) == made
    assert cdtext.encode({}, {1: {}}) == b""


def test_libburn_reads_what_is_encoded(tmp_path: Path, peer: Callable[[str], str]) -> None:
    path = tmp_path / "a.cdt"
    path.write_bytes(cdtext.encode(DISC, TRACKS))
    command = [peer("cdrskin"), f"textfile_to_v07t={path}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    said = dict(re.findall(r"^([A-Z][^=\n]*?) *= *(.+)$", told, re.MULTILINE | re.IGNORECASE))
    assert said["Album Title"] == DISC["TITLE"]
    assert said["Artist Name"] == "Choir"
    assert said["Track 01 Title"] == "Calm"
    assert said["Track 02 Title"] == "A storm"
