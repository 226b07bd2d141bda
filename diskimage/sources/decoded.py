"""Samples of compressed audio, decoded when they are read, by libsndfile (the extra `audio`)."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, BinaryIO, cast

from diskimage.errors import ChecksumError, CorruptError, LimitError, UnsupportedError
from diskimage.kernels.frames import swap16
from diskimage.limits import MIB
from diskimage.model import Source
from diskimage.sources import flac, mp3

_FRAME = 4  # bytes of one sample of both channels
_BATCH = 1 << 18  # samples of one step of a pass: 1 MiB
_LONGEST = 449850 * 588  # samples up to 99:59:74, the last time that a header can hold
_AHEAD = 16  # stretches of a pass that may come before their turn: two a thread are under way
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

    `kind` is FLAC or MP3. In a FLAC the decoder seeks, and a pass from beginning to end, its
    stretches in nearly any order, ends in ChecksumError where the samples have not the MD5 that the
    file tells. In an MP3 a frame depends on those before it, and what a decoder gives after seeking
    is not what it gives in passing: it passes once, into a temporary file without a name.

    Raises UnsupportedError without the extra, and for other rates, widths and channels than a disc
    has; LimitError for more than a disc holds; CorruptError and TruncatedError for a file that has
    not the length it tells, or where the decoder finds a fault.
    """

    fd: int | None = None
    decodes = True

    def __init__(self, inner: Source, kind: str) -> None:
        self.name, self._lock = inner.name, Lock()
        library = _library(inner, kind)
        self._wrong: type[Exception] = library.SoundFileError
        md5: bytes | None = None
        samples: int | None
        if kind == "FLAC":
            stream, samples, md5 = flac.told(inner)
        else:
            stream, samples = mp3.told(inner, _LONGEST)
        self._decoder = _opened(library, stream, kind, samples)
        count = int(self._decoder.frames)
        if count > _LONGEST:
            self._decoder.close()
            raise LimitError(f"{count} samples are more than a disc holds", file=inner.name)
        self.size = _FRAME * count
        self._sum = None if md5 is None else _Sum(md5, self.size)
        self._passed: BinaryIO | None = None
        self._seeks = kind != "MP3"
        self._at = 0  # the sample that the decoder is at

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. CorruptError, ChecksumError."""
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
            self._held(first * _FRAME, samples)
        if not whole:
            buffer[: stop - at] = samples[at - first * _FRAME :][: stop - at]
        return stop - at

    def prove(self, passed: Callable[[int], object]) -> None:
        """Decode all of it; `passed` is told of the bytes. Raises CorruptError, ChecksumError."""
        buffer = memoryview(bytearray(MIB))
        for at in range(0, self.size, MIB):
            passed(self.read_into(at, buffer))

    def _held(self, at: int, samples: memoryview) -> None:
        """Tell the sum what was read at byte `at`; hold it to the file's at the end of a pass."""
        if self._sum is None or self._sum.add(at, samples):
            return
        raise ChecksumError(
            f"the MD5 of its samples is {self._sum.value.hexdigest()}, the file says "
            f"{self._sum.md5.hex()}",
            file=self.name,
        )

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
        last = first + len(out) // _FRAME
        try:
            if self._at != first:
                self._decoder.seek(first)
            got = int(self._decoder.buffer_read_into(out, "int16"))
        except self._wrong:  # it has no words for what a user could do
            self._at = -1
            raise CorruptError(
                f"samples {first} to {last} cannot be decoded",
                file=self.name,
                remedy="it is cut short or damaged: copy it again",
            ) from None
        self._at = first + got
        if first + got != last:
            raise CorruptError(
                f"sample {first + got} of {self.size // _FRAME} cannot be decoded",
                file=self.name,
                remedy="it is cut short or damaged: copy it again",
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
        return f"Decoded({self.name!r}, {self.size} bytes)"


class _Sum:
    """The MD5 of `size` bytes, as far as they were read from the beginning on.

    Stretches that come before their turn wait, a few of them; reads here and there are no pass.
    """

    def __init__(self, md5: bytes, size: int) -> None:
        self.md5, self.value = md5, hashlib.md5()
        self._size, self._done = size, 0
        self._waiting: dict[int, bytes] = {}

    def add(self, at: int, part: memoryview) -> bool:
        """Whether what was read at `at` is no end of a pass, or that of one as it should be."""
        if at == 0:
            self.value, self._done = hashlib.md5(), 0
        if at > self._done and len(self._waiting) < _AHEAD:
            self._waiting[at] = bytes(part)
        if at != self._done:
            return True
        self._take(part)
        while self._done in self._waiting:
            self._take(self._waiting.pop(self._done))
        return self._done < self._size or self.value.digest() == self.md5

    def _take(self, part: memoryview | bytes) -> None:
        self.value.update(part)
        self._done += len(part)


def _library(inner: Source, kind: str) -> Any:
    """The decoder's. Raises UnsupportedError without it."""
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: the wheel is there, its library does not load
        raise UnsupportedError(
            f"is {kind}, which needs a decoder",
            file=inner.name,
            remedy="pip install 'py-diskimage[audio]', or decode it to WAVE",
        ) from None
    return soundfile


def _opened(library: Any, stream: Source, kind: str, samples: int | None) -> Any:
    """A decoder of `stream`, which has so many samples where they are known."""
    try:
        decoder = library.SoundFile(_File(stream))
    except library.SoundFileError as error:
        raise CorruptError(
            f"is no {kind} that can be decoded: {_why(error)}",
            file=stream.name,
            remedy="it is damaged",
        ) from None
    decoder.seekable = _never  # it seeks after each read where it may, and an MP3 is not the same
    have = (decoder.subtype, decoder.channels, decoder.samplerate)
    if have != (_WIDTHS[kind], 2, 44100):
        decoder.close()
        raise UnsupportedError(
            f"{kind} of {have[0]}, {have[1]} channels, {have[2]} Hz; a disc has 16-bit stereo at "
            "44100 Hz",
            file=stream.name,
            remedy="convert it, for example: ffmpeg -i IN -ar 44100 -ac 2 -sample_fmt s16 OUT.wav",
        )
    if samples not in (None, decoder.frames):
        decoder.close()
        raise CorruptError(
            f"has {samples} samples, of which its decoder finds {decoder.frames}", file=stream.name
        )
    return decoder


def _never() -> bool:
    return False


def _why(error: Exception) -> str:
    """What the decoder says, without the name that it has for the file."""
    return str(getattr(error, "error_string", error)).rstrip(".")
