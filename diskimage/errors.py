"""Every exception the library raises, and the exit code the command line gives it.

    DiskImageError                    kind             exit
    ├── CallerError                   the caller's to mend
    │   ├── UsageError                usage             2
    │   ├── ExistsError               exists            6
    │   ├── BusyError                 busy              6
    │   ├── TooSmallError             too-small         6
    │   ├── RefusedReferenceError     refused-reference 7
    │   ├── LossError                 loss              7
    │   ├── PasswordError             password          7
    │   └── CancelledError            cancelled         130
    ├── UnrecognisedError             what the file is
    │   ├── UnknownFormatError        unknown-format    3
    │   ├── AmbiguousError            ambiguous         3
    │   └── UnsupportedError          unsupported       3
    ├── ContentError                  what the file holds
    │   ├── CorruptError              corrupt           4
    │   ├── TruncatedError            truncated         4
    │   ├── ChecksumError             checksum          4
    │   ├── LimitError                limit             4
    │   ├── LoopError                 loop              4
    │   ├── MissingError              missing           4
    │   ├── ProtocolError             protocol          4
    │   └── UnsafeNameError           unsafe-name       7
    └── MediumError                   what carries it
        ├── IoError                   io                5
        ├── TimedOutError             timeout           5
        ├── ChangedError              changed           5
        └── NoSpaceError              no-space          6

`kind` and `exit_code` are stable; the texts are not.
"""

from __future__ import annotations

import errno as _errno

from diskimage.words import escape


class DiskImageError(Exception):
    """What went wrong, in which file, where, and what to do about it.

    `file` is a name as given (escaped for printing), `at` a byte offset in it, `remedy` a sentence
    (`usual` where the raiser knows no better one), `errno` the operating system's number where it
    was the one to say no.
    """

    kind = "error"
    exit_code = 4
    usual: str | None = None

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        at: int | None = None,
        remedy: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else escape(file)
        self.at = at
        self.remedy = self.usual if remedy is None else remedy
        self.errno = errno

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}: "
        return f"{where}{escape(self.message)}"


class CallerError(DiskImageError):
    """The request itself must change."""


class UsageError(CallerError):
    """An argument, option or combination that has no meaning."""

    kind, exit_code = "usage", 2


class ExistsError(CallerError):
    """The target is already there and overwriting was not asked for."""

    kind, exit_code = "exists", 6


class BusyError(CallerError):
    """The target is mounted, held, or the source itself."""

    kind, exit_code = "busy", 6


class TooSmallError(CallerError):
    """The target cannot hold the content; the smallest size that can is named."""

    kind, exit_code = "too-small", 6


class RefusedReferenceError(CallerError):
    """The image names a second file that the caller did not allow."""

    kind, exit_code = "refused-reference", 7


class LossError(CallerError):
    """The target cannot hold part of the content, and the caller did not give it up by name."""

    kind, exit_code = "loss", 7


class PasswordError(CallerError):
    """A password is missing or wrong."""

    kind, exit_code = "password", 7


class CancelledError(CallerError):
    """The caller stopped the job; nothing was published."""

    kind, exit_code = "cancelled", 130


class UnrecognisedError(DiskImageError):
    """The library cannot say, or cannot handle, what the file is."""

    exit_code = 3


class UnknownFormatError(UnrecognisedError):
    """No format recognises the content."""

    kind = "unknown-format"


class AmbiguousError(UnrecognisedError):
    """Several formats claim the content; the caller must name one."""

    kind = "ambiguous"


class UnsupportedError(UnrecognisedError):
    """Recognised, and a version, feature, codec or file type in it is not handled."""

    kind = "unsupported"


class ContentError(DiskImageError):
    """The file contradicts itself, its specification, or our limits.

    `lost` guest bytes, from the first that was not to be had on, are known to be lost together.
    """

    lost = 0


class CorruptError(ContentError):
    """The structure contradicts its specification or itself."""

    kind = "corrupt"
    usual = "the file is damaged: copy or download it again"


class TruncatedError(ContentError):
    """The structure is sound, but bytes it needs are past the end."""

    kind = "truncated"
    usual = "the file is cut short: copy or download it again"


class ChecksumError(ContentError):
    """A stored checksum does not match the bytes it covers."""

    kind = "checksum"
    usual = "the file is damaged: copy or download it again"


class LimitError(ContentError):
    """The format allows the value; a limit of ours, named in the message, does not."""

    kind = "limit"
    usual = "raise the limit if you trust the file"


class LoopError(ContentError):
    """A chain, directory or link comes back to itself."""

    kind = "loop"


class MissingError(ContentError):
    """A file that was asked for, or that an image may name, is not there."""

    kind = "missing"


class ProtocolError(ContentError):
    """A network peer broke its protocol."""

    kind = "protocol"


class UnsafeNameError(ContentError):
    """A name would leave the target directory, or cannot be made safely."""

    kind, exit_code = "unsafe-name", 7


class MediumError(DiskImageError):
    """The operating system, a device or a peer failed."""

    exit_code = 5


class IoError(MediumError):
    """The operating system refused an operation; `errno` is kept."""

    kind = "io"


class TimedOutError(MediumError):
    """A peer did not answer in time."""

    kind = "timeout"


class ChangedError(MediumError):
    """The source changed while it was read."""

    kind = "changed"


class NoSpaceError(MediumError):
    """The target's medium is full, or a file size limit was reached."""

    kind, exit_code = "no-space", 6


_REMEDIES = {
    _errno.EACCES: "ask for the permission, or choose another place",
    _errno.EPERM: "ask for the permission, or choose another place",
    _errno.EROFS: "choose a place that can be written to",
    _errno.EBADF: "it is closed: open it, or name a file",
    _errno.ENAMETOOLONG: "choose a shorter name",
}


def from_os(error: OSError, file: str | None, *, at: int | None = None) -> DiskImageError:
    """The library's error for an `OSError`, its number kept."""
    code = error.errno
    text = error.strerror or str(error)
    if code in (_errno.ENOSPC, _errno.EFBIG, _errno.EDQUOT):
        remedy = "free space on the target, or choose another place"
        return NoSpaceError(text, file=file, at=at, errno=code, remedy=remedy)
    if code in (_errno.ENOENT, _errno.ENOTDIR):
        if file == "":
            return MissingError("a name is empty", errno=code, remedy="name a file")
        return MissingError("no such file", file=file, errno=code, remedy="check the name")
    if code == _errno.EEXIST:
        return ExistsError("already exists", file=file, errno=code, remedy="use --overwrite")
    if code == _errno.EBUSY:
        return BusyError("in use", file=file, errno=code, remedy="unmount or release it first")
    if code == _errno.EISDIR:
        text, remedy = "is a directory, not an image", "name a file in it"
        return UnsupportedError(text, file=file, errno=code, remedy=remedy)
    remedy = _REMEDIES.get(code or 0, "check the medium and the permissions")
    return IoError(text, file=file, at=at, errno=code, remedy=remedy)
