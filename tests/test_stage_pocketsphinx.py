from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from spoken import spoken

from voiceeval.audio import AudioClip
from voiceeval.errors import AgentError, RegistryError
from voiceeval.stages import language_model
from voiceeval.stages.pocketsphinx import PocketSphinx

SENTENCES = """# what callers say
I want to freeze my card.
I want to block my card.
Please move fifty dollars to my savings account!
What is the balance of my account?

My card ends in four one two nine.
I need to refill my lisinopril.
Yes, that is right.
"""
LISINOPRIL = "lisinopril L AY S IH N AH P R IH L\nlisinopril(2) L IH S IH N AH P R IH L\n"
SAID = [
    "i want to freeze my card",
    "please move fifty dollars to my savings account",
    "my card ends in four one two nine",
    "i need to refill my lisinopril",
]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    pytest.importorskip("pocketsphinx")
    (tmp_path / "corpus.txt").write_text(SENTENCES)
    (tmp_path / "words.dict").write_text(LISINOPRIL)
    return {"corpus": tmp_path / "corpus.txt", "dictionary": tmp_path / "words.dict"}


def test_sentences_of_the_corpus_are_heard_word_for_word(files: dict[str, Any]) -> None:
    recognizer = PocketSphinx(**files)
    assert [recognizer.transcribe(spoken(text)).text for text in SAID[:3]] == SAID[:3]


def test_a_transcript_does_not_depend_on_what_was_decoded_before(files: dict[str, Any]) -> None:
    clips = [spoken(text, voice=voice) for text in SAID for voice in ("en-us+f3", "en-029+m7")][:6]
    recognizer = PocketSphinx(**files)
    forwards = [_scored(recognizer, clip) for clip in clips]
    assert [_scored(recognizer, clip) for clip in reversed(clips)] == forwards[::-1]
    assert [_scored(PocketSphinx(**files), clip) for clip in clips[:2]] == forwards[:2]


def _scored(recognizer: PocketSphinx, clip: AudioClip) -> tuple[str, int]:
    text = recognizer.transcribe(clip).text
    best = recognizer._decoder.hyp()
    return text, best.best_score if best is not None else 0


def test_telephone_audio_is_resampled_and_understood_less(files: dict[str, Any]) -> None:
    recognizer = PocketSphinx(**files)
    heard = recognizer.transcribe(spoken("i want to freeze my card", rate_hz=8_000)).text
    assert heard
    assert set(heard.split()) <= language_model.vocabulary(language_model.read_sentences(files["corpus"]))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050])
@pytest.mark.parametrize("duration_ms", [0, 1, 400])
def test_no_speech_gives_no_exception_at_any_length(
    files: dict[str, Any], rate_hz: int, duration_ms: int
) -> None:
    for pad_ms in (0, 250):
        heard = PocketSphinx(**files, pad_ms=pad_ms).transcribe(AudioClip.silence(duration_ms, rate_hz))
        assert isinstance(heard.text, str)


def test_an_arpa_file_hears_what_its_corpus_hears(files: dict[str, Any], tmp_path: Path) -> None:
    sentences = language_model.read_sentences(files["corpus"])
    arpa = tmp_path / "model.arpa"
    arpa.write_text(language_model.trigrams(sentences, 0.5))
    by_file = PocketSphinx(language_model=arpa, dictionary=files["dictionary"])
    by_corpus = PocketSphinx(**files)
    for text in SAID[:3]:
        clip = spoken(text, voice="en-gb-scotland")
        assert by_file.transcribe(clip) == by_corpus.transcribe(clip)
    assert language_model.arpa_vocabulary(arpa) == language_model.vocabulary(sentences)


@pytest.mark.slow
def test_the_general_model_needs_no_files() -> None:
    pytest.importorskip("pocketsphinx")
    heard = PocketSphinx().transcribe(spoken("what is the balance of my account")).text
    assert "account" in heard or "balance" in heard


