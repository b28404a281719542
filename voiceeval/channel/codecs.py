"""The codecs of a line: what they leave of a clip, at the clip's rate, as long and at the same time.

    mulaw, alaw   G.711, 64 kbit/s: bit-exact, own code
    gsm           GSM full rate (ETSI EN 300 961), 13 kbit/s: libsndfile's; it has no look-ahead
    opus          RFC 6716 at a constant bit rate in frames of 20 ms: libopus through PyAV. The decoder takes
                  the encoder's look-ahead off again (RFC 7845's pre-skip)

Deterministic for the same versions of the libraries, which are part of a line's fingerprint.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from voiceeval.audio import AudioClip
from voiceeval.channel import alaw, mulaw
from voiceeval.extras import installed_version, require
from voiceeval.scenario import Line

Codec = Callable[[AudioClip], AudioClip]

OPUS_FRAME_MS = 20
OPUS_DECODED_HZ = 48_000
_GSM_BLOCK = 320


class Coded(NamedTuple):
    """What a codec made of a clip."""

    clip: AudioClip
    octets: int
    """Sent over the line."""
    sent_ms: int
    """What they hold: the clip, rounded up to whole frames, and one more for the look-ahead."""


def codec_of(line: Line) -> Codec | None:
    """The codec that a line states; None for none.

    Raises:
        RegistryError: its package is not installed; the message has the line that installs it.
    """
    if line.codec == "opus":
        require("av", extra="codecs", needed_by=f'line {line.id!r}: codec = "opus"')
        return lambda clip: opus(clip, line.opus_kbps).clip
    codecs: Mapping[str, Codec] = {"mulaw": _mulaw, "alaw": _alaw, "gsm": gsm}
    return codecs.get(line.codec)


def packages_of(line: Line) -> dict[str, str]:
    """Versions of the libraries that the line's codec is made of."""
    if line.codec == "gsm":
        import soundfile

        return {"libsndfile": soundfile.__libsndfile_version__}
    return {"av": installed_version("av")} if line.codec == "opus" else {}


def _mulaw(clip: AudioClip) -> AudioClip:
    return AudioClip(mulaw.decode(mulaw.encode(clip.samples)), clip.rate_hz)


def _alaw(clip: AudioClip) -> AudioClip:
    return AudioClip(alaw.decode(alaw.encode(clip.samples)), clip.rate_hz)


def gsm(clip: AudioClip) -> AudioClip:
    """Coded and decoded by GSM full rate, which is defined at 8 kHz."""
    import soundfile

    count = len(clip.samples)
    if not count:
        return clip
    whole = np.pad(clip.samples, (0, -count % _GSM_BLOCK))
    buffer = io.BytesIO()
    soundfile.write(buffer, whole, clip.rate_hz, format="WAV", subtype="GSM610")
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="int16")
    return AudioClip(np.asarray(decoded[:count], dtype=np.int16), clip.rate_hz)


def opus(clip: AudioClip, kbps: float) -> Coded:
    """Coded and decoded by Opus in its mode for speech, at 8, 12, 16, 24 or 48 kHz."""
    import av
    import soxr

    count, rate_hz = len(clip.samples), clip.rate_hz
    if not count:
        return Coded(clip, 0, 0)
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate_hz, "mono", "s16"
    encoder.bit_rate = round(kbps * 1000)
    encoder.options = {"application": "voip", "vbr": "off", "frame_duration": str(OPUS_FRAME_MS)}
    encoder.open()
    size = rate_hz * OPUS_FRAME_MS // 1000
    # One more frame than the clip has: the look-ahead moves its end into it.
    whole = np.pad(clip.samples, (0, -count % size + size))
    packets = []
    for start in range(0, len(whole), size):
        frame = av.AudioFrame.from_ndarray(whole[None, start : start + size], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, start
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = OPUS_DECODED_HZ, "mono"
    decoder.extradata = encoder.extradata
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    decoded = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    heard = np.asarray(soxr.resample(decoded, OPUS_DECODED_HZ, rate_hz, quality="HQ"), dtype=np.int16)
    heard = np.pad(heard, (0, max(0, count - len(heard))))[:count]
    octets = sum(packet.size for packet in packets)
    return Coded(AudioClip(heard, rate_hz), octets, len(whole) * 1000 // rate_hz)
