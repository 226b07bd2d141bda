"""Every disc to every format: exact, or its losses told by name, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from diskimage.model import Format
from tests.conformance.matrix import samples, targets, verdict
from tests.makers.sample import Sample

REFUSALS = {"unsupported", "usage"}
"""A medium that a format does not know, a disc without data as an image of data."""

SAMPLES = list(samples())
EACH = pytest.mark.parametrize(
    ("name", "sample"), SAMPLES, ids=[f"{name}-{one.label}" for name, one in SAMPLES]
)


@EACH
@pytest.mark.parametrize("rules", targets(), ids=lambda rules: rules.name)
def test_nothing_is_lost_unsaid(name: str, sample: Sample, rules: Format, tmp_path: Path) -> None:
    path = sample.write(tmp_path)
    (tmp_path / "out").mkdir()
    word, told = verdict(path, rules, tmp_path / "out")
    assert word in ("exact", "loss", "refused"), (name, told)
    if word == "refused":
        assert set(told) <= REFUSALS, (name, told)
        assert not any((tmp_path / "out").iterdir())
