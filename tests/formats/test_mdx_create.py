"""MDX of ours: taken apart with no code of ours, beside images of others, and read again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import diskimage
from diskimage import image
from diskimage.disc.framing import framed
from diskimage.disc.recast import recast
from diskimage.engine.copy import Work
from diskimage.engine.run import run
from diskimage.errors import PasswordError, UnsupportedError, UsageError
from diskimage.formats.mdx.create import create, losses
from diskimage.layers.records import Placed
from diskimage.model import Disc, Piece, Track
from diskimage.sinks.file import FileSink
from diskimage.sources.memory import MemorySource
from tests.bounded import Run
from tests.makers import frames, mdx_clear, naive
from tests.makers.cue import one, write
from tests.makers.opened import disc, kinds, main, user
from tests.makers.sample import Sample

pytest.importorskip("cryptography", reason="needs the extra `crypto`")

RAW = 2352
WAYS = [
    pytest.param(
        {"layout": layout, "compression": coding, "new_password": password},
        id=f"{layout}-{coding}-{'sealed' if password else 'clear'}",
    )
    for layout in ("mdx", "mds")
    for coding in ("none", "zlib")
    for password in (None, "pass")
]
MAKERS = ("mdx", "mds", "cue", "ccd", "cdi", "nrg", "toc", "gdi")
SAMPLES = [
    pytest.param(sample, id=f"{name}-{sample.label}")
    for name in MAKERS
    for sample in import_module(f"tests.makers.{name}").samples()
]


def written(found: Disc, folder: Path, **options: str | None) -> Path:
    """`found` as files, by the engine."""
    folder.mkdir(exist_ok=True)
    path = folder / f"x.{options.get('layout') or 'mdx'}"
    given = {name: value for name, value in options.items() if value is not None}
    run(create(found, "x", **given), FileSink(str(path), durable=False), Work(threads=3))
    return path


def taken_apart(path: Path, password: str | None = None) -> list[mdx_clear.Found]:
    part = path.with_suffix(".mdf").read_bytes() if path.suffix == ".mds" else None
    return mdx_clear.tracks(path.read_bytes(), part, password)


def test_the_descriptor_is_that_of_the_program_itself(corpus: Path, tmp_path: Path) -> None:
    """The ISO inside the samples, written by us: field by field what DAEMON Tools wrote."""
    plain = corpus / "mdx/mdsx__test.mdx"
    content = plain.read_bytes()[64 : 64 + 362496]
    samples = {
        "mdsx__test.mdx": {"layout": "mdx"},
        "mdsx__test/test.mds": {"layout": "mds"},
        "mdsx__test_compress.mdx": {"layout": "mdx", "compression": "zlib"},
        "mdsx__test_pass/test_pass.mds": {"layout": "mds", "new_password": "pass"},
        "mdsx__test_pass_compress.mdx": {
            "layout": "mdx", "compression": "zlib", "new_password": "pass",
        },
    }  # fmt: skip
    for number, (name, options) in enumerate(samples.items()):
        theirs = (corpus / "mdx" / name).read_bytes()
        path = written(framed(MemorySource(content), "2048"), tmp_path / str(number), **options)
        ours = path.read_bytes()
        assert ours[:44] == theirs[:44]
        told, wanted = map(mdx_clear.descriptor, (ours, theirs))
        keys = 0x200 if options["layout"] == "mdx" else 0x220
        assert len(told) == len(wanted) == keys + (512 if "new_password" in options else 0)
        table = 0x1E0 + 24  # where it lies follows from how well the groups deflate
        assert told[:table] == wanted[:table]
        assert told[table + 8 : keys] == wanted[table + 8 : keys]
        assert bool(struct.unpack_from("<Q", told, table)[0]) == ("compression" in options)
        (found,) = taken_apart(path, options.get("new_password"))
        assert found.frames == content


def mixed(folder: Path) -> Disc:
    """Data and audio with a stored and a made-up pregap, an INDEX 02, a postgap."""
    data, _ = frames.data(38)
    sheet = one("MODE1/2352") + (
        '    POSTGAP 00:00:05\nFILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    FLAGS DCP PRE\n'
        "    INDEX 00 00:00:00\n    INDEX 01 00:00:03\n    INDEX 02 00:00:07\n"
        'FILE "c.bin" BINARY\n  TRACK 03 AUDIO\n    ISRC ABCDE1234567\n    PREGAP 00:02:00\n'
        "    INDEX 01 00:00:00\n"
    )
    sound = frames.audio(9, 2) + bytes(RAW * 40)
    return disc(write(folder, sheet, a_bin=data, b_bin=frames.audio(12), c_bin=sound))


@pytest.mark.parametrize("options", WAYS)
def test_frames_lie_where_the_layout_says(options: dict[str, str | None], tmp_path: Path) -> None:
    found = taken_apart(written(mixed(tmp_path), tmp_path, **options), options["new_password"])
    lba = 38 + 5 + 3
    flag = 1 if options["compression"] == "zlib" else 0
    assert [track[:8] for track in found] == [
        (1, 0xAA, 0, RAW, 0, 0, (150, 38), flag),
        (2, 0xA9, 0, RAW, lba, lba - 8, (8, 9), flag),
        (3, 0xA9, 0, RAW, lba + 159, lba + 159, (150, 49), flag),
    ]
    assert found[0].frames == frames.data(38)[0]
    assert found[1].frames == bytes(5 * RAW) + frames.audio(12)
    assert found[2].frames == frames.audio(9, 2) + bytes(RAW * 40)


@pytest.mark.parametrize("options", WAYS)
def test_frames_of_2324_bytes_keep_their_clear_ends(
    options: dict[str, str | None], tmp_path: Path
) -> None:
    """No multiple of a block of AES, so that each frame ends in four bytes as they are."""
    from diskimage.disc.modes import MODE2_2324
    from diskimage.disc.tracks import Lay, assemble

    content = b"".join(frames.sectors(23, 4))[: 2324 * 19]
    lay = Lay(1, 1, MODE2_2324, (Piece(0, 19, MemorySource(content), 0, MODE2_2324),), ((1, 0),))
    path = written(assemble([lay], file="x"), tmp_path, **options)
    (found,) = taken_apart(path, options["new_password"])
    assert (found.mode, found.pitch, found.frames) == (5, 2324, content)
    with image.open(path, password=options["new_password"]) as back:
        assert back.disc is not None
        assert main(back.disc.tracks[0]) == content


def gaps(found: Disc) -> Iterator[int]:
    """Each track's pregap with the postgap before it: an MDX has no other word for either."""
    before = None
    for track in found.tracks:
        if before is not None and before.session == track.session:
            yield track.lba - before.lba - before.length
        before = track


