"""What a report leaves out is in none of its files, however it is written or said; everything else stays."""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from heard_run import heard_run
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from test_report_sample import SCENARIOS, planned_calls, report_input, scenario

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    AsideStarted,
    Call,
    CallerStarted,
    Event,
    Heard,
    KeyPressed,
    Replied,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.config import load_config
from voiceeval.errors import ConfigError, RunFolderError
from voiceeval.metrics.alignment import align
from voiceeval.metrics.spoken_turns import spoken_turns
from voiceeval.metrics.task import completes
from voiceeval.normalizers import normalizer_for
from voiceeval.redaction import CARDS_ONLY, LEFT_OUT, Redaction, Rules, cards_in, entity_types, secret_of
from voiceeval.reports.alignment import hear
from voiceeval.reports.call_list import slug
from voiceeval.reports.html import HtmlReport
from voiceeval.reports.redacted_call import redacted_call
from voiceeval.reports.redacted_report import redacted
from voiceeval.reports.redacted_texts import redacted_mapping
from voiceeval.reports.report_files import render_all
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.scenario import Entity
from voiceeval.score import Ratio, Scored

CARD = "4111111111111111"
SPOKEN = "four one one one one one one one one one one one one one one one"
ENTITY = Redaction(types=frozenset({"card"}))
UNITS = ["oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"]
TEENS += ["nineteen"]
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


# --- card numbers and their forms, and an oracle that reads them its own way ----------------------------


def check_digit(digits: str) -> str:
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits))]
    return str(-sum(sum(map(int, str(each))) for each in doubled) % 10)


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    length = draw(st.sampled_from([13, 14, 15, 16, 16, 16, 19]))
    first = draw(st.sampled_from("3456"))
    body = first + "".join(
        draw(st.lists(st.sampled_from("0123456789"), min_size=length - 2, max_size=length - 2))
    )
    return body + check_digit(body)


def grouped(digits: str, separator: str) -> str:
    return separator.join(digits[at : at + 4] for at in range(0, len(digits), 4))


def in_pairs(digits: str) -> str:
    def pair(two: str) -> str:
        if len(two) == 1 or two[0] == "0":
            return " ".join(UNITS[int(digit)] for digit in two)
        if two[0] == "1":
            return TEENS[int(two[1])]
        return TENS[int(two[0])] + (f" {UNITS[int(two[1])]}" if two[1] != "0" else "")

    # An odd digit comes first: sixty and one would be told as sixty-one.
    odd = len(digits) % 2
    return " ".join(pair(digits[max(0, at) : at + 2]) for at in range(-odd, len(digits), 2))


def doubled(digits: str) -> str:
    return re.sub(r"(\w+) \1\b", r"double \1", " ".join(UNITS[int(digit)] for digit in digits))


FORMS = {
    "plain": lambda digits: digits,
    "spaces": lambda digits: grouped(digits, " "),
    "dashes": lambda digits: grouped(digits, "-"),
    "dots": lambda digits: grouped(digits, "."),
    "commas": lambda digits: grouped(digits, ", "),
    "unseen": lambda digits: grouped(digits, "\u200b"),
    "fullwidth": lambda digits: grouped("".join(chr(0xFF10 + int(digit)) for digit in digits), " "),
    "single": " ".join,
    "spoken": lambda digits: " ".join(UNITS[int(digit)] for digit in digits),
    "capitals": lambda digits: " ".join(UNITS[int(digit)] for digit in digits).title(),
    "hesitant": lambda digits: ", uh, ".join(
        " ".join(UNITS[int(each)] for each in digits[at : at + 4]) for at in range(0, len(digits), 4)
    ),
    "doubled": doubled,
    "pairs": in_pairs,
}
WORD_DIGITS = {word: str(number) for number, word in enumerate(UNITS)} | {"zero": "0"}
WORD_DIGITS |= {word: str(number) for number, word in enumerate(TEENS, start=10)}


