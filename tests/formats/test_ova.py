"""Appliances: which disk, files in the archive and beside it, and what is refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import DiskImageError
from diskimage.jobs.check import check
from diskimage.jobs.info import info
from tests.makers import ova
from tests.makers.ova import disk, file

Peer = Callable[[str], str]


def written(folder: Path, files: dict[str, bytes], name: str = "a.ova") -> Path:
    path = folder / name
    path.write_bytes(ova.archive(files))
    return path


def beside(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def kind_of(path: Path, **how: object) -> str:
    with pytest.raises(DiskImageError) as caught, image.open(path, **how) as opened:  # type: ignore[arg-type]  # keywords of every sort
        opened.read(0, opened.size)
    return caught.value.kind


@pytest.mark.parametrize("put", [written, beside])
@pytest.mark.parametrize(
    ("said", "id"), [("disk1", "disk1"), (2, "disk2"), ("2", "disk2"), ("one.vmdk", "disk1")]
)
def test_a_disk_is_chosen_by_id_file_or_number(
    put: Callable[[Path, dict[str, bytes]], Path], said: object, id: str, tmp_path: Path
) -> None:
    files, guests = ova.two()
    with image.open(put(tmp_path, files), disk=said) as opened:
        assert opened.read(0, opened.size) == guests[id]
        assert opened.info["disk"] == id
        assert opened.info["appliance"] == "the box"
        assert opened.warnings == ()


def test_without_a_choice_the_disks_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, ova.two()[0])
    with pytest.raises(DiskImageError) as caught:
        image.open(path)
    assert caught.value.kind == "usage"
    assert all(word in str(caught.value) for word in ("disk1", "one.vmdk", "disk2", "two.vhd"))
    assert kind_of(path, disk="disk3") == "usage"
    assert kind_of(path, disk="0") == "usage"
    assert kind_of(path, disc="1") == "usage"


def test_info_lists_the_disks_of_an_appliance(tmp_path: Path) -> None:
    path = written(tmp_path, ova.two()[0])
    found = info(path, references="list")
    disks = found.info["disks"]
    assert isinstance(disks, list)
    assert [(one["id"], one["file"], one["capacity"]) for one in disks] == [
        ("disk1", "one.vmdk", 1 << 20), ("disk2", "two.vhd", 512 << 10)
    ]  # fmt: skip
    assert [finding.kind for finding in found.warnings] == ["disk"]
    assert kind_of(path, references="list") == "refused-reference"


def test_a_manifest_is_held(tmp_path: Path) -> None:
    files, _ = ova.two()
    assert check(written(tmp_path, files)).ok
    wrong = files["one.vmdk"].replace(b"KDMV", b"KDMV", 1)
    content = bytearray(wrong)
    content[600] ^= 0x20  # a letter of the descriptor's text
    found = check(written(tmp_path, {**files, "one.vmdk": bytes(content)}))
    assert ("checksum", True) in {(p.kind, "one.vmdk" in p.message) for p in found.problems}
    without = {name: data for name, data in files.items() if name != "two.vhd"}
    kinds = [p.kind for p in check(written(tmp_path, without), open_options={"disk": 1}).problems]
    assert "missing" in kinds


def test_chunks_of_each_of_several_disks_are_read(tmp_path: Path) -> None:
    files, _ = ova.two()
    content = bytearray(files["one.vmdk"])
    at = content.index(b"\x78\x9c")  # a grain's deflate
    content[at + 40] ^= 0xFF
    without = {name: data for name, data in files.items() if name != "box.mf"}
    found = check(written(tmp_path, {**without, "one.vmdk": bytes(content)}))
    assert any(p.part == "chunks" and "disk disk1" in p.message for p in found.problems)
    assert check(written(tmp_path, files)).ok


def test_the_manifest_beside_an_ovf_is_held(tmp_path: Path) -> None:
    files, _ = ova.two()
    path = beside(tmp_path, files)
    assert check(path).ok
    (tmp_path / "two.vhd").write_bytes(b"\1" + files["two.vhd"][1:])
    found = check(path)
    assert [p.kind for p in found.problems] == ["checksum"]


def test_what_a_disk_s_own_format_finds_is_told(tmp_path: Path) -> None:
    files, _ = ova.two()
    bad = bytearray(files["two.vhd"])
    bad[-400] ^= 1  # in its footer
    text = {name: data for name, data in files.items() if name != "box.mf"}
    found = check(written(tmp_path, {**text, "two.vhd": bytes(bad)}))
    assert any("disk disk2" in p.message for p in found.problems)


def one(text: bytes, **more: bytes) -> dict[str, bytes]:
    stored, _ = ova.stream()
    return {"box.ovf": text, "one.vmdk": stored, **more}


def test_a_capacity_that_is_not_the_disk_s_is_told(tmp_path: Path) -> None:
    text = ova.ovf([file(1, "one.vmdk")], [disk(1, 5)])
    with image.open(written(tmp_path, one(text))) as opened:
        assert opened.size == 1 << 20
        assert [finding.kind for finding in opened.warnings] == ["capacity"]


@pytest.mark.parametrize(
    ("units", "capacity"),
    [("byte * 2^20", 1), ("MegaBytes", 1), ("byte", 1 << 20), ("byte*2^10", 1 << 10),
     ("byte * 2 ^ 20", 1)],
)  # fmt: skip
def test_units_of_a_capacity(units: str, capacity: int, tmp_path: Path) -> None:
    more = f'{{p}}:capacityAllocationUnits="{units}"'
    text = ova.ovf([file(1, "one.vmdk")], [disk(1, capacity, more=more)])
    with image.open(written(tmp_path, one(text))) as opened:
        assert opened.warnings == ()


def test_a_disk_without_a_file_is_empty(tmp_path: Path) -> None:
    text = ova.ovf(
        [], ['{p}:diskId="d" {p}:capacity="3" {p}:capacityAllocationUnits="byte * 2^20"']
    )
    with image.open(written(tmp_path, {"box.ovf": text})) as opened:
        assert (opened.size, opened.read(0, 9)) == (3 << 20, bytes(9))


def test_a_file_in_parts_is_joined(tmp_path: Path) -> None:
    stored, guest = ova.stream()
    more = f'{{p}}:size="{len(stored)}" {{p}}:chunkSize="50000"'
    text = ova.ovf([file(1, "one.vmdk", more)], [disk(1, 1 << 20)])
    cut = {f"one.vmdk.{n:09}": stored[n * 50000 : (n + 1) * 50000]
           for n in range(-(-len(stored) // 50000))}  # fmt: skip
    with image.open(beside(tmp_path, {"box.ovf": text, **cut})) as opened:
        assert opened.read(0, opened.size) == guest


@pytest.mark.parametrize("put", [written, beside])
def test_a_compressed_disk_is_read(
    put: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    stored, guest = ova.stream()
    packed = ova.zipped(stored)
    more = f'{{p}}:compression="gzip" {{p}}:size="{len(packed)}"'
    text = ova.ovf([file(1, "one.vmdk.gz", more)], [disk(1, 1 << 20)])
    path = put(tmp_path, {"box.ovf": text, "one.vmdk.gz": packed})
    with image.open(path) as opened:
        assert opened.read(0, opened.size) == guest
        assert opened.warnings == ()
    assert check(path).ok


def test_an_escaped_name_is_found(tmp_path: Path) -> None:
    stored, guest = ova.stream()
    text = ova.ovf([file(1, "a%20disk.vmdk")], [disk(1, 1 << 20)])
    for path in (beside(tmp_path, {"box.ovf": text, "a disk.vmdk": stored}),
                 written(tmp_path, {"box.ovf": text, "a disk.vmdk": stored})):  # fmt: skip
        with image.open(path) as opened:
            assert opened.read(0, opened.size) == guest


BOMB = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>'
DEEP = b"<Envelope>" + b"<a>" * 70 + b"</a>" * 70 + b"</Envelope>"
REFUSED = {
    "entities": (one(ova.ovf([file(1, "one.vmdk")], [disk(1, 9)], inside=BOMB)), "corrupt"),
    "deep": (one(DEEP), "limit"),
    "another element": (one(b"<Other/>"), "corrupt"),
    "no disk": (one(ova.ovf([], [])), "unsupported"),
    "no such file": (one(ova.ovf([file(1, "none.vmdk")], [disk(1, 9)])), "missing"),
    "a URL": (one(ova.ovf([file(1, "http://a.example/b.vmdk")], [disk(1, 9)])), "missing"),
    "no such reference": (one(ova.ovf([], [disk(1, 9)])), "corrupt"),
    "ids twice": (one(ova.ovf([file(1, "a"), file(1, "b")], [disk(1, 9)])), "corrupt"),
    "an unknown format": (
        one(ova.ovf([file(1, "one.xyz")], [disk(1, 9, url="http://x/")])), "unsupported"),
    "an unknown compression": (
        one(ova.ovf([file(1, "one.vmdk", '{p}:compression="lzip"')], [disk(1, 9)])), "unsupported"),
    "a wrong capacity": (one(ova.ovf([file(1, "one.vmdk")], [disk(1, "1e3")])), "corrupt"),
    "a capacity of no disk": (
        one(ova.ovf([], [f'{{p}}:diskId="{n}" {{p}}:capacity="{9 * 10**18}"' for n in (1, 2)])),
        "limit"),
    "no OVF": ({"one.vmdk": ova.stream()[0]}, "unsupported"),
    "two OVFs": (
        one(ova.ovf([file(1, "one.vmdk")], [disk(1, 9)]), **{"b.ovf": b"x"}), "unsupported"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "kind"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_wrong_has_its_kind(files: dict[str, bytes], kind: str, tmp_path: Path) -> None:
    assert kind_of(written(tmp_path, files)) == kind


def test_a_path_or_a_url_beside_an_ovf_is_refused(tmp_path: Path) -> None:
    for name in ("../one.vmdk", "/etc/passwd", "http://a.example/one.vmdk", "..%2Fone.vmdk"):
        text = ova.ovf([file(1, name)], [disk(1, 9)])
        kind = kind_of(beside(tmp_path, {"box.ovf": text}))
        assert kind in ("refused-reference", "missing"), name
    assert kind_of(beside(tmp_path, one(ova.ovf([file(1, "one.vmdk")], [disk(1, 9)]))),
                   references="none") == "refused-reference"  # fmt: skip


def odd_archive(info: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """An archive whose disk is an odd member."""
    text, out = ova.ovf([file(1, "one.vmdk")], [disk(1, 9)]), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        first = tarfile.TarInfo("box.ovf")
        first.size = len(text)
        made.addfile(first, io.BytesIO(text))
        info.size = len(content)
        made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_a_member_is_extended_a_few_times_alone(tmp_path: Path) -> None:
    more = tarfile.TarInfo.create_pax_global_header({"comment": "x"})
    path = written(tmp_path, one(ova.ovf([file(1, "one.vmdk")], [disk(1, 1 << 20)])))
    whole = path.read_bytes()
    path.write_bytes(more * 16 + whole)
    with image.open(path, format="ova") as opened:
        assert opened.size == 1 << 20
    path.write_bytes(more * 17 + whole)
    assert kind_of(path, format="ova") == "corrupt"


def test_links_and_sparse_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ova"
    link = tarfile.TarInfo("one.vmdk")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    path.write_bytes(odd_archive(link))
    assert kind_of(path) == "unsupported"
    sparse = tarfile.TarInfo("one.vmdk")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                          "GNU.sparse.realsize": "99"}  # fmt: skip
    path.write_bytes(odd_archive(sparse, b"x" * 512))
    assert kind_of(path) == "unsupported"


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    stored, _ = ova.stream()
    text = ova.ovf([file(1, "one.vmdk")], [disk(1, 1 << 20)])
    path = tmp_path / "a.ova"
    with tarfile.open(path, "w") as made:
        for name, content in (("box.ovf", text), ("one.vmdk", stored), ("one.vmdk", stored)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    assert kind_of(path) == "unsupported"


def test_sizes_in_base_256_are_read(tmp_path: Path) -> None:
    stored, guest = ova.stream()
    text = ova.ovf([file(1, "one.vmdk")], [disk(1, 1 << 20)])
    content = bytearray(ova.archive({"box.ovf": text, "one.vmdk": stored}))
    at = content.index(b"one.vmdk\0\0\0")
    content[at + 124 : at + 136] = b"\x80" + len(stored).to_bytes(11, "big")
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    path = tmp_path / "a.ova"
    path.write_bytes(content)
    with image.open(path) as opened:
        assert opened.read(0, opened.size) == guest


def test_archives_of_tar_read_right(tmp_path: Path, peer: Peer) -> None:
    import subprocess

    files, guests = ova.two()
    beside(tmp_path, files)
    for format in ("gnu", "pax", "ustar", "posix"):
        path = tmp_path / f"{format}.ova"
        subprocess.run([peer("tar"), f"--format={format}", "-cf", path, *files], cwd=tmp_path,
                       check=True)  # fmt: skip
        with image.open(path, disk=2) as opened:
            assert opened.read(0, opened.size) == guests["disk2"]


def test_sparse_archives_of_tar_are_refused(tmp_path: Path, peer: Peer) -> None:
    import subprocess

    text = ova.ovf([file(1, "one.raw")], [disk(1, 9, url="")])
    beside(tmp_path, {"box.ovf": text, "one.raw": b""})
    with (tmp_path / "one.raw").open("r+b") as raw:
        raw.truncate(8 << 20)
        raw.seek(4 << 20)
        raw.write(b"x" * 4096)
    for format in ("gnu", "pax"):
        path = tmp_path / f"{format}.ova"
        subprocess.run([peer("tar"), f"--format={format}", "-Scf", path, "box.ovf", "one.raw"],
                       cwd=tmp_path, check=True)  # fmt: skip
        assert kind_of(path) == "unsupported"
