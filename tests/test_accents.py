from __future__ import annotations

import importlib.util
import re
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from voiceeval.audio import AudioClip
from voiceeval.channel.simulated_line import SimulatedLine
from voiceeval.errors import AgentError, HarnessError
from voiceeval.metrics.alignment import distance
from voiceeval.scenario import Line
from voiceeval.stages import accent_rules, espeak_process
from voiceeval.stages import espeak as module
from voiceeval.stages.accent_rules import IN_HINDI, RETROFLEX, RULES
from voiceeval.stages.accents import Clause, Sound, accented, made_sites, sites
from voiceeval.stages.espeak import Espeak, languages
from voiceeval.stages.pocketsphinx import PocketSphinx

FIXTURES = Path(__file__).parent.parent / "fixtures"
SCRIPTS = FIXTURES / "lm" / "scripts.txt"
DOMAIN = FIXTURES / "lm" / "domain.txt"
TUNED = tomllib.loads((FIXTURES / "agents" / "tuned.toml").read_text())["recognizer"]
HEARD = [line for line in SCRIPTS.read_text().splitlines() if 4 <= len(line.split()) <= 8][::7][:8]
SENTENCE = "i would like to speak with a person about the very big bill that i lost this week"
VOICE = "en-us+f3"


@pytest.fixture
def _package() -> None:
    if importlib.util.find_spec("espeakng_loader") is None:
        pytest.skip("the extra espeak is not installed")


spoken = pytest.mark.usefixtures("_package")


def word(text: str) -> list[Sound]:
    return [Sound("", name) for name in text.split()]


def said(text: str, first_language: str, *, strength: float = 1.0, table: str = "en-us") -> str:
    """A word's phonemes, separated by spaces, with the accent's in their places."""
    made = accented(
        [Clause("|".join(text.split()), "")],
        first_language=first_language,
        strength=strength,
        table=table,
        speaker="somebody",
    )
    return made.strip("[]").replace("|", " ") if made else text


@pytest.mark.parametrize(
    ("first_language", "english", "expected"),
    [
        ("de", "T 'I N k", "s 'I N k"),
        ("de", "k 'A@ d z", "k 'A@ t s"),
        ("de", "w 'E s t", "v 'E s t"),
        ("de", "dZ 'V dZ", "tS 'a# tS"),
        ("de", "v 'E r i", "v 'E r i"),
        ("es", "s p 'i: k", "e s p 'i k"),
        ("es", "s 'i: t", "s 'i t"),
        ("es", "n 'E v 3", "n 'E B 3"),
        ("es", "v 'E r i", "b 'E * i"),
        ("es", "l 'O2 s t", "l 'o s"),
        ("es", "j 'E s", "dZ 'E s"),
        ("hi", "T 'I N k", "t[ 'I N k"),
        ("hi", "v 'E r i", "v# 'E * i"),
        ("hi", "w 'O: t# 3", "_^_hi v# 'O t. @ *"),
        ("hi", "k 'A@ d", "_^_hi k 'a: * d."),
        ("zh", "T 'I N k", "s 'i N"),
        ("zh", "b 'I g", "b 'i g @"),
        ("zh", "b 'I l", "b 'i o"),
        ("zh", "f r 'i: z", "f l 'i s"),
        ("zh", "w 'I D", "w 'i s"),
    ],
)
def test_a_strong_accent_says_a_word_as_the_books_have_it(
    first_language: str, english: str, expected: str
) -> None:
    assert said(english, first_language) == expected


def test_a_stress_stays_on_the_vowel_it_was_on() -> None:
    assert said("s t ,0 p 'eI dZ", "es").count("'eI") == 1
    assert said("'3: l i", "hi") == "'@ * l i"


def test_a_flapped_t_is_a_t_and_the_bath_vowel_of_americans_that_of_bat() -> None:
    assert said("w 'O: t# 3", "hi").count("t.") == 1
    assert said("l 'aa s t", "de", table="en-us") == "l 'E s t"
    assert said("l 'aa s t", "de", table="en-rp") == "l 'aa s t"


def words_of_the_scripts() -> list[list[Sound]]:
    voice = Espeak(voice=VOICE)
    found = []
    for line in SCRIPTS.read_text().splitlines()[::2]:
        for clause in re.findall(r"\[\[(.*?)\]\]", voice.phonemes(line)):
            found += [[Sound("", part.lstrip("',%=")) for part in each.split("|")] for each in clause.split()]
    return found