def digits_told(text: str) -> str:
    """All digits of a text, written or spoken, run together."""
    plain = html.unescape(text).translate({0xFF10 + digit: str(digit) for digit in range(10)}).lower()
    words = re.findall(r"\d|[a-z]+", re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), plain))
    told: list[str] = []
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        if word in TENS[2:]:
            round_number = following not in UNITS[1:]
            told.append(str(TENS.index(word)) + ("0" if round_number else ""))
        elif word == "double" and following in WORD_DIGITS:
            told.append(WORD_DIGITS[following])
        elif word.isdecimal():
            told.append(word)
        else:
            told.append(WORD_DIGITS.get(word, ""))
    return "".join(told)


ALPHABET = "abcxyz ABC.,;!?()'\"<>&/\n\té漢"
AROUND = st.text(alphabet=ALPHABET, max_size=12)


@pytest.mark.parametrize("form", FORMS)
def test_the_oracle_reads_every_form(form: str) -> None:
    assert CARD in digits_told(FORMS[form](CARD))
    assert "5500005555555559" in digits_told(FORMS[form]("5500005555555559"))


@settings(max_examples=300, deadline=None)
@given(card_numbers(), st.sampled_from(sorted(FORMS)), AROUND, AROUND)
@example("3000000000007", "pairs", "", "")
def test_a_card_number_in_any_form_leaves_only_its_last_four_digits(
    digits: str, form: str, before: str, after: str
) -> None:
    text = f"{before} {FORMS[form](digits)} {after}"
    masked = Rules(cards=True).text(text)
    assert digits[:-4] not in digits_told(masked)
    assert digits_told(masked) == digits_told(before) + digits[-4:] + digits_told(after)
    assert masked.startswith(before)
    assert masked.endswith(after)
    assert Rules(cards=True).text(masked) == masked


@given(st.text(max_size=60))
def test_masking_twice_is_masking_once(text: str) -> None:
    rules = Rules(cards=True)
    assert rules.text(rules.text(text)) == rules.text(text)


@given(st.text(alphabet="0123456789 -.•ab", min_size=10, max_size=80))
def test_masking_twice_is_masking_once_where_digits_abound(text: str) -> None:
    rules = Rules(cards=True)
    assert rules.text(rules.text(text)) == rules.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "it ends in four one two nine",
        "card ending in 4129, expires 11/27",
        "call me on 020 7946 0958",
        "five five five oh one four two",
        "1732211234567",
        "1732211234567890123",
        "20261121163404",
        "2026-11-21 16:34:04 and 2026-11-21 16:34:05",
        "sha256 9f2c4111111111111111ab",
        "tx4111111111111111",
        "550e8400-e29b-41d4-a716-446655440000",
        "0.4111111111111111",
        "4111111111111112",
        "0000000000000000",
        "order 39051, order 39052, order 39053",
        "",
    ],
)
def test_what_is_no_card_number_stays(text: str) -> None:
    assert Rules(cards=True).text(text) == text


def test_the_form_of_the_mask_tells_how_it_was_given() -> None:
    assert Rules(cards=True).text(f"pay with {grouped(CARD, ' ')} now") == "pay with •••• •••• •••• 1111 now"
    assert Rules(cards=True).text(f"it is {SPOKEN} thanks") == "it is [card ending 1111] thanks"
    assert Rules(cards=True).text(f"cards.{CARD}.status") == "cards.•••• •••• •••• 1111.status"


# --- a whole report ----------------------------------------------------------------------------------


