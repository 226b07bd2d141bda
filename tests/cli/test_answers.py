"""What the verbs answer: the shapes of --json, the exit codes, the lines for people."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import diskimage as library
from tests.cli.samples import AUDIO, DISK, KIB, MIB, USER, Command, document, refusal
from tests.makers.iso import volume
from tests.makers.raw import make


def test_info_of_a_disc(diskimage: Command) -> None:
    told = document(diskimage("info", "game.cue", "--json"))
    assert told["format"] == "cue"
    assert told["size"] == len(USER)
    assert told["sector_size"] == 2048
    assert told["variant"]
    fields = ("number", "session", "mode", "lba", "length")
    assert [tuple(track[field] for field in fields) for track in told["tracks"]] == [
        (1, 1, "MODE1/2352", 0, 40),
        (2, 1, "AUDIO", 190, 106),
    ]
    assert {r["name"] for r in told["references"]} == {"game-1.bin", "game-2.bin"}
    assert told["warnings"] == []


def test_info_for_people_has_each_track_on_a_line(diskimage: Command) -> None:
    lines = diskimage("info", "game.cue").stdout.splitlines()
    assert lines[0] == "game.cue"
    assert any("First light" in line and "AUDIO" in line for line in lines)


def test_info_lists_a_parent_without_opening_it(diskimage: Command, folder: Path) -> None:
    options = ("-o", "backing=disk.raw", "-o", "backing_format=raw")
    assert diskimage("create", "over.qcow2", *options).returncode == 0
    (folder / "disk.raw").unlink()
    told = document(diskimage("info", "over.qcow2", "--json"))
    assert told["references"] == [
        {"name": "disk.raw", "role": "backing", "format": "raw", "opened": False}
    ]
    assert told["warnings"]
    assert told["size"] == DISK


def test_hash_in_one_pass(diskimage: Command) -> None:
    told = document(diskimage("hash", "game.cue", "-a", "md5,sha256", "-a", "crc32", "--json"))
    assert told == {
        "size": len(USER),
        "digests": {
            "md5": hashlib.md5(USER).hexdigest(),
            "sha256": hashlib.sha256(USER).hexdigest(),
            "crc32": f"{zlib.crc32(USER):08x}",
        },
        "warnings": [],
    }


def test_hash_of_tracks(diskimage: Command, folder: Path) -> None:
    frames = [(folder / "game-1.bin").read_bytes(), AUDIO[150 * 2352 :]]
    wanted = [hashlib.sha256(piece).hexdigest() for piece in frames]
    one = document(diskimage("hash", "game.cue", "--track", "2", "--json"))
    assert (one["size"], one["digests"]["sha256"]) == (len(frames[1]), wanted[1])
    stored = [frames[0], AUDIO]  # databases count a track with its pregap
    every = document(diskimage("hash", "game.cue", "--all-tracks", "--json"))
    assert [track["digests"]["sha1"] for track in every] == [
        hashlib.sha1(piece).hexdigest() for piece in stored
    ]
    assert set(every[0]["digests"]) == {"crc32", "md5", "sha1"}
    assert [track["track"] for track in every] == [1, 2]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_block_manifest(diskimage: Command, folder: Path, algorithm: str) -> None:
    size = DISK + 700
    make(folder / "odd.raw", size, {0: b"x" * 3000, 2 * MIB: b"y" * 100000, size - 10: b"end"})
    content = (folder / "odd.raw").read_bytes()
    block = 64 * KIB
    wanted = [
        hashlib.new(algorithm, content[at : at + block]).hexdigest() for at in range(0, size, block)
    ]
    options = ("-a", algorithm, "--block-size", "64K")
    told = document(diskimage("hash", "odd.raw", *options, "--json"))
    assert told["blocks"] == wanted
    assert (told["size"], told["block_size"], told["algorithm"]) == (size, block, algorithm)
    lines = diskimage("hash", "odd.raw", *options).stdout.splitlines()
    assert lines == [f"{n * block}  {digest}" for n, digest in enumerate(wanted)]


def test_hash_of_a_disc_without_data_names_its_tracks(diskimage: Command, folder: Path) -> None:
    sheet = 'FILE "game-2.bin" BINARY\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'
    (folder / "audio.cue").write_text(sheet, encoding="ascii")
    done = diskimage("hash", "audio.cue", "--json")
    assert done.returncode == 2
    error = refusal(done)
    assert error["kind"] == "usage"
    assert "1 (AUDIO)" in error["message"]


def test_hash_of_a_disc_with_two_data_tracks_names_them(diskimage: Command, folder: Path) -> None:
    track = "  TRACK {:02} MODE1/2352\n    INDEX 01 00:00:00\n"
    sheet = "".join(f'FILE "game-{n}.bin" BINARY\n' + track.format(n) for n in (1, 2))
    (folder / "game-2.bin").write_bytes((folder / "game-1.bin").read_bytes())
    (folder / "two.cue").write_text(sheet, encoding="ascii")
    error = refusal(diskimage("hash", "two.cue", "--json"))
    assert error["kind"] == "usage"
    assert "1 (MODE1/2352), 2 (MODE1/2352)" in error["message"]


def test_compare_two_formats(diskimage: Command, folder: Path) -> None:
    diskimage("convert", "disk.raw", "disk.qcow2")
    told = document(diskimage("compare", "disk.raw", "disk.qcow2", "--json"))
    assert (told["equal"], told["ranges"]) == (True, [])
    content = bytearray((folder / "disk.raw").read_bytes())
    content[MIB + 600] ^= 1
    content[3 * MIB + 100] ^= 1
    (folder / "other.raw").write_bytes(content)
    done = diskimage("compare", "other.raw", "disk.qcow2", "--json")
    assert done.returncode == 1
    told = document(done)
    assert told["equal"] is False
    assert told["ranges"] == [[MIB + 512, 512], [3 * MIB, 512]]


def test_compare_two_sizes(diskimage: Command, folder: Path) -> None:
    content = (folder / "disk.raw").read_bytes()
    (folder / "longer.raw").write_bytes(content + bytes(MIB))
    told = document(diskimage("compare", "disk.raw", "longer.raw", "--json"))
    assert told["equal"] is True
    assert [w["kind"] for w in told["warnings"]] == ["size"]
    strict = diskimage("compare", "disk.raw", "longer.raw", "--strict", "--json")
    assert strict.returncode == 1
    assert document(strict)["ranges"] == [[DISK, MIB]]
    (folder / "longer.raw").write_bytes(content + bytes(MIB - 1) + b"x")
    assert document(diskimage("compare", "longer.raw", "disk.raw", "--json"))["ranges"] == [
        [DISK + MIB - 512, 512]
    ]


def test_check_finds_a_flipped_byte_and_says_where(diskimage: Command, folder: Path) -> None:
    sound = document(diskimage("check", "game.cue", "--json"))
    assert (sound["ok"], sound["problems"]) == (True, [])
    frames = bytearray((folder / "game-1.bin").read_bytes())
    frames[7 * 2352 + 500] ^= 0x10
    (folder / "game-1.bin").write_bytes(frames)
    done = diskimage("check", "game.cue", "--json")
    assert done.returncode == 1
    told = document(done)
    assert told["ok"] is False
    assert {problem["at"] for problem in told["problems"]} == {7}
    assert {problem["kind"] for problem in told["problems"]} == {"checksum"}


def test_detect_says_why(diskimage: Command, folder: Path) -> None:
    told = document(diskimage("detect", "game-1.bin", "--json"))
    assert told["format"] == "iso"
    assert told["candidates"][0]["reason"]
    (folder / "what").write_bytes(b"nothing that anybody knows" * 100)
    done = diskimage("detect", "what", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["kind"] == "unknown-format"


def test_formats_tells_what_each_can(diskimage: Command) -> None:
    told = {row["name"]: row for row in document(diskimage("formats", "--json"))["formats"]}
    assert {"raw", "iso", "cue", "qcow2", "vdi"} <= set(told)
    assert told["qcow2"]["create"] is True
    assert "cluster_size" in {option["name"] for option in told["qcow2"]["options"]}


def test_measure_is_the_size_of_what_is_made(diskimage: Command, folder: Path) -> None:
    for name in ("qcow2", "vdi", "raw"):
        told = document(diskimage("measure", "disk.raw", "--to", name, "--json"))
        diskimage("convert", "disk.raw", f"made.{name}", "--to", name)
        assert told["required"] == (folder / f"made.{name}").stat().st_size
        assert told["fully_allocated"] >= DISK


def test_create_of_a_size(diskimage: Command, folder: Path) -> None:
    told = document(diskimage("create", "new.vdi", "--size", "3M", "--json"))
    assert told["size"] == 3 * MIB
    empty = hashlib.sha256(bytes(3 * MIB)).hexdigest()
    assert document(diskimage("hash", "new.vdi", "--json"))["digests"]["sha256"] == empty
    assert refusal(diskimage("create", "new2.vdi", "--json"))["kind"] == "usage"
    assert not (folder / "new2.vdi").exists()


def test_files_of_a_tree_and_back(diskimage: Command, folder: Path) -> None:
    tree = folder / "tree"
    (tree / "docs").mkdir(parents=True)
    (tree / "readme.txt").write_text("hello\n", encoding="ascii")
    (tree / "docs/manual.txt").write_bytes(b"m" * 5000)
    diskimage("create", "tree.iso", "--from-tree", "tree")
    assert diskimage("cat", "tree.iso:/readme.txt").stdout == "hello\n"
    assert diskimage("ls", "tree.iso").stdout.split() == ["docs/", "readme.txt"]
    listed = document(diskimage("tree", "tree.iso:/docs", "--json"))
    assert [entry["path"] for entry in listed["entries"]] == ["/docs/manual.txt"]
    (folder / "out").mkdir()
    assert document(diskimage("extract", "tree.iso", "out", "--json"))["files"] == 2
    assert (folder / "out/docs/manual.txt").read_bytes() == b"m" * 5000


def test_a_file_may_have_a_colon_in_its_name(diskimage: Command, folder: Path) -> None:
    (folder / "a:").mkdir()
    (folder / "game.data").rename(folder / "a:/b.iso")
    assert refusal(diskimage("ls", "a:/b.iso", "--json"))["kind"] == "unsupported"
    assert "no file system" in diskimage("ls", "a:/b.iso").stderr


def test_errors_for_people_have_a_kind_and_a_remedy(diskimage: Command) -> None:
    done = diskimage("convert", "game.cue", "game.iso")
    assert done.returncode == 7
    first, second = done.stderr.splitlines()
    assert first.startswith("error[loss]: game.cue: ")
    assert second.startswith("help: ")
    assert "--lossy audio" in second


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["info", "absent"], 4, "missing"),
        (["info"], 2, "usage"),
        (["frobnicate"], 2, "usage"),
        (["hash", "disk.raw", "-a", "nope"], 2, "usage"),
        (["hash", "game.cue", "--track", "9"], 2, "usage"),
        (["hash", "disk.raw", "--block-size", "1X"], 2, "usage"),
        (["convert", "disk.raw", "target"], 2, "usage"),
        (["convert", "disk.raw", "t.vdi", "-o", "nope=1"], 2, "usage"),
        (["convert", "disk.raw", "t.vdi", "-o", "nope"], 2, "usage"),
        (["convert", "disk.raw", "disk.raw", "--overwrite"], 6, "busy"),
        (["convert", "game.cue", "game-1.bin", "--to", "raw", "--overwrite", "--lossy", "audio"],
         6, "busy"),
        (["convert", "disk.raw", "game.data", "--to", "raw"], 6, "exists"),
        (["copy", "disk.raw", "game.data"], 6, "exists"),
        (["copy", "disk.raw", "disk.raw", "--overwrite"], 6, "busy"),
        (["copy", "disk.raw", "."], 2, "usage"),
        (["copy", "disk.raw", "no/such/folder"], 4, "missing"),
        (["copy", "disk.raw", "-", "--verify"], 2, "usage"),
        (["copy", "disk.raw", "c.raw", "--block-size", "17M"], 2, "usage"),
        (["copy", "disk.raw", "c.raw", "--direct", "--block-size", "512"], 2, "usage"),
        (["convert", "game.cue", "-", "--to", "iso", "--extract", "audio=wav"], 2, "usage"),
        (["convert", "game.cue", "game.iso", "--extract", "audio=mp3"], 2, "usage"),
        (["convert", "disk.raw", "d.iso", "--extract", "audio=wav"], 2, "usage"),
        (["convert", "game.cue", "game.iso"], 7, "loss"),
        (["info", "game.cue", "--references", "none"], 7, "refused-reference"),
        (["info", "disk.raw", "--references", "no-such-folder"], 4, "missing"),
        (["info", "disk.raw", "--format", "nope"], 2, "usage"),
        (["check", "game.cue", "--password-file", "absent"], 4, "missing"),
        (["info", "."], 3, "unsupported"),
        (["info", "game-2.bin"], 3, "unknown-format"),
    ],
)  # fmt: skip
def test_each_refusal_has_its_kind_and_exit_code(
    diskimage: Command, folder: Path, arguments: list[str], code: int, kind: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    done = diskimage(*arguments, "--json")
    assert done.stdout == ""
    assert refusal(done)["kind"] == kind
    assert done.returncode == code
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_every_verb_has_help(diskimage: Command) -> None:
    listed = diskimage("--help").stdout.partition("Commands:")[2].splitlines()
    verbs = [line.split()[0] for line in listed if line.strip()]
    assert len(verbs) >= 16
    for verb in verbs:
        told = diskimage(verb, "--help")
        assert told.returncode == 0
        assert told.stdout.startswith(f"Usage: diskimage {verb}")


def test_no_arguments_show_the_help_as_it_is(diskimage: Command) -> None:
    told = diskimage()
    assert told.returncode == 2
    assert told.stderr == diskimage("--help").stdout


@pytest.mark.parametrize("json_", [False, True])
def test_an_interrupt_while_modules_load_is_one_line(folder: Path, json_: bool) -> None:
    script = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'diskimage.cli.frame':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from diskimage.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, *(["--json"] if json_ else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 130
    (line,) = done.stderr.splitlines()
    if json_:
        assert json.loads(line)["error"]["kind"] == "cancelled"
    else:
        assert line.startswith("error[cancelled]: ")


def test_the_version_is_the_librarys(diskimage: Command) -> None:
    assert diskimage("--version").stdout.strip() == library.__version__


def test_help_loads_nothing_heavy(folder: Path) -> None:
    script = (
        "import sys; sys.argv = ['diskimage', '--help']\n"
        "from diskimage.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert not loaded & {"rich", "construct", "pycdlib", "asyncio", "diskimage.image"}


@pytest.mark.parametrize(("name", "said"), [("disk.raw", ["volume"]), ("disc.iso", [])])
def test_an_iso_without_a_volume_is_said(
    diskimage: Command, folder: Path, name: str, said: list[str]
) -> None:
    (folder / "disc.iso").write_bytes(volume())
    told = document(diskimage("convert", name, "made.iso", "--json"))
    assert [warning["kind"] for warning in told["warnings"]] == said
