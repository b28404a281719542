"""The field's familiar evaluators for a single response, transcript, clip or list of tool calls.

They need no scenario and no run, ask no language model and give the same score every time. A score is a
share from 0 to 1 and comes with the evidence it rests on. They are meant for looking at one case; whether a
change may ship is decided over paired calls, by the metrics and the gate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pydantic import JsonValue

from voiceeval.audio import AudioClip
from voiceeval.errors import AudioError, InputError
from voiceeval.metrics.alignment import align
from voiceeval.metrics.tool_alignment import PathAlignment, align_path
from voiceeval.normalizers import Normalizer, normalizer_for
from voiceeval.protocols import Recognizer
from voiceeval.scenario import ToolCall, ToolPath

_NEGATIONS = frozenset({"not", "no", "never", "none", "nothing", "neither", "nor", "without", "unable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A score for one case, and what it rests on."""

    score: float
    """From 0 to 1; what the share is a share of is said by the evaluator."""
    reason: str
    """The score in a sentence."""
    evidence: tuple[str, ...] = ()
    """Lines a person can check. They may quote the case."""

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"a score must be in [0, 1], got {self.score}")

    def at_least(self, share: float) -> bool:
        """Whether the score reaches a share that you chose; there is no default that fits every product."""
        return self.score >= share


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEvaluation(Evaluation):
    """How well words and speech agree."""

    wer: float
    """Errors over reference words; above 1 when more was heard than said. Characters in languages written
    without spaces."""
    errors: int
    words: int
    """Reference words after normalisation, the digits of numbers counted one by one."""
    transcript: str
    alignment: str
    """Reference and hypothesis one under the other."""
    normalizer: str


class ASRAccuracy:
    """How much of what was said a recognizer understood: ``max(0, 1 − WER)``.

    >>> ASRAccuracy().evaluate(transcript="block my cart", ground_truth="Block my card.").score
    0.6666666666666667
    """

    def __init__(self, *, recognizer: Recognizer | str = "pocketsphinx", locale: str = "en-US") -> None:
        """A recognizer, or the registered name of one; it is made when audio is first evaluated."""
        self._recognizer = recognizer
        self._locale = locale

    def evaluate(
        self, *, ground_truth: str, audio_path: str | Path | None = None, transcript: str | None = None
    ) -> SpeechEvaluation:
        """Compare ``ground_truth`` with a transcript, or with what the recognizer hears in a file.

        Raises InputError unless exactly one of ``audio_path`` and ``transcript`` is given, and where
        ``ground_truth`` has no words: there is no accuracy without something to be accurate about.
        """
        if (audio_path is None) == (transcript is None):
            raise InputError("ASRAccuracy.evaluate: give either audio_path or transcript")
        normalizer = _normalizer("ASRAccuracy.evaluate: ground_truth", ground_truth, self._locale)
        if transcript is None:
            transcript = self._hear(cast("str | Path", audio_path))
        return _speech_evaluation(ground_truth, transcript, normalizer)

    def _hear(self, audio_path: str | Path) -> str:
        if isinstance(self._recognizer, str):
            self._recognizer = _registered(self._recognizer, "ASRAccuracy")
        return self._recognizer.transcribe(_clip(Path(audio_path))).text


class TTSAccuracy:
    """How intelligible synthetic speech is: ``max(0, 1 − WER)`` of a reference recognizer that listens to it.

    Compare scores only under one recognizer, and against its score for a reference voice that speaks the same
    text: the recognizer makes errors of its own.
    """

    def __init__(self, *, recognizer: Recognizer | str = "pocketsphinx", locale: str = "en-US") -> None:
        """The reference recognizer, or the registered name of one."""
        self._listener = ASRAccuracy(recognizer=recognizer, locale=locale)

    def evaluate(self, *, audio_path: str | Path, text: str) -> SpeechEvaluation:
        """Compare the text sent to the synthesizer with what is heard in the file it became."""
        return self._listener.evaluate(audio_path=audio_path, ground_truth=text)