def holding(text: str, number: int, keys: str, heard: str) -> ReportInput:
    """One planned call in which ``text`` stands wherever a text can stand, and ``number`` where one can."""
    planned = planned_calls()[:1]
    goal = scenario(
        planned[0].scenario,
        goal=f"Pay with {text}",
        turns=[
            {"text": f"my number is {text}", "repairs": [f"i said {text}"], "objection": f"no {text}"},
            {"text": "two", "afterthought": {"text": f"and {text}"}},
            {"text": "bye"},
        ],
        tool_paths=[{"calls": [{"name": "block_card", "arguments": {"card": text, "number": number}}]}],
        outcome={"state": {f"paid.{number}": text}, "said": [text]},
        asides=[{"kind": "side_talk", "text": text, "at_ms": 5}],
    )
    report = report_input(planned=planned, scenarios={planned[0].scenario: goal})
    parts: list[JsonValue] = [*str(number)]
    values: list[JsonValue] = [text, number, parts, {str(number): [text]}]

    def changed(event: Event) -> list[Event]:
        if isinstance(event, CallerStarted):
            aside = AsideStarted(
                at_ms=event.at_ms - 900,
                turn=event.turn,
                aside="side_talk",
                text=text,
                audio="a" * 64,
                audio_from_ms=0,
            )
            pressed = [KeyPressed(at_ms=event.at_ms, turn=9, key=key) for key in keys if event.turn == 1]
            return [aside, replace(event, text=f"my number is {text}"), *pressed]
        if isinstance(event, Transcribed):
            return [replace(event, text=f"my number is {heard}")]
        if isinstance(event, Replied | AgentStarted):
            return [replace(event, text=f"You said {text}.")]
        if isinstance(event, ToolCalled):
            return [replace(event, arguments={"card": text, "number": number, "parts": values})]
        return [replace(event, value=values) if isinstance(event, ToolReturned) else event]

    def call(given: Call) -> Call:
        events = tuple(each for event in given.events for each in changed(event))
        again = given.given_right_words
        assert again is not None
        state: dict[str, JsonValue] = {str(number): {"text": text, "values": values}}
        return replace(
            given,
            events=events,
            final_state=state,
            heard=(Heard(audio="b" * 64, said=text, heard=heard, floor_heard=text),),
            given_right_words=replace(again, events=events, final_state=state),
        )

    evidence = (f"turn 1: expected {text}, got {heard}", f"REF: is {text}", f"HYP: is {heard}", f"{number}")
    return replace(
        report,
        calls={id_: call(each) for id_, each in report.calls.items()},
        scores={
            key: replace(score, evidence=evidence)
            if isinstance(score, Scored)
            else replace(score, reason=text)
            for key, score in report.scores.items()
        },
    )


HTML = HtmlReport()


def written(report: ReportInput, redaction: Redaction, folder: Path) -> Mapping[str, str]:
    """Every file of the report that is text, but the package's own."""
    HTML.write(redacted(report, redaction), folder / "report")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".flac" and "assets" not in path.parts
    }


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(card_numbers(), st.sampled_from(sorted(FORMS)), st.integers(0, 11), st.integers(1, 9))
@example("4539578763621486", "plain", 5, 1)
@example("4539578763621486", "spoken", 5, 1)
def test_no_file_of_a_report_has_a_card_number_said_or_misheard(
    digits: str, form: str, place: int, by: int
) -> None:
    wrong = f"{digits[:place]}{(int(digits[place]) + by) % 10}{digits[place + 1 :]}"
    report = holding(FORMS[form](digits), int(digits), f"{digits}#", FORMS[form](wrong))
    with tempfile.TemporaryDirectory() as folder:
        files = written(report, CARDS_ONLY, Path(folder))
    assert {"report/index.html", "report/cohort.html", "report/data/calls.js"} <= files.keys()
    for name, text in files.items():
        told = digits_told(text)
        assert digits[:-4] not in told, name
        assert wrong[:-4] not in told, name
    call = next(text for name, text in files.items() if "/calls/" in name)
    assert digits[-4:] in digits_told(call)


def test_with_none_the_card_number_is_there(tmp_path: Path) -> None:
    report = holding(CARD, int(CARD), CARD, CARD)
    files = written(report, Redaction(cards=False), tmp_path)
    assert any(CARD in text for name, text in files.items() if "/calls/" in name)


