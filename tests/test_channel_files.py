"""A line's own recordings: found in the suite's folder, part of its digests, and heard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from voiceeval.audio import AudioClip
from voiceeval.channel import SimulatedLine, probes
from voiceeval.channel.damage import snr_db
from voiceeval.channel.line_check import prove
from voiceeval.channel.recorded_beds import recorded, ring_of
from voiceeval.errors import ScenarioError
from voiceeval.scenario import Line
from voiceeval.scenario_files import Suite, load_suite

SUITE = {
    "suite.toml": 'name = "s"\nscenarios = ["a.toml"]\ncallers = ["callers.toml"]\nlines = ["lines/*l"]\n',
    "a.toml": 'goal = "g"\ndomain = "d"\ncall_type = "t"\nturns = [{ text = "hello" }]\ntool_paths = [{}]\n',
    "callers.toml": '[[callers]]\nid = "c"\naccent = "a"\nvoice = "en-us"\n',
}
KITCHEN = '[[lines]]\nid = "kitchen"\nnoise = "file"\nnoise_file = "{}"\nsnr_db = 10\n'
Load = Callable[..., Suite]


def hum(rate_hz: int = 44_100, seconds: float = 3.0, hz: float = 700.0) -> AudioClip:
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    return AudioClip.from_float(0.2 * np.sin(2 * np.pi * hz * at), rate_hz)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write(lines: str, **sounds: AudioClip) -> Suite:
        folder = tmp_path / "suite"
        (folder / "lines").mkdir(parents=True, exist_ok=True)
        for name, text in {**SUITE, "lines/some.toml": lines}.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, clip in sounds.items():
            (folder / "lines" / f"{name}.flac").write_bytes(clip.encode("flac"))
        return load_suite(folder)

    return write


def line_of(suite: Suite, name: str = "kitchen") -> SimulatedLine:
    return SimulatedLine(suite.lines[name], files=suite.line_files[name])


def test_the_users_noise_is_heard_at_the_stated_ratio(load: Load) -> None:
    line = line_of(load(KITCHEN.format("hum.flac"), hum=hum()))
    delivered = line.carry(probes.talk(9.0), seed=3)
    assert snr_db(delivered.damage) == pytest.approx(10, abs=0.1)
    noise = line.carry(AudioClip.silence(9000, 16_000), seed=3).audio.as_float()
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(len(noise), 1 / 16_000)
    assert power[np.abs(hz - 700) < 30].sum() > 0.98 * power.sum()


def test_a_recording_that_is_gone_by_the_time_it_is_heard_is_named(load: Load) -> None:
    suite = load(KITCHEN.format("hum.flac"), hum=hum())
    line = line_of(suite)
    suite.line_files["kitchen"]["noise_file"].unlink()
    with pytest.raises(ScenarioError, match=r"hum\.flac: cannot be read: No such file"):
        line.carry(AudioClip.silence(1000, 16_000), seed=3)


def test_the_noise_goes_on_where_the_recording_ends(load: Load) -> None:
    line = line_of(load(KITCHEN.format("hum.flac"), hum=hum(seconds=1.7, hz=701.3)))
    noise = line.carry(AudioClip.silence(9000, 16_000), seed=3).audio.as_float()
    frames = np.sqrt(np.mean(noise.reshape(-1, 320) ** 2, axis=1))
    assert frames.min() > 0.1 * frames.max(), "no gap"
    steps = np.abs(np.diff(noise))
    assert steps.max() < 1.3 * np.quantile(steps, 0.99), "no click"


def test_a_check_of_lines_proves_the_users_noise(load: Load) -> None:
    suite = load(KITCHEN.format("hum.flac"), hum=hum())
    files = suite.line_files["kitchen"]
    rows = list(prove(suite.lines["kitchen"], lambda line: SimulatedLine(line, files=files), files=files))
    assert "SNR (file)" in {row.condition for row in rows}
    assert all(row.reached for row in rows)


def test_a_recorded_room_is_heard_and_proved(load: Load) -> None:
    at = np.arange(24_000) / 16_000
    decay = np.exp(-np.log(1000) * at / 0.5) * np.random.default_rng(1).standard_normal(len(at))
    decay[0] = 6.0
    response = AudioClip.from_float(0.15 * decay, 16_000)
    suite = load('[[lines]]\nid = "stairs"\nroom = { file = "stairs.flac" }\n', stairs=response)
    files = suite.line_files["stairs"]
    line = suite.lines["stairs"]
    rows = {
        row.condition: row for row in prove(line, lambda each: SimulatedLine(each, files=files), files=files)
    }
    assert rows["reverberation (RT60)"].reached
    assert rows["reverberation (RT60)"].stated.startswith(("49", "50"))


def test_a_digest_is_of_the_sound_and_not_of_its_name(load: Load) -> None:
    first = load(KITCHEN.format("hum.flac"), hum=hum())
    renamed = load(KITCHEN.format("same.flac"), same=hum())
    assert renamed.digest() == first.digest()
    assert line_of(renamed).fingerprint == line_of(first).fingerprint
    other = load(KITCHEN.format("other.flac"), other=hum(hz=710))
    assert other.digest() != first.digest()
    assert line_of(other).fingerprint != line_of(first).fingerprint


def test_a_file_that_was_recorded_again_is_another_noise(load: Load) -> None:
    before = line_of(load(KITCHEN.format("hum.flac"), hum=hum()))
    was = before.fingerprint
    after = line_of(load(KITCHEN.format("hum.flac"), hum=hum(hz=900, seconds=2.5)))
    assert after.fingerprint != was


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            KITCHEN.format("gone.wav"),
            r"some.toml: line 'kitchen': noise_file: no file 'gone.wav'; paths are relative to the file",
        ),
        (KITCHEN.format("../../out.flac"), "line 'kitchen': noise_file: .* leads out of the suite's folder"),
        ('[[lines]]\nid = "a"\nroom = { file = "/etc/x.wav" }\n', "line 'a': room.file: .* leads out of"),
        ('[[lines]]\nid = "a"\nnoise = "file"\n', "noise_file: goes with noise"),
        ('[[lines]]\nid = "a"\nnoise_file = "hum.flac"\n', "noise_file: goes with noise"),
        (KITCHEN.format("a.toml"), "noise_file: no file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_line_and_key(load: Load, lines: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        load(lines)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("snr_db = 10", "some.toml: .*lines.0..snr_db: given 10; allowed: with a noise other"),
        ("opus_kbps = 24", 'opus_kbps: given 24; allowed: with codec = "opus"'),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(load: Load, stated: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        load(f'[[lines]]\nid = "a"\n{stated}\n')


def test_a_file_without_sound_is_refused_when_the_line_is_made(load: Load) -> None:
    suite = load(KITCHEN.format("quiet.flac"), quiet=AudioClip.silence(3000, 16_000))
    with pytest.raises(ScenarioError, match=r"line 'kitchen': noise_file: 'quiet\.flac' is silent"):
        line_of(suite)
    suite = load(KITCHEN.format("short.flac"), short=hum(seconds=0.4))
    refused = r"noise_file: 'short\.flac' has 400 ms of noise; allowed: 1000 ms"
    with pytest.raises(ScenarioError, match=refused):
        line_of(suite)


def test_a_line_made_without_its_files_says_so() -> None:
    with pytest.raises(ScenarioError, match="line 'x': noise_file: names a file that was not given"):
        SimulatedLine(Line(id="x", noise="file", noise_file="hum.flac"))


def test_a_gap_in_the_recording_is_not_taken_for_noise() -> None:
    mostly_quiet = np.zeros(16_000 * 20)
    mostly_quiet[: 16_000 * 10] = np.random.default_rng(1).standard_normal(16_000 * 10)
    ring = ring_of(AudioClip.from_float(0.1 * mostly_quiet, 16_000), 16_000, name="x")
    for seed in range(20):
        excerpt = recorded(ring, 16_000, np.random.default_rng(seed))
        assert np.mean(excerpt**2) >= 0.01 * np.mean(ring**2)
