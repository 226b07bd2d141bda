"""Sets of parts by the ends of their names: .001 .002, or .aa .ab, in order.

Facts: libsmraw's naming rules (width fixed by the first name until it is used up, gap-free).
"""

from __future__ import annotations

from diskimage.errors import LimitError, MissingError
from diskimage.model import Gate, Source


def parts(source: Source, gate: Gate) -> tuple[Source, ...]:
    """`source`, and behind it the other parts of the set that its name begins.

    Raises MissingError, LimitError, RefusedReferenceError.
    """
    name = source.name.replace("\\", "/").rpartition("/")[2]
    found = [source]
    if is_first(name.rpartition(".")[2]):
        found += [gate.part(p) for p in series(name, gate.siblings(), gate.limits.split_parts)]
    if len(found) > 2 and any(part.size != source.size for part in found[:-1]):
        gate.warn("size", "the parts of the set differ in size; a part may be cut short")
    return tuple(found)


def next_suffixes(suffix: str) -> tuple[str, ...]:
    """The suffixes that may follow in a set, the usual one first; none after .zz.

    .001 .002, .999 .1000 (FTK Imager); .aa .ab, and from .yz on .za or .zaaa: split of GNU keeps
    names that begin with z for sets that grow (coreutils: split invocation, --suffix-length).
    """
    if suffix.isdecimal():
        return (f"{int(suffix) + 1:0{len(suffix)}d}",)
    rest = suffix.rstrip("zZ")
    if not rest:
        return ()
    low = "A" if suffix.isupper() else "a"
    tail = len(suffix) - len(rest)
    usual = rest[:-1] + chr(ord(rest[-1]) + 1) + low * tail
    if tail and rest[-1] in "yY" and not rest[:-1].strip("zZ"):
        return usual, usual[: len(rest)] + low * (tail + 2)
    return (usual,)


def is_first(suffix: str) -> bool:
    """Whether a suffix begins a set: zeros and perhaps a 1, or nothing but a."""
    if suffix.isdecimal():
        return len(suffix) >= 2 and int(suffix) <= 1
    return len(suffix) >= 2 and set(suffix.lower()) == {"a"}


def series(name: str, siblings: tuple[str, ...], most: int) -> list[str]:
    """The names of the set that `name` begins, without it. MissingError names a gap."""
    stem, dot, suffix = name.rpartition(".")
    if not (stem and dot and is_first(suffix)):
        return []
    present = {s for s in siblings if s.startswith(stem + dot) and _of_set(s, stem, suffix)}
    names: list[str] = []
    expected = next_suffixes(suffix)
    while here := [one for one in expected if f"{stem}.{one}" in present]:
        names.append(f"{stem}.{here[0]}")
        if len(names) > most:
            raise LimitError(f"more than {most} parts in a set", file=name)
        expected = next_suffixes(here[0])
    later = sorted(present - set(names) - {name}, key=_rank)
    if expected and later and _rank(later[-1]) > _rank(f"{stem}.{expected[0]}"):
        raise MissingError(
            f"part {stem}.{expected[0]} is missing, {later[-1]} is there",
            file=name,
            remedy="put the part beside the others, or open with --format raw a joined copy",
        )
    return names


def _rank(name: str) -> tuple[int, str]:
    """The order of the parts of a set: wider suffixes come later."""
    return len(name), name


def _of_set(name: str, stem: str, suffix: str) -> bool:
    """Whether the end of a name is a suffix of the set that begins with `suffix`."""
    end = name[len(stem) + 1 :]
    wider = len(end) - len(suffix)
    if suffix.isdecimal():
        return end.isdecimal() and (wider == 0 or (wider > 0 and end[0] != "0"))
    grown = wider > 0 and wider % 2 == 0 and set(end[: wider // 2].lower()) == {"z"}
    return end.isalpha() and end.isascii() and (wider == 0 or grown)
