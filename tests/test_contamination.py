from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz import fuzz
from voice_project import SCENARIO, VoiceProject

from voiceeval.audio import AudioClip
from voiceeval.cli import main
from voiceeval.contamination import CLOSEST_FIRST, Checked, TrainingSet, check
from voiceeval.errors import InputError, ManifestError
from voiceeval.normalizers import normalizer_for
from voiceeval.scenario import CallerTurn
from voiceeval.scenario_files import Suite, load_suite
from voiceeval.training_manifest import read_manifest

WORDS = [f"x{first}{second}" for first in "bdfgk" for second in "aeiouwyz"]
LONG = "please send the new debit card to my office in the old harbour"


@pytest.fixture
def suite(voice_project: VoiceProject) -> Suite:
    return load_suite(voice_project.path / "suite")


def saying(suite: Suite, *texts: str, locale: str = "en-US") -> Suite:
    """The suite with one scenario that says these texts, a turn each."""
    scenario = suite.scenarios["lost-card"].model_copy(
        update={"turns": tuple(CallerTurn(text=text) for text in texts), "locale": locale}
    )
    return replace(suite, scenarios={"lost-card": scenario})


def trained(*texts: str) -> TrainingSet:
    lines: dict[str, tuple[int, ...]] = {}
    for number, text in enumerate(texts, 1):
        lines[text] = (*lines.get(text, ()), number)
    return TrainingSet(texts=lines, sounds={})


def found(checked: Checked) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {match.part: (match.kind, match.lines) for match in checked.matches}


@pytest.mark.parametrize(
    ("said", "training", "kind"),
    [
        ("yes", "Yes!", "exact"),
        ("yes", "yes please", ""),
        ("my card is 4129", "My card is four one two nine.", "exact"),
        ("block my card", "block my cards", ""),  # three words are compared exactly only
        (LONG, LONG.upper(), "exact"),
        (LONG, f"hello there {LONG} thank you and goodbye for now", "contained"),
        (LONG, LONG.replace("debit", "credit"), "near"),
        (LONG, LONG.replace("office", "house").replace("harbour", "town").replace("send", "post"), ""),
        (LONG, "what is the balance of my account", ""),
        (LONG, "please send the new debit card to my office in old the harbour", "near"),
    ],
)
def test_how_alike_two_texts_are(suite: Suite, said: str, training: str, kind: str) -> None:
    checked = check(saying(suite, said), trained("something else", training))
    assert found(checked) == ({"turns[0].text": (kind, (2,))} if kind else {})


def test_shared_shingles_find_what_characters_do_not(suite: Suite) -> None:
    first, second = " ".join(WORDS[:20]), " ".join(WORDS[20:40])
    said, swapped = f"{first} {second}", f"{second} {first}"
    # 36 of the 38 3-grams lie within a half: 36 / (38 + 38 - 36) = 0.9.
    assert fuzz.ratio(said, swapped) < 90
    assert found(check(saying(suite, said), trained(swapped))) == {"turns[0].text": ("near", (1,))}


def test_everything_a_caller_may_say_is_compared(suite: Suite) -> None:
    turn = CallerTurn(
        text="one thing", expects=("x",), objection="no not that", repairs=("again please", "once more")
    )
    scenario = suite.scenarios["lost-card"].model_copy(
        update={"turns": (CallerTurn(text="hello"), CallerTurn(silence_ms=10), turn)}
    )
    checked = check(
        replace(suite, scenarios={"lost-card": scenario}),
        trained("once more", "no, not that", "again please", "one thing", "again please"),
    )
    assert found(checked) == {
        "turns[2].text": ("exact", (4,)),
        "turns[2].objection": ("exact", (2,)),
        "turns[2].repairs[0]": ("exact", (3, 5)),
        "turns[2].repairs[1]": ("exact", (1,)),
    }
    assert (checked.texts, checked.count(*CLOSEST_FIRST)) == (5, 4)


def test_a_locale_is_compared_by_its_own_normaliser(suite: Suite) -> None:
    said = "请把新的银行卡寄到我的办公室"
    chinese = saying(suite, said, locale="zh-CN")
    assert found(check(chinese, trained("请把新的银行卡寄到我的办公室。"))) == {
        "turns[0].text": ("exact", (1,))
    }
    assert found(check(chinese, trained("你好，请把新的银行卡寄到我的办公室，谢谢，我们明天再见吧"))) == {
        "turns[0].text": ("contained", (1,))
    }
    assert found(check(chinese, trained("今天的天气很好"))) == {}


def test_short_texts_can_be_left_out_and_are_counted(suite: Suite) -> None:
    checked = check(saying(suite, "yes", LONG), trained("yes", LONG), fewest_words=2)
    assert found(checked) == {"turns[1].text": ("exact", (2,))}
    assert (checked.texts, checked.too_short) == (1, 1)


