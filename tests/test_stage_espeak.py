from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from voiceeval.errors import AgentError, HarnessError, RegistryError
from voiceeval.stages import espeak as module
from voiceeval.stages import espeak_process
from voiceeval.stages.espeak import Espeak, languages, speakable, voice_variants, voices

SENTENCE = "i need to refill my prescription"


@pytest.fixture
def _package() -> None:
    if importlib.util.find_spec("espeakng_loader") is None:
        pytest.skip("the extra espeak is not installed")


pytestmark = pytest.mark.usefixtures("_package")


def test_a_sentence_lasts_about_as_long_as_its_words_per_minute_say() -> None:
    slow, fast = (Espeak(rate_wpm=rate).synthesize(SENTENCE) for rate in (120, 240))
    words = len(SENTENCE.split())
    assert slow.rate_hz == 22_050
    assert slow.duration_ms > 1.5 * fast.duration_ms
    assert 0.5 < slow.duration_ms / (words * 60_000 / 120) < 1.5


def test_the_same_text_gives_the_same_bytes_whatever_was_spoken_before() -> None:
    voice_names = ["en-us+Annie", "en-gb-scotland+steph", "en-029+klatt4", "en-us+Marco"]
    texts = [SENTENCE, "yes", "it ends in four one two nine"]
    asked = [(voice, text) for voice in voice_names for text in texts]
    forwards = {pair: Espeak(voice=pair[0]).synthesize(pair[1]).digest() for pair in asked}
    Espeak(rate_wpm=300, pitch=90).synthesize("something else entirely")
    backwards = {pair: Espeak(voice=pair[0]).synthesize(pair[1]).digest() for pair in reversed(asked)}
    module._PROCESS.stop()
    fresh = {pair: Espeak(voice=pair[0]).synthesize(pair[1]).digest() for pair in asked[:3]}
    assert backwards == forwards
    assert fresh == {pair: forwards[pair] for pair in fresh}
    assert len(set(forwards.values())) == len(asked)


def test_voice_rate_and_pitch_change_the_sound_and_the_fingerprint() -> None:
    made = [Espeak(), Espeak(voice="en-us"), Espeak(rate_wpm=170), Espeak(pitch=60), Espeak(word_gap_ms=50)]
    assert len({each.fingerprint for each in made}) == len(made)
    assert len({each.synthesize(SENTENCE).digest() for each in made}) == len(made)
    assert Espeak().fingerprint == Espeak(voice="en-us+Annie").fingerprint


@pytest.mark.parametrize(
    ("voice", "nearest"),
    [("en-us+annie", "Annie"), ("en-uss", "en-us"), ("en-us+", "Alex"), ("../../etc/passwd", "en")],
)
def test_an_unknown_voice_is_refused_with_the_nearest_ones(voice: str, nearest: str) -> None:
    with pytest.raises(AgentError, match="espeak-ng has no") as caught:
        Espeak(voice=voice)
    assert repr(voice) in str(caught.value)
    if nearest != "en":
        assert nearest in str(caught.value)


@pytest.mark.parametrize("options", [{"rate_wpm": 20}, {"pitch": 100}, {"word_gap_ms": 2_000}])
def test_a_rate_pitch_or_gap_out_of_range_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(AgentError, match=next(iter(options))):
        Espeak(**options)  # type: ignore[arg-type]


def test_every_listed_language_can_be_spoken() -> None:
    assert {"en-us", "en-gb", "en-gb-scotland", "en-029", "hi"} <= set(languages())
    assert {"Annie", "f3", "m7"} <= set(voice_variants())
    assert len(voices()) == len(languages()) * (1 + len(voice_variants()))
    for language in ("en-gb", "nb", "cmn", "fr", *languages()[::12]):
        assert Espeak(voice=language).synthesize("a").duration_ms > 0


