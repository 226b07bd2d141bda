"""VHD: blocks that lie over what is no block are no guest bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import CorruptError
from tests.makers.alone import noise
from tests.makers.vhd import sparse

BLOCK = 4096
SIZE = 4 * BLOCK
BLOCKS = {0: (1, noise(BLOCK, 1)), 2: (0, noise(BLOCK, 2))}


@pytest.mark.parametrize(("sector", "what"), [(0, "headers"), (1, "headers"), (3, "headers")])
def test_a_block_over_the_headers_is_corrupt(sector: int, what: str) -> None:
    """The copy of the footer, the header, the table: what they are is never given as the guest."""
    image = sparse(SIZE, BLOCKS, block=BLOCK, special={1: sector})
    with (
        diskimage.open(image, format="vhd") as opened,
        pytest.raises(CorruptError, match=f"over the {what}"),
    ):
        opened.read(BLOCK, BLOCK)


def test_a_block_over_the_footer_is_corrupt() -> None:
    """As where a block was cut and a footer put behind it; the bytes before are the guest's."""
    whole = sparse(SIZE, BLOCKS, block=BLOCK)
    cut = whole[: -512 - 512] + whole[-512:]
    with diskimage.open(cut, format="vhd") as opened:
        assert opened.read(2 * BLOCK, BLOCK) == BLOCKS[2][1]
        with pytest.raises(CorruptError, match="over the footer"):
            opened.read(0, BLOCK)


def test_a_last_block_may_end_with_the_guest() -> None:
    whole = sparse(BLOCK + 1024, {1: (0, noise(1024, 3))}, block=BLOCK)
    cut = whole[: -512 - (BLOCK - 1024)] + whole[-512:]
    with diskimage.open(cut, format="vhd") as opened:
        assert opened.read(BLOCK, 1024) == noise(1024, 3)


@pytest.mark.parametrize("behind", [b"", bytes(1024)])
def test_a_disk_that_grows_has_its_footer_at_the_end(behind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(sparse(SIZE, BLOCKS, block=BLOCK) + behind)
    with diskimage.open(path, mode="r+") as opened:
        opened.write(BLOCK, noise(BLOCK, 4))
        opened.write(3 * BLOCK, noise(BLOCK, 5))
        opened.flush()
        assert opened.read(0, SIZE) == BLOCKS[0][1] + noise(BLOCK, 4) + BLOCKS[2][1] + noise(
            BLOCK, 5
        )
    with diskimage.open(path) as opened:
        assert opened.read(BLOCK, BLOCK) == noise(BLOCK, 4)
    assert struct.unpack(">Q", path.read_bytes()[-512:][16:24]) == (512,)
