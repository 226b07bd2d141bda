"""A gate that opens what a test gives it, and keeps what a reader says."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from diskimage.engine.read import source as device_source
from diskimage.errors import MissingError, RefusedReferenceError
from diskimage.gate import Known
from diskimage.limits import LIMITS, Limits
from diskimage.model import Device, Faults, Finding, Folder, Held, Source


@dataclass
class OpenGate:
    """`parents` and `sources` by name; `listing` answers None to all, as references="list" does."""

    parents: Mapping[str, Device] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    listing: bool = False
    limits: Limits = LIMITS
    secret: str | None = None
    locked: bool = False
    warnings: list[Finding] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def warn(self, kind: str, message: str, at: int | None = None) -> None:
        self.warnings.append(Finding(kind, message, at))

    def part(self, name: str, *, instead: tuple[str, ...] = ()) -> Source:
        raise MissingError(f"no part {name} nor {instead}")

    @property
    def alone(self) -> bool:
        return self.listing

    def inner(
        self, source: Source, *, format: str, beside: Mapping[str, Source] | None = None
    ) -> Device:
        raise MissingError(f"no {format} in {source.name} beside {beside}")

    def examined(
        self, source: Source, *, format: str, beside: Mapping[str, Source] | None = None
    ) -> Generator[Finding, None, Held | None]:
        raise MissingError(f"no {format} in {source.name} beside {beside}")

    def content(self, source: Source, name: str, *, tail: bool = True) -> str | None:  # noqa: ARG002 - a disk
        return None

    def siblings(self) -> tuple[str, ...]:
        return ()

    def reading(self, device: Device, name: str) -> Source:
        return device_source(device, name)

    def inside(self, name: str) -> Folder:
        raise MissingError(f"no folder {name}")

    def source(self, name: str, *, role: str, known: Known = None) -> Source | None:  # noqa: ARG002 - found by name here
        self.asked.append((name, role, None))
        if self.listing:
            return None
        if name not in self.sources:
            raise RefusedReferenceError(f"{role} {name}")
        return self.sources[name]

    def parent(
        self,
        name: str,
        *,
        role: str,
        format: str | None,
        known: Known = None,  # noqa: ARG002 - found by name here
    ) -> Device | None:
        self.asked.append((name, role, format))
        if self.listing:
            return None
        if name not in self.parents or format is None:
            raise RefusedReferenceError(f"{role} {name} of format {format}")
        return self.parents[name]

    def password(self) -> str | None:
        return self.secret
