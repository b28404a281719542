"""What people say of a run's calls: the files a review hands over, and what a run folder keeps of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)

from voiceeval.call import Arm, Call
from voiceeval.cohort import PlannedCall
from voiceeval.content_files import write_whole
from voiceeval.errors import LabelError
from voiceeval.toml_files import Problem, nearest, refusal, shortened, validated

SCHEMA_VERSION = 1
LABELS = "labels.json"
"""The file of a run folder that keeps its labels."""
NOT_GIVEN = "not given"
LONGEST_NOTE = 2000
LONGEST_NAME = 60

Answer = Literal["yes", "no", "unclear", "not given"]
Rating = Annotated[int, Field(strict=True, ge=1, le=5)] | Literal["not given"]
Reason = Literal[
    "newly failing", "failing on both", "newly passing", "metrics disagree", "random sample", "chosen"
]
"""Why a call was in the queue; ``chosen``: the reviewer came by a link of their own."""
REASONS: tuple[Reason, ...] = get_args(Reason)
RANDOM: Reason = "random sample"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Label(_Told):
    """What one person says of one call on one arm."""

    call: Annotated[str, StringConstraints(min_length=1)]
    """Id of the planned call."""
    arm: Literal["baseline", "candidate"]
    task_done: Answer
    """Whether the caller got what they called for."""
    tools_right: Answer
    """Whether the agent called the right tools with the right arguments, in an allowed order."""
    tone: Rating
    """From 1, rude or out of place, to 5, as a good colleague would speak."""
    clarity: Rating
    """From 1, hard to follow, to 5, clear at once."""
    note: Annotated[str, StringConstraints(max_length=LONGEST_NOTE)]
    """Free words; empty for none."""
    blind: Annotated[bool, Field(strict=True)]
    """Given without knowing which arm it is and how it was scored."""
    why: tuple[Reason, ...]
    """Why the call was in the queue."""
    at: AwareDatetime
    """When it was last changed, by the reviewer's clock."""

    @property
    def says_something(self) -> bool:
        """Whether anything is left in it; a label that was emptied only takes back an earlier one."""
        given = (self.task_done, self.tools_right, self.tone, self.clarity)
        return bool(self.note) or any(each != NOT_GIVEN for each in given)

    @field_validator("note")
    @classmethod
    def _whole_characters(cls, note: str) -> str:
        if any("\ud800" <= character <= "\udfff" for character in note):
            raise ValueError("holds half a character; write it again")
        return note


def _a_name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("holds blanks around it or characters that cannot be seen")
    return name


Reviewer = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME), AfterValidator(_a_name)]


class LabelFile(_Told):
    """What one reviewer hands over: the file that the review page exports."""

    schema_version: Literal[1]
    run: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """Digest of the run; every page of its report has the same one."""
    reviewer: Reviewer
    """Name or initials."""
    labels: tuple[Label, ...]


class KeptLabels(_Told):
    """All labels of a run, by reviewer: ``labels.json`` in its folder."""

    schema_version: Literal[1]
    run: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    reviewers: Mapping[Reviewer, tuple[Label, ...]]


