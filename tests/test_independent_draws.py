"""An agent against itself through the whole loop, each arm with noise of its own: how often that is blamed.

The recognizer mishears what the very samples decide: other noise, other errors, so that the arms differ by
chance alone. Everything else is the product's: line, engine, metrics, cohorts, gate, pytest session.
"""

from __future__ import annotations

import pytest
from voice_project import TOY_AGENT, VoiceProject

RUNS = 5
CHANCY = '''

import hashlib


class Chancy:
    """Hears a word wrong when the sound's digest says so; the higher voices are misheard more often."""

    fingerprint = "chancy"

    def transcribe(self, audio):
        digest = hashlib.sha256(audio.samples.tobytes()).digest()
        spectrum = np.abs(np.fft.rfft(audio.as_float()))
        high = np.argmax(spectrum) * audio.rate_hz / len(audio.samples) > 700
        odds = 90 if high else 40
        words = ("block", "my", "card")
        return Recognition(
            text=" ".join("what" if byte < odds else word for word, byte in zip(words, digest))
        )


chancy = Agent(
    name="chancy", model_version="1", release_date="2026-01-01", recognizer=Chancy(), dialogue=Clerk(),
    synthesizer=Tone(pitch=60), endpointer=Ends(), tool_backend=desk,
)
'''


@pytest.fixture
def chancy_project(voice_project: VoiceProject) -> VoiceProject:
    (voice_project.path / "toy_agent.py").write_text(TOY_AGENT + CHANCY)
    lines = '[[lines]]\nid = "noisy"\nnoise = "white"\nsnr_db = 10\n'
    (voice_project.path / "suite" / "lines.toml").write_text(lines)
    voice_project.settings(
        ('baseline = "toy_agent:steady"', 'baseline = "toy_agent:chancy"'),
        ('candidate = "toy_agent:steady"', 'candidate = "toy_agent:chancy"'),
        ('wer = "+5pp"', 'wer = "+2pp"'),
    )
    return voice_project


@pytest.mark.slow
def test_independent_draws_differ_and_are_blamed_at_most_at_the_nominal_rate(
    chancy_project: VoiceProject,
) -> None:
    blamed, moved = 0, 0
    for seed in range(RUNS):
        run = f"run{seed}"
        chancy_project.run("-q", "--voice-aa", "--voice-seed", str(seed), f"--voice-run={run}")
        document = chancy_project.gate(run)
        blamed += document["outcomes"]["regressed"] > 0
        moved += any(
            verdict["estimate"]["difference"] != 0
            for verdict in document["verdicts"]
            if verdict["metric"]["name"] == "wer" and verdict["estimate"]["kind"] == "estimate"
        )
    assert moved == RUNS
    # At 5 % two or more of five would have a chance of 2 %; the gate is stricter than nominal.
    assert blamed <= 1


def test_the_same_draws_in_both_arms_would_prove_nothing(chancy_project: VoiceProject) -> None:
    result = chancy_project.run("-q", "--voice-run=run")
    assert result.ret == pytest.ExitCode.OK
    estimates = [verdict["estimate"] for verdict in chancy_project.gate()["verdicts"]]
    assert {each["difference"] for each in estimates if each["kind"] == "estimate"} == {0.0}
