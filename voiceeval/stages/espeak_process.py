"""The process that speaks: the only place where the espeak-ng library (GPL-3) is loaded.

Run by path, with the folder that holds the ``espeakng_loader`` package as its only argument. Uses the
standard library alone, so that it starts in a few hundredths of a second and needs nothing of voiceeval's.

On its pipes, integers are little-endian. It says hello with ``<i``: the sample rate, or a negative number
when the library does not load. A request is ``<I`` and that many bytes of JSON with ``do`` and more:

    phonemes   ``voice``, ``text`` -> JSON: ``[phonemes, source]`` per clause of the text
    text       ``voice``, ``text``, ``rate_wpm``, ``pitch``, ``pitch_range``, ``word_gap_ms`` -> int16 samples
    brackets   the same, and what stands in ``[[ ]]`` is phonemes -> int16 samples

An answer is ``<iI``: a status and a length, and that many bytes. Status 0 is success, above 0 espeak-ng's own
error code or `DROPPED`, below 0 the signal that ended the attempt.

Every text is spoken in a fork of a process that has never spoken: espeak-ng carries state from one text to
the next, and the same words would not give the same bytes twice. A text that crashes the library ends only
its fork.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import struct
import sys
from collections.abc import Callable
from typing import IO, Any

SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
UTF8 = 1
"""Flags of ``espeak_Synth``: UTF-8 and nothing else. SSML and phoneme brackets stay plain text."""
BRACKETS = 0x100
"""Flag of ``espeak_Synth``: phonemes in ``[[ ]]``."""
BETWEEN_PHONEMES = ord("|")
"""Stands between phonemes that espeak-ng writes, and may between those it reads."""
DROPPED = 0x7FFF0001
"""Status: the voice does not know some of the phonemes, and leaves out the rest of their words."""
RATE, VOLUME, PITCH, PITCH_RANGE, WORD_GAP = 1, 2, 3, 4, 7
CPU_SECONDS = 20
"""A fork that computes longer than this is ended by the system."""

HELLO = struct.Struct("<i")
REQUEST = struct.Struct("<I")
ANSWER = struct.Struct("<iI")

_KEPT: list[object] = []
"""Callbacks in use: ctypes keeps no reference to them."""

Do = Callable[[dict[str, Any]], tuple[int, bytes]]


def load(site: str) -> tuple[int, Do]:
    """The sample rate, and a function that does one request."""
    sys.path.insert(0, site)
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
    data = espeakng_loader.get_data_path().encode()
    rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, data, DO_NOT_EXIT)
    # Some voices shiver at random; without a seed of ours the clock seeds it.
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_ng_SetRandSeed(1)
    samples = bytearray()

    def collect(wave: int | None, count: int, _events: int | None) -> int:
        if wave and count > 0:
            samples.extend(ctypes.string_at(wave, count * 2))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(collect)
    library.espeak_SetSynthCallback(callback)
    _KEPT.append(callback)

    def do(request: dict[str, Any]) -> tuple[int, bytes]:
        status = library.espeak_SetVoiceByName(request["voice"].encode())
        if status:
            return int(status), b""
        text = request["text"].encode() + b"\0"
        if request["do"] == "phonemes":
            return 0, json.dumps(clauses(library, text)).encode()
        for parameter, value in (
            (RATE, request["rate_wpm"]),
            (VOLUME, 100),
            (PITCH, request["pitch"]),
            (PITCH_RANGE, request["pitch_range"]),
            (WORD_GAP, request["word_gap_ms"] // 10),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        is_phonemes = request["do"] == "brackets"
        flags = UTF8 | BRACKETS if is_phonemes else UTF8
        status = library.espeak_Synth(text, len(text), 0, 1, 0, flags, None, None)
        library.espeak_Synchronize()
        # Read back with the flags of the last synthesis, which stay.
        if not status and is_phonemes and has_dropped(request["text"], clauses(library, text)):
            return DROPPED, b""
        return int(status), bytes(samples)

    return int(rate_hz), do


def clauses(library: Any, text: bytes) -> list[tuple[str, str]]:
    """The phonemes of every clause, and the part of the text it was read from, a character more or less."""
    buffer = ctypes.create_string_buffer(text)
    start = ctypes.addressof(buffer)
    place = ctypes.c_void_p(start)
    found, at = [], 0
    while place.value:
        phonemes = library.espeak_TextToPhonemes(ctypes.byref(place), UTF8, BETWEEN_PHONEMES << 8).decode()
        to = place.value - start if place.value else len(text) - 1
        found.append((phonemes, text[at:to].decode(errors="replace")))
        at = to
    return found


def has_dropped(asked: str, read: list[tuple[str, str]]) -> bool:
    """Whether fewer sounds, or other changes of table, were read than were asked for.

    Which sounds is no matter, nor whether there are more: a voice may say one of them in place of another,
    or link two vowels with an r, as it does in text.
    """
    brackets = re.findall(r"\[\[(.*?)\]\]", asked)
    sounds, changes = _counts(" ".join(brackets), "_^_")
    sounds_read, changes_read = _counts(" ".join(phonemes for phonemes, _ in read), "(")
    return sounds_read < sounds or changes_read != changes


def _counts(phonemes: str, change: str) -> tuple[int, int]:
    """How many sounds there are, without pauses and marks of joining, and how many changes of table."""
    parts = [part for word in phonemes.split() for part in word.split("|") if part]
    sounds = sum(not part.startswith((change, "_", ";")) for part in parts)
    return sounds, sum(part.startswith(change) for part in parts)


def in_a_fork(do: Do, request: dict[str, Any]) -> bytes:
    """The whole answer to one request, done by a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            status, answer = do(request)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(ANSWER.pack(status, len(answer)) + answer)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, ended = os.waitpid(child, 0)
    complete = len(answer) >= ANSWER.size and len(answer) == ANSWER.size + ANSWER.unpack_from(answer)[1]
    return answer if complete else ANSWER.pack(-(os.WTERMSIG(ended) or 1), 0)


def main() -> None:
    """Answer requests until the pipe closes."""
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # whatever the library prints must not get between the samples
    os.dup2(nowhere, 2)  # nor into a log: it may quote the text
    try:
        rate_hz, do = load(sys.argv[1])
    except Exception:
        answers.write(HELLO.pack(-1))
        answers.flush()
        return
    answers.write(HELLO.pack(rate_hz))
    answers.flush()
    requests = sys.stdin.buffer
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        request = json.loads(requests.read(REQUEST.unpack(header)[0]))
        answers.write(in_a_fork(do, request))
        answers.flush()


if __name__ == "__main__":
    main()