def test_the_fast_way_finds_what_comparing_every_pair_finds(suite: Suite) -> None:
    draw = np.random.default_rng(5)
    said = [" ".join(draw.choice(WORDS, draw.integers(3, 13))) for _ in range(25)]
    training = []
    for _ in range(300):
        words = str(draw.choice(said)).split()
        for _ in range(draw.integers(1, 4)):
            words[draw.integers(len(words))] = str(draw.choice(WORDS))
        training.append(" ".join([*draw.choice(WORDS, draw.integers(0, 3)), *words]))
    training += [*said[:5], *(f"{text} xaa xbb xcc xdd" for text in said[3:10])]
    checked = check(saying(suite, *said), trained(*training))
    normalizer = normalizer_for("en")
    expected = {}
    for index, text in enumerate(said):
        lines = {
            line: kind
            for line, other in enumerate(training, 1)
            if (kind := slowly(normalizer.tokens(text), normalizer.tokens(other)))
        }
        if lines:
            closest = min(lines.values(), key=("exact", "contained", "near").index)
            expected[f"turns[{index}].text"] = (closest, tuple(lines))
    assert {kind for kind, _ in expected.values()} == {"exact", "contained", "near"}
    assert found(checked) == expected


def slowly(tokens: tuple[str, ...], other: tuple[str, ...]) -> str:
    """The definition, word by word."""
    if tokens == other:
        return "exact"
    if len(tokens) < 5:
        return ""
    if f" {' '.join(tokens)} " in f" {' '.join(other)} ":
        return "contained"
    mine, theirs = ({seq[i : i + 3] for i in range(len(seq) - 2)} for seq in (tokens, other))
    if len(mine & theirs) / len(mine | theirs) >= 0.8:
        return "near"
    return "near" if fuzz.ratio(" ".join(tokens), " ".join(other)) >= 90 else ""


def test_the_order_of_the_training_set_changes_line_numbers_and_nothing_else(suite: Suite) -> None:
    texts = [LONG, LONG.replace("debit", "credit"), "yes", f"well {LONG}"]
    forwards = check(saying(suite, LONG, "yes"), trained(*texts))
    backwards = check(saying(suite, LONG, "yes"), trained(*reversed(texts)))
    assert found(forwards) == {"turns[0].text": ("exact", (1, 2, 4)), "turns[1].text": ("exact", (3,))}
    assert found(backwards) == {"turns[0].text": ("exact", (1, 3, 4)), "turns[1].text": ("exact", (2,))}


# --- manifests and the command --------------------------------------------------------------------------


def tone(hertz: int) -> AudioClip:
    times = np.arange(8_000) / 16_000
    return AudioClip.from_float(0.3 * np.sin(2 * np.pi * hertz * times), 16_000)