def stored_pregap(track: Track) -> bytes:
    """What is stored of a pregap, zeros for what is made up; whatever is before LBA 0 left out."""
    out = b""
    for piece in track.pieces:
        count = min(piece.stop, track.lba) - piece.lba
        if count > 0:
            whole = recast(piece, track.mode)
            assert whole.source is not None
            content = naive.read(Placed(_rows(whole, count), 512))
            out += content
    return out


def _rows(piece: Piece, count: int) -> Iterator[diskimage.model.Extent]:
    from diskimage.disc.tracks import between, frames as extents

    return extents(between([piece], piece.lba, piece.lba + count))


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("coding", ["none", "zlib"])
def test_discs_of_every_sort_come_back(sample: Sample, coding: str, tmp_path: Path) -> None:
    found = disc(sample.write(tmp_path))
    try:
        lost = losses(found)
    except UnsupportedError:
        assert found.medium == "GD" or any(t.mode.name == "MODE0/2352" for t in found.tracks)
        return
    assert not any(loss.content for loss in lost)
    path = written(found, tmp_path / "again", compression=coding)
    back = disc(path)
    assert [(t.number, t.session, t.lba) for t in back.tracks] == [
        (t.number, t.session, t.lba) for t in found.tracks
    ]
    assert list(gaps(back)) == list(gaps(found))
    assert [t.flags for t in back.tracks] == [
        t.flags if t.mode.audio else t.flags & {"DCP"} for t in found.tracks
    ]
    assert found.data is None or user(back) == user(found)
    for old, new in zip(found.tracks, back.tracks, strict=True):
        if old.mode.size == new.mode.size:
            assert main(new)[: old.length * RAW] == main(old), old.number
        if old.number != found.tracks[0].number and found.medium == "CD":
            pregap = stored_pregap(new) if new.mode == old.mode else b""
            assert stored_pregap(old).endswith(pregap) or pregap.endswith(stored_pregap(old))
    if any(row.point > 99 for row in found.toc) and found.medium == "CD":
        assert [row for row in back.toc if row.point > 99] == [
            row for row in found.toc if row.point > 99
        ]
    assert back.cdtext == found.cdtext or found.cdtext is None
    for old, new in zip(found.tracks, back.tracks, strict=True):
        assert (old.subchannel is None) == (new.subchannel is None)
    # an image of an image is the same one
    twice = written(back, tmp_path / "twice", compression=coding)
    assert taken_apart(twice) == taken_apart(path)
    assert mdx_clear.descriptor(twice.read_bytes()) == mdx_clear.descriptor(path.read_bytes())


