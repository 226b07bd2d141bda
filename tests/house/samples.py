"""The images that examples in README and docs work on, in one directory:

disc.iso       ISO 9660 with Joliet and Rock Ridge: readme.txt, docs/manual.txt, data/level1.bin
game.cue       a mixed-mode disc in three FILEs: the ISO as MODE1/2352, two audio tracks
disk.raw       8 MiB, a quarter of it written, the rest holes
disk.qcow2     the same, zstd clusters      disk.vdi   the same
cut.vdi        the same VDI, cut in the middle of its last block
other.raw      the same but for one sector
game.dat       a database of dumps that knows the tracks of game.cue
volume.luks    a LUKS volume; password.txt has its password
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
from pathlib import Path

from pycdlib import PyCdlib

import diskimage
from diskimage.kernels import frames
from tests.makers import luks
from tests.makers.raw import make

MIB = 1 << 20
TEXT = b"Every disk image is a block device.\n"
FILES = {
    "/readme.txt": TEXT,
    "/docs/manual.txt": b"Insert the disc, then read this.\n" * 40,
    "/data/level1.bin": bytes(range(256)) * 400,
}
SHEET = """\
FILE "game-1.bin" BINARY
  TRACK 01 MODE1/2352
    INDEX 01 00:00:00
FILE "game-2.bin" BINARY
  TRACK 02 AUDIO
    TITLE "First light"
    INDEX 00 00:00:00
    INDEX 01 00:02:00
FILE "game-3.bin" BINARY
  TRACK 03 AUDIO
    TITLE "Last light"
    INDEX 01 00:00:00
"""


def iso(path: Path) -> Path:
    """Write the ISO."""
    disc = PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="GAME")
    for folder in ("docs", "data"):
        disc.add_directory(f"/{folder.upper()}", rr_name=folder, joliet_path=f"/{folder}")
    for name, content in FILES.items():
        disc.add_fp(
            io.BytesIO(content),
            len(content),
            f"{name.upper()};1",
            rr_name=name.rpartition("/")[2],
            joliet_path=name,
        )
    disc.write(str(path))
    disc.close()
    return path


def tone(path: Path, hertz: int, seconds: int) -> None:
    """Write audio frames as stored on a disc: 44,100 Hz, two channels of 16 bits, little-endian."""
    wave = [int(9000 * math.sin(2 * math.pi * hertz * n / 44100)) for n in range(44100)]
    path.write_bytes(b"".join(struct.pack("<2h", value, value) for value in wave) * seconds)


def _rom(path: Path) -> str:
    """A file as a database of dumps lists it."""
    size, digest = path.stat().st_size, hashlib.sha1(path.read_bytes()).hexdigest()
    return f'<rom name="{path.name}" size="{size}" sha1="{digest}"/>'


def make_samples(directory: Path) -> None:
    """Write all of them."""
    user = iso(directory / "disc.iso").read_bytes()
    track = bytearray(len(user) // frames.USER * frames.RAW)
    frames.make(user, track, 1, 0)
    (directory / "game-1.bin").write_bytes(track)
    tone(directory / "game-2.bin", 440, 6)
    tone(directory / "game-3.bin", 330, 4)
    (directory / "game.cue").write_text(SHEET, encoding="utf-8")
    tracks = "".join(map(_rom, sorted(directory.glob("game-*.bin"))))
    dat = f'<datafile><game name="Game">{tracks}</game></datafile>'
    (directory / "game.dat").write_text(dat, encoding="utf-8")
    for sample in luks.samples()[:1]:  # none without the extra `crypto`
        (directory / "volume.luks").write_bytes(sample.files[sample.main])
        (directory / "password.txt").write_text(luks.PASSWORD, encoding="utf-8")
    pieces = {0: TEXT * 1000, MIB: bytes(range(256)) * 4096, 5 * MIB: TEXT * 20000}
    raw = make(directory / "disk.raw", 8 * MIB, pieces)
    make(directory / "other.raw", 8 * MIB, {**pieces, 6 * MIB: b"different".ljust(512)})
    diskimage.convert(raw, directory / "disk.qcow2", compression="zstd")
    diskimage.convert(raw, directory / "disk.vdi")
    (directory / "cut.vdi").write_bytes((directory / "disk.vdi").read_bytes()[: -MIB // 2])