def test_words_without_pronunciation_are_listed_with_how_to_add_them(files: dict[str, Any]) -> None:
    with pytest.raises(AgentError, match=r"lisinopril; write numbers .* dictionary with a line per word"):
        PocketSphinx(corpus=files["corpus"])


def test_a_pronunciation_of_ones_own_replaces_the_wheels() -> None:
    pytest.importorskip("pocketsphinx")
    from voiceeval.stages.pocketsphinx import _wheel_dictionary

    words = frozenset({"read", "card"})
    known = language_model.pronunciations_of(words, _wheel_dictionary(), {"card": ("K AA D",)})
    assert known == {"card": ("K AA D",), "read": ("R EH D", "R IY D")}
    assert language_model.dictionary_text(known) == "card K AA D\nread R EH D\nread(2) R IY D\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [("card", "line 2: a word without phones"), ("card K XX D", "line 2: unknown phones XX")],
)
def test_a_bad_pronunciation_is_named_by_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "words.dict").write_text(f"# ours\n{line}\n")
    with pytest.raises(AgentError, match=message):
        language_model.read_pronunciations(tmp_path / "words.dict")


def test_a_corpus_is_read_without_case_punctuation_and_comments(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("# note\n\nYes -- that’s 'RIGHT' (really).\n'\n")
    assert language_model.read_sentences(tmp_path / "corpus.txt") == ("yes that's right really",)


def test_trigrams_are_the_same_every_time_and_sum_to_one() -> None:
    pytest.importorskip("pocketsphinx")
    sentences = ("a b", "a c", "a b")
    text = language_model.trigrams(sentences, 0.4)
    language_model.trigrams.cache_clear()
    assert language_model.trigrams(sentences, 0.4) == text
    unigrams = text.split("\\1-grams:\n")[1].split("\n\n")[0].splitlines()
    total = sum(10 ** float(line.split()[0]) for line in unigrams)
    assert total == pytest.approx(0.6, abs=1e-3)  # the rest is the discount


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read"), (b"# nothing\n", "holds no sentences"), (b"\xff\xfe", "not UTF-8")],
)
def test_a_corpus_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    pytest.importorskip("pocketsphinx")
    path = tmp_path / "corpus.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AgentError, match=f"corpus: .*{message}"):
        PocketSphinx(corpus=path)


def test_a_corpus_and_a_model_at_once_are_refused(files: dict[str, Any]) -> None:
    with pytest.raises(AgentError, match="give one of them, not both"):
        PocketSphinx(**files, language_model=files["corpus"])
    with pytest.raises(AgentError, match="is no ARPA file"):
        PocketSphinx(language_model=files["corpus"])


def test_the_fingerprint_covers_contents_and_options_but_not_paths(
    files: dict[str, Any], tmp_path: Path
) -> None:
    first = PocketSphinx(**files).fingerprint
    copy = tmp_path / "elsewhere.txt"
    copy.write_text(SENTENCES)
    assert PocketSphinx(corpus=copy, dictionary=files["dictionary"]).fingerprint == first
    assert PocketSphinx(**files, beam=1e-40).fingerprint != first
    copy.write_text(SENTENCES + "one more\n")
    assert PocketSphinx(corpus=copy, dictionary=files["dictionary"]).fingerprint != first


def test_options_reach_the_decoder(files: dict[str, Any]) -> None:
    recognizer = PocketSphinx(**files, language_weight=9.0, downsample=2, maxhmmpf=500, fwdflat=False)
    config = recognizer._decoder.config
    assert (config["lw"], config["ds"], config["maxhmmpf"], config["fwdflat"]) == (9.0, 2, 500, False)


def test_files_of_the_decoder_are_removed_with_it(files: dict[str, Any]) -> None:
    recognizer = PocketSphinx(**files)
    recognizer.transcribe(AudioClip.silence(100, 16_000))
    folder = Path(recognizer._decoder.config["lm"]).parent
    assert folder.is_dir()
    del recognizer
    assert not folder.exists()


def test_without_the_package_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(RegistryError, match=r"pip install 'voiceeval\[pocketsphinx\]'"):
        PocketSphinx()