def test_render_all_masks_unless_told_otherwise(tmp_path: Path) -> None:
    report = holding(CARD, int(CARD), CARD, CARD)
    for name, redaction, shown in (("a", CARDS_ONLY, False), ("b", Redaction(cards=False), True)):
        folder = tmp_path / name
        render_all(report, folder, redaction=redaction)
        texts = [
            path.read_text() for path in folder.rglob("*") if path.suffix in {".html", ".js", ".md", ".json"}
        ]
        assert any(CARD in text for text in texts) is shown
    render_all(report, tmp_path / "c")
    for path in (path for path in (tmp_path / "a").rglob("*") if path.is_file()):
        assert (tmp_path / "c" / path.relative_to(tmp_path / "a")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("redaction", [CARDS_ONLY, ENTITY, Redaction(text=True), Redaction(audio=True)])
def test_redacting_twice_is_redacting_once(redaction: Redaction) -> None:
    for report in (holding(SPOKEN, int(CARD), CARD, SPOKEN), report_input()):
        once = redacted(report, redaction)
        twice = redacted(once, redaction)
        assert (twice.calls, twice.scenarios) == (once.calls, once.scenarios)
        assert (twice.scores, twice.left_out) == (once.scores, once.left_out)


def test_the_verdicts_and_figures_are_the_same_whatever_is_left_out(tmp_path: Path) -> None:
    report = report_input()
    gates = set()
    for redaction in (Redaction(cards=False), CARDS_ONLY, ENTITY, Redaction(text=True, audio=True)):
        shown = redacted(report, redaction)
        assert shown.comparison is report.comparison
        assert shown.planned == report.planned
        assert {id_: totals(score) for id_, score in shown.scores.items()} == {
            id_: totals(score) for id_, score in report.scores.items()
        }
        gates.add(render_all(report, tmp_path / redaction.told[:60], redaction=redaction).gate.read_bytes())
    assert len(gates) == 1


def totals(score: object) -> tuple[Ratio, ...]:
    return score.observations if isinstance(score, Scored) else ()


def test_a_report_without_anything_to_leave_out_is_the_report() -> None:
    report = report_input()
    shown = redacted(report, CARDS_ONLY)
    assert (shown.calls, shown.scenarios, shown.scores) == (report.calls, report.scenarios, report.scores)


# --- entities ------------------------------------------------------------------------------------------


def one_call(*, arm: Arm = Arm.CANDIDATE, accent: str = "caribbean") -> str:
    planned = next(
        each for each in planned_calls() if each.tags["accent"] == accent and each.line == "telephone"
    )
    return arm_call_id(planned, arm)


def sample() -> ReportInput:
    wanted = one_call().rpartition("/")[0]
    return report_input(planned=tuple(each for each in planned_calls() if each.id == wanted))


def test_an_entity_is_left_out_wherever_it_stands_and_so_is_what_was_heard_instead(tmp_path: Path) -> None:
    files = written(sample(), ENTITY, tmp_path)
    for name, text in files.items():
        assert not re.search(r"4129|4125|4 1 2 [95]|four one two|one two (nine|five)", html.unescape(text)), (
            name
        )
    page = next(text for name, text in files.items() if "/calls/" in name)
    assert "[card]" in page
    assert "[card, misheard]" in page


def test_right_and_wrong_values_stay_apart() -> None:
    shown = redacted(sample(), ENTITY)
    cards = {
        arm: {
            str(event.arguments["card"])
            for event in shown.calls[one_call(arm=arm)].events
            if isinstance(event, ToolCalled)
        }
        for arm in Arm
    }
    assert cards == {Arm.BASELINE: {"[card]"}, Arm.CANDIDATE: {"[card, misheard]"}}
    made = shown.scenarios[SCENARIOS[0]].tool_paths[0].calls[0]
    assert made.arguments == {"card": "[card]"}
    assert shown.calls[one_call(arm=Arm.BASELINE)].final_state == {"cards": {"[card]": {"status": "blocked"}}}
    assert set(shown.calls[one_call()].final_state["cards"]) == {"[card]", "[card, misheard]"}  # type: ignore[arg-type]


@pytest.mark.parametrize("redaction", [CARDS_ONLY, ENTITY])
def test_the_task_is_judged_alike_on_redacted_texts(redaction: Redaction) -> None:
    report = report_input()
    shown = redacted(report, redaction)
    for id_, call in islice(report.calls.items(), 0, None, 3):
        before = report.scenarios[call.key.scenario]
        after = shown.scenarios[call.key.scenario]
        again = shown.calls[id_]
        assert completes(after, again.events, again.final_state) == completes(
            before, call.events, call.final_state
        )


@pytest.mark.parametrize(
    ("type_", "entity", "other"),
    [
        ("card", "four one two nine", "41 29"),
        ("card", "four one two nine", "cards.4129.status"),
        ("card", "4129", "it is Four, One, two-nine!"),
        ("code", "a b one two", "AB12"),
        ("code", "a b one two", "ab-12"),
        ("name", "José García", "jose garcia"),
        ("date", "march twenty third", "2026-03-23"),
        ("date", "march twenty third", "03-23"),
        ("date", "march twenty third", "the 23rd of March"),
        ("date", "the 5th of may", "May fifth"),
        ("phone", "five five five oh one four two", "+1 555 0142"),
        ("phone", "five five five oh one four two", "+15550142"),
        ("street", "elm street", "ELM STREET"),
    ],
)
def test_an_entity_is_found_however_it_is_written(type_: str, entity: str, other: str) -> None:
    found = secret_of(Entity(type=type_, text=entity))
    assert found is not None
    for text in (entity, other):
        assert f"[{type_}]" in Rules(cards=True, secrets=(found,)).text(f"so {text} then")


@pytest.mark.parametrize(
    ("type_", "entity", "other"),
    [
        ("name", "mark", "the market"),
        ("card", "4129", "41290"),
        ("house_number", "seven", "4 7 1 1"),
        ("date", "march twenty third", "march the twenty fourth"),
        ("date", "march twenty third", "2026-03-24"),
    ],
)
def test_what_only_resembles_an_entity_stays(type_: str, entity: str, other: str) -> None:
    found = secret_of(Entity(type=type_, text=entity))
    assert found is not None
    assert Rules(cards=True, secrets=(found,)).text(other) == other


WORDS = st.sampled_from(
    ["my", "card", "is", "four", "one", "two", "nine", "thanks", "for", "a", "nein", "won", "too", "no"]
)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(WORDS, max_size=4),
    st.lists(WORDS, max_size=4),
    st.lists(WORDS, max_size=12) | st.none(),
    st.sampled_from(["card", "number"]),
)
@example(["is"], [], ["is", "four", "one", "one", "nine"], "card")
@example([], ["thanks"], ["for", "one", "two", "nein", "thanks"], "card")
def test_a_marked_transcript_never_contradicts_the_error_rate(
    before: list[str], after: list[str], heard: list[str] | None, kind: str
) -> None:
    entity = "four one two nine" if kind == "card" else SPOKEN
    said = " ".join([*before, entity, *after])
    transcript = said if heard is None else " ".join(heard)
    goal = scenario(
        SCENARIOS[0],
        turns=[{"text": said, "entities": [{"type": "card", "text": entity}]}],
    )
    given_call = report_input(planned=planned_calls()[:1]).calls[
        arm_call_id(planned_calls()[0], Arm.BASELINE)
    ]
    events = tuple(
        replace(event, text=said)
        if isinstance(event, CallerStarted)
        else replace(event, text=transcript)
        if isinstance(event, Transcribed)
        else event
        for event in given_call.events
        if event.turn == 1
    )
    call = replace(given_call, events=events)
    found = secret_of(goal.turns[0].entities[0])
    assert found is not None
    rules = Rules(cards=True, known_cards=cards_in(said), secrets=(found,) if kind == "card" else ())
    turn = spoken_turns(redacted_call(call, goal, rules).call)[0]
    tokens = normalizer_for("en").tokens
    counted = align(tokens(said), tokens(transcript)).errors
    shown = hear(turn.text, turn.heard, locale="en").errors
    assert shown <= counted
    assert (shown == 0) == (counted == 0)
    assert "nine" not in turn.text or "nine" in [*before, *after]


