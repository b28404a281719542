"""A run without what its report must not show: every page and file that is drawn from it is safe then."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from voiceeval.audio import AudioClip
from voiceeval.call import Arm, Call, Ending
from voiceeval.cohort import PlannedCall
from voiceeval.errors import RunFolderError
from voiceeval.metrics.task import completes
from voiceeval.protocols import AudioStore
from voiceeval.redaction import CARDS_ONLY, LEFT_OUT, Redaction, Rules, canonical, secret_of
from voiceeval.reports.call_list import slug
from voiceeval.reports.left_out_texts import call_without_text, scenario_without_text
from voiceeval.reports.redacted_call import redacted_call
from voiceeval.reports.redacted_scenario import cards_of_scenario, redacted_scenario
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import counted
from voiceeval.run_folder import clips
from voiceeval.scenario import Scenario
from voiceeval.score import NotScored, Score


def redacted(report: ReportInput, redaction: Redaction) -> ReportInput:
    """The run with everything left out that ``redaction`` names; doing it again changes nothing.

    Verdicts, scores, times, ids and tags stay as they are: they were computed before.
    """
    rules = {id_: _rules(scenario, redaction) for id_, scenario in report.scenarios.items()}
    shown = {
        id_: redacted_call(
            call,
            report.scenarios.get(call.key.scenario),
            rules.get(call.key.scenario, Rules(cards=redaction.cards)),
        )
        for id_, call in report.calls.items()
    }
    silenced = frozenset[str]().union(*(each.silenced for each in shown.values()))
    calls = {id_: each.call for id_, each in shown.items()}
    scenarios = {id_: redacted_scenario(each, rules[id_]) for id_, each in report.scenarios.items()}
    every = Rules(cards=redaction.cards)
    if redaction.text:
        # Names of arguments stay, and may hold a card number themselves.
        named = {id_: _without_text(call, report.scenarios) for id_, call in report.calls.items()}
        calls = {id_: redacted_call(call, None, every).call for id_, call in named.items()}
        bare = {id_: scenario_without_text(each) for id_, each in report.scenarios.items()}
        scenarios = {id_: redacted_scenario(each, _rules(each, redaction)) for id_, each in bare.items()}
    return replace(
        report,
        scenarios=scenarios,
        calls=calls,
        scores={
            (id_, metric): _score(score, shown[id_].rules if id_ in shown else every, text=redaction.text)
            for (id_, metric), score in report.scores.items()
        },
        audio_href=_permitted_href(report.audio_href, silenced, none=redaction.audio),
        audio=report.audio and PermittedAudio(report.audio, silenced, none=redaction.audio),
        audio_left_out=_left_out(report.audio_left_out, silenced, every=redaction.audio),
        saved_by_right_words={**_saved(report), **report.saved_by_right_words},
        left_out=redaction.told,
    )


def left_out_of(report: ReportInput, planned: PlannedCall) -> str:
    """What the page of a call says is left out on purpose; nothing where that is nothing of this call."""
    calls = [report.calls[id_] for arm in Arm if (id_ := arm_call_id(planned, arm)) in report.calls]
    silenced = {digest for call in calls for digest in clips(call) if report.audio_left_out(digest)}
    if not silenced and report.left_out == CARDS_ONLY.told:
        return ""
    sounds = f" {counted(len(silenced), 'sound')} of this call left out." if silenced else ""
    return f"{report.left_out}{sounds}"


def forget_earlier(report: ReportInput, folder: Path) -> None:
    """Remove what an earlier report in ``folder`` showed, and this one does not or may not.

    These are pages of calls that are not among its calls, and parts of replies that are not in them.
    """
    digests = {digest for call in report.calls.values() for digest in clips(call)}
    for part in sorted((folder / "audio").glob("*.flac")):
        digest = part.name.split(".", maxsplit=1)[0]
        if digest not in digests or report.audio_left_out(digest):
            part.unlink()
    pages = {f"{slug(planned.id)}.html" for planned in report.planned}
    for page in sorted((folder / "calls").glob("*.html")):
        if page.name not in pages:
            page.unlink()


@dataclass(frozen=True, slots=True)
class PermittedAudio:
    """The clips of a run but those that were left out."""

    store: AudioStore
    silenced: frozenset[str]
    none: bool

    def put(self, clip: AudioClip) -> str:
        """Keep a clip, as the run itself does."""
        return self.store.put(clip)

    def get(self, digest: str) -> AudioClip:
        """The clip with that digest; RunFolderError where it was left out."""
        if self.none or digest in self.silenced:
            raise RunFolderError(f"audio {digest[:16]}… was left out of the report")
        return self.store.get(digest)


def _permitted_href(
    href: Callable[[str], str], silenced: frozenset[str], *, none: bool
) -> Callable[[str], str]:
    return lambda digest: "" if none or digest in silenced else href(digest)


def _left_out(
    before: Callable[[str], bool], silenced: frozenset[str], *, every: bool
) -> Callable[[str], bool]:
    return lambda digest: bool(digest) and (every or digest in silenced or before(digest))


def _rules(scenario: Scenario, redaction: Redaction) -> Rules:
    entities = [
        entity for turn in scenario.turns for entity in turn.entities if entity.type in redaction.types
    ]
    found = [secret_of(entity) for entity in entities]
    found += [canonical(entity, value) for entity in entities for value in _expected(scenario)]
    secrets = {secret.value: secret for secret in reversed(found) if secret is not None}
    return Rules(
        cards=redaction.cards,
        known_cards=cards_of_scenario(scenario) if redaction.cards else frozenset(),
        # The longest first: a street is not to be found by its house number.
        secrets=tuple(sorted(secrets.values(), key=lambda secret: (-len(secret.value), secret.value))),
    )


def _expected(scenario: Scenario) -> list[str]:
    """The texts and numbers that tools are to be given, or that are to stand in their world."""
    calls = [call for path in scenario.tool_paths for call in path.calls]
    values = [value for call in calls for value in call.arguments.values()]
    values += scenario.outcome.state.values()
    return sorted({str(value) for value in values if isinstance(value, str | int | float)})


def _without_text(call: Call, scenarios: Mapping[str, Scenario]) -> Call:
    scenario = scenarios.get(call.key.scenario)
    return call_without_text(call, scenario, scenario.locale if scenario else "en-US")


def _saved(report: ReportInput) -> dict[str, bool]:
    """Judged on what was really said and done; the redacted texts would tell something else."""
    return {
        id_: replay.ending is Ending.COMPLETED and completes(scenario, replay.events, replay.final_state)
        for id_, call in report.calls.items()
        if (replay := call.given_right_words) is not None
        and call.ending is not Ending.HARNESS_FAILED
        and (scenario := report.scenarios.get(call.key.scenario)) is not None
    }


_HEARD_INSTEAD = re.compile(r"(: wrong), transcript has .*", re.DOTALL)


def _score(score: Score, rules: Rules, *, text: bool) -> Score:
    if isinstance(score, NotScored):
        return replace(score, reason=rules.text(score.reason))
    if text:
        return replace(score, evidence=(LEFT_OUT,) if score.evidence else ())
    return replace(score, evidence=_evidence(score.evidence, rules))


def _evidence(lines: tuple[str, ...], rules: Rules) -> tuple[str, ...]:
    """The lines redacted; of an aligned pair that holds something to leave out, neither line is told."""
    if not rules.secrets and not rules.known_cards:
        return tuple(map(rules.text, lines))
    kept: list[str] = []
    skipped = False
    for place, line in enumerate(lines):
        following = lines[place + 1] if place + 1 < len(lines) else ""
        if line.startswith("REF:") and following.startswith("HYP:"):
            skipped = rules.text(f"{line}\n{following}") != f"{line}\n{following}"
            kept.append("words left out with what they hold" if skipped else line)
        elif skipped and (line.startswith("HYP:") or (line.startswith(" ") and not line.strip(" SDI"))):
            continue
        else:
            redacted_line = rules.text(line)
            kept.append(line if redacted_line == line else _HEARD_INSTEAD.sub(r"\1", redacted_line))
    return tuple(kept)