def test_what_it_cannot_hold_is_said(tmp_path: Path) -> None:
    names = [(loss.name, loss.content) for loss in losses(mixed(tmp_path))]
    assert names == [("indexes", False), ("indexes", False), ("catalog", False)]
    hidden = one("AUDIO", index="00:00:05")
    found = disc(write(tmp_path, hidden, "hidden.cue", a_bin=frames.audio(12)))
    assert [(loss.name, loss.content) for loss in losses(found)] == [("gaps", True)]
    back = disc(written(found, tmp_path / "again"))
    assert (back.tracks[0].lba, back.tracks[0].pieces[0].source) == (5, None)


@pytest.mark.parametrize(
    "options", [{"layout": "cd"}, {"compression": "zstd"}, {"new_password": ""}]
)
def test_options_are_held_to_their_values(options: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        written(mixed(tmp_path), tmp_path / "made", **options)


def test_a_long_image_is_a_dvd_and_takes_no_space(tmp_path: Path) -> None:
    from diskimage.sources.zeros import Zeros

    found = framed(Zeros(449851 * 2048), "2048")
    path = written(found, tmp_path, compression="zlib")
    assert path.stat().st_size < 4096
    back = disc(path)
    assert (back.medium, back.tracks[0].length) == ("DVD", 449851)


def test_titles_become_packs(tmp_path: Path) -> None:
    sheet = 'TITLE "Disc"\n' + one("AUDIO") + '    TITLE "One"\n'
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(4)))
    back = disc(written(found, tmp_path / "again"))
    assert (back.text["TITLE"], back.tracks[0].text["TITLE"]) == ("Disc", "One")


def test_through_the_library_and_the_command(tmp_path: Path, dim: str, run: Run) -> None:
    mixed(tmp_path)
    source, target, key = tmp_path / "disc.cue", tmp_path / "x.mdx", tmp_path / "key"
    key.write_text("sesame\nand more\n")
    done = run([dim, "convert", source, target, "-o", "compression=zlib",
                "--new-password-file", key])  # fmt: skip
    assert done.returncode == 0, done.stderr
    command = [dim, "compare", source, target]
    assert run(command).returncode == 7
    assert run([*command, "--password-file", key]).returncode == 0
    assert run(command, env={"DISKIMAGE_PASSWORD": "sesame"}).returncode == 0
    told = run([dim, "convert", source, tmp_path / "y.mdx", "-o", "new_password=sesame"])
    assert told.returncode == 2
    assert "--new-password-file" in told.stderr
    other = run([dim, "convert", source, tmp_path / "y.cue", "--new-password-file", key])
    assert (other.returncode, (tmp_path / "y.cue").exists()) == (2, False)
    with pytest.raises(PasswordError):
        image.open(target)
    report = diskimage.convert(target, tmp_path / "back.cue", password="sesame")
    assert report.source_format == "mdx"
    assert main(disc(tmp_path / "back.cue").tracks[0]) == frames.data(38)[0]
    assert kinds(tmp_path / "back.cue") == []
