"""The process that speaks: the only place where the espeak-ng library (GPL-3) is loaded.

Run by path, with the folder that holds the ``espeakng_loader`` package as its only argument. Uses the
standard library alone, so that it starts in a few hundredths of a second and needs nothing of voiceeval's.

On its pipes, integers are little-endian. It says hello with ``<i``: the sample rate, or a negative number
when the library does not load. A request is ``<I`` and that many bytes of JSON with ``voice``, ``text``,
``rate_wpm``, ``pitch`` and ``word_gap_ms``. An answer is ``<iI``: a status and a length, and that many
bytes of int16 samples. Status 0 is success, above 0 espeak-ng's own error code, below 0 the signal that
ended the attempt.

Every text is spoken in a fork of a process that has never spoken: espeak-ng carries state from one text to
the next, and the same words would not give the same bytes twice. A text that crashes the library ends only
its fork.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Callable
from typing import IO, Any

SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
UTF8 = 1
"""Flags of ``espeak_Synth``: UTF-8 and nothing else. SSML and phoneme brackets stay plain text."""
RATE, VOLUME, PITCH, PITCH_RANGE, WORD_GAP = 1, 2, 3, 4, 7
CPU_SECONDS = 20
"""A fork that computes longer than this is ended by the system."""

HELLO = struct.Struct("<i")
REQUEST = struct.Struct("<I")
ANSWER = struct.Struct("<iI")

_KEPT: list[object] = []
"""Callbacks in use: ctypes keeps no reference to them."""

Speak = Callable[[dict[str, Any]], tuple[int, bytes]]


def load(site: str) -> tuple[int, Speak]:
    """The sample rate, and a function that speaks one request into int16 bytes."""
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

    def speak(request: dict[str, Any]) -> tuple[int, bytes]:
        status = library.espeak_SetVoiceByName(request["voice"].encode())
        if status:
            return int(status), b""
        for parameter, value in (
            (RATE, request["rate_wpm"]),
            (VOLUME, 100),
            (PITCH, request["pitch"]),
            (PITCH_RANGE, 50),
            (WORD_GAP, request["word_gap_ms"] // 10),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        text = request["text"].encode() + b"\0"
        status = library.espeak_Synth(text, len(text), 0, 1, 0, UTF8, None, None)
        library.espeak_Synchronize()
        return int(status), bytes(samples)

    return int(rate_hz), speak


def in_a_fork(speak: Speak, request: dict[str, Any]) -> bytes:
    """The whole answer to one request, spoken by a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            status, samples = speak(request)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(ANSWER.pack(status, len(samples)) + samples)
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
        rate_hz, speak = load(sys.argv[1])
    except Exception:
        answers.write(HELLO.pack(-1))
        answers.flush()
        return
    answers.write(HELLO.pack(rate_hz))
    answers.flush()
    requests = sys.stdin.buffer
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        request = json.loads(requests.read(REQUEST.unpack(header)[0]))
        answers.write(in_a_fork(speak, request))
        answers.flush()


if __name__ == "__main__":
    main()