def test_a_number_said_over_two_turns_is_one_number() -> None:
    report = sample()
    halves = iter([SPOKEN[: len("four one one one one one one one")], "one " * 7 + "one", *["bye"] * 9])
    id_ = one_call()
    events = tuple(
        replace(event, text=next(halves)) if isinstance(event, CallerStarted) else event
        for event in report.calls[id_].events
    )
    shown = redacted(replace(report, calls={id_: replace(report.calls[id_], events=events)}), CARDS_ONLY)
    said = [event.text for event in shown.calls[id_].events if isinstance(event, CallerStarted)]
    assert said == ["[part of a card number]"] * 2 + ["bye"]


def test_a_number_said_or_keyed_in_groups_of_four_shows_its_last_group_alone() -> None:
    report, id_ = sample(), one_call()
    digits = "4539578763621486"
    groups = [digits[at : at + 4] for at in range(0, 16, 4)]
    given = report.calls[id_]
    at_ms, ends = given.events[0].at_ms, given.events[-1]
    said = [
        CallerStarted(
            at_ms=at_ms + number,
            turn=number,
            text=" ".join(UNITS[int(digit)] for digit in group),
            script_turn=number,
            wording="text",
            audio="",
        )
        for number, group in enumerate(groups, start=1)
    ]
    heard = [Transcribed(at_ms=each.at_ms, turn=each.turn, text=each.text, stage_ms=0) for each in said]
    keyed = [
        KeyPressed(at_ms=at_ms + turn, turn=turn, key=key)
        for turn, group in enumerate(groups, start=1)
        for key in f"{group}#"
    ]
    for events in ([*said, *heard, ends], [*keyed, ends]):
        shown = redacted(replace(report, calls={id_: replace(given, events=tuple(events))}), CARDS_ONLY)
        left = shown.calls[id_].events
        keys = "".join(event.key for event in left if isinstance(event, KeyPressed))
        assert not keys or keys == "••••#" * 3 + "1486#"
        texts = [event.text for event in left if isinstance(event, CallerStarted | Transcribed)]
        assert not texts or texts == [*["[part of a card number]"] * 3, "one four eight six"] * 2


