"""What every format must pass, over the registry and each maker's samples."""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from diskimage import image, registry
from diskimage.disc.framing import taken
from diskimage.engine.copy import Work
from diskimage.engine.read import source as device_source
from diskimage.engine.run import run
from diskimage.errors import DiskImageError
from diskimage.model import Barrier, Extent, Format, Kind, Plan, Step
from diskimage.sinks.file import FileSink
from diskimage.sources.anything import as_source
from diskimage.sources.memory import MemorySource
from tests.makers import cue, naive
from tests.makers.executor import image_of
from tests.makers.sample import Sample

NAMES = [entry.name for entry in registry.ENTRIES]
SAMPLES = [(name, one) for name in NAMES for one in import_module(f"tests.makers.{name}").samples()]
EACH = pytest.mark.parametrize(
    ("name", "sample"), SAMPLES, ids=[f"{name}-{one.label}" for name, one in SAMPLES]
)
CREATED = [rules for rules in map(registry.named, NAMES) if "create" in rules.can]
# those whose header comes last; publishing alone makes the others whole
BARE = {"raw", "iso", "cue", "ccd", "toc", "gzip", "bzip2", "zstd"}
HEADED = [rules for rules in CREATED if rules.name not in BARE]
CREATING = pytest.mark.parametrize("rules", CREATED, ids=[rules.name for rules in CREATED])


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=NAMES)
def test_the_list_of_formats_says_what_the_format_says(entry: registry.Entry) -> None:
    """The list repeats it, so that a format is imported only when it is asked."""
    rules = registry.load(entry)
    assert (rules.name, rules.suffixes) == (entry.name, entry.suffixes)


@EACH
def test_content_is_told_to_be_this_format_and_no_other(
    name: str, sample: Sample, tmp_path: Path
) -> None:
    source = as_source(sample.write(tmp_path))
    seen = registry.look(source)
    assert registry.detect(seen, source.name).name == name
    sure = {c.name for c in registry.candidates(seen) if c.score >= registry.CERTAIN}
    assert sure <= {name}
    source.close()


@EACH
def test_the_guest_reads_as_the_maker_says(name: str, sample: Sample, tmp_path: Path) -> None:
    with image.open(sample.write(tmp_path), password=sample.password) as opened:
        assert opened.format == name
        assert opened.size == len(sample.guest)
        assert opened.read(0, opened.size) == sample.guest
        assert opened.as_file().read() == sample.guest


@EACH
def test_every_split_is_lawful_and_reads_the_same(
    name: str, sample: Sample, tmp_path: Path
) -> None:
    draw = random.Random(sample.label)
    with image.open(sample.write(tmp_path), password=sample.password) as opened:
        for _ in range(40):
            start, stop = sorted(draw.randint(0, opened.size) for _ in range(2))
            naive.lawful(opened.device, start, stop)
            read = opened.read(start, stop - start)
            assert read == sample.guest[start:stop], (name, start, stop)


@EACH
def test_a_cut_file_never_reads_as_other_bytes(name: str, sample: Sample, tmp_path: Path) -> None:
    target = sample.cut or sample.main
    for border in sample.borders:
        for at in {max(0, border - 1), border, border + 1}:
            sample.write(tmp_path)
            (tmp_path / target).write_bytes(sample.files[target][:at])
            read = read_or_error(tmp_path / sample.main, name, sample.password)
            if read is not None and sample.exact:
                assert read == sample.guest, at
            elif read is not None:
                assert sample.guest.startswith(read) or read == sample.files[target][:at]


@EACH
def test_a_changed_header_ends_in_bytes_or_one_error(
    name: str, sample: Sample, tmp_path: Path
) -> None:
    path = sample.write(tmp_path)
    content = bytearray(sample.files[sample.main])
    for at in range(sample.header):
        for value in {0, 0x7F, 0x80, 0xFF, content[at] ^ 1} - {content[at]}:
            changed = content[:]
            changed[at] = value
            path.write_bytes(changed)
            read_or_error(path, name, sample.password, most=1 << 20)


def read_or_error(
    path: Path, name: str, password: str | None = None, most: int = 1 << 40
) -> bytes | None:
    """The guest of `path` (at most `most` bytes), or None after a library error."""
    try:
        with image.open(path, format=name, password=password) as opened:
            return opened.read(0, min(opened.size, most))
    except DiskImageError:
        return None


