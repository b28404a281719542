"""``voiceeval check --lines``: sound lines are proved, and a line that skips a condition is caught."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from voiceeval.audio import AudioClip
from voiceeval.call import Damage
from voiceeval.channel import SimulatedLine, probes, room
from voiceeval.channel.line_check import Proof, prove
from voiceeval.channel.telephone_band import telephone_band
from voiceeval.cli import main
from voiceeval.protocols import Delivered
from voiceeval.reports.lines_table import render, sentence
from voiceeval.scenario import Line, Packets, Room

Samples = NDArray[np.float64]


def proofs(line: Line, build: Callable[[Line], SimulatedLine] = SimulatedLine) -> dict[str, Proof]:
    if line.codec == "opus":
        pytest.importorskip("av")
    if line.room is not None:
        pytest.importorskip("pyroomacoustics")
    return {proof.condition: proof for proof in prove(line, build)}


def missed(line: Line, build: Callable[[Line], SimulatedLine] = SimulatedLine) -> set[str]:
    return {name for name, proof in proofs(line, build).items() if not proof.reached}


LOSSY = Packets(loss_rate=0.08, burst_packets=2.5)
SOUND = [
    Line(id="wide"),
    Line(id="landline", band="telephone", codec="mulaw", noise="pink", snr_db=24),
    Line(id="europe", band="telephone", codec="alaw", noise="white", snr_db=30, level_dbfs=-20),
    Line(id="mobile", band="telephone", codec="gsm", noise="street", snr_db=10),
    Line(id="cafe", codec="opus", opus_kbps=12, noise="babble", snr_db=5, room=Room()),
    Line(id="car", codec="opus", opus_kbps=24, noise="car", snr_db=-5, packets=LOSSY),
    Line(id="overdriven", noise="music", snr_db=15, gain_db=12, clip_dbfs=-6),
    Line(id="hall", band="telephone", noise="pink", snr_db=20, room=Room(rt60_ms=1200, size_m=(12, 9, 4))),
    Line(id="late", packets=Packets(loss_rate=0.02, jitter_ms=20, buffer_ms=60, concealment="silence")),
]


@pytest.mark.slow
@pytest.mark.parametrize("line", SOUND, ids=lambda line: line.id)
def test_a_line_as_built_reaches_everything_it_states(line: Line) -> None:
    assert missed(line) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        Line(id="soft", packets=LOSSY, noise="pink", snr_db=20, gain_db=-40),
        Line(id="dry", packets=LOSSY, noise="pink", level_dbfs=-60),
    ],
    ids=lambda line: line.id,
)
def test_lost_packets_are_counted_where_pauses_are_digital_silence(line: Line) -> None:
    rows = proofs(line)
    for name in ("packets lost or late", "packets lost in a row", "losses in the record"):
        assert rows[name].reached, rows[name]


class NoNoise(SimulatedLine):
    def parts(self, audio: AudioClip, *, seed: int) -> Any:
        whole = super().parts(audio, seed=seed)
        return type(whole)(
            speech=whole.speech, noise=0 * whole.noise, rate_hz=whole.rate_hz, active_ms=whole.active_ms
        )


class HalfTheNoise(SimulatedLine):
    def parts(self, audio: AudioClip, *, seed: int) -> Any:
        whole = super().parts(audio, seed=seed)
        return type(whole)(
            speech=whole.speech, noise=0.9 * whole.noise, rate_hz=whole.rate_hz, active_ms=whole.active_ms
        )


class NoiseOnlyInTheRecord(SimulatedLine):
    """Says that it has noise, and delivers none."""

    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        honest = super().carry(audio, seed=seed)
        quiet = SimulatedLine(self.line.model_copy(update={"noise": "none"})).carry(audio, seed=seed)
        return Delivered(audio=quiet.audio, damage=honest.damage)


class OtherNoise(SimulatedLine):
    """As loud as stated, and of another colour."""

    def __init__(self, line: Line) -> None:
        other = {"pink": "white", "babble": "street", "street": "pink", "car": "pink", "music": "babble"}
        super().__init__(line.model_copy(update={"noise": other.get(line.noise, line.noise)}))


class NoRecord(SimulatedLine):
    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        return Delivered(audio=super().carry(audio, seed=seed).audio, damage=Damage())


class PassesEverything(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._filters = ()


class FoldsBack(SimulatedLine):
    """Takes every other sample, and what lies above 4 kHz comes out below."""

    def parts(self, audio: AudioClip, *, seed: int) -> Any:
        return super().parts(AudioClip(audio.samples[::2], 8000), seed=seed)


class Narrow(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._filters = (lambda samples: np.repeat(telephone_band(samples[::2]), 2)[: len(samples)],)


class NoCodec(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._codec = None


class LateCodec(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line)
        codec = self._codec
        if codec is not None:
            self._codec = lambda clip: AudioClip(np.roll(codec(clip).samples, 200), clip.rate_hz)


class OtherBitRate(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line.model_copy(update={"opus_kbps": 2 * line.opus_kbps}))


class NoLoss(SimulatedLine):
    def _over_the_network(self, clip: AudioClip, seed: int) -> tuple[AudioClip, NDArray[np.bool_]]:
        return clip, super()._over_the_network(clip, seed)[1]


class LossByChance(SimulatedLine):
    """As many lost packets, but not in bursts."""

    def __init__(self, line: Line) -> None:
        if line.packets is not None:
            even = line.packets.model_copy(update={"burst_packets": 1 / (1 - line.packets.loss_rate)})
            line = line.model_copy(update={"packets": even})
        super().__init__(line)


class NoClipping(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line.model_copy(update={"clip_dbfs": 0.0}))


class NoGain(SimulatedLine):
    def _amplified(self, mixed: Samples) -> Samples:
        return mixed


class NoRoom(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._response = None


class OtherRoom(SimulatedLine):
    def __init__(self, line: Line) -> None:
        super().__init__(line)
        if line.room is not None:
            longer = line.room.model_copy(update={"rt60_ms": round(1.3 * line.room.rt60_ms)})
            self._response = room.simulated(longer, self.rate_hz, name="x")


class Moody(SimulatedLine):
    """Draws from a state of its own, as from a global generator."""

    made = 0

    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        Moody.made += 1
        return super().carry(audio, seed=seed + Moody.made)


class OneNoise(SimulatedLine):
    def carry(self, audio: AudioClip, *, seed: int) -> Delivered:
        return super().carry(audio, seed=0)


TELEPHONE = Line(id="x", band="telephone", codec="mulaw", noise="pink", snr_db=20)
SABOTAGE: list[tuple[type[SimulatedLine], Line, set[str]]] = [
    (NoNoise, TELEPHONE, {"SNR (pink)"}),
    (HalfTheNoise, TELEPHONE, {"SNR (pink)"}),
    (NoNoise, Line(id="x"), {"noise floor"}),
    (NoiseOnlyInTheRecord, TELEPHONE, {"SNR (pink)"}),
    (OtherNoise, TELEPHONE, {"noise spectrum"}),
    (OtherNoise, TELEPHONE.model_copy(update={"noise": "babble"}), {"noise spectrum"}),
    (OtherNoise, Line(id="x", noise="car", snr_db=5), {"noise spectrum"}),
    (OtherNoise, Line(id="x", noise="street", snr_db=5), {"noise spectrum"}),
    (OtherNoise, Line(id="x", noise="music", snr_db=5), {"noise spectrum"}),
    (NoRecord, TELEPHONE, {"SNR in the record"}),
    (PassesEverything, TELEPHONE, {"stops 100 Hz"}),
    (FoldsBack, TELEPHONE, {"stops 6000 Hz"}),
    (Narrow, Line(id="x"), {"passes 100–7000 Hz"}),
    (NoCodec, TELEPHONE, {"mulaw levels"}),
    (NoCodec, TELEPHONE.model_copy(update={"codec": "alaw"}), {"alaw levels"}),
    (NoCodec, TELEPHONE.model_copy(update={"codec": "gsm"}), {"gsm distortion"}),
    (LateCodec, TELEPHONE.model_copy(update={"codec": "gsm"}), {"gsm delay"}),
    (NoCodec, Line(id="x", codec="opus"), {"opus distortion", "opus bit rate"}),
    (OtherBitRate, Line(id="x", codec="opus"), {"opus bit rate"}),
    (NoLoss, Line(id="x", packets=LOSSY), {"packets lost or late", "losses in the record"}),
    (LossByChance, Line(id="x", packets=LOSSY), {"packets lost in a row"}),
    (NoClipping, Line(id="x", gain_db=6, clip_dbfs=-15), {"clipping"}),
    (NoGain, Line(id="x", gain_db=6), {"gain"}),
    (NoGain, Line(id="x", gain_db=-6, noise="pink", snr_db=20), {"gain"}),
    (NoRoom, Line(id="x", room=Room()), {"reverberation (RT60)"}),
    (OtherRoom, Line(id="x", room=Room()), {"reverberation (RT60)"}),
    (Moody, Line(id="x"), {"repeated"}),
    (OneNoise, Line(id="x"), {"repeated"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sabotaged", "line", "caught"), SABOTAGE, ids=lambda given: getattr(given, "__name__", "")
)
def test_a_line_that_skips_a_condition_is_caught(
    sabotaged: type[SimulatedLine], line: Line, caught: set[str]
) -> None:
    assert caught <= missed(line, sabotaged)


def test_a_clipping_level_that_nothing_reaches_is_told() -> None:
    assert missed(Line(id="x", level_dbfs=-40, clip_dbfs=-3)) == {"clipping"}


def test_the_probe_is_speech_by_its_pauses_and_its_peaks() -> None:
    talk = probes.talk(8.0).as_float()
    frames = 10 * np.log10(np.mean(talk.reshape(-1, 160) ** 2, axis=1) + 1e-12)
    assert 0.2 < np.mean(frames < frames.max() - 40) < 0.7
    assert 20 * np.log10(np.abs(talk).max()) - 10 * np.log10(np.mean(talk**2)) > 12


def printed(rows: list[Proof], encoding: str = "utf-8", width: int = 110) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    render(rows, Console(file=file, width=width, highlight=False))
    file.flush()
    return raw.getvalue().decode(encoding)


def test_the_table_has_a_row_per_condition_and_says_what_was_missed() -> None:
    rows = list(proofs(TELEPHONE, NoNoise).values())
    text = printed(rows)
    for row in rows:
        assert row.condition in text
        assert row.tolerance in text
    assert text.splitlines()[-1].startswith(
        "4 conditions did not reach the audio: x: SNR (pink); x: noise spectrum; x: SNR in the record; "
    )
    assert text.count("NO") == 4
    assert "+-0.2 dB" in printed(rows, "ascii")
    assert sentence([row for row in rows if row.reached]) == "Every condition of 1 line reaches the audio."


SUITE = {
    "suite.toml": 'name = "s"\nscenarios = ["a.toml"]\ncallers = ["callers.toml"]\nlines = ["lines.toml"]\n',
    "a.toml": 'goal = "g"\ndomain = "d"\ncall_type = "t"\nturns = [{ text = "hello" }]\ntool_paths = [{}]\n',
    "callers.toml": '[[callers]]\nid = "c"\naccent = "a"\nvoice = "en-us"\n',
}


def write(folder: Path, lines: str) -> str:
    for name, text in {**SUITE, "lines.toml": lines}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def test_the_command_prints_the_table_and_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = write(tmp_path, '[[lines]]\nid = "plain"\n\n[[lines]]\nid = "noisy"\nnoise = "car"\nsnr_db = 3\n')
    assert main(["check", "--lines", suite]) == 0
    text = capsys.readouterr().out
    assert "SNR (car)" in text
    assert text.rstrip().endswith("Every condition of 2 lines reaches the audio.")


def test_the_command_fails_when_a_condition_does_not_reach_the_audio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = write(tmp_path, '[[lines]]\nid = "soft"\nlevel_dbfs = -40\nclip_dbfs = -3\n')
    assert main(["check", suite]) == 0
    assert main(["check", "--lines", suite]) == 1
    assert "1 condition did not reach the audio: soft: clipping." in capsys.readouterr().out


def test_lines_are_of_suites(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--lines", "fixtures/agents/baseline.toml"]) == 2
    assert "--lines: given no suite" in capsys.readouterr().err