class Said(NamedTuple):
    """A label with who gave it."""

    reviewer: str
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Labels of several imports together, and what became of those that met."""

    said: tuple[Said, ...]
    """By reviewer, call and arm."""
    added: int = 0
    replaced: int = 0
    """Earlier words of the same reviewer on the same call and arm that gave way to newer ones."""
    outdated: int = 0
    """Labels that were left out, because a newer one was there already."""
    contradicting: tuple[Said, ...] = ()
    """Left out: of the same moment as the one that is kept, and other than it."""


def run_digest(manifest: Mapping[str, Any], planned: Iterable[PlannedCall], calls: Mapping[str, Call]) -> str:
    """What labels of a run's calls belong to: 16 hexadecimal digits.

    It rests on what was planned, on what the agents are made of, and on when what happened in every call, so
    that another run of the same agents has another one as soon as a single call went another way. Scores,
    margins, versions of ours and the texts of calls are not in it: a run that is scored again keeps its
    labels, and so does one whose report was redacted.

    Args:
        manifest: as in ``Comparison.manifest``.
        planned: the planned calls, in any order.
        calls: by ``CallKey.id``; those that were placed.
    """
    arms = manifest.get("arms", {})
    found = hashlib.sha256()

    def add(*facts: object) -> None:
        found.update(json.dumps(facts, ensure_ascii=True, sort_keys=True).encode() + b"\n")

    add(1, manifest.get("seed", 0), [arms.get(str(arm), {}).get("parts", {}) for arm in Arm])
    for call_id in sorted(item.id for item in planned):
        add(call_id)
        for arm in Arm:
            if call := calls.get(f"{call_id}/{arm}"):
                happened = [[event.kind, event.turn, event.at_ms] for event in call.events]
                add(str(arm), str(call.ending), happened)
    return found.hexdigest()[:16]


def read_label_files(paths: Sequence[Path], *, run: str, calls: Iterable[str]) -> tuple[LabelFile, ...]:
    """The files of reviewers, all of them checked before any is used.

    Args:
        paths: as the review page exports them.
        run: the digest of the run that they must be of.
        calls: ids of the run's planned calls.

    Raises:
        LabelError: a file cannot be read, is of another run, names a call that the run has not, labels a call
            twice, has unknown keys or wrong values, or is the second one of a reviewer.
    """
    known = frozenset(calls)
    files: dict[str, tuple[Path, LabelFile]] = {}
    for path in paths:
        found = validated(_document(path), LabelFile, where=str(path), error=LabelError)
        _check(found, where=str(path), run=run, known=known)
        if found.reviewer in files:
            raise LabelError(
                f"{path}: reviewer: {shortened(found.reviewer)} is that of {files[found.reviewer][0]} too; "
                "allowed: one file a reviewer. Give the newer one, or import them one after the other"
            )
        files[found.reviewer] = (path, found)
    return tuple(found for _, found in files.values())


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file") from None
    except OSError as failure:
        raise LabelError(f"{path}: cannot be read ({failure.strerror})") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path}: not UTF-8; allowed: a file that the review page exported") from None
    # A number of too many digits is a ValueError of another kind.
    except (ValueError, RecursionError) as failure:
        place = f" (line {failure.lineno})" if isinstance(failure, json.JSONDecodeError) else ""
        raise LabelError(f"{path}: not JSON{place}; allowed: a file that the review page exported") from None
    if not isinstance(found, dict):
        raise LabelError(f"{path}: no table; allowed: a file that the review page exported")
    return found


def _check(found: LabelFile, *, where: str, run: str, known: frozenset[str]) -> None:
    if found.run != run:
        raise LabelError(
            f"{where}: run: given {found.run}; allowed: {run}, the run in this folder. These labels are of "
            "another run, or of other calls of this one"
        )
    _check_labels(found.labels, where=where, known=known)


def _check_labels(labels: Sequence[Label], *, where: str, known: frozenset[str]) -> None:
    problems, seen = [], set[tuple[str, str]]()
    for place, label in enumerate(labels):
        if label.call not in known:
            hint = nearest(label.call, known)
            problems.append(
                Problem(f"labels[{place}].call", f"no call of this run: {shortened(label.call)}.{hint}")
            )
        elif (label.call, label.arm) in seen:
            problems.append(Problem(f"labels[{place}].call", f"a second label of its {label.arm}"))
        seen.add((label.call, label.arm))
    if problems:
        raise refusal(where, problems, error=LabelError)


def merged(earlier: Iterable[Said], later: Iterable[Said]) -> Merged:
    """Both together: of one reviewer's words on one call and arm, the newest.

    Importing the same labels again changes nothing. Of two words of the same moment the earlier one stays.
    """
    kept = {_place(said): said for said in earlier}
    added = replaced = outdated = 0
    contradicting = []
    for said in later:
        before = kept.get(_place(said))
        if before is not None and before.label == said.label:
            continue
        if before is not None and said.label.at == before.label.at:
            contradicting.append(said)
        elif before is not None and said.label.at < before.label.at:
            outdated += 1
        else:
            kept[_place(said)] = said
            added += before is None
            replaced += before is not None
    return Merged(
        said=tuple(kept[place] for place in sorted(kept)),
        added=added,
        replaced=replaced,
        outdated=outdated,
        contradicting=tuple(contradicting),
    )


def _place(said: Said) -> tuple[str, str, str]:
    return said.reviewer, said.label.call, said.label.arm


def said_in(files: Iterable[LabelFile]) -> tuple[Said, ...]:
    """All labels of some files, with who gave them."""
    return tuple(Said(file.reviewer, label) for file in files for label in file.labels)


def read_kept(folder: Path, *, run: str, calls: Iterable[str]) -> tuple[Said, ...]:
    """The labels a run folder keeps; none where nothing was imported.

    Raises:
        LabelError: the file is damaged or of another run, or holds what no import can have left there.
    """
    path = folder / LABELS
    if not path.exists():
        return ()
    kept = validated(_document(path), KeptLabels, where=str(path), error=LabelError)
    if kept.run != run:
        raise LabelError(
            f"{path}: run: given {kept.run}; allowed: {run}. The calls in this folder have changed since "
            "these labels were imported; move the file away"
        )
    known = frozenset(calls)
    for name, labels in kept.reviewers.items():
        _check_labels(labels, where=f"{path}: reviewers.{shortened(name)}", known=known)
    return tuple(Said(name, label) for name, labels in kept.reviewers.items() for label in labels)


def write_kept(folder: Path, said: Iterable[Said], *, run: str) -> Path:
    """Write ``labels.json`` into a run folder; it appears whole or not at all."""
    reviewers: dict[str, list[Any]] = {}
    for name, label in sorted(said, key=_place):
        reviewers.setdefault(name, []).append(label.model_dump(mode="json"))
    document = {"schema_version": SCHEMA_VERSION, "run": run, "reviewers": reviewers}
    path = folder / LABELS
    write_whole(path, f"{json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)}\n".encode())
    return path
