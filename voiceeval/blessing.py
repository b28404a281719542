"""Which runs may become a stored baseline, and how one takes the place of another.

A blessing is explicit, and one at a time: it holds a lock beside the folder, writes the new baseline next to
it, and then swaps the two. Killed in between, it leaves the old one, the new one, or none, which makes later
runs invalid and is mended by the next blessing; never a mixture.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceeval.agents import UNSTATED
from voiceeval.call import Arm, Call, Ending
from voiceeval.errors import RunFolderError
from voiceeval.run_fingerprint import Fingerprint
from voiceeval.run_folder import RunFolder, clips
from voiceeval.stored_baseline import CONTENT, FINGERPRINT, write_stored

SHOWN = 3
"""How many calls a refusal names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blessed:
    """A stored baseline that was just written."""

    fingerprint: Fingerprint
    waived: tuple[str, ...]
    """Regressions that somebody answers for: from now on they are what is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was written, and this is why."""

    reasons: tuple[str, ...]


def bless(run: RunFolder, arm: Arm, path: Path, *, with_audio: bool) -> Blessed | Refused:
    """Keep an arm's calls as the stored baseline in a folder, in place of the one that is there.

    Args:
        run: A finished run.
        arm: Whose calls.
        path: The stored baseline's folder: absent, empty, or a stored baseline.
        with_audio: Keep the clips too, one or two hundred kilobytes per call.

    Raises:
        RunFolderError: The run is damaged.
    """
    gate = _gate(run)
    calls = run.calls()
    reasons = [*_unfinished(run, gate), *_unmeasured(run, arm, calls), *_in_the_way(path)]
    if not reasons and with_audio:
        reasons += _unheard(run, arm, calls)
    if reasons or gate is None:
        return Refused(reasons=tuple(reasons))
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise RunFolderError(f"{path}: cannot be created ({failure.strerror})") from None
    with _locked(path.with_name(f".{path.name}.lock")) as free:
        if not free:
            return Refused(reasons=(f"another blessing of {path} is at work; try again when it is done",))
        fresh, old = path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")
        _mend(path, fresh, old)
        try:
            fingerprint = write_stored(run, arm, fresh, with_audio=with_audio)
            _swap(path, fresh, old)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return Blessed(fingerprint=fingerprint, waived=_waived(gate) if arm is Arm.CANDIDATE else ())


def _gate(run: RunFolder) -> Mapping[str, Any] | None:
    try:
        found = json.loads(run.gate_json.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not _holds_verdicts(found.get("verdicts")):
        raise RunFolderError(f"{run.gate_json}: damaged; write it again with 'voiceeval report {run.path}'")
    return found


def _holds_verdicts(found: object) -> bool:
    return isinstance(found, list) and all(
        isinstance(each, dict) and {"id", "gating", "outcome"} <= each.keys() for each in found
    )


def _unfinished(run: RunFolder, gate: Mapping[str, Any] | None) -> Iterator[str]:
    """Why the run as a whole cannot be blessed."""
    compared = run.manifest.get("comparison", {})
    if compared.get("independent_arms"):
        yield "it is an A/A check: its arms drew apart, so that no other run hears what they heard"
    if compared.get("reference") == UNSTATED:
        yield (
            "its reference recognizer or voice states no fingerprint, so that no later run could tell "
            "whether it is the same; give it one"
        )
    if gate is None:
        yield f"it was not judged: it holds no gate.json; finish it, or see 'voiceeval report {run.path}'"
        return
    if _judged_by(gate.get("manifest") or {}) != _judged_by(compared):
        yield (
            "its gate.json was judged by other metrics, margins or cohorts than the run was made with; write "
            f"it again with 'voiceeval report {run.path}'"
        )
    if gate.get("partial") or len(run.selected) < len(run.planned):
        yield f"it is partial: {len(run.selected)} of {len(run.planned)} planned calls were selected"
    blocking = [each["id"] for each in gate["verdicts"] if each["gating"] and each["outcome"] == "invalid"]
    if blocking:
        yield f"{len(blocking)} gating verdicts are invalid: {_named(blocking)}"
    if gate.get("may_ship") is not True:
        yield "it failed: its gate.json says that the candidate may not ship"


def _judged_by(manifest: Mapping[str, Any]) -> list[Any]:
    """What says which cells could fail a comparison."""
    own = [{**each, "reason": ""} for each in manifest.get("cohort_margins", ())]
    return [own, *(manifest.get(key) for key in ("margins", "cohorts", "compared"))]


def _unmeasured(run: RunFolder, arm: Arm, calls: Mapping[str, Call]) -> Iterator[str]:
    """Which calls of the arm are not there, or say nothing about its agent."""
    named = {planned.id: calls.get(f"{planned.id}/{arm}") for planned in run.planned}
    missing = [name for name, call in named.items() if call is None]
    ours = [name for name, call in named.items() if call and call.ending is Ending.HARNESS_FAILED]
    if not named:
        yield "it has no planned calls"
    if missing:
        yield f"{len(missing)} calls of the {arm} were not placed: {_named(missing)}"
    if ours:
        yield f"{len(ours)} calls of the {arm} could not be measured: {_named(ours)}; place them again"


def _unheard(run: RunFolder, arm: Arm, calls: Mapping[str, Call]) -> Iterator[str]:
    """With audio: which calls have lost a clip."""
    lacking = [
        planned.id
        for planned in run.planned
        if any(not run.href(digest) for digest in clips(calls[f"{planned.id}/{arm}"]))
    ]
    if lacking:
        yield f"--with-audio: clips of {len(lacking)} calls are not in the run: {_named(lacking)}"


def _in_the_way(path: Path) -> Iterator[str]:
    """What the folder holds that no blessing wrote."""
    if path.exists() and not path.is_dir():
        yield f"{path} is a file; a stored baseline is a folder"
    elif path.is_dir():
        own = {FINGERPRINT, *CONTENT, "audio"}
        others = sorted(entry.name for entry in path.iterdir() if entry.name not in own)
        if others:
            yield f"{path} holds what no blessing wrote: {_named(others)}; choose a folder of its own"


def _waived(gate: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(each["id"] for each in gate["verdicts"] if each.get("waiver"))


def _named(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the lock could be had; it is given back at the end, also of a process that is killed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        if not _is_at(path, descriptor):
            # Its owner removed it between our opening and our locking it.
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _mend(path: Path, fresh: Path, old: Path) -> None:
    """Tidy up after a blessing that was killed."""
    if old.exists() and not path.exists():
        old.rename(path)
    for leftover in (fresh, old):
        if leftover.exists():
            shutil.rmtree(leftover)


def _swap(path: Path, fresh: Path, old: Path) -> None:
    if path.exists():
        path.rename(old)
    try:
        fresh.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
