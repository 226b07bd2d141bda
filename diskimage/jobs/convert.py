"""One image into another format: losses by name, every frame checked, whole or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from diskimage import registry
from diskimage.disc import volume, wave
from diskimage.disc.framing import taken
from diskimage.disc.losses import CONTENT, MADE
from diskimage.disc.modes import RAW
from diskimage.engine.copy import Work
from diskimage.engine.estimate import estimate
from diskimage.engine.policy import FramePolicy
from diskimage.engine.progress import Report
from diskimage.engine.read import Reader, source as device_source
from diskimage.engine.run import run
from diskimage.errors import LossError, UnsupportedError, UsageError
from diskimage.gate import Policy, Secret
from diskimage.image import Image
from diskimage.jobs.frames import content, keeping
from diskimage.jobs.opening import Opening, held, told, work
from diskimage.jobs.publishing import PIPE, backed, named_by, refuse, settled, sink_for
from diskimage.jobs.salvaging import salvaged_content, source_of
from diskimage.limits import LIMITS, Limits
from diskimage.model import (
    Copy,
    Device,
    Disc,
    Finding,
    Format,
    Loss,
    Plan,
    Put,
    Sink,
    Size,
)
from diskimage.ranges import Ranges
from diskimage.sources.anything import What


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion did, or with `dry_run` would do.

    `size` is of the guest, `written` of what really was written (or what the files would take, at
    most); `files` are the paths, the main one last; `dropped` what the target does not hold; `bad`
    the guest bytes that could not be read, where the rest was salvaged, `faults` what was wrong in
    opening it: where these name an end that is cut off, more than `bad` is lost.
    """

    source: str
    source_format: str
    target: str
    target_format: str
    size: int
    written: int
    files: tuple[str, ...]
    dropped: tuple[Loss, ...]
    warnings: tuple[Finding, ...]
    seconds: float
    dry_run: bool = False
    bad: Ranges = field(default_factory=Ranges)
    faults: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "source": self.source, "source_format": self.source_format, "target": self.target,
            "target_format": self.target_format, "size": self.size, "written": self.written,
            "files": list(self.files),
            "dropped": [{"name": loss.name, "message": loss.message} for loss in self.dropped],
            "seconds": round(self.seconds, 3), "dry_run": self.dry_run,
            "bad": [[r.start, r.length] for r in self.bad], "faults": told(self.faults),
            "warnings": told(self.warnings),
        }  # fmt: skip


def convert(
    source: What | Image,
    target: str | os.PathLike[str],
    *,
    to: str | None = None,
    format: str | None = None,
    lossy: Collection[str] = (),
    extract: Mapping[str, str] | None = None,
    check: bool = True,
    repair: bool = False,
    exact: bool = False,
    salvage: bool = False,
    overwrite: bool = False,
    durable: bool = True,
    sparse: bool = False,
    dry_run: bool = False,
    threads: int | None = None,
    references: Policy = "parts",
    limits: Limits = LIMITS,
    password: Secret = None,
    open_options: Mapping[str, object] | None = None,
    progress: Report | None = None,
    cancel: Event | None = None,
    options: Mapping[str, object] | None = None,
    **more: object,
) -> Converted:
    """Write `source` to `target` in the format `to`, or that of the target's suffix.

    `lossy` names what may be left out, `extract={"audio": "wav"}` writes audio tracks beside the
    target. `check` holds frames against their EDC, `repair` mends wrong ones by ECC. `exact` keeps
    the frames that an ISO cannot make again beside it, and puts them back. `salvage` reads all of
    it first: what cannot be read is listed as `bad`, and zeros. `options` and further keywords are
    the target format's, `open_options` the source's. A target "-" is the standard output.
    Raises LossError, ExistsError, BusyError, ChangedError, and what opening raises.
    """
    began, path, options = time.monotonic(), os.fspath(target), {**(options or {}), **more}
    rules, stem = target_rules(path, to, options), stem_of(path)
    parents, missing, options = backed(rules, path, options)
    policy = FramePolicy(check, repair, "form2" in lossy, compare=not exact)
    how = _opening(format, references, limits, password, open_options)
    with held(source, salvage=salvage, **how) as image:
        what = content(image, rules, policy, exact=exact)
        kept = _extracted(image, extract or {}, path)
        dropped = _dropped(weighed(image, what, rules, {*lossy, *kept}, options), kept)
        odd = [*missing, *_without_volume(image, rules)]
        guard = refuse(image.sources, [*parents, *named_by(image)])
        sink = sink_for(path, overwrite=overwrite, durable=durable, guard=guard)
        made = work(progress, cancel, threads, policy)
        made.sparse, made.in_order = sparse, path == PIPE
        what, tried = salvaged_content(what, rules, made, salvage)
        plan = _with_audio(plan_of(image, what, rules, stem, options), image, kept, stem)
        plan = keeping(plan, image, stem, made, odd) if exact and not dry_run else plan
        files, written = _written(path, image, plan, sink, made, dry_run=dry_run)
        odd += [*tried.reasons, *_lost(dropped), *policy.told(limits.problems)]
        return Converted(
            image.name, image.format, path, rules.name, image.size, written, files,
            tuple(loss for loss in dropped if loss != MADE), (*image.warnings, *odd),
            time.monotonic() - began, dry_run, tried.bad, image.faults,
        )  # fmt: skip


def _written(
    path: str, image: Image, plan: Plan, sink: Sink, made: Work, *, dry_run: bool
) -> tuple[tuple[str, ...], int]:
    """Run the plan, or only look at it: the paths that it makes, and the bytes written."""
    if dry_run:
        outputs = estimate(plan)
        return tuple(_paths(path, outputs)), sum(outputs.values())
    made.watch.begin("convert", image.size)
    run(settled(plan, image), sink, made)
    return tuple(getattr(sink, "names", [path])), made.watch.progress.written


