"""CUE sheets and the files they name (BIN, IMG, ISO, WAVE): CDRWIN's format and its dialects.

Facts: the CDRWIN user's guide; sheets of dumping and ripping programs for what the guide leaves
open (several FILEs, gaps under the previous FILE, REM SESSION, CD-TEXT fields).
"""

from __future__ import annotations

from diskimage.formats.cue.create import OPTIONS, create, losses
from diskimage.formats.cue.opening import open_cue, probe
from diskimage.model import Format

FORMAT = Format(
    name="cue",
    title="CUE sheet with BIN files",
    suffixes=(".cue",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_cue,
    losses=losses,
    create=create,
    options=OPTIONS,
    disc_only=True,
    keeps_frames=True,
)
