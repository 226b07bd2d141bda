"""Zstandard (RFC 8878), by the `zstandard` wheel."""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING

from diskimage.errors import CorruptError

if TYPE_CHECKING:
    import zstandard


class Zstd:
    """A codec of zstd chunks. `name` is "zstd". Contexts are kept a thread: they are not shared."""

    name = "zstd"

    def __init__(self, level: int = 3, window_log: int = 25) -> None:
        self._level, self._window = level, 1 << window_log
        self._contexts = local()

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray:
        """Exactly `want` bytes of one frame or of several, whatever follows. CorruptError."""
        import zstandard  # 12 MB of library: loaded once a chunk is met

        plain: bytes | bytearray
        try:
            if zstandard.frame_content_size(coded) == want:
                plain = self._decompressor().decompress(coded, max_output_size=want)
            else:
                plain = self._streamed(coded, want)
        except zstandard.ZstdError as error:
            raise CorruptError(f"does not decode: {error}") from None
        if len(plain) != want:
            raise CorruptError(f"gives {len(plain)} of {want} bytes")
        return plain

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk as one frame; None where it would not be smaller."""
        made = self._compressor().compress(plain)
        return made if len(made) < len(plain) else None

    def _streamed(self, coded: memoryview, want: int) -> bytearray:
        """Frames that do not say how much they hold: into a buffer of `want` bytes, no more."""
        buffer = bytearray(want)
        reader = self._decompressor().stream_reader(coded, read_across_frames=True)
        done = 0
        with memoryview(buffer) as view:
            while done < want:
                got = reader.readinto(view[done:])
                if not got:
                    break
                done += got
        del buffer[done:]
        return buffer

    def _decompressor(self) -> zstandard.ZstdDecompressor:
        kept = getattr(self._contexts, "decompressor", None)
        if kept is None:
            import zstandard

            kept = zstandard.ZstdDecompressor(max_window_size=self._window)
            self._contexts.decompressor = kept
        return kept

    def _compressor(self) -> zstandard.ZstdCompressor:
        kept = getattr(self._contexts, "compressor", None)
        if kept is None:
            import zstandard

            kept = zstandard.ZstdCompressor(level=self._level)
            self._contexts.compressor = kept
        return kept
