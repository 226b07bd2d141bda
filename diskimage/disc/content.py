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
from diskimage.sources.decoded import Decoded

SAMPLES = 16
RAW_PITCHES = (RAW, RAW + 96, RAW + 16)
SIZES = (*RAW_PITCHES, MODE2_2336.size, MODE2_2332.size)  # that frames show by themselves
_WINDOW = 2 * max(RAW_PITCHES) + len(SYNC)  # two syncs are in it, wherever the frames begin
BY_PITCH = {
    (RAW, 0): MODE0_2352, (RAW, 1): MODE1_2352, (RAW, 2): MODE2_2352,
    (RAW + 16, 1): MODE1_2368, (RAW + 16, 2): MODE2_2368,
    (RAW + 96, 1): MODE1_2448, (RAW + 96, 2): MODE2_2448,
}  # fmt: skip
_FORM2 = 0x20  # of the submode byte
VOLUME = (b"CD001", b"BEA01", b"NSR02", b"NSR03")  # ECMA-119 and ECMA-167 at byte 1 of a sector


def shown(source: Source, at: int, stop: int, *, declared: Mode | None = None) -> Mode | None:
    """The mode that the frames in [at, stop) of `source` show; None where they show none.

    `at` is the start of the volume: a volume descriptor at its sector 16 is what cooked frames can
    show. The size that is `declared` holds where every sample bears it out: short tracks bear out
    others too. Else more than half of the samples have to, and the size with most of them holds.
    What is decoded from compressed sound is sound, and not decoded to tell that.
    """
    if isinstance(source, Decoded):
        return None
    if declared is not None:
        mode, share = _rated(source, at, stop, declared.size)
        if share == 1:
            return mode
    volume = _is_volume(source, at + 16 * USER, stop)
    if volume and declared is not None and declared.size == USER:
        return MODE1_2048  # whatever images of other discs its files are
    rated = [
        _rated(source, at, stop, size)
        for size in SIZES
        if declared is None or stop - at >= 2 * size
    ]
    mode, share = max(rated, key=lambda one: one[1], default=(None, 0.0))
    if 2 * share > 1:
        return mode
    return MODE1_2048 if volume else None


def lattice(source: Source, at: int, stop: int) -> tuple[Mode, int] | None:
    """The mode of whole frames that begin anywhere in [at, stop), and the first one's offset.

    Syncs that recur at one pitch and phase in more than half of the windows looked at; else None.
    """
    if isinstance(source, Decoded):
        return None
    windows = max(1, min(SAMPLES, (stop - at) // RAW))
    last = max(0, stop - at - _WINDOW)
    seen: Counter[tuple[int, int, int]] = Counter()
    for i in range(windows):
        skip = i * last // max(1, windows - 1)
        content = _read(source, at + skip, min(_WINDOW, stop - at - skip))
        place = content.find(SYNC)
        for pitch in RAW_PITCHES:
            if place >= 0 and content[place + pitch : place + pitch + len(SYNC)] == SYNC:
                seen[pitch, (skip + place) % pitch, content[place + 15] & 3] += 1
    if not seen:
        return None
    (pitch, phase, number), count = seen.most_common(1)[0]
    mode = BY_PITCH.get((pitch, number))
    return (mode, phase) if mode is not None and 2 * count > windows else None


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


def has_edc(source: Source, at: int, stop: int, mode: Mode, pitch: int = 0) -> bool:
    """Whether the sampled frames carry their EDC; some writers leave EDC and ECC zero. Frames begin
    `pitch` bytes apart; 0 stands for the mode's own size.

    Only where user data is there and both fields are zero in every sampled frame is it absent; a
    frame of such a track that carries one is held to it all the same (`modes.coded`).
    """
    if mode.check == "none" or mode.size == MODE2_2332.size:
        return True
    edges = mode.user_at + USER
    told = False
    for frame in samples(source, at, stop, pitch or mode.size):
        if any(frame[edges : RAW - mode.missing]):
            return True
        told = told or any(frame[mode.user_at : edges])
    return not told


def synced(source: Source, at: int, stop: int, mode: Mode) -> bool:
    """Whether any sampled frame begins with a sync; frames stored without one are not asked."""
    if not whole(mode):
        return True
    return any(map(_synced, samples(source, at, stop, mode.size)))


def _rated(source: Source, at: int, stop: int, size: int) -> tuple[Mode | None, float]:
    """The mode that samples of `size` bytes show, and the share of them that does."""
    frames = list(samples(source, at, stop, size))
    if size in RAW_PITCHES:
        numbers = Counter(frame[15] & 3 for frame in frames if _synced(frame))
        usual = max(numbers, key=lambda number: numbers[number], default=0)
        return BY_PITCH.get((size, usual)), numbers.total() / max(1, len(frames))
    mode = MODE2_2336 if size == MODE2_2336.size else MODE2_2332
    held = sum(map(_is_form, frames)) if size == mode.size else 0
    return mode, held / max(1, len(frames))


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