class TaskCompletion:
    """Whether a response says what it had to, by its words and facts.

    With ``required``: the share of these phrases that the response says (``a|b`` takes either).
    With ``expected_response``: the share of its words that the response contains, each word of the response
    used once, and whatever their order; but 0 when they disagree on a fact, that is, when a number of the
    expected response is missing, or when one of them negates and the other does not.
    With both: the lower of the two. With a phrase of ``forbidden`` said: 0.

    All after the locale's normaliser, so that ``4129`` is ``four one two nine``. Paraphrases score low: where
    wording is free, name the facts in ``required``, or state the outcome in a scenario.

    >>> TaskCompletion().evaluate(
    ...     response="Your card 4129 is blocked.", expected_response="card four one two nine is blocked"
    ... ).score
    1.0
    """

    def __init__(self, *, locale: str = "en-US") -> None:
        self._normalizer = normalizer_for(locale)

    def evaluate(
        self,
        *,
        response: str,
        expected_response: str = "",
        required: Sequence[str] = (),
        forbidden: Sequence[str] = (),
    ) -> Evaluation:
        """Score one response; raises InputError where nothing was expected of it."""
        expected = self._normalizer.tokens(expected_response)
        if not expected and not required:
            raise InputError(
                "TaskCompletion.evaluate: give expected_response with at least one word, or required phrases"
            )
        said = {phrase: self._says(response, phrase) for phrase in required}
        banned = [phrase for phrase in forbidden if self._says(response, phrase)]
        shares: list[float] = []
        evidence = [f"{'said' if was else 'not said'}: '{phrase}'" for phrase, was in said.items()]
        if required:
            shares.append(sum(said.values()) / len(said))
        if expected:
            found = Counter(expected) & Counter(self._normalizer.tokens(response))
            disagreements = self._disagreements(expected_response, response)
            shares.append(0.0 if disagreements else found.total() / len(expected))
            evidence.append(f"{found.total()} of {len(expected)} expected words found")
            evidence.extend(disagreements)
        if banned:
            shares.append(0.0)
            evidence.extend(f"said, and must not be: '{phrase}'" for phrase in banned)
        score = min(shares)
        reason = "everything expected was said" if score == 1 else "not everything expected was said"
        return Evaluation(score=score, reason=reason, evidence=tuple(evidence))

    def _says(self, response: str, phrase: str) -> bool:
        return any(self._normalizer.says(response, either) for either in phrase.split("|"))

    def _disagreements(self, expected: str, response: str) -> list[str]:
        wanted, given = self._numbers(expected), self._numbers(response)
        lines = [f"number missing: {number}" for number in (wanted - given).elements()]
        negated = [not _NEGATIONS.isdisjoint(self._normalizer.tokens(text)) for text in (expected, response)]
        if negated[0] != negated[1]:
            lines.append("one of expected_response and response negates and the other does not")
        return lines

    def _numbers(self, text: str) -> Counter[str]:
        """Digits that stand side by side are one number, however they were grouped when said."""
        runs, inside = Counter[str](), ""
        for token in (*self._normalizer.tokens(text), ""):
            if token[:1].isdecimal():
                inside += token[0]
            elif inside:
                runs[inside] += 1
                inside = ""
        return runs


