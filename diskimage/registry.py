"""The list of formats, and how a file is told to be one of them.

Every signature here is looked for in bytes already read: the first 100 KiB and the last 64 KiB.
A format's module is imported only when one matches. Raw is never guessed from unknown content.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from diskimage.disc.modes import SYNC
from diskimage.errors import AmbiguousError, UnknownFormatError, UnsupportedError, UsageError
from diskimage.model import Bid, Format, Look, Option, Source
from diskimage.recognised import CONTAINERS, Known, Signature, containers, guests, holds
from diskimage.sources.device import DeviceFileSource

GROUP = "diskimage.formats"  # of entry points, for formats of others
HEAD = 100 * 1024
TAIL = 64 * 1024
CERTAIN = 50  # a bid from content; below it stand suffixes and guesses


class Entry(NamedTuple):
    """A format: where its module is and when it is worth importing, or `loaded` from a plugin."""

    name: str
    module: str
    signatures: tuple[Signature, ...] = ()
    suffixes: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()  # suffixes that make it worth asking, without being the format's own
    keeps: tuple[str, ...] = ()  # formats whose content stands as it is before its trailer
    loaded: Format | None = None


ENTRIES = (
    Entry("cue", "diskimage.formats.cue", suffixes=(".cue",), weak=(".toc",)),
    Entry("aff4", "diskimage.formats.aff4", ((0, b"PK\x03\x04"),), (".aff4", ".af4"),
          keeps=("zip archive",)),
    Entry("ccd", "diskimage.formats.ccd", ((0, b"[CloneCD]"),), (".ccd",)),
    Entry("gdi", "diskimage.formats.gdi", suffixes=(".gdi",)),
    Entry("chd", "diskimage.formats.chd", ((0, b"MComprHD"),), (".chd",)),
    Entry("e01", "diskimage.formats.e01", (
        (0, b"EVF\x09\x0d\x0a\xff\0"), (0, b"EVF2\x0d\x0a\x81\0"), (0, b"LVF\x09\x0d\x0a\xff\0"),
        (0, b"LEF2\x0d\x0a\x81\0"), (0, b"ADCRYPT\0"),
        ), (".e01", ".ex01", ".s01")),
    Entry("ecm", "diskimage.formats.ecm", ((0, b"ECM\0"),), (".ecm",)),
    Entry("ghost", "diskimage.formats.ghost", ((0, b"\xfe\xef\x01"), (0, b"\xfe\xef\x09")),
          (".gho", ".ghs", ".v2i", ".iv2i", ".sv2i")),
    Entry("iso", "diskimage.formats.iso", ((32769, b"CD001"), (0, SYNC)), (".iso",),
          (".bin", ".img", ".raw", ".toast")),
    Entry("isz", "diskimage.formats.isz", ((0, b"IsZ!"),), (".isz",)),
    Entry("mds", "diskimage.formats.mds", ((0, b"MEDIA DESCRIPTOR\x01"),), (".mds",)),
    Entry("mdx", "diskimage.formats.mdx", ((0, b"MEDIA DESCRIPTOR\x02"),), (".mdx", ".mds")),
    Entry("cdi", "diskimage.formats.cdi",
          tuple((-8, bytes((word, 0, 0, 0x80))) for word in (4, 5, 6)), (".cdi",), keeps=("iso",)),
    Entry("nrg", "diskimage.formats.nrg", ((-12, b"NER5"), (-8, b"NERO")), (".nrg",),
          keeps=("iso",)),
    Entry("cso", "diskimage.formats.cso",
          ((0, b"CISO"), (0, b"ZISO"), (0, b"DAX\0"), (0, b"JISO")),
          (".cso", ".ciso", ".zso", ".dax")),
    Entry("dmg", "diskimage.formats.dmg",
          ((-512, b"koly\0\0\0\4"), (0, b"koly\0\0\0\4"), (0, b"encrcdsa"), (-8, b"cdsaencr"),
           (0, b"sprs")),
          (".dmg",), (".sparseimage", ".plist"),
          keeps=("iso", "bzip2", "xz", "gzip")),
    Entry("gzip", "diskimage.formats.gzip", ((0, b"\x1f\x8b\x08"),), (".gz",)),
    Entry("bzip2", "diskimage.formats.bzip2", ((0, b"BZh"),), (".bz2",)),
    Entry("zstd", "diskimage.formats.zstd",
          ((0, b"\x28\xb5\x2f\xfd"), (1, b"\x2a\x4d\x18")), (".zst", ".zstd")),
    Entry("xz", "diskimage.formats.xz", ((0, b"\xfd7zXZ\0"),), (".xz",)),
    Entry("luks", "diskimage.formats.luks",
          ((0, b"LUKS\xba\xbe"), *((0x4000 << n, b"SKUL\xba\xbe") for n in range(3))), (".luks",)),
    Entry("ova", "diskimage.formats.ova", ((257, b"ustar"),), (".ova",), (".ovf",)),
    Entry("parallels", "diskimage.formats.parallels",
          ((0, b"WithoutFreeSpace"), (0, b"WithouFreSpacExt")), (".hds", ".hdd"), (".xml",)),
    Entry("qcow2", "diskimage.formats.qcow2", ((0, b"QFI\xfb"),), (".qcow2", ".qcow")),
    Entry("qcow1", "diskimage.formats.qcow1", ((0, b"QFI\xfb\0\0\0\1"),), (".qcow",)),
    Entry("qed", "diskimage.formats.qed", ((0, b"QED\0"),), (".qed",)),
    Entry("bochs", "diskimage.formats.bochs", ((0, b"Bochs Virtual HD Image"),), (".bochs",)),
    Entry("cloop", "diskimage.formats.cloop", ((0, b"#!/bin/sh\n#V"),), (".cloop",)),
    Entry("asif", "diskimage.formats.asif", ((0, b"shdw"),), (".asif",)),
    Entry("simg", "diskimage.formats.simg", ((0, b"\x3a\xff\x26\xed"),), (".simg",)),
    Entry("toc", "diskimage.formats.toc", (
        (0, b"CD_DA"), (0, b"CD_ROM"), (0, b"CD_I"), (0, b"CATALOG"), (0, b"TRACK"), (0, b"//"),
        ), (".toc",), (".cue",)),
    Entry("vdi", "diskimage.formats.vdi", ((0x40, b"\x7f\x10\xda\xbe"),), (".vdi",)),
    Entry("vhd", "diskimage.formats.vhd",
          ((0, b"conectix"), (-512, b"conectix"), (-511, b"conectix")), (".vhd", ".vpc"),
          keeps=("iso",)),
    Entry("vhdx", "diskimage.formats.vhdx", ((0, b"vhdxfile"),), (".vhdx", ".avhdx")),
    Entry("vmdk", "diskimage.formats.vmdk", (
        (0, b"KDMV"), (0, b"COWD"), (0, b"\xbe\xba\xfe\xca\0\0\0\0"),
        (0, b"# Disk DescriptorFile"), (0, b"\xef\xbb\xbf# Disk DescriptorFile"),
        ), (".vmdk",)),
    Entry("raw", "diskimage.formats.raw", suffixes=(
        ".img", ".raw", ".dd", ".ima", ".vfd", ".flp", ".dsk", ".000", ".001", ".aa")),
)  # fmt: skip


class Candidate(NamedTuple):
    """A format that claims the file, how sure it is, and why; without `entry`, one we only know."""

    name: str
    score: int
    reason: str
    entry: Entry | None = None
    known: Known | None = None


def look(source: Source, *, tail: bool = True) -> Look:
    """What a probe may see of `source`: two reads, whatever its size; its last bytes only where
    `tail`."""
    head = bytearray(min(HEAD, source.size))
    source.read_into(0, memoryview(head))
    last = bytearray(min(TAIL, source.size) if tail else 0)
    source.read_into(source.size - len(last), memoryview(last))
    name = source.name.replace("\\", "/").rpartition("/")[2]
    return Look(bytes(head), bytes(last), source.size, name)


def named(name: str) -> Format:
    """The format called `name`. Raises UsageError with the list of names."""
    for entry in _all():
        if entry.name == name:
            return load(entry)
    raise UsageError(
        f"no format named {name!r}", remedy=f"one of: {', '.join(e.name for e in ENTRIES)}"
    )


def load(entry: Entry) -> Format:
    """The format of an entry: here its module is imported."""
    if entry.loaded is not None:
        return entry.loaded
    found = import_module(entry.module).FORMAT
    assert isinstance(found, Format)
    return _handed(found) if found.wraps else found


def _handed(outer: Format) -> Format:
    """`outer`, its writer given the format of what it wraps: formats do not know each other."""
    inner = named(outer.wraps)
    assert outer.create is not None
    assert outer.losses is not None
    assert outer.full is not None
    return outer._replace(create=partial(outer.create, inner=inner),
                          losses=partial(outer.losses, inner=inner),
                          full=partial(outer.full, inner=inner))  # fmt: skip


def of_suffix(name: str) -> Format | None:
    """The format that a target called `name` is to have; None where its suffix says nothing."""
    suffix = Look(b"", b"", 0, name.replace("\\", "/").rpartition("/")[2]).suffix
    for entry in _all():
        if suffix and suffix in entry.suffixes:
            return load(entry)
    return None


def formats() -> list[Format]:
    """Every format, ours first."""
    return [load(entry) for entry in _all()]


def candidates(seen: Look) -> list[Candidate]:
    """Who claims the file, the surest first."""
    found = [c for entry in ENTRIES if (c := _asked(entry, seen)) is not None]
    found += [Candidate(known.name, 90, why, known=known) for known, why in containers(seen)]
    found = [one for one in found if not _kept(one, found, seen)]
    if not any(c.score >= CERTAIN for c in found):
        found += [Candidate(known.name, 40, why, known=known) for known, why in guests(seen)]
        found += _plugins_asked(seen)
    return sorted(found, key=lambda c: -c.score)


def _kept(inner: Candidate, found: list[Candidate], seen: Look) -> bool:
    """Whether a surer candidate tells by its trailer that `inner` is its content.

    The suffix has to be that of the trailer's format: content may end in anything.
    """
    return any(
        one.entry is not None
        and inner.name in one.entry.keeps
        and seen.suffix in one.entry.suffixes
        and one.score > inner.score
        for one in found
    )


def _asked(entry: Entry, seen: Look) -> Candidate | None:
    suffix = seen.suffix in entry.suffixes or seen.suffix in entry.weak
    if not suffix and not any(holds(seen, s) for s in entry.signatures):
        return None
    return _bid(entry, seen)


def _bid(entry: Entry, seen: Look) -> Candidate | None:
    bid: Bid | None = load(entry).probe(seen)
    return None if bid is None else Candidate(entry.name, bid.score, bid.reason, entry)


def _plugins_asked(seen: Look) -> Iterator[Candidate]:
    """What formats of others bid, whatever the suffix: only they know their signatures."""
    for entry in _plugins():
        try:
            found = _bid(entry, seen)
        except Exception as error:  # noqa: BLE001 - the code of others, which may raise anything
            _left_out(entry.name, error)
            continue
        if found is not None:
            yield found


def detect(seen: Look, file: str) -> Candidate:
    """The one format that `seen` is. UnknownFormatError, AmbiguousError, UnsupportedError."""
    found = candidates(seen)
    sure = [c for c in found if c.score >= CERTAIN]
    if len({c.name for c in sure}) > 1 or _guest_owns_the_end(sure, seen):
        names = [c.name for c in sure] + (["raw"] if len(sure) == 1 else [])
        raise AmbiguousError(
            f"is claimed by {' and '.join(names)} ({'; '.join(c.reason for c in sure)})",
            file=file,
            remedy="say which with --format NAME",
        )
    best = found[0] if found else None
    if best is None:
        raise _unknown(seen, file)
    if best.entry is not None:
        return best
    assert best.known is not None
    if best.known.opens_as_raw:
        return Candidate("raw", best.score, best.reason, entry_of("raw"))
    raise UnsupportedError(
        f"is {best.reason}, which this version does not open",
        file=file,
        remedy="convert or unpack it first, or say --format raw for its bytes as they are",
    )


def _guest_owns_the_end(sure: list[Candidate], seen: Look) -> bool:
    """A trailer alone on a disk with a boot signature: the guest may have written that sector."""
    told = (sure[0].known or sure[0].entry) if len(sure) == 1 else None
    if told is None or seen.head[510:512] != b"\x55\xaa" or seen.suffix in told.suffixes:
        return False
    held = [at for at, magic in told.signatures if holds(seen, (at, magic))]
    return bool(held) and max(held) < 0


def entry_of(name: str) -> Entry:
    """The entry of one of our own formats."""
    return next(entry for entry in ENTRIES if entry.name == name)


def _unknown(seen: Look, file: str) -> UnknownFormatError:
    what = "is empty" if seen.size == 0 else "no format recognises its content"
    return UnknownFormatError(
        what, file=file, remedy="if it is a plain disk, say so with --format raw"
    )


def suffix_disagrees(chosen: str, seen: Look) -> str | None:
    """A sentence where the suffix belongs to another format than the content's."""
    owners = [e.name for e in ENTRIES if seen.suffix in e.suffixes and e.name != "raw"]
    owners += [k.name for k in CONTAINERS if seen.suffix in k.suffixes]
    if not owners or chosen in owners:
        return None
    return f"the suffix {seen.suffix} says {owners[0]}, the content is {chosen}"


