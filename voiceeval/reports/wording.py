"""How every report says a number, a verdict and a name, so that no two of them say it differently."""

from __future__ import annotations

import json
import math
import re
import unicodedata

from voiceeval.score import MetricInfo
from voiceeval.verdict import Blame, Comparison, Estimate, Interval, Outcome, Verdict, Waiver

SIGNS = {
    Outcome.INVALID: "!",
    Outcome.REGRESSED: "✗",
    Outcome.INCONCLUSIVE: "?",
    Outcome.PASSED: "✓",
    Outcome.IMPROVED: "▲",
}
"""Verdicts are told apart by these without colour; worst first."""

SEVERITY = {outcome: rank for rank, outcome in enumerate(SIGNS)}
"""0 is the worst."""

WAIVED_SIGN = "⊘"
"""A regression that somebody answers for: neither the sign of one that blocks nor that of a pass."""

OWN_MARGIN = "own margin"
"""The flag of a verdict whose margin is not its metric's common one."""

HEARING = "recognition or turn-taking"
"""The stage that ``Blame`` calls recognition. The replay that tells it from dialogue has no audio: what it
mends, hearing and taking turns lost together."""

HUNG_UP = {
    "done": "nothing was left to say",
    "hung up": "left before anything was done",
    "handed over": "handed over to a person",
}
"""Why a call ended, where the event's own word needs more of them."""

ELLIPSIS = "…"
_MINUS = "−"

# Everything that is drawn as nothing, or that changes how its neighbours are drawn: control characters, bidi
# embeddings and isolates, zero-width and tag characters, line separators, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)


# Marks that are drawn over the letter before them: enough of them are drawn over the lines above and below.
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STACKED = re.compile(f"([{_MARKS}]{{4}})([{_MARKS}]+)")


def visible(text: str) -> str:
    r"""The text with every unseen character written out, such as ``⟨U+202E⟩``; line feeds and tabs stay.

    Of marks that are stacked over one letter four are kept, and how many more there are is said.

    >>> visible("a\u202eb")
    'a⟨U+202E⟩b'
    """
    seen = _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)
    return _STACKED.sub(lambda match: f"{match[1]}⟨{len(match[2]):,} more marks⟩", seen)


def clock(at_ms: int) -> str:
    """A moment of a call in minutes and seconds.

    >>> clock(72_460)
    '1:12.5'
    """
    tenths = (at_ms + 50) // 100
    return f"{tenths // 600}:{tenths % 600 // 10:02}.{tenths % 10}"


def one_line(text: str, *, limit: int = 300) -> str:
    """The text visible, on one line, and honestly shortened."""
    return shortened(" ".join(visible(text[: 4 * limit + 100]).split()), limit=limit, of=len(text))


def shortened(text: str, *, limit: int, of: int | None = None) -> str:
    """The text up to ``limit`` characters, then how many more there are."""
    total = len(text) if of is None else max(of, len(text))
    if len(text) <= limit:
        return text
    return f"{text[:limit]}{ELLIPSIS} ({total - limit:,} more characters)"


def as_json(value: object, *, limit: int, indent: int | None = None) -> str:
    """A value as JSON text, honestly shortened."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=indent is not None, indent=indent, default=str)
    return shortened(text, limit=limit)


def level(metric: MetricInfo, value: float) -> str:
    """A rate of one arm with its unit: ``12.3 %``, ``812 ms``."""
    unit = _unit(metric)
    return f"{number(metric, value)} {unit}" if unit else number(metric, value)


def levels(metric: MetricInfo, estimate: Estimate, *, arrow: str = " → ") -> str:
    """Both arms' rates: ``8.1 → 14.2 %``."""
    return f"{number(metric, estimate.baseline)}{arrow}{level(metric, estimate.candidate)}"


def number(metric: MetricInfo, value: float) -> str:
    """A rate without its unit; a real minus sign where it is below zero."""
    if not math.isfinite(value):
        return "unbounded"
    if metric.unit == "share":
        text = f"{100 * value:.1f}"
    elif metric.unit == "ms":
        text = f"{value:.0f}"
    else:
        text = f"{value:.{2 if metric.unit == 'count' else 4}f}"
    return _unsigned_zero(text).replace("-", _MINUS)


