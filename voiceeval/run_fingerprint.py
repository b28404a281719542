"""What makes two sets of calls comparable, written down: the fingerprint of a stored baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from voiceeval import __version__
from voiceeval.agents import UNSTATED
from voiceeval.call import Arm, AsideStarted, Call, CallerStarted, KeyPressed
from voiceeval.cohort import PlannedCall
from voiceeval.errors import RunFolderError
from voiceeval.experiment import Experiment, keys
from voiceeval.metrics import BUNDLED
from voiceeval.normalizers import normalizer_for
from voiceeval.run_folder import RunFolder
from voiceeval.scenario import Scenario, content_digest

SCHEMA_VERSION = 1
MOST_SENTENCES = 4
"""How many differences a verdict's reason names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What two sets of calls must have in common to be compared."""

    suite_digest: str
    scenarios: Mapping[str, str]
    """Digest by scenario id."""
    plan: str
    """Digest of the planned calls: who speaks what on which line, with which tags and speakers."""
    engine: str
    """What placed the calls, and its version."""
    seed: int
    trials: int
    matrix: str
    independent_arms: bool
    normalizers: Mapping[str, str]
    """Name and version by locale."""
    metrics: Mapping[str, int]
    """Version by name."""
    judge: str
    """What decides whether a task was completed, and its version."""
    reference: str
    """Fingerprint of the recognizer and the voice that judge what agents say."""

    @classmethod
    def of(
        cls,
        manifest: Mapping[str, Any],
        planned: Iterable[PlannedCall],
        scenarios: Mapping[str, Scenario],
        *,
        where: str,
    ) -> Conditions:
        """The conditions of a run; RunFolderError, naming ``where``, when its manifest lacks one."""
        calls = sorted((asdict(call) for call in planned), key=content_digest)
        judge = BUNDLED["task_completion"]().info
        given = {
            **{name: manifest[name] for name in cls.__dataclass_fields__ if name in manifest},
            "plan": content_digest(calls),
            "normalizers": {
                locale: normalizer_for(locale).id
                for locale in sorted({scenario.locale for scenario in scenarios.values()})
            },
            "judge": f"{judge.name}/{judge.version}",
        }
        try:
            return _CONDITIONS.validate_python(given)
        except ValidationError as failure:
            raise RunFolderError(f"{where}: {first_problem(failure)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPrint:
    """The agent that was blessed, as far as it is known without loading it."""

    name: str
    model_version: str
    release_date: str
    parts: Mapping[str, str]
    """Fingerprint by part."""
    described: Mapping[str, JsonValue]
    """Options as written in its file, by dotted key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a stored baseline is. All of it but ``voiceeval_version`` counts."""

    schema_version: int
    voiceeval_version: str
    """What blessed it; informative."""
    suite: str
    agent: AgentPrint
    conditions: Conditions
    audio: Mapping[str, tuple[str, ...]]
    """By planned call: digests of what the line delivered to the agent, in order."""
    content: str
    """Hex SHA-256 over the names and bytes of the other files, audio aside."""


_CONDITIONS: TypeAdapter[Conditions] = TypeAdapter(Conditions)
FINGERPRINT_JSON: TypeAdapter[Fingerprint] = TypeAdapter(Fingerprint)
"""Reads and writes fingerprints."""


def fingerprint_of(
    run: RunFolder,
    arm: Arm,
    planned: Iterable[PlannedCall],
    *,
    audio: Mapping[str, tuple[str, ...]],
    content: str,
) -> Fingerprint:
    """What one arm of a finished run is.

    Args:
        run: the run.
        arm: whose agent it is about.
        planned: the calls that count.
        audio: as in `Fingerprint`; nothing where audio is compared call by call.
        content: as in `Fingerprint`; empty where nothing is stored.

    Raises:
        RunFolderError: the run's manifest is incomplete.
    """
    manifest = run.manifest.get("comparison", {})
    where = f"{run.path}/manifest.json: comparison"
    try:
        found: Fingerprint = FINGERPRINT_JSON.validate_python(
            {
                "schema_version": SCHEMA_VERSION,
                "voiceeval_version": __version__,
                "suite": manifest["suite"],
                "agent": {
                    **manifest["arms"][arm],
                    "described": run.manifest.get("described", {}).get(arm, {}),
                },
                "conditions": Conditions.of(manifest, planned, run.scenarios, where=where),
                "audio": audio,
                "content": content,
            }
        )
    except KeyError as lacking:
        raise RunFolderError(f"{where}: {lacking}: absent") from None
    except ValidationError as failure:
        raise RunFolderError(f"{where}: {first_problem(failure)}") from None
    return found


def differences(stored: Fingerprint, experiment: Experiment) -> tuple[str, ...]:
    """What keeps an experiment's calls from being compared with the stored ones, in sentences.

    What the agents are made of may differ, of course. Metrics that only one side names do not matter either:
    both arms are scored together, by the code that runs now.
    """
    was = stored.conditions
    now = Conditions.of(
        experiment.manifest(), experiment.planned, experiment.scenarios, where="this run's manifest"
    )
    found = [
        *_by_name("scenario", was.scenarios, now.scenarios),
        *(
            f"{name}: {getattr(was, name)} -> {getattr(now, name)}"
            for name in ("seed", "trials", "matrix", "independent_arms")
            if getattr(was, name) != getattr(now, name)
        ),
        *(
            f"metric {name}: version {version} -> {now.metrics[name]}"
            for name, version in sorted(was.metrics.items())
            if now.metrics.get(name, version) != version
        ),
        *(
            f"normaliser of {locale}: {was.normalizers.get(locale, 'none')} -> {name}"
            for locale, name in sorted(now.normalizers.items())
            if was.normalizers.get(locale) != name and was.scenarios == now.scenarios
        ),
    ]
    if was.engine != now.engine:
        found.append(f"what places calls: {was.engine} -> {now.engine}")
    if was.judge != now.judge:
        found.append(f"what decides whether a task was completed: {was.judge} -> {now.judge}")
    if UNSTATED in (was.reference, now.reference):
        found.append("the reference recognizer or voice states no fingerprint, so that it may have changed")
    elif was.reference != now.reference:
        found.append("the reference recognizer or voice changed")
    if not found and was.suite_digest != now.suite_digest:
        found.append("the suite's callers, lines or recordings changed")
    if not found and was.plan != now.plan:
        found.append("the same suite is planned in another way by this version of voiceeval")
    return tuple(found)


def unlike_callers(planned: Iterable[PlannedCall], calls: Mapping[str, Call]) -> str:
    """Why the arms did not hear the same callers; empty if they did.

    Compares the caller's first turn, which nothing the agents do can change. Later turns follow the
    conversation, and so do sounds made while the agent speaks. A call that ended before the caller spoke says
    nothing, nor does one in which the caller begins by staying silent or with keys, nor one in which less of
    the line came before the words in one arm: a sound made just before them decides that.
    """
    compared, differing = 0, 0
    for call in planned:
        placed = [found for key in keys((call,)) if (found := calls.get(key.id))]
        first = [words for each in placed if (words := _first_words(each)) and words.audio]
        if len(first) == len(Arm) and len({words.at_ms - words.audio_from_ms for words in first}) == 1:
            compared += 1
            differing += first[0].audio != first[1].audio
    if not differing:
        return ""
    return (
        f"the caller's first turn sounds other than in the stored baseline in {differing} of {compared} "
        "calls: the caller's voice, the line or a library under them changed"
    )


def caller_clips(call: Call) -> tuple[str, ...]:
    """Digests of what the line delivered to the agent, in order; a silent turn delivers nothing."""
    sounds = [event.audio for event in call.events if isinstance(event, CallerStarted | AsideStarted)]
    return tuple(digest for digest in sounds if digest)


def _first_words(call: Call) -> CallerStarted | None:
    """The beginning of the caller's first turn; None where there is none, or it is keyed."""
    first = next((event for event in call.events if isinstance(event, CallerStarted | KeyPressed)), None)
    return first if isinstance(first, CallerStarted) else None


def joined(sentences: tuple[str, ...]) -> str:
    """One reason of several differences, for a verdict; empty of none."""
    if not sentences:
        return ""
    shown, more = sentences[:MOST_SENTENCES], len(sentences) - MOST_SENTENCES
    rest = [f"and {more} more"] if more > 0 else []
    return "not comparable with the stored baseline: " + "; ".join([*shown, *rest])


def _by_name(kind: str, was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        if name not in was:
            yield f"{kind} {name!r} is not in the stored baseline"
        elif name not in now:
            yield f"{kind} {name!r} is in the stored baseline and not in the suite"
        elif was[name] != now[name]:
            yield f"{kind} {name!r} changed"


def first_problem(failure: ValidationError) -> str:
    """Where a document is wrong and how, without its values."""
    first = failure.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'top'}: {first['type']}"
