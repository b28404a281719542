"""espeak-ng as a synthesizer: small, fast, the same on every machine, and run in a process of its own.

The library is licensed under GPL-3. It is loaded only by ``espeak_process.py``, which this module starts
and talks to over pipes; nothing of it is linked into, or imported by, the process that evaluates.
"""

from __future__ import annotations

import atexit
import contextlib
import difflib
import functools
import json
import math
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from voiceeval.audio import AudioClip
from voiceeval.errors import AgentError, HarnessError
from voiceeval.extras import require
from voiceeval.stages import accent_rules, espeak_process
from voiceeval.stages.accents import Clause, accented
from voiceeval.stages.fingerprints import fingerprint

MAX_CHARACTERS = 5_000
"""The longest text spoken at once: about five minutes."""
PATIENCE_MS = 30_000
"""How long the process may send nothing while an answer is due."""
STEPS_PER_OCTAVE = 50
"""Of espeak-ng's pitch, whose range of 0 to 99 is two octaves."""
USUAL_PITCH_RANGE = 50
_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Espeak:
    """A synthesizer that speaks with an espeak-ng voice, at 22,050 Hz.

    The text is spoken as it is written: SSML and phoneme notation are not interpreted, control characters are
    spaces. Equal text gives equal bytes, whatever was spoken before.

    Raises:
        AgentError: no such voice, or a rate, pitch or gap out of range.
        RegistryError: the package is not installed.
    """

    voice: str = "en-us+Annie"
    """A language, or a language and a variant: ``en-gb-scotland``, ``en-us+f3``. See `voices`."""
    rate_wpm: Annotated[int, Field(ge=80, le=450)] = 160
    """Words per minute."""
    pitch: Annotated[int, Field(ge=0, le=99)] = 50
    word_gap_ms: Annotated[int, Field(ge=0, le=1_000)] = 0
    """Pause between words at espeak-ng's normal rate of 175 words per minute, in steps of 10 ms; a slower
    voice pauses longer in proportion."""
    first_language: Literal["", "de", "es", "hi", "zh"] = ""
    """Whose sounds an English voice puts in place of English ones: see ``docs/accents.md``."""
    accent_strength: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the substitutions that are made: 0 none, 1 every one that fits."""
    tract: Annotated[float, Field(ge=0.8, le=1.25)] = 1.0
    """Length of the vocal tract relative to the voice's own: formants move by its inverse, pitch and rate
    stay."""

    def __post_init__(self) -> None:
        if not 80 <= self.rate_wpm <= 450:
            raise AgentError(f"rate_wpm: must be 80 to 450 words per minute, got {self.rate_wpm}")
        if not 0 <= self.pitch <= 99:
            raise AgentError(f"pitch: must be 0 to 99, got {self.pitch}")
        if not 0 <= self.word_gap_ms <= 1_000:
            raise AgentError(f"word_gap_ms: must be 0 to 1000 ms, got {self.word_gap_ms}")
        _check_voice(self.voice)
        self._check_accent()
        self._check_tract()

    @functools.cached_property
    def fingerprint(self) -> str:
        """Equal for two synthesizers that speak every text alike."""
        return fingerprint(
            "espeak",
            version=_VERSION,
            options=asdict(self) | self._accent,
            distributions=("espeakng-loader", "soxr") if self.tract != 1 else ("espeakng-loader",),
        )

    def synthesize(self, text: str) -> AudioClip:
        """Speak ``text``; a text without words is a few silent samples.

        Raises:
            AgentError: the text is longer than `MAX_CHARACTERS`.
            HarnessError: the process crashed twice or does not answer.
        """
        if len(text) > MAX_CHARACTERS:
            raise AgentError(f"espeak speaks at most {MAX_CHARACTERS} characters at once, got {len(text)}")
        words = speakable(text)
        brackets = self._accented(words) if self.accent_strength else ""
        request = {
            "do": "brackets" if brackets else "text",
            "voice": self._voice_file,
            "text": brackets or words,
            "rate_wpm": self._rate_wpm,
            "pitch": self._pitch,
            "pitch_range": round(USUAL_PITCH_RANGE * self.tract),
            "word_gap_ms": self.word_gap_ms,
        }
        clip = _PROCESS.speak(request)
        if self.tract == 1:
            return clip
        longer = clip.resampled(round(clip.rate_hz * self.tract))
        return AudioClip(longer.samples, clip.rate_hz)

    def phonemes(self, text: str) -> str:
        """How ``text`` is pronounced, in espeak-ng's notation; with its accent, if it has one.

        Raises:
            HarnessError: the process crashed twice or does not answer.
        """
        words = speakable(text)
        brackets = self._accented(words) if self.accent_strength else ""
        return brackets or " ".join(f"[[{each.phonemes}]]{each.ending}" for each in self._clauses(words))

    @property
    def _voice_file(self) -> str:
        language, plus, variant = self.voice.partition("+")
        return _language_files()[language] + plus + variant

    @property
    def _rate_wpm(self) -> int:
        """Stretching the sound makes it slower; this makes up for it."""
        return round(self.rate_wpm * self.tract)

    @property
    def _pitch(self) -> int:
        """Stretching the sound makes it lower; this makes up for it."""
        return round(self.pitch + STEPS_PER_OCTAVE * math.log2(self.tract))

    @property
    def _accent(self) -> dict[str, Any]:
        """What the accent adds to the fingerprint: without strength, nothing, whosever it would be."""
        if not self.accent_strength:
            return {"first_language": ""}
        return {"accent_rules": accent_rules.VERSION}

    def _clauses(self, words: str) -> list[Clause]:
        read = _PROCESS.phonemes({"do": "phonemes", "voice": self._voice_file, "text": words})
        return [
            Clause(phonemes, _ending(source, is_last=at == len(read) - 1))
            for at, (phonemes, source) in enumerate(read)
        ]

    def _accented(self, words: str) -> str:
        return accented(
            self._clauses(words),
            first_language=self.first_language,
            strength=self.accent_strength,
            table=_phoneme_table(self.voice.partition("+")[0]),
            speaker=self.voice,
        )

    def _check_accent(self) -> None:
        if self.first_language not in ("", *accent_rules.RULES):
            known = ", ".join(map(repr, ("", *accent_rules.RULES)))
            raise AgentError(f"first_language: must be one of {known}, got {self.first_language!r}")
        if not 0 <= self.accent_strength <= 1:
            raise AgentError(f"accent_strength: must be 0 to 1, got {self.accent_strength}")
        if self.accent_strength and not self.first_language:
            raise AgentError("accent_strength: needs first_language, whose accent it is")
        language = self.voice.partition("+")[0]
        if self.first_language and language.partition("-")[0] != "en":
            raise AgentError(
                f"first_language: only an English voice can have an accent here, and {self.voice!r} is none; "
                "allowed: voices that begin with 'en'"
            )

    def _check_tract(self) -> None:
        if not 0.8 <= self.tract <= 1.25:
            raise AgentError(f"tract: must be 0.8 to 1.25, got {self.tract}")
        for key, asked, lowest, highest in (
            ("rate_wpm", self._rate_wpm, 80, 450),
            ("pitch", self._pitch, 0, 99),
        ):
            if not lowest <= asked <= highest:
                raise AgentError(
                    f"tract: {self.tract} with {key} {getattr(self, key)} needs a {key} of {asked} from "
                    f"espeak-ng, which has {lowest} to {highest}; choose a {key} nearer the middle"
                )


def voices() -> tuple[str, ...]:
    """Every voice there is: languages alone, then every language with every variant.

    Raises:
        RegistryError: the package is not installed.
    """
    spoken, variants = languages(), voice_variants()
    return spoken + tuple(f"{language}+{variant}" for language in spoken for variant in variants)


def languages() -> tuple[str, ...]:
    """What can stand alone or before ``+`` in a voice's name, sorted: ``en-gb``, ``en-us``, ``hi``."""
    return tuple(sorted(_language_files()))


