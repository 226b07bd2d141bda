"""Frames of a disc as they are gathered: what is checked, what is mended, what is said.

The frame rules are those of ECMA-130 clause 14 and CD-ROM XA; the arithmetic is the kernels'.
"""

from __future__ import annotations

from diskimage.disc.modes import RAW, SYNC, coded, number
from diskimage.engine.policy import FramePolicy
from diskimage.errors import ChecksumError, CorruptError, LossError, TruncatedError
from diskimage.kernels import frames as kernel
from diskimage.model import Mode, Records, Source, Target


def gather(
    source: Source, at: int, skip: int, records: Records, out: memoryview, policy: FramePolicy
) -> None:
    """Fill `out` with taken bytes of the records from `at`, the first `skip` of them left out."""
    count = -(-(skip + len(out)) // records.take)
    if not skip and len(out) == count * records.take:
        _gather_whole(source, at, count, records, out, policy)
        return
    whole = bytearray(count * records.take)
    _gather_whole(source, at, count, records, memoryview(whole), policy)
    out[:] = memoryview(whole)[skip : skip + len(out)]


def _gather_whole(
    source: Source, at: int, count: int, records: Records, out: memoryview, policy: FramePolicy
) -> None:
    mode, pitch = records.mode, records.pitch
    lead = mode.user_at if mode is not None else 0
    stored = mode.size if mode is not None else records.take
    first = at - lead
    raw = bytearray((count - 1) * pitch + stored)
    got = source.read_into(first, memoryview(raw))
    if got < len(raw):
        lba = records.lba + (first + got - (records.origin - lead)) // pitch
        raise TruncatedError(
            f"frame LBA {lba} is cut short by the end of the file",
            file=source.name,
            at=first + got,
            remedy="copy or read the disc again",
        )
    if mode is None or mode.check == "none" or records.take != 2048:
        kernel.gather(raw, pitch, lead, records.take, out)
        return
    done = 0
    while done < count:
        lba = _lba(records, at + done * pitch)
        verdict = _cook(memoryview(raw)[done * pitch :], mode, records, lba, out[done * 2048 :],
                        policy)  # fmt: skip
        done += verdict.done
        if verdict.fault == kernel.Fault.NONE:
            break
        lba += verdict.done
        frame = memoryview(raw)[done * pitch : done * pitch + stored]
        _settle(frame, mode, verdict.fault, lba, first + done * pitch, source, policy)
        out[done * 2048 : (done + 1) * 2048] = frame[mode.user_at : mode.user_at + 2048]
        done += 1


def _lba(records: Records, at: int) -> int:
    """The number of the frame whose taken bytes are at `at`."""
    return records.lba + (at - records.origin) // records.pitch


def _cook(
    raw: memoryview, mode: Mode, records: Records, lba: int, out: memoryview, policy: FramePolicy
) -> kernel.Verdict:
    pitch, missing, kind, flags = records.pitch, mode.missing, number(mode), _flags(policy)
    verdict = kernel.cook(raw, pitch, missing, kind, out, flags)
    if policy.compare and verdict.done:
        marks = bytearray(verdict.done)
        kernel.odd(raw, pitch, missing, kind, lba, marks, flags)
        policy.mark(marks, lba)
    return verdict


def _flags(policy: FramePolicy) -> int:
    """Form is always looked at: whether a Form 2 frame may be cut is settled frame by frame."""
    return int(kernel.Check.ALL if policy.check else kernel.Check.FORM)


def transfer(
    source: Source, at: int, count: int, records: Records, target: Target, to: int,
    policy: FramePolicy, scratch: memoryview,
) -> None:  # fmt: skip
    """Cook `count` frames from `at` into `target` at `to`, descriptor to descriptor.

    `scratch` is what the kernel may use: it stays in the processor's cache.
    """
    mode, pitch = records.mode, records.pitch
    assert mode is not None
    assert source.fd is not None
    assert target.fd is not None
    done = 0
    while done < count:
        lba = _lba(records, at + done * pitch)
        marks = bytearray(count - done) if policy.compare else None
        verdict = kernel.cook_file(
            source.fd, at + done * pitch - mode.user_at, pitch, mode.missing,
            number(mode), count - done, target.fd, to + done * 2048,
            _flags(policy),
            scratch, lba, marks,
        )  # fmt: skip
        done += verdict.done
        if marks is not None:
            policy.mark(marks, lba)
        if verdict.fault == kernel.Fault.NONE:
            return
        one = memoryview(bytearray(2048))  # the frame at fault, settled the slow way
        gather(source, at + done * pitch, 0, records, one, policy)
        target.write(to + done * 2048, one)
        done += 1


def _settle(
    frame: memoryview, mode: Mode, fault: int, lba: int, at: int, source: Source,
    policy: FramePolicy,
) -> None:  # fmt: skip
    """Mend or excuse the frame at `lba`, or raise what is wrong with it."""
    if fault == kernel.Fault.FORM2 and policy.cut_form2:
        policy.say("form2", f"frame LBA {lba}: Form 2, cut to its first 2048 bytes", lba)
        return
    if fault == kernel.Fault.FORM2:
        raise LossError(
            f"frame LBA {lba} is Form 2: 2324 bytes of it, of which 2048 fit",
            file=source.name,
            at=at,
            remedy="convert to BIN/CUE, or cut such frames with --lossy form2",
        )
    if not policy.check or (fault == kernel.Fault.EDC and not coded(frame, mode)):
        return
    if policy.repair and _repair(frame, mode):
        policy.say("repaired", f"frame LBA {lba}: mended by its ECC", lba)
        return
    raise _bad(fault, lba, at, source, tried=policy.repair)


def _repair(frame: memoryview, mode: Mode) -> bool:
    kind = number(mode)
    full = bytearray(SYNC + bytes((0, 0, 0, kind)))[: mode.missing] + bytes(frame)
    if len(full) < RAW:
        return False  # the parity is not stored
    del full[RAW:]
    if kernel.repair(full, kind) is None:
        return False
    frame[: RAW - mode.missing] = memoryview(full)[mode.missing :]
    return True


def _bad(
    fault: int, lba: int, at: int, source: Source, *, tried: bool
) -> CorruptError | ChecksumError:
    if fault == kernel.Fault.EDC:
        remedy = "read the disc again" if tried else "try --repair, or read the disc again"
        return ChecksumError(
            f"frame LBA {lba}: EDC does not match its content"
            + (", and ECC cannot mend it" if tried else ""),
            file=source.name,
            at=at,
            remedy=remedy + "; --no-check takes it as it is",
        )
    what = {
        kernel.Fault.SYNC: "no sync pattern",
        kernel.Fault.MODE: "the header names another mode",
        kernel.Fault.SUBHEADER: "the two copies of its subheader differ",
    }.get(kernel.Fault(fault), "is damaged")
    return CorruptError(
        f"frame LBA {lba}: {what}",
        file=source.name,
        at=at,
        remedy="check the sheet's track mode, or read the disc again; --no-check takes it as it is",
    )