def chosen(source: Source, format: str | None) -> tuple[Format, str | None]:
    """The format of `source`, and what to warn of: a suffix that says otherwise."""
    if format is not None:
        return named(format), None
    if isinstance(source, DeviceFileSource):
        return named("raw"), None
    seen = look(source)
    found = detect(seen, source.name)
    assert found.entry is not None
    return load(found.entry), suffix_disagrees(found.name, seen)


def demand_options(given: Iterable[str], known: tuple[Option, ...], whose: str) -> None:
    """UsageError for a name of `given` that is none of the options `known`, those of `whose`."""
    unknown = sorted(set(given) - {option.name for option in known})
    if unknown == ["new_password"]:
        remedy = "leave out --new-password-file, or choose isz or mdx"
        raise UsageError(f"{whose} is not written encrypted", remedy=remedy)
    if unknown:
        names = ", ".join(option.name for option in known) or "none"
        raise UsageError(f"{whose} has no option {unknown[0]}", remedy=f"its options: {names}")


def _all() -> Iterator[Entry]:
    yield from ENTRIES
    yield from _plugins()


def _plugins() -> Iterator[Entry]:
    """Formats of others, from the entry-point group `diskimage.formats`; read only when asked."""
    if not _any_plugin():
        return
    from importlib.metadata import entry_points  # 60 ms: only where a plugin is installed

    for point in entry_points(group=GROUP):
        try:
            found = point.load()
        except Exception as error:  # noqa: BLE001 - the code of others, which may raise anything
            _left_out(point.name, error)
            continue
        if isinstance(found, Format):
            yield Entry(found.name, point.value, suffixes=found.suffixes, loaded=found)
        else:
            _left_out(point.name, TypeError(f"{point.value} is no diskimage.model.Format"))


def _any_plugin() -> bool:
    """Whether any installed distribution names the group: a look at a few small files.

    True too where that cannot be told, in a zip of packages or a folder that may not be read.
    """
    patterns = ("*.dist-info/entry_points.txt", "*.egg-info/entry_points.txt")
    try:
        for folder in map(Path, sys.path):
            if folder.is_file():
                return True
            for pattern in patterns:
                if any(GROUP.encode() in found.read_bytes() for found in folder.glob(pattern)):
                    return True
    except OSError:
        return True
    return False


def _left_out(plugin: str, error: Exception) -> None:
    """One broken plugin takes neither files nor formats of others with it."""
    why = f"{type(error).__name__}: {error}"
    message = f"the plugin {plugin} of the group {GROUP} is left out: {why}"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
