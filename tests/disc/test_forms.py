"""Forms frame by frame, against a disc whose every frame the test chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diskimage.jobs.info import Info, info
from tests.makers import frames
from tests.makers.cue import one, write

WANTED = ["form 1"] * 5 + ["form 2"] * 3 + ["formless"] + ["form 1"] * 2 + ["form 2"]


def stored(pitch: int) -> bytes:
    made = []
    for lba, form in enumerate(WANTED):
        if form == "form 2":
            frame = frames.form2(bytes(2324), lba)
        else:
            frame = frames.form1(bytes([lba]) * 2048, lba)
        if form == "formless":
            frame = frame[:20] + b"\xff" + frame[21:]
        made.append(frame[2352 - pitch :] if pitch < 2352 else frame + bytes(pitch - 2352))
    return b"".join(made)


def listed(found: Info) -> Any:
    """The first track as JSON has it."""
    tracks: Any = found.to_json()["tracks"]
    return tracks[0]


@pytest.mark.parametrize("mode", ["MODE2/2352", "MODE2/2336", "MODE2/2448"])
def test_every_frame_has_its_form(mode: str, tmp_path: Path) -> None:
    path = write(tmp_path, one(mode), a_bin=stored(int(mode[-4:])))
    told = info(path, frames=True)
    each = [s.form for s in told.forms[1] for _ in range(s.frames)]
    assert each == WANTED
    assert [s.lba for s in told.forms[1]] == [0, 5, 8, 9, 11]
    assert listed(told)["forms"][1] == {"lba": 5, "frames": 3, "form": "form 2"}
    assert "forms" not in listed(info(path))


def test_other_modes_have_no_forms(tmp_path: Path) -> None:
    path = write(tmp_path, one("MODE1/2352"), a_bin=frames.data(5)[0])
    assert info(path, frames=True).forms == {}