@spoken
@pytest.mark.parametrize("first_language", RULES)
def test_a_stronger_accent_makes_all_that_a_weaker_one_makes_and_the_share_is_the_strength(
    first_language: str,
) -> None:
    strengths = (0.1, 0.25, 0.5, 0.75, 0.9)
    made: Counter[float] = Counter()
    fit = 0
    for speaker in ("en-us+f3", "en-us+m4", "en-us+Annie"):
        for sounds in words_of_the_scripts():
            every = {site.at for site in sites(sounds, first_language, table="en-us", speaker=speaker)}
            fit += len(every)
            before: set[int] = set()
            for strength in (*strengths, 1.0):
                now = {
                    site.at
                    for site in made_sites(sounds, first_language, strength, table="en-us", speaker=speaker)
                }
                assert before <= now <= every
                made[strength] += len(now)
                before = now
            assert before == every
    assert fit > 500
    # Rules are not equally frequent, so that the share is only about the strength.
    for strength in strengths:
        assert made[strength] / fit == pytest.approx(strength, abs=0.15)


def test_which_words_come_first_is_the_speakers_own_and_always_the_same() -> None:
    thresholds = {
        speaker: [
            next(iter(sites(word(text), "de", table="en-us", speaker=speaker))).from_strength
            for text in ("T I N k", "T 0 t", "w E s t", "w I n t 3", "a n d")
        ]
        for speaker in ("anna", "bert")
    }
    assert thresholds["anna"] != thresholds["bert"]
    again = next(iter(sites(word("T I N k"), "de", table="en-us", speaker="anna"))).from_strength
    assert again == thresholds["anna"][0]


def test_what_stays_longest_in_a_slight_accent_is_made_from_a_lower_strength_on() -> None:
    """The order of the table is an order of typicality: on average over speakers."""
    for rules, first_language in ((RULES[name], name) for name in RULES):
        onset = []
        for rule in (rules[0], rules[-1]):
            sound = next(iter(rule.change))
            found = [
                site.from_strength
                for speaker in map(str, range(40))
                for text in (f"{sound} E k {sound} i", f"k {sound} a {sound}", f"l E {sound}")
                for site in sites(word(text), first_language, table="en-us", speaker=speaker)
                if site.rule is rule
            ]
            onset.append(np.mean(found))
        assert onset[0] < onset[1] - 0.2


@spoken
def test_every_sound_an_accent_puts_in_is_one_that_every_english_voice_has() -> None:
    """The library leaves an unknown sound out without a word, and the rest of its word with it."""
    new = {
        sound
        for rules in RULES.values()
        for rule in rules
        for said_instead in rule.change.values()
        for sound in said_instead.split()
    }
    hindi = {sound for said_instead in IN_HINDI.values() for sound in said_instead.split()} | RETROFLEX
    for language in (each for each in languages() if each.split("-")[0] == "en"):
        table = module._phoneme_table(language)
        for sound in new - RETROFLEX:
            assert _is_known(language, f"[[p|'E|{sound}|p|'E]]"), (language, sound)
        assert _is_known(language, f"[[p|'E _^_hi p|'E _^_{table} p|'E]]"), language
    for sound in hindi:
        assert _is_known("en-us", f"[[_^_hi p|'E|{sound}|p|'E]]"), sound
    assert not _is_known("en-us", "[[p|'E|t.|p|'E]]")
    assert not _is_known("en-us", "[[_^_nowhere p|'E]]")


def _is_known(language: str, brackets: str) -> bool:
    """Whether the process speaks it, instead of saying that sounds were dropped."""
    request: dict[str, object] = {
        "do": "brackets",
        "voice": module._language_files()[language],
        "text": brackets,
    }
    numbers = {"rate_wpm": 160, "pitch": 50, "pitch_range": 50, "word_gap_ms": 0}
    try:
        module._PROCESS.speak(request | numbers)
    except HarnessError as error:
        assert "lacks some sounds of the accent" in str(error)  # noqa: PT017
        return False
    return True


@spoken
@pytest.mark.parametrize("voice", ["en-us+f3", "en-gb-x-rp+m1", "en-gb-scotland+f4", "en-029"])
def test_no_word_that_callers_say_has_a_sound_without_a_counterpart_in_hindi(voice: str) -> None:
    words = sorted({word for line in DOMAIN.read_text().splitlines() for word in line.split()})
    words += ["tired", "retired", "fired", "wired", "hour", "fire"]
    strong = Espeak(voice=voice, first_language="hi", accent_strength=1)
    for start in range(0, len(words), 8):
        # A voice that lacks a sound refuses to speak.
        assert strong.synthesize(" ".join(words[start : start + 8])).duration_ms > 500


@spoken
@pytest.mark.parametrize("first_language", RULES)
@pytest.mark.parametrize("voice", ["en-us+f3", "en-gb-x-rp+m1", "en-gb-scotland+f4", "en-029"])
def test_the_scripts_can_be_said_with_every_accent_in_about_the_same_time(
    first_language: str, voice: str
) -> None:
    plain, strong = Espeak(voice=voice), Espeak(voice=voice, first_language=first_language, accent_strength=1)  # type: ignore[arg-type]
    for line in SCRIPTS.read_text().splitlines()[::20]:
        assert strong.synthesize(line).duration_ms == pytest.approx(
            plain.synthesize(line).duration_ms, rel=0.25
        )