@functools.cache
def _language_files() -> Mapping[str, str]:
    """Language -> the name of its file, by which the library finds it: ``en-gb`` is the file ``en``."""
    names: dict[str, str] = {}
    files = sorted(file for file in (_data_folder() / "lang").rglob("*") if file.is_file())
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, rest = line.partition(" ")
            if key == "language" and rest.split():
                names.setdefault(rest.split()[0].casefold(), file.name)
                break
    return names | {file.name.casefold(): file.name for file in files}


@functools.cache
def _phoneme_table(language: str) -> str:
    """The name of a language's phoneme table: the language's own, unless its file names another."""
    (file,) = (_data_folder() / "lang").rglob(_language_files()[language])
    stated = dict(line.partition(" ")[::2] for line in file.read_text(encoding="utf-8").splitlines())
    return stated.get("phonemes", stated["language"]).split()[0]


@functools.cache
def voice_variants() -> tuple[str, ...]:
    """What can stand after ``+`` in a voice's name, sorted: ``Annie``, ``f3``, ``m7``."""
    return tuple(sorted(file.name for file in (_data_folder() / "voices" / "!v").iterdir() if file.is_file()))


def speakable(text: str) -> str:
    """``text`` with control characters (some command espeak-ng) and lone surrogates turned into spaces."""
    return "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)