def _paths(path: str, outputs: Collection[str]) -> list[str]:
    """Where the outputs of a plan would be, the main one last."""
    return [str(Path(path).parent / name) for name in sorted(outputs) if name] + [path]


def target_rules(path: str, to: str | None, options: Mapping[str, object]) -> Format:
    """The format to write. Raises UsageError where nothing tells it or an option is not its own,
    UnsupportedError for one that a pipe cannot take."""
    rules = registry.named(to) if to is not None else registry.of_suffix(path)
    if rules is None:
        if Path(path).is_dir():
            raise UsageError("is a directory", file=path, remedy="name a file in it")
        raise UsageError("its suffix names no format", file=path, remedy="say it with --to FORMAT")
    demand_options(rules, options)
    in_order = rules.in_order(**options) if callable(rules.in_order) else rules.in_order
    if path == PIPE and not in_order:
        raise UnsupportedError(
            f"{rules.name} is not written from its first byte to its last, which a pipe needs",
            remedy="name a file; raw, iso, gzip, xz, zstd and a streamOptimized vmdk go to a pipe",
        )
    return rules


def demand_options(rules: Format, options: Mapping[str, object]) -> None:
    """UsageError for an option that is not the format's, UnsupportedError where none is written."""
    if rules.create is None:
        text = f"the format {rules.name} is not created"
        raise UnsupportedError(text, remedy="choose one that is: diskimage formats")
    registry.demand_options(options, rules.options, rules.name)


def plan_of(
    image: Image, what: Device | Disc, rules: Format, stem: str, options: Mapping[str, object]
) -> Plan:
    """The plan that writes `what`, which `image` holds, as `rules` say."""
    assert rules.create is not None
    what, left, _ = taken(rules, what, source_of(image, what), options)
    return rules.create(what, stem, **left)


def stem_of(path: str) -> str:
    """The name that files beside the target begin with."""
    return Path(path).stem


def weighed(
    image: Image, what: Device | Disc, rules: Format, given_up: Collection[str],
    options: Mapping[str, object],
) -> list[Loss]:  # fmt: skip
    """What the target cannot hold. LossError names all content that was not given up.

    UsageError for a name in `given_up` that no loss has.
    """
    what, left, losses = taken(rules, what, source_of(image, what), options)
    losses += [] if rules.losses is None else rules.losses(what, **left)
    known = {*CONTENT, *(loss.name for loss in losses)}
    unknown = sorted(set(given_up) - known)
    if unknown:
        raise UsageError(f"nothing is lost by the name {unknown[0]!r}",
                         remedy=f"one of: {', '.join(sorted(known))}")  # fmt: skip
    refused = [loss for loss in losses if loss.content and loss.name not in given_up]
    if refused:
        names = list(dict.fromkeys(loss.name for loss in refused))
        wav = " (or keep it with --extract audio=wav)" if "audio" in names else ""
        raise LossError(
            f"{rules.name} cannot hold: " + "; ".join(f"{r.message} [{r.name}]" for r in refused),
            file=image.name,
            remedy=f"give it up with --lossy {','.join(names)}{wav}",
        )
    return losses


def _opening(
    format: str | None, references: Policy, limits: Limits, password: Secret,
    open_options: Mapping[str, object] | None,
) -> Opening:  # fmt: skip
    """How the source is opened: its frames are the conversion's to judge."""
    return {
        "format": format, "references": references, "limits": limits, "password": password,
        "open_options": open_options or {},
    }  # fmt: skip


def _dropped(losses: list[Loss], kept: Collection[str]) -> list[Loss]:
    """What the target will not hold, less what is written beside it."""
    return [loss for loss in losses if loss.name not in kept]


def _lost(dropped: list[Loss]) -> Iterator[Finding]:
    for loss in dropped:
        if loss == MADE:
            yield Finding("made", f"in the target: {loss.message}")
        else:
            yield Finding("loss", f"not in the target: {loss.message} [{loss.name}]")


def _without_volume(image: Image, rules: Format) -> Iterator[Finding]:
    """An ISO is named for the volume in it, and yet any bytes can be written as one."""
    if rules.name != "iso" or any(finding.kind == "volume" for finding in image.warnings):
        return
    lenient = Reader(FramePolicy(check=False, cut_form2=True))  # the pass judges frames
    if not volume.present(device_source(image.device, image.name, lenient)):
        yield Finding("volume", "no primary volume descriptor")


def _extracted(image: Image, extract: Mapping[str, str], path: str) -> set[str]:
    """The names of losses that are taken care of."""
    if extract and path == PIPE:
        raise UsageError("a pipe has no place beside it to extract to")
    for what, how in extract.items():
        if (what, how) != ("audio", "wav"):
            raise UsageError(f"{what}={how} cannot be extracted", remedy="say audio=wav")
    if extract and image.disc is None:
        text = f"a {image.format} image has no audio"
        raise UsageError(text, file=image.name, remedy="leave out --extract")
    return set(extract)


def _with_audio(plan: Plan, image: Image, kept: Collection[str], stem: str) -> Plan:
    """`plan`, then a WAVE file a track of audio where that is kept."""
    yield from plan
    if "audio" not in kept:
        return
    assert isinstance(image.content, Disc)
    for track in image.content.tracks:
        if track.mode.audio:
            name = f"{stem} (Track {track.number:02}).wav"
            yield Put(0, wave.header(track.length), file=name)
            assert track.main is not None
            yield Copy(track.main.runs(), wave.HEADER, file=name)
            yield Size(wave.HEADER + track.length * RAW, file=name)