def test_a_card_number_in_the_words_of_a_failure_alone_is_masked() -> None:
    report, id_ = sample(), one_call()
    failed = replace(report.calls[id_], failure=f"ValueError at {CARD}", harness_failures=(f"no {CARD}",))
    shown = redacted(replace(report, calls={id_: failed}), CARDS_ONLY).calls[id_]
    assert CARD not in shown.failure + "".join(shown.harness_failures)


def test_a_wrong_value_in_a_list_of_the_tools_world_is_left_out_too() -> None:
    planned = planned_calls()[:1]
    name = planned[0].scenario
    goal = scenario(
        name,
        turns=[{"text": "it is 5550142", "entities": [{"text": "5550142", "type": "phone"}]}],
        outcome={"state": {"orders.0.phone": "5550142"}},
    )
    report = report_input(planned=planned, scenarios={name: goal})
    worlds: list[JsonValue] = [{"phone": "7778899"}]
    calls = {id_: replace(call, final_state={"orders": worlds}) for id_, call in report.calls.items()}
    shown = redacted(replace(report, calls=calls), Redaction(types=frozenset({"phone"})))
    for call in shown.calls.values():
        assert call.final_state == {"orders": [{"phone": "[phone, misheard]"}]}


def test_of_a_reply_that_is_cut_in_the_middle_of_an_entity_no_part_of_it_is_left() -> None:
    report, id_ = sample(), one_call(arm=Arm.BASELINE)
    whole, audio = "Is that 4 1 2 9, please?", "d" * 64
    started = AgentStarted(at_ms=0, turn=1, text=whole, audio=audio, stage_ms=0)
    stopped = AgentStopped(at_ms=500, turn=1, interrupted=True, said="Is that 4 1 2", believed="Is that 4 1")
    rest = replace(started, at_ms=900, text="2 9, please?", offset_ms=500)
    again = replace(stopped, at_ms=950, said="2 9,", believed="2")
    call = replace(report.calls[id_], events=(started, stopped, rest, again))
    shown = redacted(replace(report, calls={id_: call}), ENTITY).calls[id_].events
    assert [event.text for event in shown if isinstance(event, AgentStarted)] == [
        "Is that [card], please?",
        "[card], please?",
    ]
    assert [(event.said, event.believed) for event in shown if isinstance(event, AgentStopped)] == [
        ("Is that [card]", "Is that [card]"),
        ("[card],", "[card]"),
    ]


# --- text ------------------------------------------------------------------------------------------------