def test_text_is_spoken_as_it_is_written() -> None:
    plain = Espeak().synthesize("hello there")
    assert Espeak().synthesize("hello\x00there").digest() == plain.digest()
    assert Espeak().synthesize("hello\x01" + "100s there").duration_ms > plain.duration_ms
    tagged = Espeak().synthesize("<speak><break time='9s'/>hello there</speak>")
    assert tagged.duration_ms > plain.duration_ms  # the tags are read out: nothing obeys them
    assert np.abs(tagged.as_float()).max() > 0
    assert speakable("a\tb\ud800c\x7f") == "a b c "


def test_a_text_without_words_is_nearly_nothing() -> None:
    for text in ("", "  ", "..."):
        assert Espeak().synthesize(text).duration_ms < 50


def test_a_text_beyond_the_limit_is_refused_without_quoting_it() -> None:
    with pytest.raises(AgentError, match="at most 5000 characters at once, got 6000") as caught:
        Espeak().synthesize("secret" * 1000)
    assert "secret" not in str(caught.value)


def test_threads_share_one_process_and_get_their_own_words() -> None:
    texts = [f"number {index}" for index in range(12)]
    expected = [Espeak().synthesize(text).digest() for text in texts]
    heard: dict[int, str] = {}

    def speak(index: int) -> None:
        heard[index] = Espeak().synthesize(texts[index]).digest()

    threads = [threading.Thread(target=speak, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [heard[index] for index in range(len(texts))] == expected


def test_a_process_that_died_is_started_again() -> None:
    before = Espeak().synthesize(SENTENCE)
    process = module._PROCESS._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert Espeak().synthesize(SENTENCE).digest() == before.digest()
    assert module._PROCESS._process is not process


def _stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    child = tmp_path / "child.py"
    child.write_text(script)
    monkeypatch.setattr(espeak_process, "__file__", str(child))
    monkeypatch.setattr(module, "_PROCESS", module._SpeakingProcess())


HELLO = "import struct, sys\nsys.stdout.buffer.write(struct.pack('<i', 22050)); sys.stdout.flush()\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (HELLO, "ended twice"),
        ("", "ended twice"),
        ("import struct, sys\nsys.stdout.buffer.write(struct.pack('<i', -1))\n", "does not load"),
        (HELLO + "sys.stdin.read(1); sys.stdout.buffer.write(struct.pack('<iI', -11, 0))\n", "signal 11"),
        (HELLO + "sys.stdin.read(1); sys.stdout.buffer.write(struct.pack('<iI', 7, 0))\n", "0x7"),
        (HELLO + "sys.stdin.read()\n", "sent nothing for 200 ms"),
    ],
)
def test_a_broken_process_is_a_fault_of_the_harness_and_never_hangs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, message: str
) -> None:
    voice = Espeak()
    _stand_in(monkeypatch, tmp_path, script)
    monkeypatch.setattr(module, "PATIENCE_MS", 200 if "read()" in script else 10_000)
    with pytest.raises(HarnessError, match=message):
        voice.synthesize(SENTENCE)
    module._PROCESS.stop()


def test_a_fork_of_ours_starts_a_process_of_its_own() -> None:
    script = (
        "import os, warnings\n"
        "from voiceeval.stages.espeak import Espeak\n"
        "first = Espeak().synthesize('one').digest()\n"
        "child = os.fork()\n"
        "same = Espeak().synthesize('one').digest() == first\n"
        "if child == 0: os._exit(0 if same else 3)\n"
        "assert same and os.waitpid(child, 0)[1] == 0\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], check=False, timeout=60)
    assert done.returncode == 0


def test_the_library_is_never_loaded_into_our_process() -> None:
    Espeak().synthesize("hello")
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert "libespeak-ng" not in maps.read_text()


def test_without_the_package_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    languages_cache = module._language_files
    languages_cache.cache_clear()
    with pytest.raises(RegistryError, match=r"pip install 'voiceeval\[espeak\]'"):
        Espeak()
    languages_cache.cache_clear()
