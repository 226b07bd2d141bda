"""The main job, on a disc made on the spot: a mixed-mode BIN/CUE becomes the right ISO.

Builds a small disc (a data track and two audio tracks, three FILEs), converts it, lists the ISO,
prints a file of it, copies it with its SHA-256, and proves each step. Run it with `make demo`.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import diskimage
from diskimage.filesystems.iso9660_author import author

HERE = Path("demo")
FILES = {
    "readme.txt": b"Every disk image is a block device.\n",
    "docs/manual.txt": b"Insert the disc, then read this.\n" * 40,
    "data/level1.bin": bytes(range(256)) * 20_000,
}
SHEET = """\
REM a mixed-mode disc in three files
PERFORMER "The Example"
FILE "game (Track 1).bin" BINARY
  TRACK 01 MODE1/2352
    INDEX 01 00:00:00
FILE "game (Track 2).bin" BINARY
  TRACK 02 AUDIO
    TITLE "First light"
    INDEX 00 00:00:00
    INDEX 01 00:02:00
FILE "game (Track 3).bin" BINARY
  TRACK 03 AUDIO
    TITLE "Last light"
    INDEX 01 00:00:00
"""


def main() -> int:
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    build()
    say("The disc, as its sheet tells it")
    run("info", "game.cue")
    say("An ISO holds one data track: audio is refused by name, and nothing is written")
    run("convert", "game.cue", "game.iso", status=7)
    assert not (HERE / "game.iso").exists()
    say("So the audio goes beside it as WAVE; every frame's EDC is checked on the way")
    run("convert", "game.cue", "game.iso", "--extract", "audio=wav")
    say("What is in the ISO")
    run("ls", "game.iso")
    run("tree", "game.iso")
    say("One file of it, then the same file straight out of the BIN/CUE")
    run("cat", "game.iso:/readme.txt")
    run("cat", "game.cue:/readme.txt")
    say("A copy with its SHA-256, verified by reading it back")
    run("copy", "game.iso", "copy.iso", "--hash", "sha256", "--verify")
    say("And the proof that nothing was lost: ISO and track are the same bytes")
    run("compare", "game.cue", "game.iso")
    prove()
    listed = ", ".join(sorted(path.name for path in HERE.iterdir()))
    print(f"\nDone. {HERE}/ holds {listed}.")
    print("The ISO could not hold: two audio tracks (written as WAVE), their titles and indexes.")
    return 0


def build() -> None:
    """The tree as an ISO, the ISO as a framed track, tones as audio tracks, the sheet."""
    author(FILES, HERE / "made.iso", volume_id="DEMO")
    diskimage.convert(HERE / "made.iso", HERE / "track.cue")
    (HERE / "track.bin").rename(HERE / "game (Track 1).bin")
    (HERE / "track.cue").unlink()
    for number, hertz, seconds in ((2, 440, 6), (3, 330, 4)):
        one = b"".join(sample(hertz, n) for n in range(44_100))
        (HERE / f"game (Track {number}).bin").write_bytes(one * seconds)
    (HERE / "game.cue").write_text(SHEET, encoding="utf-8")


def sample(hertz: int, n: int) -> bytes:
    """Sample `n` of a tone, both channels: 44,100 Hz, 16 bits, little-endian."""
    value = int(9000 * math.sin(2 * math.pi * hertz * n / 44_100))
    return struct.pack("<2h", value, value)


def prove() -> None:
    """The ISO is the one that the disc was built from, and its copy too."""
    digests = {
        name: hashlib.sha256((HERE / name).read_bytes()).hexdigest()
        for name in ("made.iso", "game.iso", "copy.iso")
    }
    assert len(set(digests.values())) == 1, digests
    print(f"made.iso, game.iso and copy.iso: sha256 {digests['game.iso']}")
    (HERE / "made.iso").unlink()


def say(what: str) -> None:
    print(f"\n== {what}", flush=True)


def run(*arguments: str, status: int = 0) -> None:
    """Show a command and run it in the demo's folder; it has to end with `status`."""
    shown = " ".join(f'"{a}"' if " " in a else a for a in arguments)
    print(f"$ diskimage {shown}", flush=True)
    done = subprocess.run(
        [Path(sys.executable).absolute().with_name("diskimage"), *arguments], cwd=HERE, check=False
    )
    if done.returncode != status:
        sys.exit(f"exit status {done.returncode}, wanted {status}")
    if status:
        print(f"exit status {status}")


if __name__ == "__main__":
    sys.exit(main())