def test_without_text_no_word_of_a_call_is_left(tmp_path: Path) -> None:
    report = sample()
    files = written(report, Redaction(text=True), tmp_path)
    texts = {
        event.text
        for call in report.calls.values()
        for event in call.events
        if isinstance(event, CallerStarted | Transcribed | AgentStarted) and len(event.text) > 12
    }
    assert len(texts) > 5
    for name, text in files.items():
        plain = html.unescape(text)
        assert not [said for said in texts if said in plain], name
        assert not re.search(r"4129|4125|express\W+false|Block the lost card", plain), name
    page = next(text for name, text in files.items() if "/calls/" in name)
    assert LEFT_OUT in page
    assert "block_card" in page


def test_without_text_the_name_of_an_argument_holds_no_card_number_either(tmp_path: Path) -> None:
    planned = planned_calls()[:1]
    name = planned[0].scenario
    paths = [{"calls": [{"name": "block_card", "arguments": {CARD: "yes"}}]}]
    report = report_input(planned=planned, scenarios={name: scenario(name, tool_paths=paths)})
    calls = {
        id_: replace(
            call,
            failure=CARD,
            events=tuple(
                replace(event, arguments={CARD: "yes"}) if isinstance(event, ToolCalled) else event
                for event in call.events
            ),
        )
        for id_, call in report.calls.items()
    }
    files = written(replace(report, calls=calls), Redaction(text=True), tmp_path)
    assert not [name for name, text in files.items() if CARD in text]


def test_without_text_it_still_shows_what_was_wrong() -> None:
    shown = redacted(sample(), Redaction(text=True))
    right, wrong = (shown.calls[one_call(arm=arm)] for arm in Arm)
    errors = [
        sum(hear(turn.text, turn.heard, locale="en").errors for turn in spoken_turns(call))
        for call in (right, wrong)
    ]
    assert errors[0] == 0 < errors[1]
    assert completes(shown.scenarios[SCENARIOS[0]], right.events, right.final_state)
    assert not completes(shown.scenarios[SCENARIOS[0]], wrong.events, wrong.final_state)
    assert shown.saved_by_right_words[wrong.key.id] is True


# --- audio -----------------------------------------------------------------------------------------------


def clips(call: Call) -> dict[str, str]:
    return {
        event.audio: event.text
        for event in call.events
        if isinstance(event, CallerStarted | AgentStarted) and event.audio
    }


def test_clips_in_which_an_entity_can_be_heard_are_left_out(tmp_path: Path) -> None:
    report = heard_run(tmp_path, sample())
    shown = redacted(report, ENTITY)
    assert shown.audio is not None
    refused = 0
    for call in report.calls.values():
        for digest, text in clips(call).items():
            secret = bool(re.search(r"four one two nine|4 1 2 [59]", text))
            assert shown.audio_left_out(digest) is secret
            assert (shown.audio_href(digest) == "") is secret
            if secret:
                refused += 1
                with pytest.raises(RunFolderError, match="left out"):
                    shown.audio.get(digest)
            else:
                assert len(shown.audio.get(digest).samples)
    assert refused >= 4


def test_pages_neither_link_nor_draw_a_clip_that_is_left_out(tmp_path: Path) -> None:
    report = heard_run(tmp_path, sample())
    everything = next((tmp_path / "all").rglob("calls/*.html"), None)
    assert everything is None
    pages = {
        name: next(
            text for path, text in written(report, redaction, tmp_path / name).items() if "/calls/" in path
        )
        for name, redaction in (("none", CARDS_ONLY), ("entity", ENTITY), ("audio", Redaction(audio=True)))
    }
    digests = {digest for call in report.calls.values() for digest in clips(call)}
    linked = {
        name: {digest for digest in digests if f"{digest}.flac" in page} for name, page in pages.items()
    }
    assert linked["none"] == digests
    assert linked["audio"] == set()
    assert set() < linked["entity"] < digests
    assert not re.search(r'"peaks":\s*"[^"]', pages["audio"])
    assert "Left out of this report" not in pages["none"]
    silenced = len(digests - linked["entity"])
    cards = "card numbers but their last four digits"
    assert f"entities of type card; {cards}. {silenced} sounds of this call left out." in pages["entity"]
    assert f"audio of every call; {cards}. {len(digests)} sounds of this call" in pages["audio"]
    for digest in digests - linked["entity"]:
        assert redacted(report, ENTITY).audio_left_out(digest)


