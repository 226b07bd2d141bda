"""Samples of compressed audio, decoded when they are read, by libsndfile (the extra `audio`)."""

from __future__ import annotations

import os
import sys
import tempfile
import weakref
from collections.abc import Iterator
from threading import Lock
from typing import Any, BinaryIO, cast

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.kernels.frames import swap16
from diskimage.model import Source

_FRAME = 4  # bytes of one sample of both channels
_BATCH = 1 << 18  # samples of one step of a pass: 1 MiB
_LONGEST = 449850 * 2352  # bytes of audio up to 99:59:74, the last time that a header can hold
_WIDTHS = {"FLAC": "PCM_16", "MP3": "MPEG_LAYER_III"}


class _File:
    """A source as the binary file that the decoder reads."""

    def __init__(self, source: Source) -> None:
        self._source, self._at = source, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        got = self._source.read_into(self._at, memoryview(buffer))
        self._at += got
        return got

    def read(self, count: int) -> bytes:
        buffer = bytearray(max(0, min(count, self._source.size - self._at)))
        return bytes(buffer[: self.readinto(buffer)])


class Decoded:
    """The samples of `inner`, little-endian: any range, from one decoder.

    `kind` is FLAC or MP3. In a FLAC the decoder seeks. In an MP3 a frame depends on those before
    it, and what a decoder gives after seeking is not what it gives in passing: it passes once, into
    a temporary file without a name. Raises UnsupportedError without the extra, and for other rates,
    widths and channels than a disc has; LimitError for more than a disc holds; CorruptError where
    the decoder finds a fault.
    """

    fd: int | None = None

    def __init__(self, inner: Source, kind: str) -> None:
        self.name, self._lock, self._inner = inner.name, Lock(), inner
        self._wrong, self._decoder = _opened(inner, kind)
        self.size = _FRAME * int(self._decoder.frames)
        self._passed: BinaryIO | None = None
        self._seeks = kind != "MP3"
        if self.size > _LONGEST:
            self.close()
            raise LimitError(
                f"{self.size} bytes of samples are more than a disc holds", file=inner.name
            )
        self._at = 0  # the sample that the decoder is at

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises CorruptError."""
        stop = min(at + len(buffer), self.size)
        if at >= stop:
            return 0
        first, last = at // _FRAME, -(-stop // _FRAME)
        whole = at % _FRAME == 0 and stop % _FRAME == 0
        samples = buffer[: stop - at] if whole else memoryview(bytearray(_FRAME * (last - first)))
        with self._lock:
            if self._seeks:
                self._decode(first, samples)
            else:
                passed = self._pass(last)
                passed.seek(first * _FRAME)
                samples[:] = passed.read(len(samples))
        if not whole:
            buffer[: stop - at] = samples[at - first * _FRAME :][: stop - at]
        return stop - at

    def _pass(self, last: int) -> BinaryIO:
        """What was passed, at least to the sample `last`."""
        if self._passed is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this source
            weakref.finalize(self, file.close)
            self._passed = cast("BinaryIO", file)
        passed = self._passed
        while self._at < last:
            first, count = self._at, min(_BATCH, self.size // _FRAME - self._at)
            samples = memoryview(bytearray(_FRAME * count))
            self._decode(first, samples)
            passed.seek(first * _FRAME)
            passed.write(samples)
        return passed

    def _decode(self, first: int, out: memoryview) -> None:
        try:
            if self._at != first:
                self._decoder.seek(first)
            got = int(self._decoder.buffer_read_into(out, "int16"))
        except self._wrong as error:
            self._at = -1
            raise CorruptError(
                f"cannot be decoded: {_why(error)}", file=self.name, remedy="it is damaged"
            ) from None
        self._at = first + got
        if _FRAME * got != len(out):
            raise CorruptError(
                f"sample {first + got} of {self._decoder.frames} is not there",
                file=self.name,
                remedy="the file is cut short or damaged",
            )
        if sys.byteorder == "big":
            swap16(out, out)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What is decoded is there."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Close the decoder; what it reads stays its owner's."""
        self._decoder.close()
        if self._passed is not None:
            self._passed.close()

    def __repr__(self) -> str:
        return f"Decoded({self._inner!r})"


def _opened(inner: Source, kind: str) -> tuple[type[Exception], Any]:
    """What the decoder raises, and one for `inner`."""
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the wheel is there, its library does not load
        raise UnsupportedError(
            f"is {kind}, which needs a decoder",
            file=inner.name,
            remedy="pip install 'py-diskimage[audio]', or decode it to WAVE",
        ) from None
    wrong: type[Exception] = soundfile.SoundFileError
    try:
        decoder = soundfile.SoundFile(_File(inner))
    except wrong as error:
        raise CorruptError(
            f"is no {kind} that can be decoded: {_why(error)}",
            file=inner.name,
            remedy="it is damaged",
        ) from None
    have = (decoder.subtype, decoder.channels, decoder.samplerate)
    if have != (_WIDTHS[kind], 2, 44100):
        decoder.close()
        raise UnsupportedError(
            f"{kind} of {have[0]}, {have[1]} channels, {have[2]} Hz; a disc has 16-bit stereo at "
            "44100 Hz",
            file=inner.name,
            remedy="convert it, for example: ffmpeg -i IN -ar 44100 -ac 2 -sample_fmt s16 OUT.wav",
        )
    return wrong, decoder


def _why(error: Exception) -> str:
    """What the decoder says, without the name that it has for the file."""
    return str(getattr(error, "error_string", error)).rstrip(".")
