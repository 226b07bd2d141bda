"""The one table of frame geometry: every stored frame, by the name that cue sheets give it.

ECMA-130 clause 14 (modes 0, 1, 2), CD-ROM XA (forms 1 and 2), IEC 60908 (audio).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from diskimage.model import Mode

RAW = 2352  # a whole frame: sync 12, header 4, 2336 of the mode's own
USER = 2048  # what a file system sees of a frame
SYNC = b"\0" + b"\xff" * 10 + b"\0"

AUDIO = Mode("AUDIO", RAW, 0, RAW, audio=True)
CDG = Mode("CDG", RAW + 96, 0, RAW, audio=True, subchannel=96)
MODE0_2352 = Mode("MODE0/2352", RAW, 16, 2336)
MODE1_2048 = Mode("MODE1/2048", USER, 0, USER, missing=16)
MODE1_2352 = Mode("MODE1/2352", RAW, 16, USER, check="mode1")
MODE1_2368 = Mode("MODE1/2368", RAW + 16, 16, USER, check="mode1", subchannel=16)
MODE1_2448 = Mode("MODE1/2448", RAW + 96, 16, USER, check="mode1", subchannel=96)
MODE2_2048 = Mode("MODE2/2048", USER, 0, USER, missing=24)
MODE2_2324 = Mode("MODE2/2324", 2324, 0, 2324, missing=24)  # the payload of form 2 alone
MODE2_2332 = Mode("MODE2/2332", 2332, 8, USER, missing=16, check="mode2")  # 2336 less the last 4
MODE2_2336 = Mode("MODE2/2336", 2336, 8, USER, missing=16, check="mode2")
MODE2_2352 = Mode("MODE2/2352", RAW, 24, USER, check="mode2")
MODE2_2368 = Mode("MODE2/2368", RAW + 16, 24, USER, check="mode2", subchannel=16)
MODE2_2448 = Mode("MODE2/2448", RAW + 96, 24, USER, check="mode2", subchannel=96)
CDI_2336 = Mode("CDI/2336", 2336, 8, USER, missing=16, check="mode2")
CDI_2352 = Mode("CDI/2352", RAW, 24, USER, check="mode2")

MODES = {
    mode.name: mode
    for mode in (
        AUDIO, CDG, MODE0_2352, MODE1_2048, MODE1_2352, MODE1_2368, MODE1_2448, MODE2_2048,
        MODE2_2324, MODE2_2332, MODE2_2336, MODE2_2352, MODE2_2368, MODE2_2448, CDI_2336, CDI_2352,
    )
}  # fmt: skip


_BARE = {
    CDG: AUDIO, MODE1_2368: MODE1_2352, MODE1_2448: MODE1_2352,
    MODE2_2368: MODE2_2352, MODE2_2448: MODE2_2352,
}  # fmt: skip


def bare(mode: Mode) -> Mode:
    """The shape of the main channel alone, of a frame that subchannel follows."""
    if not mode.subchannel:
        return mode
    return replace(_BARE[replace(mode, edc=True)], edc=mode.edc)


def followed(mode: Mode, subchannel: int) -> Mode:
    """The shape of frames of `mode` with so many bytes of subchannel behind each; `mode` itself
    where no sheet has a name for them."""
    found = (m for m, main in _BARE.items() if (main.name, m.subchannel) == (mode.name, subchannel))
    return next(found, mode)


def cooks(mode: Mode) -> bool:
    """Whether a frame of `mode` holds 2048 bytes for a file system."""
    return mode.user == USER


def number(mode: Mode) -> Literal[1, 2]:
    """The mode's number as `kernels.frames` takes it: 1, or 2 for both forms."""
    return 1 if mode.check == "mode1" else 2


def whole(mode: Mode) -> bool:
    """Whether a stored frame begins with its sync and header."""
    return mode.missing == 0 and not mode.audio


def coded(frame: bytes | memoryview, mode: Mode) -> bool:
    """Whether a stored frame is to be held to its EDC and ECC.

    Some writers leave both zero: in a track that was written so (`Mode.edc` False) a frame without
    any is not held to them, one that carries some is.
    """
    return mode.edc or any(frame[mode.user_at + USER : RAW - mode.missing])