def _ending(source: str, *, is_last: bool) -> str:
    """The punctuation that ended a clause; espeak-ng reads a character or two beyond it."""
    marks = re.findall(r"[,;:.?!]", source)
    if is_last and marks and re.search(r"\w\s*$", source):
        return ""
    return marks[-1] if marks else "" if is_last else ","


def _package_folder() -> Path:
    return require("espeakng_loader", extra="espeak", needed_by="the synthesizer 'espeak'")


def _data_folder() -> Path:
    return _package_folder() / "espeak-ng-data"


def _check_voice(voice: str) -> None:
    # The library ignores an unknown variant and speaks with the plain voice: a typo would change the speaker.
    language, plus, variant = voice.partition("+")
    _check_part("language", language, languages(), voice)
    if plus:
        _check_part("variant", variant, voice_variants(), voice)


def _check_part(kind: str, given: str, known: tuple[str, ...], voice: str) -> None:
    if given not in known:
        near = difflib.get_close_matches(given, known, n=3, cutoff=0.5) or known[:5]
        raise AgentError(
            f"voice: espeak-ng has no {kind} {given!r} (in {voice!r}). "
            f"Nearest of {len(known)}: {', '.join(near)}"
        )


class _SpeakingProcess:
    """The one child of this process that speaks; started when first needed, once more when it died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._rate_hz = 0

    def speak(self, request: Mapping[str, object]) -> AudioClip:
        samples = self._answer(request)
        return AudioClip(np.frombuffer(samples, dtype="<i2").astype(np.int16), self._rate_hz)

    def phonemes(self, request: Mapping[str, object]) -> list[tuple[str, str]]:
        """Of every clause: its phonemes, and the text it was read from."""
        return [(phonemes, source) for phonemes, source in json.loads(self._answer(request))]

    def _answer(self, fields: Mapping[str, object]) -> bytes:
        request = json.dumps(fields).encode()
        with self._lock:
            try:
                status, answer = self._ask(request)
            except (_DiedError, BrokenPipeError):
                self.stop()
                try:
                    status, answer = self._ask(request)
                except (_DiedError, BrokenPipeError):
                    self.stop()
                    raise HarnessError("the espeak-ng process ended twice before it answered") from None
            if status < 0:
                raise HarnessError(f"espeak-ng crashed while speaking (signal {-status})")
            if status == espeak_process.DROPPED:
                raise HarnessError(f"espeak-ng's voice {fields['voice']!r} lacks some sounds of the accent")
            if status > 0:
                raise HarnessError(f"espeak-ng refused to speak (its error code {status:#x})")
            return answer

    def stop(self) -> None:
        """End the child and all it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _close(process)

    def forget(self) -> None:
        """In a fork of our own process: the child is the parent's, and so are its pipes."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None:
            _close(process)
            process.returncode = 0  # not ours to wait for

    def _ask(self, request: bytes) -> tuple[int, bytes]:
        process = self._process or self._start()
        assert process.stdin is not None  # noqa: S101  (stated for the type checker)
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(espeak_process.REQUEST.pack(len(request)) + request)
        process.stdin.flush()
        status, length = espeak_process.ANSWER.unpack(self._read(process.stdout, espeak_process.ANSWER.size))
        return status, self._read(process.stdout, length)

    def _start(self) -> subprocess.Popen[bytes]:
        script = Path(espeak_process.__file__)
        process = subprocess.Popen(  # noqa: S603  (our own script, no shell)
            [sys.executable, "-I", "-S", str(script), str(_package_folder().parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101
        (rate_hz,) = espeak_process.HELLO.unpack(self._read(process.stdout, espeak_process.HELLO.size))
        if rate_hz <= 0:
            self.stop()
            raise HarnessError("the espeak-ng library of the package 'espeakng-loader' does not load here")
        self._rate_hz = rate_hz
        return process

    def _read(self, pipe: IO[bytes], length: int) -> bytes:
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while len(received) < length:
                if not selector.select(PATIENCE_MS / 1000):
                    self.stop()
                    raise HarnessError(f"the espeak-ng process sent nothing for {PATIENCE_MS} ms")
                part = os.read(pipe.fileno(), length - len(received))
                if not part:
                    raise _DiedError
                received += part
        return bytes(received)


class _DiedError(Exception):
    """The child closed its pipe."""


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


_PROCESS = _SpeakingProcess()
atexit.register(_PROCESS.stop)
os.register_at_fork(after_in_child=_PROCESS.forget)