def signed(metric: MetricInfo, value: float) -> str:
    """A difference without its unit: ``+6.1``, ``−80``, ``±0.0``; a digit more where it would read zero."""
    text = number(metric, value)
    shown = 100 * value if metric.unit == "share" else value
    least = {"share": 0.1, "ms": 1.0}.get(metric.unit, 0.0)
    if least / 20 <= abs(shown) < least:
        text = f"{shown:.{2 if metric.unit == 'share' else 1}f}".replace("-", _MINUS)
    if text.startswith((_MINUS, "unbounded")):
        return text
    return f"+{text}" if text.strip("0.") else f"±{text}"


def difference(metric: MetricInfo, value: float) -> str:
    """A difference with sign and unit: ``+6.1 pp``, ``−80 ms``."""
    unit = "pp" if metric.unit == "share" else _unit(metric)
    return f"{signed(metric, value)} {unit}" if unit else signed(metric, value)


def bounds(metric: MetricInfo, interval: Interval) -> str:
    """An interval of differences: ``+3.2 to +9.0 pp``."""
    return f"{signed(metric, interval.lower)} to {difference(metric, interval.upper)}"


def coverage(interval: Interval) -> str:
    """An interval's level: ``95 %``."""
    return f"{100 * interval.level:g} %"


def direction_word(metric: MetricInfo, estimate: Estimate) -> str:
    """``worse``, ``better``, or ``the same`` as far as the shown digits tell."""
    if not signed(metric, estimate.worse_by).strip(f"0.{_MINUS}±+"):
        return "the same"
    return "worse" if estimate.worse_by > 0 else "better"


def probability(p: float) -> str:
    """A p-value with its relation: ``= 0.012``, ``< 0.0001``."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"


def distance(metric: MetricInfo, value: float) -> str:
    """A difference without a sign, with its unit: ``6.1 pp``, ``80 ms``."""
    return difference(metric, value).lstrip(f"+±{_MINUS}")


def outcome_word(outcome: Outcome) -> str:
    """Sign and word: ``✗ regressed``."""
    return f"{SIGNS[outcome]} {outcome.value}"


def sign(verdict: Verdict) -> str:
    """The sign of a verdict, which tells a waived regression from one that blocks."""
    return WAIVED_SIGN if verdict.waiver else SIGNS[verdict.outcome]


def verdict_words(verdict: Verdict) -> str:
    """The verdict in words: ``regressed``, or ``regressed, waived``."""
    return f"{verdict.outcome.value}, waived" if verdict.waiver else verdict.outcome.value


def severity(verdict: Verdict) -> float:
    """0 is the worst; a waived regression comes after those that block, and before everything else."""
    return SEVERITY[Outcome.REGRESSED] + 0.5 if verdict.waiver else SEVERITY[verdict.outcome]


def answered(waiver: Waiver, *, limit: int = 300) -> str:
    """Who answers for a waived regression, until when, and why: ``waived by asr until 2026-12-31: …``."""
    owner = one_line(waiver.owner, limit=60)
    return f"waived by {owner} until {waiver.expires.isoformat()}: {one_line(waiver.reason, limit=limit)}"


def counted(count: int, singular: str, plural: str = "") -> str:
    """``1 cohort``, ``2 cohorts``."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def change(verdict: Verdict) -> str:
    """The numbers of one verdict in a phrase: both rates and the difference."""
    estimate = verdict.estimate
    if not isinstance(estimate, Estimate):
        return "no estimate"
    metric = verdict.metric
    moved = f"{difference(metric, estimate.difference)} {direction_word(metric, estimate)}"
    return f"{levels(metric, estimate)}, {moved}"


def reason_with_interval(verdict: Verdict) -> str:
    """The gate's reason; a reason that does not name the interval is given it, and never twice."""
    reason, estimate = one_line(verdict.reason, limit=400), verdict.estimate
    if " interval " in reason or not isinstance(estimate, Estimate):
        return reason
    told = f"{coverage(estimate.interval)} interval {bounds(verdict.metric, estimate.interval)}"
    if verdict.margin:
        told += f"; margin {one_line(verdict.margin, limit=20)}"
    return f"{told}; {reason}" if reason else told


