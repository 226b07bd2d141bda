"""Whether the C extension is there. Only this module imports it."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


def _load() -> tuple[Any, Any, str]:
    if os.environ.get("DISKIMAGE_REFERENCE") == "1":
        return None, None, "DISKIMAGE_REFERENCE=1 asks for the reference"
    try:
        from diskimage._kernels import ffi as native_ffi, lib as native_lib
    except ImportError as error:
        why = f"the C extension cannot be imported: {error}"
        warnings.warn(f"{why}; the kernels run in Python, slowly", RuntimeWarning, stacklevel=3)
        return None, None, why
    return native_ffi, native_lib, "the C extension is in use"


ffi, lib, reason = _load()
NATIVE = lib is not None


STATES = {0: "cpu lacks it", 1: "available", 2: "selected", -1: "failed self-test"}


def paths() -> list[tuple[str, str]]:
    """Tell the implementations of CRC, parity and scan, best first, and what became of each.

    `kernels.digests.paths` tells those of the digests.
    """
    told: list[tuple[str, str]] = []
    while NATIVE and (name := lib.di_path_name(len(told))):
        told.append((ffi.string(name).decode(), STATES[lib.di_path_state(len(told))]))
    return told


def readable(buffer: ReadableBuffer) -> Any:
    """Give a C pointer to a buffer's bytes; its `len` is their number."""
    return ffi.from_buffer("uint8_t[]", buffer)


def writable(buffer: WriteableBuffer) -> Any:
    """Give a C pointer to the bytes of a buffer that may be written."""
    return ffi.from_buffer("uint8_t[]", buffer, require_writable=True)


def column(buffer: ReadableBuffer) -> Any:
    """Give a C pointer to 64-bit integers; its `len` is their number."""
    return ffi.from_buffer("int64_t[]", buffer)


def checked(result: int) -> int:
    """Give a result that is not negative; a negative one is an errno. Raises OSError."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def size_of(buffer: ReadableBuffer) -> int:
    """Give the number of bytes of a buffer."""
    return memoryview(buffer).nbytes


def need(holds: bool, message: str) -> None:
    """Refuse a call that would reach outside its buffers. Raises ValueError."""
    if not holds:
        raise ValueError(message)
