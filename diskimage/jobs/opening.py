"""How every verb opens what it is given, and how results become JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, TypedDict, Unpack

from diskimage.engine.copy import Work
from diskimage.engine.policy import FramePolicy
from diskimage.engine.progress import Report, Watch
from diskimage.engine.read import Reader
from diskimage.errors import UsageError
from diskimage.limits import Limits
from diskimage.model import Finding

if TYPE_CHECKING:
    from diskimage.gate import Policy, Secret
    from diskimage.image import Image
    from diskimage.sources.anything import What


class Opening(TypedDict, total=False):
    """The keywords of `open` that every verb passes on."""

    format: str | None
    references: Policy
    limits: Limits
    password: Secret
    check: bool
    repair: bool
    open_options: Mapping[str, object]


@contextmanager
def opened(what: What | Image, *, salvage: bool = False, **how: Unpack[Opening]) -> Iterator[Image]:
    """As `held`, and ChangedError at the end where a file of the image changed meanwhile."""
    with held(what, salvage=salvage, **how) as image:
        yield image
        image.unchanged()


@contextmanager
def held(what: What | Image, *, salvage: bool = False, **how: Unpack[Opening]) -> Iterator[Image]:
    """`what` as an open image, closed at the end; an Image stays its caller's."""
    from diskimage.image import Image, open  # a copy of bytes opens no image

    if isinstance(what, Image):
        if how.get("format") not in (None, what.format):
            raise UsageError(f"{what.name} is open as {what.format}, not as {how['format']}")
        _same_policy(what, **how)
        if how.get("open_options"):
            raise UsageError("is open already, with its own options", file=what.name)
        yield what
        return
    with open(what, salvage=salvage, **how) as image:
        yield image


def unasked(how: Opening) -> None:
    """Have nobody asked for a password by what can be described without one."""
    from diskimage.gate import Unhurried  # a copy of bytes has no gate

    given = how.get("password")
    if given is None or callable(given):
        how["password"] = Unhurried(given)


def _same_policy(image: Image, **how: Unpack[Opening]) -> None:
    now = image.policy
    if (how.get("check", now.check), how.get("repair", now.repair)) != (now.check, now.repair):
        raise UsageError(
            f"is open with check={now.check} and repair={now.repair}, which its reads keep to",
            file=image.name,
        )


def work(
    progress: Report | None = None,
    cancel: Event | None = None,
    threads: int | None = None,
    policy: FramePolicy | None = None,
) -> Work:
    """How bytes are to be moved; `threads` None means as many as the process may use."""
    made = Work(Reader(policy or FramePolicy()), Watch(progress, cancel))
    if threads is not None:
        if threads < 1:
            raise UsageError(f"{threads} threads", remedy="at least one")
        made.threads = threads
    return made


def plain(value: object) -> object:
    """`value` in the types of JSON: bytes as hexadecimal digits, what is unknown as its text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def told(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Findings for JSON: `kind`, `message`, and `at` where it is known."""
    return [
        {"kind": f.kind, "message": f.message} | ({} if f.at is None else {"at": f.at})
        for f in findings
    ]