@spoken
@pytest.mark.parametrize("first_language", RULES)
def test_another_strength_is_another_sound_and_another_fingerprint(first_language: str) -> None:
    made = [
        Espeak(voice=VOICE, first_language=first_language, accent_strength=strength)  # type: ignore[arg-type]
        for strength in (0.0, 0.25, 0.5, 1.0)
    ]
    assert len({each.fingerprint for each in made}) == 4
    assert len({each.phonemes(SENTENCE) for each in made}) == 4
    assert len({each.synthesize(SENTENCE).digest() for each in made}) == 4
    assert made[3].synthesize(SENTENCE).digest() == made[3].synthesize(SENTENCE).digest()


@spoken
def test_four_first_languages_are_four_accents_of_one_voice() -> None:
    clips = {
        name: Espeak(voice=VOICE, first_language=name, accent_strength=1).synthesize(SENTENCE).digest()  # type: ignore[arg-type]
        for name in RULES
    }
    assert len(set(clips.values())) == len(RULES)


@spoken
def test_an_accent_without_strength_is_the_plain_voice_byte_for_byte() -> None:
    plain = Espeak(voice=VOICE)
    for first_language in RULES:
        none = Espeak(voice=VOICE, first_language=first_language)  # type: ignore[arg-type]
        assert none.synthesize(SENTENCE).digest() == plain.synthesize(SENTENCE).digest()
        assert none.fingerprint == plain.fingerprint


@spoken
def test_a_text_in_which_nothing_is_to_be_substituted_is_spoken_as_text() -> None:
    plain, accent = Espeak(voice=VOICE), Espeak(voice=VOICE, first_language="de", accent_strength=1)
    assert accent.synthesize("no").digest() != plain.synthesize("no").digest()  # a pure o
    assert accent.synthesize("me").digest() == plain.synthesize("me").digest()


@spoken
def test_a_rules_version_changes_the_fingerprint_of_accents_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprints() -> tuple[str, str]:
        accent = Espeak(voice=VOICE, first_language="de", accent_strength=0.5)
        return Espeak(voice=VOICE).fingerprint, accent.fingerprint

    before = fingerprints()
    monkeypatch.setattr(accent_rules, "VERSION", accent_rules.VERSION + 1)
    after = fingerprints()
    assert before[0] == after[0]
    assert before[1] != after[1]


@spoken
def test_punctuation_keeps_its_pauses_in_an_accent() -> None:
    accent = Espeak(voice=VOICE, first_language="de", accent_strength=1)
    with_pauses, without = (
        accent.synthesize(text).duration_ms
        for text in ("well, good, then. Goodbye!", "well good then goodbye")
    )
    assert with_pauses > without + 300
    assert [part[-1] for part in accent.phonemes("Good day, sir. Is it you? Well").split(" [[")] == [
        ",",
        ".",
        "?",
        "]",
    ]


@spoken
@pytest.mark.parametrize("text", ["It is time, she said.", "It is time, two days; then it is late, you see."])
def test_every_clause_of_a_hindi_accent_begins_with_the_voices_own_sounds(text: str) -> None:
    accent = Espeak(voice=VOICE, first_language="hi", accent_strength=1)
    first, *others = re.findall(r"\[\[(.*?)\]\]", accent.phonemes(text))
    assert others
    assert "_^_hi" in first
    assert all(("t." in clause or "d." in clause) == ("_^_hi" in clause) for clause in others)
    assert not any(clause.startswith("_^_en") for clause in others)
    assert accent.synthesize(text).duration_ms > 1_000


