"""Every disk to every format, judged by a foreign program: exact, or its losses told by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage.model import Format
from tests.conformance.disks import JUDGES, samples, targets, verdict
from tests.makers.sample import Sample

SAMPLES = list(samples())
LOSSES = {"vhdx, 4096-byte sectors": {"sectors"}, "qcow2, a snapshot": {"snapshots"}}
"""What may be lost of which; of the others nothing."""


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[name for name, _ in SAMPLES])
@pytest.mark.parametrize("rules", targets(), ids=lambda rules: rules.name)
def test_a_foreign_program_finds_every_byte(
    name: str, sample: Sample, rules: Format, peer: Callable[[str], str], tmp_path: Path
) -> None:
    for tool in JUDGES[rules.name].tools:
        peer(tool)
    word, told = verdict(sample, rules, tmp_path)
    if word == "loss":
        assert set(told) <= LOSSES.get(name, set())
    elif word == "padded":
        assert len(sample.guest) % 512
    else:
        assert word == "exact", told


def test_every_disk_format_that_is_created_has_a_judge() -> None:
    from diskimage import registry

    discs = {"iso", "isz", "cso", "chd"}  # tests/conformance/test_discs.py
    made = [registry.load(entry) for entry in registry.ENTRIES]
    assert {r.name for r in made if r.create and not r.disc_only} - discs <= set(JUDGES)
