"""How intelligible the agent's speech is to one fixed reference recognizer."""

from __future__ import annotations

from voiceeval.call import AgentStarted, Call, Ending
from voiceeval.metrics.alignment import align
from voiceeval.metrics.gaps import agent_failed, harness_failed, not_applicable
from voiceeval.normalizers import normalizer_for
from voiceeval.scenario import Scenario
from voiceeval.score import Direction, MetricInfo, Ratio, Score, Scored


class RoundTripWordErrorRate:
    """Errors between the text sent to the synthesizer and what the reference recognizer hears in it.

    One observation per utterance; a clip that plays several times in a call counts each time it plays. The
    evidence shows the recognizer's own floor beside it: its errors on a reference voice that speaks the
    same text. The floor is for reading and is not subtracted, since both arms share it where they say the
    same. A call the agent failed has no score here: what it spoke before is not what it would have spoken.
    """

    info = MetricInfo(
        name="round_trip_wer",
        version=1,
        title="Round-trip word error rate",
        definition="Word errors of one fixed reference recognizer on the agent's speech, over the words "
        "sent to the synthesizer; the same recognizer for both arms.",
        unit="share",
        direction=Direction.LOWER_IS_BETTER,
        depends_on=("synthesizer", "dialogue", "recognizer", "endpointing", "tools", "greeting"),
    )

    def score(self, scenario: Scenario, call: Call) -> Score:
        """Score one call."""
        if call.ending is Ending.HARNESS_FAILED:
            return harness_failed()
        if call.ending is Ending.AGENT_FAILED:
            return agent_failed(call)
        if not call.heard:
            spoke = any(isinstance(event, AgentStarted) and event.text for event in call.events)
            return not_applicable(
                "no reference recognizer listened to the agent" if spoke else "the agent spoke no words"
            )
        normalizer = normalizer_for(scenario.locale)
        observations: list[Ratio] = []
        evidence: list[str] = []
        floor = Ratio(0, 0)
        for number, utterance in enumerate(call.heard, start=1):
            said = normalizer.tokens(utterance.said)
            alignment = align(said, normalizer.tokens(utterance.heard))
            reference_voice = align(said, normalizer.tokens(utterance.floor_heard))
            observations.append(alignment.ratio)
            floor += reference_voice.ratio
            evidence.extend(alignment.lines(f"utterance {number}", normalizer.unit))
            evidence.append(
                f"     floor on the reference voice: {reference_voice.errors} errors in "
                f"{reference_voice.length} {normalizer.unit}s"
            )
        total = Ratio.pooled(observations)
        if not (total.numerator or total.denominator):
            return not_applicable("the agent spoke no words")
        summary = (
            f"agent {total.numerator:.0f}/{total.denominator:.0f}, "
            f"floor {floor.numerator:.0f}/{floor.denominator:.0f}, normaliser {normalizer.id}"
        )
        return Scored(observations=tuple(observations), evidence=(summary, *evidence))