@pytest.fixture
def project(voice_project: VoiceProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy project in the current folder; a scenario says `LONG`, another is recorded."""
    calls = voice_project.path / "suite" / "calls"
    (calls / "lost-card.toml").write_text(SCENARIO.format(urgency="now").replace("block my card", LONG))
    (calls / "old-card.toml").write_text(
        SCENARIO.format(urgency="now").replace('my card" }]', 'my card", audio = "old.wav" }]', 1)
    )
    (calls / "old.wav").write_bytes(tone(440).encode("wav"))
    monkeypatch.chdir(voice_project.path)
    return voice_project.path


def manifest(folder: Path, *records: Mapping[str, object], name: str = "training.jsonl") -> str:
    (folder / name).write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return name


def test_a_clean_training_set_passes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = manifest(project, {"text": "something else", "speaker": 3}, {"text": ""})
    assert main(["contamination", "--training", name]) == 0
    assert capsys.readouterr().out == (
        "contaminated: 0 of 2 texts (0 exact, 0 contained, 0 near), 0 of 1 recordings\n"
        "compared with: 1 texts, 0 recordings\n"
        "not compared: the suite's recordings, because the manifest names none\n"
    )


def test_matches_are_named_by_scenario_turn_and_line_and_never_quoted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "audio").mkdir()
    (project / "audio" / "a.flac").write_bytes(tone(440).encode("flac"))
    (project / "b.wav").write_bytes(tone(441).encode("wav"))
    (project / "c.mp3").write_bytes(b"no audio at all")
    name = manifest(
        project,
        *({"text": f"{LONG} {'na ' * n}".strip()} for n in range(7)),
        {"audio": "audio/a.flac"},
        {"audio": "b.wav", "text": "hum"},
        {"audio": "c.mp3"},
        {"audio_sha256": tone(440).digest().upper()},
        {"audio_sha256": hashlib.sha256(tone(440).encode("wav")).hexdigest()},
    )
    assert main(["contamination", "--training", name, "--suite", "suite"]) == 1
    shown = capsys.readouterr().out
    assert shown == (
        "lost-card turns[0].text: exact: lines 1, 2, 3, 4, 5 and 2 more\n"
        "old-card turns[0]: same sound: lines 8, 11, 12\n"
        "contaminated: 1 of 2 texts (1 exact, 0 contained, 0 near), 1 of 1 recordings\n"
        "compared with: 8 texts, 5 recordings\n"
        "compared by their bytes alone: 1 recordings that are not mono audio\n"
    )


def test_of_the_holdout_only_counts_are_said(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "suite").rename(project / "apart")
    digest = load_suite(project / "apart").digest()
    with (project / "pyproject.toml").open("a") as settings:
        settings.write(f'\n[tool.voiceeval.holdout]\nsuite = "apart"\ndigest = "{digest}"\n')
    name = manifest(project, {"text": LONG, "audio_sha256": tone(440).digest()})
    assert main(["contamination", "--training", name, "--holdout"]) == 1
    shown = capfd.readouterr()
    assert shown.out.splitlines()[0] == (
        "contaminated: 1 of 2 texts (1 exact, 0 contained, 0 near), 1 of 1 recordings"
    )
    assert not any(word in shown.out + shown.err for word in ("lost", "old-", "turns", "harbour", "line"))
    (project / "apart" / "calls" / "old.wav").write_bytes(tone(442).encode("wav"))
    assert main(["contamination", "--training", name, "--holdout"]) == 1
    assert "the holdout has changed since it was set aside" in capfd.readouterr().err


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    digest = tone(440).digest()
    (tmp_path / "a.csv").write_text(
        f'speaker,text,audio_sha256\n1,"hello, you",\n2,hello,{digest}\n3,,{digest}\n4,hello,\n'
    )
    manifest(
        tmp_path,
        {"speaker": 0, "text": ""},
        {"text": "hello, you", "audio_sha256": None},
        {"text": "hello", "audio_sha256": digest},
        {"audio_sha256": digest},
        {"text": "hello"},
        name="a.jsonl",
    )
    expected = TrainingSet(texts={"hello, you": (2,), "hello": (3, 5)}, sounds={digest: (3, 4)}, recordings=2)
    assert read_manifest(tmp_path / "a.csv") == read_manifest(tmp_path / "a.jsonl") == expected


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.csv", None, "gone.csv: no such file"),
        ("a.txt", "text\nhello\n", "a.txt: not a table"),
        ("a.csv", "", "a.csv: holds no rows"),
        (
            "a.csv",
            "txt,id\nsecret,1\n",
            "a.csv: none of the columns text, audio_sha256, audio; .* Did you mean 'txt'",
        ),
        ("a.csv", "text,id\nsecret\n", "a.csv: line 2: 1 cells"),
        (
            "a.csv",
            "audio_sha256\nsecret\n",
            "a.csv: line 2: audio_sha256: given 6 characters; allowed: 64 hex",
        ),
        ("a.csv", "id,audio\n1,secret.wav\n", r"a.csv: line 2: audio: .* cannot be read \(No such file"),
        ("a.csv", "id,audio\n1,\n", "a.csv: line 2: names nothing"),
        ("a.csv", 'text\n""\n', "a.csv: all of it is empty"),
        ("a.jsonl", '{"text": "secret"}\n{"text": 5}\n', "a.jsonl: line 2: text: given a number"),
        ("a.jsonl", '{"text": "secret"}\n{"id": 5}\n', "a.jsonl: line 2: names nothing"),
        ("a.jsonl", '{"text": "a"}\n{"text": "secret"\n', "a.jsonl: line 2: not JSON"),
    ],
)
def test_a_bad_manifest_is_named_with_line_and_column(
    tmp_path: Path, name: str, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words) as raised:
        read_manifest(tmp_path / name)
    assert "secret" not in str(raised.value).replace("secret.wav", "")


def test_a_comparison_of_nothing_is_no_pass(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "suite" / "calls" / "old-card.toml").unlink()
    name = manifest(project, {"audio_sha256": "a" * 64})
    assert main(["contamination", "--training", name]) == 2
    assert "holds nothing that the suite could be compared with" in capsys.readouterr().err
    assert main(["contamination", "--training", name, "--fewest-words", "0"]) == 2
    assert "--fewest-words: given 0; allowed: 1 or more" in capsys.readouterr().err
    name = manifest(project, {"text": "yes"})
    assert main(["contamination", "--training", name, "--fewest-words", "99"]) == 2


def test_a_path_that_no_system_has_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"audio": "a\\u0000b"}')
    with pytest.raises(ManifestError, match="line 1: audio: holds a zero byte"):
        read_manifest(path)