def blamed_stage(blame: Blame) -> str:
    """The stage that lost most of a cohort's tasks, in a word or two."""
    return {
        "recognition": HEARING,
        "both": f"{HEARING} and dialogue alike",
        "none": "no stage",
    }.get(blame.stage, blame.stage)


def blame_counts(blame: Blame) -> str:
    """What the blame rests on: ``9 of 11 failed calls would have succeeded with the right words``."""
    if blame.failed == 0:
        return "no call failed its task"
    calls = counted(blame.failed, "failed call")
    return f"{blame.saved_by_right_words} of {calls} would have succeeded with the right words"


def blamed(blame: Blame) -> str:
    """Stage and counts in one phrase."""
    return f"{blamed_stage(blame)}: {blame_counts(blame)}" if blame.failed else blame_counts(blame)


def headline(comparison: Comparison) -> str:
    """The one sentence of the run: ``MAY NOT SHIP: 2 cohorts regressed``."""
    if comparison.failed:
        return f"MAY NOT SHIP: {_why_not(comparison)}"
    if not any(verdict.gating for verdict in comparison.verdicts):
        return "NOT JUDGED: no gating verdict"
    waived, undecided = len(waived_verdicts(comparison)), undecided_count(comparison)
    told = ["no unwaived regression" if waived else "no cohort regressed"]
    if waived:
        told.append(f"{counted(waived, 'known regression')} waived")
    if undecided:
        told.append(f"{counted(undecided, 'gating cell')} not decided")
    return f"may ship: {'; '.join(told)}"


def _why_not(comparison: Comparison) -> str:
    blocking = [verdict for verdict in comparison.verdicts if verdict.blocks(comparison.policy)]
    faults = comparison.faults
    if not blocking and len(faults) == 1:
        # What is wrong stands before what to do about it, which every report tells in full below.
        return one_line(faults[0], limit=140).split("; ")[0]
    told = []
    for outcome in SIGNS:
        cohorts = {verdict.cohort for verdict in blocking if verdict.outcome is outcome}
        if cohorts:
            told.append(f"{counted(len(cohorts), 'cohort')} {outcome.value}")
    if faults:
        told.append(f"{counted(len(faults), 'fault')} beside the verdicts")
    return ", ".join(told)


def waived_verdicts(comparison: Comparison) -> tuple[Verdict, ...]:
    """The regressions that do not block because somebody answers for them."""
    return tuple(verdict for verdict in comparison.verdicts if verdict.gating and verdict.waiver)


def undecided_count(comparison: Comparison) -> int:
    """Gating cells that were neither passed nor failed."""
    return outcome_counts(comparison)[Outcome.INCONCLUSIVE]


def outcome_counts(comparison: Comparison) -> dict[Outcome, int]:
    """Gating cells by outcome, worst first; outcomes that did not occur count 0."""
    return {outcome: sum(v.gating and v.outcome is outcome for v in comparison.verdicts) for outcome in SIGNS}


def tally(comparison: Comparison) -> str:
    """Every outcome's count in one line, including what was not decided."""
    counts = outcome_counts(comparison)
    waived = len(waived_verdicts(comparison))
    words = {Outcome.INCONCLUSIVE: "inconclusive (not decided)"}
    if waived:
        words[Outcome.REGRESSED] = f"regressed ({waived} of them waived)"
    told = [f"{count} {words.get(outcome, outcome.value)}" for outcome, count in counts.items()]
    return f"{counted(sum(counts.values()), 'gating cell')}: {', '.join(told)}"


def is_plain(character: str) -> bool:
    """Whether a character is safe in a file name anywhere: ASCII letters and digits."""
    return character.isascii() and unicodedata.category(character) in {"Ll", "Lu", "Nd"}


def _unit(metric: MetricInfo) -> str:
    return {"share": "%", "ms": "ms"}.get(metric.unit, "")


def _unsigned_zero(text: str) -> str:
    return text.removeprefix("-") if not text.strip("-0.") else text
