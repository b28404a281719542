"""How well recognizers that run offline understand callers with stronger accents and louder noise.

    OMP_NUM_THREADS=1 python benchmarks/recognizers.py [--quick] [--write docs/recognizers.md] [--whisper DIR]

Every sentence is said by every speaker at every strength of every accent, and over every noise at every
signal-to-noise ratio, on a wideband line. Word errors are counted after the project's own normalisation.
``--write`` puts the tables between the markers of the page and draws the plot beside it. Seeds are fixed.
faster-whisper comes without a model: ``--whisper`` names a folder with one.
"""

from __future__ import annotations

import argparse
import functools
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from calibration import write
from calibration_tables import SEED, Section, markdown
from numpy.typing import NDArray
from recognizers_plot import draw_plot
from scipy.stats import rankdata

from voiceeval.audio import AudioClip
from voiceeval.channel.simulated_line import SimulatedLine
from voiceeval.metrics.alignment import distance
from voiceeval.normalizers import normalizer_for
from voiceeval.protocols import Recognizer
from voiceeval.scenario import Line
from voiceeval.stages.espeak import Espeak
from voiceeval.stages.faster_whisper import FasterWhisper
from voiceeval.stages.pocketsphinx import PocketSphinx

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
LANGUAGES = {"de": "German", "es": "Spanish", "hi": "Hindi", "zh": "Mandarin"}
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
BEDS = ("white", "pink", "car", "street", "babble", "music")
SNRS_DB = (None, 30, 20, 15, 10, 5, 0)
"""None: a clean line."""
SPEAKERS = ("en-us+f3", "en-us+m4", "en-us+linda", "en-us+antonio", "en-us+miguel", "en-us+robert")
SENTENCES = tuple(
    line
    for line in (FIXTURES / "lm" / "scripts.txt").read_text(encoding="utf-8").splitlines()
    if 4 <= len(line.split()) <= 7
)[::7]
"""Every seventh of the shorter sentences that callers of the bundled suite say."""
AROUND_MS = 300
RESAMPLES = 2_000
Clips = Callable[[str, str], Sequence[AudioClip]]
"""A sentence in a voice, at every level from easy to hard."""


class Sizes(NamedTuple):
    """How many speakers and sentences each part takes; every one with every other."""

    accents: tuple[int, int]
    noise: tuple[int, int]


FAST, SLOW, QUICK = Sizes((6, 4), (6, 3)), Sizes((4, 2), (3, 2)), Sizes((2, 1), (1, 2))
"""A general language model takes eight times as long as a small one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Word errors of one recognizer along one axis, from easy to hard."""

    recognizer: str
    what: str
    errors: NDArray[np.int64]
    """Of shape ``(speaker-sentences, levels)``."""
    words: NDArray[np.int64]
    """Of the reference, by speaker-sentence."""

    def rates(self) -> NDArray[np.float64]:
        """Pooled WER by level."""
        return np.asarray(self.errors.sum(axis=0) / self.words.sum())


def along_the_curve(sweep: Sweep) -> float | None:
    """Spearman's ρ between the levels and the pooled WER; None where the WER is the same at all of them."""
    rates = sweep.rates()
    return _correlation(rankdata(rates), np.arange(1.0, len(rates) + 1))


def within_sentences(sweep: Sweep) -> float | None:
    """Correlation between level and WER, both ranked within each speaker-sentence, over all of them.

    Spearman's ρ with speaker-sentences as blocks (the statistic of Page's trend test, J. Am. Stat. Assoc. 58,
    1963, on the scale of a correlation): that some are harder than others does not count. None where no WER
    ever changes.
    """
    ranks = rankdata(sweep.errors, axis=1)
    levels = np.broadcast_to(np.arange(1.0, ranks.shape[1] + 1), ranks.shape)
    return _correlation(ranks.ravel(), levels.ravel())


def interval(sweep: Sweep, statistic: Callable[[Sweep], float | None]) -> tuple[float, float]:
    """95 % percentile interval over speaker-sentences, drawn with replacement, each with all its levels.

    Draws without a value, in which nothing ever changes, count as 0: no relation was seen.
    """
    rng = np.random.default_rng([SEED, 11])
    count = len(sweep.words)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, count, count)
        drawn.append(statistic(replace(sweep, errors=sweep.errors[rows], words=sweep.words[rows])) or 0.0)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / size if size > 1e-9 else None


class Listener:
    """A recognizer that is asked once for every clip."""

    def __init__(self, name: str, recognizer: Recognizer, sizes: Sizes) -> None:
        self.name, self.recognizer, self.sizes = name, recognizer, sizes
        self.seconds = 0.0
        self._heard: dict[str, str] = {}
        self._words = normalizer_for("en-US").tokens

    def errors(self, clip: AudioClip, text: str) -> int:
        """Word errors in a clip."""
        digest = clip.digest()
        if digest not in self._heard:
            started = time.process_time()
            self._heard[digest] = self.recognizer.transcribe(clip).text
            self.seconds += time.process_time() - started
        return distance(self._words(text), self._words(self._heard[digest]))

    def sweep(self, what: str, size: tuple[int, int], clips: Clips) -> Sweep:
        """Word errors along an axis, for so many speakers and sentences."""
        speakers, sentences = size
        pairs = [(voice, text) for voice in SPEAKERS[:speakers] for text in SENTENCES[:sentences]]
        return Sweep(
            recognizer=self.name,
            what=what,
            errors=np.array(
                [[self.errors(clip, text) for clip in clips(voice, text)] for voice, text in pairs]
            ),
            words=np.array([len(self._words(text)) for _, text in pairs]),
        )

    @property
    def facts(self) -> str:
        """How much it was asked."""
        (speakers, sentences), (noise_speakers, noise_sentences) = self.sizes
        return (
            f"{self.name}: {speakers} speakers × {sentences} sentences per accent and strength, "
            f"{noise_speakers} × {noise_sentences} per noise and ratio, {self.seconds:.0f} s"
        )


