"""Extraction: what comes out is what went in, and nothing leaves the target directory."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.engine.progress import Progress
from diskimage.errors import (
    CancelledError,
    CorruptError,
    DiskImageError,
    ExistsError,
    MissingError,
    NoSpaceError,
    TruncatedError,
    UnsafeNameError,
    UsageError,
)
from diskimage.filesystems.iso9660_author import Link, author
from diskimage.image import open as open_image
from diskimage.jobs.extract import extract
from tests.makers.isotree import ER, SP, Dir, Entries, File, nm, px, susp, volume
from tests.rows import SHARED, table

FILES = {
    "readme.txt": b"hello\n",
    "docs/manual.txt": b"m" * 3_000_000,
    "docs/more/notes.md": b"",
    "data/level1.bin": bytes(range(256)) * 40,
}
REGULAR, DIRECTORY, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777
ROCK = SP + b"\0" + px(DIRECTORY) + ER


def iso(files: dict[str, bytes | Link]) -> bytes:
    out = io.BytesIO()
    author(files, out)
    return out.getvalue()


DISC = iso({**FILES, "link": Link("docs/manual.txt")})


def rock(**entries: bytes) -> bytes:
    """A volume with a file named after each value, in this order."""
    root: Entries = {}
    for key, name in entries.items():
        root[f"{key}.;1"] = File(key.encode(), system=px(REGULAR) + nm(name))
    return volume(Dir(root, dot=ROCK))


def below(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.fixture(params=["", "a name"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made: Path = tmp_path / "target" / request.param
    made.mkdir(parents=True)
    return made


def test_what_went_in_comes_out(target: Path) -> None:
    report = extract(DISC, target)
    assert below(target) == FILES
    assert (target / "link").readlink() == Path("docs/manual.txt")
    assert (report.files, report.directories, report.links, report.skipped) == (4, 3, 1, 0)
    assert report.bytes == sum(map(len, FILES.values()))
    assert report.warnings == ()
    assert report.to_json()["warnings"] == []


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["/docs"], {"docs/manual.txt", "docs/more/notes.md"}),
        (["docs/more", "readme.txt", "docs/more/notes.md"], {"docs/more/notes.md", "readme.txt"}),
        (["/docs/./manual.txt"], {"docs/manual.txt"}),
    ],
)
def test_paths_come_out_where_they_stand(paths: list[str], found: set[str], tmp_path: Path) -> None:
    extract(DISC, tmp_path, paths)
    assert set(below(tmp_path)) == found


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        extract(DISC, tmp_path, ["/readme.txt", "/absent"])
    with pytest.raises(UsageError):
        extract(DISC, tmp_path, ["docs/../readme.txt"])
    with pytest.raises(MissingError):
        extract(DISC, tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(ExistsError):
        extract(DISC, tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_times_and_permissions_within_the_umask(tmp_path: Path) -> None:
    times = b"TF\x0c\x01\x02" + bytes([101, 3, 4, 5, 6, 7, 0])
    mode = px(REGULAR | stat.S_ISUID | stat.S_ISGID | 0o137)
    folder = Dir({"B": File(b"y", system=px(REGULAR))}, system=px(stat.S_IFDIR | 0o555) + times)
    root = Dir(
        {
            "A.;1": File(b"x", system=mode + nm(b"a") + times),
            "D": folder,
        },
        dot=ROCK,
    )
    before = os.umask(0o027)
    try:
        extract(volume(root), tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "D").stat().st_mode) == 0o750  # ours to write in
    assert (tmp_path / "a").stat().st_mtime == (tmp_path / "D").stat().st_mtime == 983682367


def test_what_is_there_stays_unless_asked(target: Path) -> None:
    (target / "readme.txt").write_bytes(b"mine")
    with pytest.raises(ExistsError):
        extract(DISC, target, ["/readme.txt"])
    assert below(target) == {"readme.txt": b"mine"}
    extract(DISC, target, ["/readme.txt"], overwrite=True)
    assert below(target) == {"readme.txt": FILES["readme.txt"]}


def test_overwriting_does_not_write_through_a_link(tmp_path: Path) -> None:
    outside, target = tmp_path / "outside", tmp_path / "target"
    target.mkdir()
    outside.write_bytes(b"mine")
    (target / "readme.txt").symlink_to(outside)
    (target / "link").symlink_to(outside)
    with pytest.raises(ExistsError):
        extract(DISC, target)
    extract(DISC, target, overwrite=True)
    assert outside.read_bytes() == b"mine"
    assert not (target / "readme.txt").is_symlink()
    assert (target / "link").readlink() == Path("docs/manual.txt")


@pytest.mark.parametrize("name", ["readme.txt", "link"])
def test_overwriting_does_not_replace_a_directory(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").touch()
    with pytest.raises(ExistsError):
        extract(DISC, tmp_path, [f"/{name}"], overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == [name, "mine"]


def test_a_directory_of_the_target_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    target.mkdir()
    (target / "docs").symlink_to(outside)
    for overwrite in (False, True):
        with pytest.raises(UnsafeNameError):
            extract(DISC, target, ["/docs"], overwrite=overwrite)
    assert list(outside.iterdir()) == []


BAD = {
    "slash": b"a/b",
    "up": b"..",
    "self": b".",
    "escaping": b"../../evil",
    "absolute": b"/evil",
    "nul": b"a\0b",
    "long": b"x" * 150,
}


@pytest.mark.parametrize("case", [case for case in BAD if case != "long"])
def test_an_unsafe_name_stops_before_a_byte_is_written(case: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeNameError):
        extract(rock(A=b"fine", B=BAD[case]), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", BAD)
def test_renaming_keeps_every_file_inside(case: str, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    with open_image(rock(A=b"fine", B=BAD[case])) as image:
        report = extract(image, target, mode="rename")
    assert sorted(below(target).values()) == [b"A", b"B"]
    assert set(below(tmp_path)) == {f"deep/target/{name}" for name in below(target)}
    assert bool(report.warnings) == (case != "long")


def test_a_name_too_long_for_any_file_system(tmp_path: Path) -> None:
    name = px(REGULAR) + b"".join(nm(b"x" * 70, 1) for _ in range(2)) + nm(b"end")
    wide = volume(Dir({"A.;1": File(b"x", system=name)}, dot=ROCK))
    extract(wide, tmp_path)
    assert [len(path.name) for path in tmp_path.iterdir()] == [143]


@pytest.mark.parametrize("fold", [b"same", b"Same"])
def test_names_given_twice_are_numbered_with_a_warning(fold: bytes, tmp_path: Path) -> None:
    report = extract(rock(A=b"same", B=fold, C=b"same"), tmp_path)
    made = below(tmp_path)
    assert sorted(made.values()) == [b"A", b"B", b"C"]
    assert made["same"] == b"A"
    assert {warning.kind for warning in report.warnings} == {"name"}


@pytest.mark.parametrize("name", [b"CON", b"nul.txt", b"a:b", b"\x1b[31mred", b"dot.", b"a\\b"])
def test_names_that_others_cannot_have_come_with_a_warning(name: bytes, tmp_path: Path) -> None:
    report = extract(rock(A=name), tmp_path)
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == [name]
    assert [warning.kind for warning in report.warnings] == ["name"]
    assert all(warning.message.isprintable() for warning in report.warnings)


def linked(links: dict[str, str]) -> bytes:
    return iso({"d/e/file": b"x", **{name: Link(text) for name, text in links.items()}})


LEAVING = [
    {"l": "/etc/passwd"},
    {"l": "../up"},
    {"d/l": "e/../../../up"},
    {"a": "b/..", "b": "."},  # fine by itself until the other is there
    {"b": ".", "z": "b/../up"},
    {"a": "d/e", "z": "a/../../.."},
    {"a": "b", "b": "a"},
    {"a": "/"},
]


@pytest.mark.parametrize("links", LEAVING)
def test_a_link_that_leaves_is_not_made(links: dict[str, str], target: Path) -> None:
    report = extract(linked(links), target)
    made = [path for path in target.rglob("*") if path.is_symlink()]
    for path in made:
        assert Path(os.path.realpath(path)).is_relative_to(target.resolve())
    assert report.skipped == len(links) - len(made) >= 1
    assert {warning.kind for warning in report.warnings} == {"unsafe-name"}
    assert report.links == len(made)


def test_a_link_into_a_link_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "out").symlink_to(tmp_path)
    report = extract(linked({"l": "out/secret", "fine": "d/e/file"}), target)
    assert not (target / "l").is_symlink()
    assert (target / "fine").read_bytes() == b"x"
    assert report.skipped == 1


STEP = st.sampled_from(["..", ".", "a", "b", "c", "d", "e", "d/e", "b/..", "/", "a/../.."])


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/c"]),
        st.lists(STEP, min_size=1, max_size=4).map("/".join),
        min_size=1,
    )
)
def test_no_set_of_links_leads_out(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str]
) -> None:
    target = tmp_path_factory.mktemp("links") / "x/y/target"
    target.mkdir(parents=True)
    extract(linked(links), target)
    for path in target.rglob("*"):
        if path.is_symlink():
            assert Path(os.path.realpath(path)).is_relative_to(target.resolve()), links


def test_devices_and_fifos_are_not_made(tmp_path: Path) -> None:
    kinds = {"A": stat.S_IFCHR, "B": stat.S_IFBLK, "C": stat.S_IFIFO, "D": stat.S_IFSOCK}
    root: Entries = {f"{name}.;1": File(system=px(kind | 0o666)) for name, kind in kinds.items()}
    report = extract(volume(Dir(root, dot=ROCK)), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert report.skipped == 4
    assert [warning.kind for warning in report.warnings] == ["unsupported"] * 4


def test_more_than_fits_is_refused_before_a_byte(tmp_path: Path) -> None:
    """2,000 names of one 256 GiB file in a sparse image: 500 TiB."""
    root: Entries = {f"F{i:04}": File(b"x", system=b"") for i in range(2000)}
    data = bytearray(volume(Dir(root)))
    for i in range(2000):
        at = data.index(f"F{i:04}".encode()) - 33
        data[at + 10 : at + 18] = b"\xff" * 8
        data[at + 2 : at + 10] = (0).to_bytes(8, "little")
    image = tmp_path / "a.iso"
    image.write_bytes(data)
    os.truncate(image, 1 << 38)
    (tmp_path / "target").mkdir()
    with pytest.raises(NoSpaceError):
        extract(image, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_truncated_file_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError):
        extract(DISC[: DISC.index(b"m" * 4096) + 5000], tmp_path, ["/docs/manual.txt"])
    assert below(tmp_path) == {}


def test_a_fault_stops_before_a_byte(tmp_path: Path) -> None:
    data = volume(Dir({"A": File(b"fine"), "B": File(b"open", flags=0x80)}))
    with pytest.raises(CorruptError):
        extract(data, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_cancelled_extraction_leaves_whole_files_only(tmp_path: Path) -> None:
    cancel = Event()

    def stop(progress: Progress) -> None:
        if progress.done > 2_000_000:
            cancel.set()

    with pytest.raises(CancelledError):
        extract(DISC, tmp_path, progress=stop, cancel=cancel)
    assert all(FILES[name] == body for name, body in below(tmp_path).items())
    assert "docs/manual.txt" not in below(tmp_path)


def test_progress_adds_up(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    extract(DISC, tmp_path, progress=lambda at: seen.append((at.done, at.total)))
    total = sum(map(len, FILES.values()))
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


# --- the hostile set ---------------------------------------------------------------------------

CASES = SHARED / "hostile/cases.tsv"
ROWS = [row for row in table(CASES) if row["format"] == "iso"] if CASES.exists() else []


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row["id"]) for row in ROWS if row["operation"] == "extract"] or [{}],
)
def test_a_hostile_iso(row: dict[str, str], hostile: Path, tmp_path: Path) -> None:
    outcome = "ok"
    try:
        with open_image(hostile / row["id"] / "a.iso") as image:
            report = extract(image, tmp_path)
            outcome = "ok-with-warning" if report.warnings else "ok"
    except DiskImageError as error:
        outcome = f"error:{error.kind}"
    count = sum(not path.is_dir() or path.is_symlink() for path in tmp_path.rglob("*"))
    met = [
        head == outcome or (head, outcome) == ("ok", "ok-with-warning")
        for head, *facts in (part.split(";") for part in row["expect"].split("|"))
        if all(fact == f"files={count}" for fact in facts)
    ]
    assert any(met), f"wanted {row['expect']}, got {outcome} with {count} files"
    assert not list(tmp_path.rglob("*.part"))


def test_a_link_that_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path) -> None:
    short = susp(b"SL", b"\0" + bytes([0, 111]) + b"k" * 57)  # as genisoimage cuts long ones
    disc = volume(
        Dir({
            "A.;1": File(system=px(LINK) + nm(b"a") + short),
            "B.;1": File(b"b", system=px(REGULAR) + nm(b"b")),
        }, dot=ROCK)
    )  # fmt: skip
    done = extract(disc, tmp_path)
    assert below(tmp_path) == {"b": b"b"}
    assert (done.links, done.skipped) == (0, 1)
    assert [w.kind for w in done.warnings if "/a" in w.message and "not made" in w.message] == [
        "corrupt"
    ]