@spoken
def test_brackets_in_a_callers_words_are_no_phonemes_with_an_accent_either() -> None:
    accent = Espeak(voice=VOICE, first_language="de", accent_strength=1)
    tagged = accent.phonemes("good [[b'a]] <break time='9s'/> [[_^_hi t.'a]]")
    assert "_^_" not in tagged
    assert re.fullmatch(r"(\[\[[^\[\]]*\]\][,;:.?!]? ?)+", tagged)
    assert accent.synthesize("good [[b'a]]").duration_ms > accent.synthesize("good").duration_ms + 100
    plain = Espeak(voice=VOICE)
    assert plain.synthesize("[[t'aIm]]").digest() != plain.synthesize("time").digest()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_language": "fr"}, "first_language: must be one of '', 'de', 'es', 'hi', 'zh', got 'fr'"),
        ({"first_language": "de", "accent_strength": 1.5}, "accent_strength: must be 0 to 1, got 1.5"),
        ({"accent_strength": 0.5}, "accent_strength: needs first_language, whose accent it is"),
        (
            {"voice": "fr", "first_language": "de"},
            "only an English voice can have an accent here, and 'fr' is none",
        ),
        ({"tract": 1.5}, "tract: must be 0.8 to 1.25, got 1.5"),
        ({"tract": 1.25, "pitch": 95}, "tract: 1.25 with pitch 95 needs a pitch of 111 from espeak-ng"),
        ({"tract": 0.8, "rate_wpm": 85}, "tract: 0.8 with rate_wpm 85 needs a rate_wpm of 68 from espeak-ng"),
    ],
)
@spoken
def test_an_accent_or_tract_that_cannot_be_spoken_is_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(AgentError) as caught:
        Espeak(**options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def pitch_hz(clip: AudioClip) -> float:
    """Median over voiced frames, by autocorrelation."""
    samples, width = clip.as_float(), 1024
    found = []
    for start in range(0, len(samples) - width, 512):
        frame = samples[start : start + width] * np.hanning(width)
        if np.mean(frame**2) > 1e-4:
            alike = np.correlate(frame, frame, "full")[width - 1 :]
            low, high = clip.rate_hz // 400, clip.rate_hz // 60
            at = low + int(np.argmax(alike[low:high]))
            if alike[at] > 0.4 * alike[0]:
                found.append(clip.rate_hz / at)
    return float(np.median(found))


def centroid_hz(clip: AudioClip) -> float:
    power = np.abs(np.fft.rfft(clip.as_float())) ** 2
    hz = np.fft.rfftfreq(len(clip.samples), 1 / clip.rate_hz)
    return float((power * hz)[hz < 9_000].sum() / power[hz < 9_000].sum())


@spoken
@pytest.mark.parametrize("tract", [0.8, 0.9, 1.1, 1.25])
@pytest.mark.parametrize("voice", ["en-us+m4", "en-gb-x-rp+m1", "en-us+f3"])
def test_a_longer_tract_lowers_the_formants_by_its_inverse_and_keeps_pitch_and_rate(
    voice: str, tract: float
) -> None:
    own, other = (Espeak(voice=voice, tract=each).synthesize(SENTENCE) for each in (1.0, tract))
    assert other.rate_hz == own.rate_hz
    assert centroid_hz(other) / centroid_hz(own) == pytest.approx(1 / tract, rel=0.06)
    assert other.duration_ms == pytest.approx(own.duration_ms, rel=0.06)
    assert pitch_hz(other) == pytest.approx(pitch_hz(own), rel=0.08)
    assert Espeak(voice=voice, tract=tract).fingerprint != Espeak(voice=voice).fingerprint


def test_a_reading_that_lost_sounds_or_a_table_is_noticed() -> None:
    asked = "[[k|'A@|t]], [[_^_hi t.|'aI|m]]"
    assert not espeak_process.has_dropped(asked, [("k|'A@|t", ""), ("(hi) t.|'aI|m", "")])
    assert not espeak_process.has_dropped(asked, [("k|'A@|r|t", ""), ("(hi) t.|'aI|;|m", "")])
    assert espeak_process.has_dropped(asked, [("k|'A@", ""), ("(hi) t.|'aI|m", "")])
    assert espeak_process.has_dropped(asked, [("k|'A@|t", ""), ("t|'aI|m|m", "")])


@spoken
@pytest.mark.slow
def test_a_recognizer_that_knows_the_words_hears_fewer_of_them_the_stronger_the_accent() -> None:
    """On average over voices and sentences; a single sentence may well go the other way.

    Two voices and eight sentences; docs/recognizers.md has more of both.
    """
    pytest.importorskip("pocketsphinx")
    options = {name: value for name, value in TUNED.items() if name not in ("use", "corpus")}
    recognizer = PocketSphinx(corpus=FIXTURES / "lm" / "tuned.txt", **options)
    line = SimulatedLine(Line(id="wide"))

    def wer(first_language: str, strength: float) -> float:
        errors = words = 0
        for voice in ("en-us+f3", "en-us+m4"):
            speaker = Espeak(voice=voice, first_language=first_language, accent_strength=strength)  # type: ignore[arg-type]
            for text in HEARD:
                clip = speaker.synthesize(text)
                quiet = AudioClip.silence(300, clip.rate_hz)
                heard = recognizer.transcribe(line.carry(AudioClip.join([quiet, clip, quiet]), seed=1).audio)
                errors += distance(tuple(text.split()), tuple(heard.text.split()))
                words += len(text.split())
        return errors / words

    plain = wer("", 0.0)
    for first_language in RULES:
        half, full = wer(first_language, 0.5), wer(first_language, 1.0)
        assert plain < half < full, (first_language, plain, half, full)
        assert full > plain + 0.04, (first_language, plain, full)