@functools.cache
def said(voice: str, text: str, *, first_language: Any = "", strength: float = 0.0) -> AudioClip:
    """A sentence with a little silence around it."""
    clip = Espeak(voice=voice, first_language=first_language, accent_strength=strength).synthesize(text)
    quiet = AudioClip.silence(AROUND_MS, clip.rate_hz)
    return AudioClip.join([quiet, clip, quiet])


def carried(clip: AudioClip, text: str, *, noise: Any = "none", snr_db: float = 60.0) -> AudioClip:
    """Over a wideband line; the same noise under a sentence at every level."""
    line = SimulatedLine(Line(id="bench", noise=noise, snr_db=snr_db))
    return line.carry(clip, seed=SENTENCES.index(text)).audio


def in_accents(first_language: str) -> Clips:
    """At every strength."""
    return lambda voice, text: [
        carried(said(voice, text, first_language=first_language, strength=strength), text)
        for strength in STRENGTHS
    ]


def in_noise(bed: str) -> Clips:
    """Clean, and at every ratio."""
    return lambda voice, text: [
        carried(said(voice, text), text)
        if snr_db is None
        else carried(said(voice, text), text, noise=bed, snr_db=snr_db)
        for snr_db in SNRS_DB
    ]


def section(marker: str, header: Sequence[str], sweeps: Sequence[Sweep]) -> Section:
    """A table: WER in % by level, and both correlations with their intervals."""
    rows = []
    for sweep in sweeps:
        rates = [f"{100 * rate:.0f}" for rate in sweep.rates()]
        figures = [_shown(sweep, statistic) for statistic in (along_the_curve, within_sentences)]
        rows.append((sweep.recognizer, sweep.what, *rates, *figures))
    return Section(marker, ("recognizer", *header, "ρ of the curve", "ρ within sentences"), rows)


def _shown(sweep: Sweep, statistic: Callable[[Sweep], float | None]) -> str:
    value = statistic(sweep)
    if value is None:
        return "never changes"
    low, high = interval(sweep, statistic)
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def listeners(whisper: Path | None, *, quick: bool) -> list[Listener]:
    """What runs here: PocketSphinx twice, and faster-whisper where a model is given."""
    tuned = tomllib.loads((FIXTURES / "agents" / "tuned.toml").read_text(encoding="utf-8"))["recognizer"]
    options = {name: value for name, value in tuned.items() if name not in ("use", "corpus")}
    searched = {name: options[name] for name in ("downsample", "fwdflat")}
    domain = PocketSphinx(corpus=FIXTURES / "lm" / "tuned.txt", **options)
    found = [
        Listener("PocketSphinx, generic", PocketSphinx(**searched), SLOW),
        Listener("PocketSphinx, domain", domain, FAST),
    ]
    if whisper is not None:
        found.append(Listener(f"faster-whisper, {whisper.name}", FasterWhisper(model=whisper), SLOW))
    for each in found if quick else ():
        each.sizes = QUICK
    return found


def main() -> None:
    """Listen, print the tables, and write the page if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few clips: does it run?")
    parser.add_argument("--write", type=Path, default=None, metavar="PAGE")
    parser.add_argument("--whisper", type=Path, default=None, metavar="DIR")
    options = parser.parse_args()
    started = time.process_time()
    asked = listeners(options.whisper, quick=options.quick)
    by_accent = [
        each.sweep(name, each.sizes.accents, in_accents(first_language))
        for each in asked
        for first_language, name in LANGUAGES.items()
    ]
    by_noise = [each.sweep(bed, each.sizes.noise, in_noise(bed)) for each in asked for bed in BEDS]
    ratios = ["clean", *(str(snr_db) for snr_db in SNRS_DB[1:])]
    strengths = [f"{strength:g}" for strength in STRENGTHS]
    sections = [
        section("accents", ("accent", *strengths), by_accent),
        section("noise", ("noise", *ratios), by_noise),
    ]
    for each in sections:
        print(f"\n{each.marker}: WER in %\n{markdown(each)}")
    minutes = (time.process_time() - started) / 60
    facts = f"{'; '.join(each.facts for each in asked)}. {minutes:.1f} minutes of one processor core in all."
    if options.whisper is None:
        facts += " faster-whisper was not run: no model was given with `--whisper`."
    print(f"\n{facts}")
    if options.write:
        write(options.write, sections, facts)
        plot = draw_plot(
            [(each.recognizer, each.what, each.rates()) for each in by_accent],
            [(each.recognizer, each.what, each.rates()) for each in by_noise],
            strengths,
            ratios,
        )
        options.write.with_suffix(".svg").write_text(plot, encoding="utf-8")


if __name__ == "__main__":
    main()