class ToolSelectionAccuracy:
    """Whether the right tools were called with the right arguments.

    The score is the share of right calls among all that were expected, made in excess, or repeated: calls
    are paired one to one, a pair with differing arguments is not right, and permitted extras do not count.
    Nothing called where something was expected is 0; nothing called where nothing was expected is 1.

    >>> ToolSelectionAccuracy().evaluate(tool_calls=[], expected_tool_calls=[{"name": "block_card"}]).score
    0.0
    """

    def evaluate(
        self,
        *,
        tool_calls: Sequence[ToolCall | Mapping[str, JsonValue]],
        expected_tool_calls: Sequence[ToolCall | Mapping[str, JsonValue]],
        order: Literal["exact", "in_order", "any_order"] = "exact",
        extra_calls: Literal["forbid", "allow"] = "forbid",
        compare_arguments: bool = True,
    ) -> Evaluation:
        """Compare calls given as ``{"name": …, "arguments": {…}}``; see ``ToolPath`` for order and extras."""
        made = _calls("tool_calls", tool_calls, compare_arguments)
        wanted = _calls("expected_tool_calls", expected_tool_calls, compare_arguments)
        path = ToolPath.model_construct(calls=wanted, order=order, extra_calls=extra_calls)
        alignment = align_path(path, made)
        if not (wanted or made):
            return Evaluation(score=1.0, reason="no tool was called, and none was expected")
        score = 1.0 if alignment.taken else _share_right(alignment)
        reason = "; ".join(alignment.problems) or "the expected tools were called"
        return Evaluation(score=score, reason=reason, evidence=alignment.lines())


def _share_right(alignment: PathAlignment) -> float:
    """Of a path that was not taken, so that it is below 1: what spoiled it is counted."""
    pairs = [step for step in alignment.steps if step.expected is not None]
    right = sum(step.made is not None and not step.differences for step in pairs)
    extra = len(alignment.steps) - len(pairs)
    spoiled_by_extras = alignment.path.extra_calls == "forbid" or right == len(pairs)
    return right / (len(pairs) + (extra if spoiled_by_extras else 0))


def _calls(
    key: str, given: Sequence[ToolCall | Mapping[str, JsonValue]], compare_arguments: bool
) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for index, call in enumerate(given):
        if isinstance(call, ToolCall):
            name, arguments = cast("JsonValue", call.name), cast("JsonValue", call.arguments)
        elif not isinstance(call, Mapping):
            raise InputError(
                f"ToolSelectionAccuracy.evaluate: {key}[{index}]: is a {type(call).__name__}; "
                "a call is an object with name and arguments"
            )
        else:
            name, arguments = call.get("name"), call.get("arguments", {})
            if unknown := sorted(call.keys() - {"name", "arguments"}):
                raise InputError(
                    f"ToolSelectionAccuracy.evaluate: {key}[{index}]: unknown keys {', '.join(unknown)}; "
                    "allowed: name, arguments"
                )
        if not isinstance(name, str) or not name or not isinstance(arguments, Mapping):
            raise InputError(
                f"ToolSelectionAccuracy.evaluate: {key}[{index}]: a call needs name (text) and "
                "arguments (an object)"
            )
        calls.append(
            ToolCall.model_construct(name=name, arguments=dict(arguments) if compare_arguments else {})
        )
    return tuple(calls)


def _normalizer(where: str, reference: str, locale: str) -> Normalizer:
    normalizer = normalizer_for(locale)
    if not normalizer.tokens(reference):
        raise InputError(f"{where}: has no words after the normaliser {normalizer.id}; it needs one at least")
    return normalizer


def _speech_evaluation(reference: str, transcript: str, normalizer: Normalizer) -> SpeechEvaluation:
    alignment = align(normalizer.tokens(reference), normalizer.tokens(transcript))
    wer = alignment.errors / alignment.length
    headline, *block = alignment.lines("transcript", normalizer.unit)
    return SpeechEvaluation(
        score=max(0.0, 1 - wer),
        reason=headline,
        evidence=tuple(block),
        wer=wer,
        errors=alignment.errors,
        words=alignment.length,
        transcript=transcript,
        alignment="\n".join(block),
        normalizer=normalizer.id,
    )


def _registered(name: str, where: str) -> Recognizer:
    from voiceeval.registry import component

    return cast("Recognizer", component("recognizer", name, {}, where=where))


def _clip(path: Path) -> AudioClip:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}); give a WAV, FLAC or Ogg file") from None
    return AudioClip.decode(data, name=str(path))
