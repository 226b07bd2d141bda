"""What stored frames show themselves to be: where their sync lies, their mode byte, their EDC.

Several frames spread over the whole track are looked at, never the first alone: dumps begin with
odd frames, and audio may follow data in one file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from diskimage.disc.modes import (
    CDI_2352,
    MODE0_2352,
    MODE1_2048,
    MODE1_2352,
    MODE1_2368,
    MODE1_2448,
    MODE2_2332,
    MODE2_2336,
    MODE2_2352,
    MODE2_2368,
    MODE2_2448,
    RAW,
    SYNC,
    USER,
    whole,
)
from diskimage.kernels.frames import edc
from diskimage.model import Mode, Source

SAMPLES = 16
RAW_PITCHES = (RAW, RAW + 96, RAW + 16)
BY_PITCH = {
    (RAW, 0): MODE0_2352, (RAW, 1): MODE1_2352, (RAW, 2): MODE2_2352,
    (RAW + 16, 1): MODE1_2368, (RAW + 16, 2): MODE2_2368,
    (RAW + 96, 1): MODE1_2448, (RAW + 96, 2): MODE2_2448,
}  # fmt: skip
_FORM2 = 0x20  # of the submode byte
VOLUME = (b"CD001", b"BEA01", b"NSR02", b"NSR03")  # ECMA-119 and ECMA-167 at byte 1 of a sector


def shown(source: Source, at: int, stop: int, *, first: int = 0) -> Mode | None:
    """The mode that the frames in [at, stop) of `source` show; None where they show none.

    `first` is the number of the frame at `at` counted from the start of the volume: a volume
    descriptor at its sector 16 is what cooked frames can show.
    """
    for pitch in RAW_PITCHES:
        numbers = [frame[15] & 3 for frame in samples(source, at, stop, pitch) if _synced(frame)]
        tried = min(SAMPLES, (stop - at) // pitch)
        if numbers and 2 * len(numbers) >= tried:
            usual, _ = Counter(numbers).most_common(1)[0]
            return BY_PITCH.get((pitch, usual))
    for mode in (MODE2_2336, MODE2_2332):
        frames = list(samples(source, at, stop, mode.size))
        if frames and 2 * sum(map(_is_form, frames)) >= len(frames):
            return mode
    return MODE1_2048 if _is_volume(source, at + (16 - first) * USER, stop) else None


def samples(source: Source, at: int, stop: int, pitch: int) -> Iterator[bytes]:
    """Up to 16 whole frames of `pitch` bytes, spread over [at, stop)."""
    count = max(0, stop - at) // pitch
    wanted = min(SAMPLES, count)
    for i in range(wanted):
        number = i * (count - 1) // max(1, wanted - 1)
        yield _read(source, at + number * pitch, pitch)


def agrees(declared: Mode, found: Mode) -> bool:
    """Whether frames that show `found` may be declared so."""
    if declared in (MODE2_2352, CDI_2352):
        return found == MODE2_2352
    if declared.size == MODE2_2336.size:
        return found == MODE2_2336
    if declared.size == USER:  # mode 1 or form 1: cooked frames do not tell
        return found == MODE1_2048
    return declared == found


def has_edc(source: Source, at: int, stop: int, mode: Mode) -> bool:
    """Whether the sampled frames carry their EDC; some writers leave EDC and ECC zero.

    Only where user data is there and both fields are zero in every sampled frame is it absent; a
    frame of such a track that carries one is held to it all the same (`modes.coded`).
    """
    if mode.check == "none" or mode.size == MODE2_2332.size:
        return True
    edges = mode.user_at + USER
    told = False
    for frame in samples(source, at, stop, mode.size):
        if any(frame[edges : RAW - mode.missing]):
            return True
        told = told or any(frame[mode.user_at : edges])
    return not told


def synced(source: Source, at: int, stop: int, mode: Mode) -> bool:
    """Whether any sampled frame begins with a sync; frames stored without one are not asked."""
    if not whole(mode):
        return True
    return any(map(_synced, samples(source, at, stop, mode.size)))


def _synced(frame: bytes) -> bool:
    return len(frame) >= RAW and frame[:12] == SYNC


def _is_form(frame: bytes) -> bool:
    """Whether a frame of 2336 or 2332 bytes is form 1 or form 2 by its subheader and EDC."""
    if frame[:4] != frame[4:8] or not any(frame[:4]):
        return False
    if frame[2] & _FORM2:
        return len(frame) == MODE2_2336.size and any(frame[2332:]) and edc(frame) == 0
    return edc(frame[:2060]) == 0


def _is_volume(source: Source, at: int, stop: int) -> bool:
    if at < 0 or at + USER > stop:
        return False
    return _read(source, at, 6)[1:6] in VOLUME


def _read(source: Source, at: int, length: int) -> bytes:
    buffer = bytearray(length)
    got = source.read_into(at, memoryview(buffer))
    return bytes(buffer[:got])
