"""Rooms: the stated reverberation time, speech that is not late, and rooms that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from voiceeval.audio import AudioClip
from voiceeval.channel import SimulatedLine, probes, room
from voiceeval.channel.measurements import delay_ms
from voiceeval.channel.speech_level import active_level_dbfs
from voiceeval.errors import ScenarioError
from voiceeval.scenario import Line, Room

ROOMS = [
    Room(),
    Room(rt60_ms=100),
    Room(rt60_ms=150, distance_m=2),
    Room(rt60_ms=2000, distance_m=0.05),
    Room(rt60_ms=1200, size_m=(12, 9, 4), distance_m=3),
    Room(rt60_ms=3000, size_m=(50, 50, 20), distance_m=9),
]


def called(item: Room) -> str:
    return f"{item.size_m[0]:g}m-{item.rt60_ms}ms-{item.distance_m:g}m"


def rt60_ms(response: np.ndarray, rate_hz: int) -> float:
    """From two points of the decay of the band around 1 kHz: a second way to the same figure."""
    start = int(np.argmax(np.abs(response))) + rate_hz // 200
    spectrum = np.fft.rfft(response[start:], 2 * len(response))
    hz = np.fft.rfftfreq(2 * len(response), 1 / rate_hz)
    spectrum[(hz < 400) | (hz > 3000)] = 0
    band = np.fft.irfft(spectrum)[: len(response)]
    left = np.cumsum((band**2)[::-1])[::-1]
    level = 10 * np.log10(left / left[0])
    first, last = (int(np.argmax(level < limit)) for limit in (-5, -25))
    return 3000 * (last - first) / rate_hz


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("item", ROOMS, ids=called)
def test_a_simulated_room_has_the_stated_reverberation_time(item: Room, rate_hz: int) -> None:
    pytest.importorskip("pyroomacoustics")
    response = room.simulated(item, rate_hz, name="x")
    assert room.reverberation_ms(response, rate_hz) == pytest.approx(item.rt60_ms, rel=0.01)
    assert rt60_ms(response, rate_hz) == pytest.approx(item.rt60_ms, rel=0.15)


def test_reverberation_of_decaying_noise_is_its_own() -> None:
    at = np.arange(16_000) / 16_000
    response = 0.3 * np.exp(-np.log(1000) * at / 0.5) * np.random.default_rng(1).standard_normal(16_000)
    response[0] = 3.0
    assert room.reverberation_ms(response, 16_000) == pytest.approx(500, rel=0.05)
    assert room.reverberation_ms(np.eye(1, 100)[0], 16_000) == np.inf, "no echo, no time"


def test_farther_away_the_echo_is_stronger() -> None:
    pytest.importorskip("pyroomacoustics")

    def direct_db(distance_m: float) -> float:
        response = room.simulated(Room(distance_m=distance_m), 16_000, name="x")
        early = int(np.argmax(np.abs(response))) + 80
        return float(10 * np.log10(np.sum(response[:early] ** 2) / np.sum(response[early:] ** 2)))

    near, middle, far = (direct_db(distance_m) for distance_m in (0.1, 0.6, 2.4))
    assert near > middle + 6 > far + 8


@pytest.mark.parametrize("band", ["wide", "telephone"])
@pytest.mark.parametrize("item", ROOMS, ids=called)
def test_speech_is_as_loud_and_as_early_in_a_room_as_without(item: Room, band: str) -> None:
    pytest.importorskip("pyroomacoustics")
    dry = Line.model_validate({"id": "x", "band": band})
    talk = probes.talk(4.0)
    plain, echoing = (
        SimulatedLine(line).parts(talk, seed=1) for line in (dry, dry.model_copy(update={"room": item}))
    )
    assert len(plain.speech) == len(echoing.speech)
    assert active_level_dbfs(echoing.speech, plain.rate_hz) == pytest.approx(-26, abs=0.1)
    # Nothing is heard before it is said.
    silence = AudioClip.silence(500, talk.rate_hz)
    late = SimulatedLine(dry.model_copy(update={"room": item})).parts(AudioClip.join([silence, talk]), seed=1)
    before = late.speech[: int(0.497 * plain.rate_hz)]
    assert np.sum(before**2) < 1e-4 * np.sum(late.speech**2)


@pytest.mark.parametrize("item", ROOMS, ids=called)
def test_noise_in_a_room_agrees_best_with_itself_where_it_was_sent(item: Room) -> None:
    pytest.importorskip("pyroomacoustics")
    burst = probes.burst(3.0, 1.0)
    heard = room.with_echo(burst.as_float(), room.simulated(item, 16_000, name="x"), 16_000)
    assert abs(delay_ms(burst, AudioClip.from_float(0.1 * heard / np.abs(heard).max(), 16_000))) <= 0.1


def test_a_room_is_the_same_every_time() -> None:
    pytest.importorskip("pyroomacoustics")
    first = room.simulated(Room(), 16_000, name="x").copy()
    room._simulated.cache_clear()
    np.testing.assert_array_equal(room.simulated(Room(), 16_000, name="x"), first)


def test_a_recorded_response_is_used_from_its_direct_sound_on() -> None:
    response = np.zeros(8_000)
    response[[400, 2_000]] = 0.8, -0.4
    clip = AudioClip.from_float(response, 16_000)
    used = room.recorded(clip, 16_000, name="x")
    speech = np.random.default_rng(1).standard_normal(16_000)
    heard = room.with_echo(speech, used, 16_000)
    expected = speech.copy()
    expected[1_600:] -= 0.5 * speech[:-1_600]
    np.testing.assert_allclose(heard, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (AudioClip.silence(100, 16_000), "room.file is silent"),
        (probes.tones((500.0,), seconds=10.5), "room.file has 10500 ms; allowed: .* up to 10000 ms"),
    ],
)
def test_a_recorded_response_that_is_none_is_refused(clip: AudioClip, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        room.recorded(clip, 16_000, name="room.file")


def test_a_room_sounds_the_same_whatever_the_number_of_cores() -> None:
    constants = pytest.importorskip("pyroomacoustics").constants
    before, responses = constants.get("num_threads"), []
    try:
        for threads in (1, 2, 8):
            constants.set("num_threads", threads)
            room._simulated.cache_clear()
            responses.append(room.simulated(Room(), 16_000, name="x"))
            assert constants.get("num_threads") == threads
    finally:
        constants.set("num_threads", before)
    for other in responses[1:]:
        np.testing.assert_array_equal(responses[0], other)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (
            {"size_m": (30, 20, 10), "rt60_ms": 300},
            r"rt60_ms: given \d+; allowed: above \d+, which walls leave that swallow everything",
        ),
        (
            {"distance_m": 4.0},
            "distance_m: given .*; allowed: up to 3.2, within the room",
        ),
        ({"file": "ir.wav", "rt60_ms": 300}, r"rt60_ms: a room is either recorded \(file\) or described"),
    ],
)
def test_a_room_that_cannot_be_is_refused(stated: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Room.model_validate(stated)