def guests() -> Iterator[tuple[str, naive.Rows]]:
    """Devices worth writing: empty, one sector, holes, zeros written, an odd end."""
    data = MemorySource(bytes(range(1, 256)) * 5000)
    written = MemorySource(bytes(1 << 20))
    kinds = Kind.DATA
    yield "empty", naive.Rows([])
    yield "sector", naive.Rows([Extent(0, 2048, kinds, source=data)])
    yield "hole", naive.Rows([Extent(0, 3 << 20, Kind.ZERO, hole=True)])
    rows = [
        Extent(0, 6144, kinds, source=data, at=77),
        Extent(6144, 1 << 20, Kind.ZERO, hole=True),
        Extent(6144 + (1 << 20), 1 << 20, kinds, source=written),
        Extent(6144 + (2 << 20), 1_000_000 // 2048 * 2048, kinds, source=data, at=5),
    ]
    yield "mixed", naive.Rows(rows)


GUESTS = list(guests())
GUEST = pytest.mark.parametrize(
    "guest", [one for _, one in GUESTS], ids=[label for label, _ in GUESTS]
)


def plan_of(rules: Format, guest: naive.Rows) -> Plan:
    """The plan that writes `guest`; formats of discs get it framed."""
    assert rules.create is not None
    what, _, _ = taken(rules, guest, lambda: device_source(guest), {})
    return rules.create(what, "made")


@CREATING
@GUEST
def test_what_is_created_opens_equal(rules: Format, guest: naive.Rows, tmp_path: Path) -> None:
    path = tmp_path / f"made{rules.suffixes[0]}"
    expected = naive.read(guest)
    try:
        run(plan_of(rules, guest), FileSink(str(path), durable=False), Work(threads=2))
    except DiskImageError:
        assert rules.disc_only or rules.name == "iso"
        assert not expected
        assert list(tmp_path.iterdir()) == []
        return
    with image.open(path, format=rules.name) as made:
        padded = expected.ljust(made.size, b"\0")
        assert made.size - len(expected) < 2048
        assert made.read(0, made.size) == padded
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".part")]


@pytest.mark.parametrize("rules", HEADED, ids=[rules.name for rules in HEADED])
def test_a_plan_cut_after_any_step_is_no_image(rules: Format, tmp_path: Path) -> None:
    guest = dict(GUESTS)["mixed"]
    expected = naive.read(guest)
    steps = count_steps(plan_of(rules, guest))
    assert steps > 1
    for cut in range(steps):
        path = tmp_path / "cut"
        path.write_bytes(image_of(plan_of(rules, guest), steps=cut))
        read = read_or_error(path, rules.name)
        assert read is None or read[: len(expected)] == expected, cut


def count_steps(plan: Plan) -> int:
    """The steps of a plan, carried out in memory."""
    seen: list[Step] = []

    def watched() -> Plan:
        result = None
        try:
            while True:
                step = plan.send(result)
                seen.append(step)
                result = yield step
        except StopIteration:
            return

    image_of(watched())
    assert any(isinstance(step, Barrier) for step in seen)
    return len(seen)


@CREATING
def test_no_writer_drops_audio_unsaid(rules: Format, tmp_path: Path) -> None:
    mixed = next(one for one in cue.samples() if one.label == "mixed")
    assert rules.losses is not None
    with image.open(mixed.write(tmp_path)) as disc:
        lost = {loss.name for loss in rules.losses(disc.content) if loss.content}
    assert lost == (set() if rules.disc_only or rules.keeps_frames else {"audio"})


@CREATING
def test_what_is_not_in_a_layer_is_never_written_as_zeros(rules: Format, tmp_path: Path) -> None:
    """A layer opened alone, as wide as any group of blocks that a writer takes at once."""
    size = 64 << 20
    guest = naive.Rows(
        [
            Extent(0, 4 << 20, Kind.DATA, source=MemorySource(b"x" * (4 << 20))),
            Extent(4 << 20, size - (4 << 20), Kind.ABSENT),
        ]
    )
    path = tmp_path / f"made{rules.suffixes[0]}"
    with pytest.raises(DiskImageError) as caught:
        run(plan_of(rules, guest), FileSink(str(path), durable=False), Work(threads=2))
    assert caught.value.kind in ("refused-reference", "usage")
    assert not path.exists()