def test_parts_of_replies_from_an_earlier_report_are_removed(tmp_path: Path) -> None:
    report = heard_run(tmp_path, sample())
    stale = [f"{digest}.0-500.flac" for call in report.calls.values() for digest in clips(call)]
    (tmp_path / "report" / "audio").mkdir(parents=True)
    for name in stale:
        (tmp_path / "report" / "audio" / name).write_bytes(b"sound")
    render_all(report, tmp_path, redaction=ENTITY)
    left = {path.name for path in (tmp_path / "report" / "audio").iterdir()}
    shown = redacted(report, ENTITY)
    assert left == {name for name in stale if not shown.audio_left_out(name.partition(".")[0])}
    render_all(report, tmp_path, redaction=Redaction(audio=True))
    assert list((tmp_path / "report" / "audio").iterdir()) == []


def test_pages_and_sounds_of_calls_that_a_report_does_not_have_are_removed(tmp_path: Path) -> None:
    both = planned_calls()[:2]
    render_all(report_input(planned=both), tmp_path, redaction=Redaction(cards=False))
    (tmp_path / "report" / "audio").mkdir(exist_ok=True)
    (tmp_path / "report" / "audio" / f"{'e' * 64}.0-500.flac").write_bytes(b"sound of another run")
    render_all(report_input(planned=both[:1]), tmp_path)
    pages = [path.name for path in (tmp_path / "report" / "calls").iterdir()]
    assert pages == [f"{slug(both[0].id)}.html"]
    assert list((tmp_path / "report" / "audio").iterdir()) == []


# --- settings --------------------------------------------------------------------------------------------


def test_names_become_a_redaction() -> None:
    def of(*names: str) -> Redaction:
        return Redaction.of(names, {"card", "phone"}, where="here")

    assert of() == CARDS_ONLY == Redaction(cards=True)
    assert of("card", " text", "audio") == Redaction(types=frozenset({"card"}), text=True, audio=True)
    assert of("none") == Redaction(cards=False)
    assert of("none", "phone") == Redaction(types=frozenset({"phone"}), cards=False)
    with pytest.raises(ConfigError, match=r"here: .*'crad'.*'card'.*audio, card, none, phone, text"):
        of("crad")
    with pytest.raises(ConfigError, match="no name is named 'Text'"):
        of("Text")


def test_settings_name_what_is_left_out(tmp_path: Path) -> None:
    scenarios = [scenario()]
    assert entity_types(scenarios) == {"card"}
    path = tmp_path / "pyproject.toml"
    for text, expected in (
        ("", CARDS_ONLY),
        ('redact = ["card", "audio"]', Redaction(types=frozenset({"card"}), audio=True)),
        ('redact = ["none"]', Redaction(cards=False)),
    ):
        path.write_text(f"[tool.voiceeval]\n{text}\n")
        assert load_config(tmp_path, {}, from_folder=tmp_path).redaction(scenarios) == expected
    given_now = load_config(tmp_path, {"redact": ("text",)}, from_folder=tmp_path)
    assert given_now.redaction(scenarios) == Redaction(text=True)
    path.write_text('[tool.voiceeval]\nredact = ["cards"]\n')
    with pytest.raises(
        ConfigError, match=r"pyproject.toml: \[tool.voiceeval\] redact, or --voice-redact: .*'cards'"
    ):
        load_config(tmp_path, {}, from_folder=tmp_path).redaction(scenarios)
    path.write_text('[tool.voiceeval]\nredact = "card"\n')
    with pytest.raises(ConfigError, match="redact"):
        load_config(tmp_path, {}, from_folder=tmp_path)


def test_a_clash_of_keys_loses_no_value() -> None:
    second = "424242424242555" + check_digit("424242424242555")
    first = next(
        f"5500005555{middle:02}{second[-4:]}"
        for middle in range(100)
        if check_digit(f"5500005555{middle:02}{second[-4:-1]}") == second[-1]
    )
    found = redacted_mapping({first: 1, second: 2}, Rules(cards=True))
    mask = f"•••• •••• •••• {second[-4:]}"
    assert found == {mask: 1, f"{mask} (2)": 2}
