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
import os
import selectors
import signal
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Annotated

import numpy as np
from pydantic import Field

from voiceeval.audio import AudioClip
from voiceeval.errors import AgentError, HarnessError
from voiceeval.stages import espeak_process
from voiceeval.stages.extras import require
from voiceeval.stages.fingerprints import fingerprint

MAX_CHARACTERS = 5_000
"""The longest text spoken at once: about five minutes."""
PATIENCE_MS = 30_000
"""How long the process may send nothing while an answer is due."""
_VERSION = 1


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

    def __post_init__(self) -> None:
        if not 80 <= self.rate_wpm <= 450:
            raise AgentError(f"rate_wpm: must be 80 to 450 words per minute, got {self.rate_wpm}")
        if not 0 <= self.pitch <= 99:
            raise AgentError(f"pitch: must be 0 to 99, got {self.pitch}")
        if not 0 <= self.word_gap_ms <= 1_000:
            raise AgentError(f"word_gap_ms: must be 0 to 1000 ms, got {self.word_gap_ms}")
        _check_voice(self.voice)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Equal for two synthesizers that speak every text alike."""
        return fingerprint(
            "espeak",
            version=_VERSION,
            options=asdict(self),
            distributions=("espeakng-loader",),
        )

    def synthesize(self, text: str) -> AudioClip:
        """Speak ``text``; a text without words is a few silent samples.

        Raises:
            AgentError: the text is longer than `MAX_CHARACTERS`.
            HarnessError: the process crashed twice or does not answer.
        """
        if len(text) > MAX_CHARACTERS:
            raise AgentError(f"espeak speaks at most {MAX_CHARACTERS} characters at once, got {len(text)}")
        language, plus, variant = self.voice.partition("+")
        request = {
            "voice": _language_files()[language] + plus + variant,
            "text": speakable(text),
            "rate_wpm": self.rate_wpm,
            "pitch": self.pitch,
            "word_gap_ms": self.word_gap_ms,
        }
        return _PROCESS.speak(json.dumps(request).encode())


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
def voice_variants() -> tuple[str, ...]:
    """What can stand after ``+`` in a voice's name, sorted: ``Annie``, ``f3``, ``m7``."""
    return tuple(sorted(file.name for file in (_data_folder() / "voices" / "!v").iterdir() if file.is_file()))


def speakable(text: str) -> str:
    """``text`` with control characters (some command espeak-ng) and lone surrogates turned into spaces."""
    return "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)


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

    def speak(self, request: bytes) -> AudioClip:
        with self._lock:
            try:
                status, samples = self._ask(request)
            except (_DiedError, BrokenPipeError):
                self.stop()
                try:
                    status, samples = self._ask(request)
                except (_DiedError, BrokenPipeError):
                    self.stop()
                    raise HarnessError("the espeak-ng process ended twice before it answered") from None
            if status < 0:
                raise HarnessError(f"espeak-ng crashed while speaking (signal {-status})")
            if status > 0:
                raise HarnessError(f"espeak-ng refused to speak (its error code {status:#x})")
            return AudioClip(np.frombuffer(samples, dtype="<i2").astype(np.int16), self._rate_hz)

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
