"""A sink that keeps nothing: for measuring, and for passes that only look."""

from __future__ import annotations


class NullSink:
    """Takes every step and stores none of it; it is its own only target."""

    name = "<null>"
    fd: int | None = None
    fresh = True

    def target(self, file: str = "") -> NullSink:  # noqa: ARG002  # every output is nothing
        """Itself, whatever the output."""
        return self

    def write(self, to: int, data: memoryview) -> None:
        """Forget `data`."""

    def zero(self, to: int, length: int) -> None:
        """Nothing to clear."""

    def resize(self, size: int) -> None:
        """Nothing to resize."""

    def sync(self) -> None:
        """Nothing to sync."""

    def commit(self) -> None:
        """Nothing to publish."""

    def abort(self) -> None:
        """Nothing to remove."""
