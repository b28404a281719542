from __future__ import annotations

import doctest
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoken_calls import call, caller, hung_up, said, says, scenario

from voiceeval.call import AgentStarted, Call, Ending, Heard, Replay, Stage, StageFailed
from voiceeval.metrics import EntityErrorRate, RoundTripWordErrorRate, WordErrorRate, alignment
from voiceeval.metrics.alignment import align, distance
from voiceeval.normalizers import normalizer_for
from voiceeval.scenario import Scenario
from voiceeval.score import Gap, NotScored, Ratio, Scored

WER = WordErrorRate()
ENTITIES = EntityErrorRate()
ROUND_TRIP = RoundTripWordErrorRate()


def _scored(metric: WordErrorRate | EntityErrorRate | RoundTripWordErrorRate, s: Scenario, c: Call) -> Scored:
    score = metric.score(s, c)
    assert isinstance(score, Scored)
    return score


def _gap(metric: WordErrorRate | EntityErrorRate | RoundTripWordErrorRate, s: Scenario, c: Call) -> Gap:
    score = metric.score(s, c)
    assert isinstance(score, NotScored)
    return score.gap


# --- alignment ------------------------------------------------------------------------------------------


def test_the_published_example_is_reproduced() -> None:
    """The example of jiwer's own documentation: S=2, D=2, I=4, H=5, WER 0.8889."""
    pairs = [
        ("short one here", "shoe order one"),
        ("quite a bit of longer sentence", "quite bit of an even longest sentence here"),
    ]
    aligned = [align(tuple(reference.split()), tuple(heard.split())) for reference, heard in pairs]
    counts = [
        sum(getattr(one, kind) for one in aligned) for kind in ("substitutions", "deletions", "insertions")
    ]
    assert counts == [2, 2, 4]
    hits = sum(piece.end - piece.start for one in aligned for piece in one.pieces if piece.kind == "equal")
    assert hits == 5
    total = Ratio.pooled(one.ratio for one in aligned)
    assert total.numerator / total.denominator == pytest.approx(0.8889, abs=5e-5)


def test_errors_are_fewest_where_weighted_alignment_counts_more() -> None:
    """With 4/3/3 weights, as NIST's sclite, this pair has 7 errors; the fewest are 6."""
    assert align(tuple("acebdbb"), tuple("dffacfb")).errors == 6


def test_an_agent_that_never_takes_a_turn_to_be_over_has_heard_nothing_of_it() -> None:
    """Not the same as one of which nobody knows what it heard."""
    words = caller(1, 1000, 3000, "it ends in four one two nine")
    s = scenario(
        turns=[says("it ends in four one two nine", entities=[{"type": "n", "text": "four one two nine"}])]
    )
    deaf = call(*words, hung_up(1, reason="out of patience"))
    assert _gap(WER, s, deaf) is _gap(ENTITIES, s, deaf) is Gap.NOT_APPLICABLE
    ours = replace(deaf, given_right_words=Replay(events=(), ending=Ending.COMPLETED, final_state={}))
    assert _scored(WER, s, ours).observations == (Ratio(7, 7),)
    assert _scored(ENTITIES, s, ours).observations == (Ratio(1, 1),)


def test_an_empty_reference_makes_every_word_an_insertion_over_nothing() -> None:
    aligned = align((), ("peaceful", "silence"))
    assert (aligned.insertions, aligned.ratio) == (2, Ratio(2, 0))


def test_an_empty_hypothesis_deletes_everything() -> None:
    aligned = align(("a", "b"), ())
    assert (aligned.deletions, aligned.ratio) == (2, Ratio(2, 2))


WANTED = ("i", "want", "to", "block", "my", "card", "now", "yes", "please")


def test_an_alignment_reads_as_a_block() -> None:
    aligned = align(WANTED, ("i", "want", "two", "lock", "my", "now", "yes", "please", "do"))
    assert "\n".join(aligned.lines("turn 1", "word")) == (
        "turn 1: 4 errors in 9 words (2 substituted, 1 deleted, 1 inserted)\n"
        "REF: i want  to block my card now yes please **\n"
        "HYP: i want two  lock my **** now yes please do\n"
        "              S     S       D                 I"
    )


def test_a_perfect_transcript_reads_as_the_words_alone() -> None:
    assert align(("my", "card"), ("my", "card")).lines("turn 2", "word") == (
        "turn 2: 0 errors in 2 words",
        "     my card",
    )


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_errors_equal_an_independent_levenshtein(reference: list[str], heard: list[str]) -> None:
    aligned = align(tuple(reference), tuple(heard))
    assert aligned.errors == _levenshtein(reference, heard) == distance(tuple(reference), tuple(heard))
    assert len(reference) - aligned.deletions == len(heard) - aligned.insertions
    assert align(tuple(heard), tuple(reference)).errors == aligned.errors


def _levenshtein(left: list[str], right: list[str]) -> int:
    row = list(range(len(right) + 1))
    for at, one in enumerate(left, start=1):
        before, row[0] = row[0], at
        for other_at, other in enumerate(right, start=1):
            before, row[other_at] = (
                row[other_at],
                min(row[other_at] + 1, row[other_at - 1] + 1, before + (one != other)),
            )
    return row[-1]


@pytest.mark.parametrize(
    "transcript",
    [
        "*** ** *",
        "=== SENTENCE 1 ===\n\nREF: please block my card",
        "REF:\u2028HYP:\x85 please",
        "please\x00block\u200bmy\ufeffcard",
        "🙂 please 🙂 block",
        "please block my card " * 500,
        "0" * 5000,
        "{argument} %s \\ <b>please</b>",
    ],
)
def test_no_transcript_upsets_the_counting(transcript: str) -> None:
    tokens = normalizer_for("en").tokens(transcript)
    score = _scored(WER, scenario(), call(*said(1, "please block my card", transcript)))
    assert score.total.denominator == 4
    assert score.total.numerator == _levenshtein(["please", "block", "my", "card"], list(tokens))
    assert all("\n" not in line for line in score.evidence)


@given(st.text(max_size=60), st.sampled_from(["en", "hi", "zh", "tr"]))
def test_any_text_agrees_with_itself_and_loses_every_word_to_silence(text: str, locale: str) -> None:
    tokens = normalizer_for(locale).tokens(text)
    assert align(tokens, tokens).errors == 0
    assert align(tokens, tokens).length == len(tokens)
    assert align(tokens, ()).deletions == len(tokens)
    assert align((), tokens).insertions == len(tokens)


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(alignment).failed == 0


# --- word error rate ------------------------------------------------------------------------------------


def test_turns_are_pooled_by_sums_and_never_averaged() -> None:
    two = scenario(turns=[says("yes"), says("one two three four five six seven eight nine")])
    score = _scored(
        WER, two, call(*said(1, "yes", "no"), *said(2, two.turns[1].text, "one two three four five 6 7 8 9"))
    )
    assert score.observations == (Ratio(1, 1), Ratio(0, 9))
    assert score.total == Ratio(1, 10)


def test_digits_and_number_words_agree() -> None:
    s = scenario(turns=[says("my card is four one two nine")])
    assert _scored(WER, s, call(*said(1, s.turns[0].text, "My card is 4129."))).total == Ratio(0, 7)


def test_a_turn_without_a_transcript_is_all_deletions() -> None:
    score = _scored(WER, scenario(), call(*said(1, "please block my card", "")))
    assert score.total == Ratio(4, 4)
    score = _scored(
        WER, scenario(), call(*said(1, "please block my card", None), *said(2, "yes", "yes", script_turn=0))
    )
    assert score.observations == (Ratio(4, 4), Ratio(0, 1))
    assert "never transcribed" in score.evidence[0]


def test_words_heard_in_silence_are_insertions_over_nothing() -> None:
    s = scenario(turns=[{"silence_ms": 5000}, says("hello")])
    score = _scored(WER, s, call(*said(1, "", "the the"), *said(2, "hello", "hello")))
    assert score.observations == (Ratio(2, 0), Ratio(0, 1))
    assert score.evidence[0].startswith("turn 1 (nothing was said): 2 errors in 0 words")


def test_a_call_the_agent_failed_counts_the_words_the_caller_never_got_to_say() -> None:
    s = scenario(turns=[says("please block my card"), says("yes please"), {"silence_ms": 900}])
    failed = StageFailed(at_ms=24_000, turn=1, stage=Stage.RECOGNIZER, error="ValueError at asr.py:3")
    crashed = call(
        *said(1, "please block my card", None),
        failed,
        hung_up(1, "agent", "failure"),
        ending=Ending.AGENT_FAILED,
    )
    assert _scored(WER, s, crashed).observations == (Ratio(4, 4), Ratio(2, 2))
    assert _scored(WER, s, call(ending=Ending.AGENT_FAILED)).total == Ratio(6, 6)


def test_a_crash_never_looks_better_than_a_call_that_goes_on() -> None:
    s = scenario(turns=[says("please block my card"), says("yes please")])
    first = said(1, "please block my card", "please block my cart")
    whole = _scored(WER, s, call(*first, *said(2, "yes please", "yes")))
    crashed = _scored(WER, s, call(*first, *said(2, "yes please", None), ending=Ending.AGENT_FAILED))
    earlier = _scored(WER, s, call(*first, ending=Ending.AGENT_FAILED))
    assert whole.total.denominator == crashed.total.denominator == earlier.total.denominator
    assert whole.total.numerator < crashed.total.numerator == earlier.total.numerator


def test_a_short_call_that_ran_its_course_owes_no_further_words() -> None:
    s = scenario(turns=[says("please block my card"), says("yes please")])
    assert _scored(WER, s, call(*said(1, "please block my card", "please block my card"))).total == Ratio(
        0, 4
    )


def test_a_silent_caller_and_a_silent_engine_have_no_word_error_rate() -> None:
    s = scenario(turns=[{"silence_ms": 5000}])
    assert _gap(WER, s, call(*said(1, "", ""))) is Gap.NOT_APPLICABLE
    assert _gap(WER, scenario(), call(*said(1, "please block my card", None))) is Gap.NOT_APPLICABLE


def test_languages_without_spaces_are_scored_by_character() -> None:
    s = scenario(locale="zh-CN", turns=[says("我要停卡")])
    score = _scored(WER, s, call(*said(1, "我要停卡", "我要听卡")))
    assert score.total == Ratio(1, 4)
    assert "characters" in score.evidence[0]


@pytest.mark.parametrize("metric", [WER, ENTITIES, ROUND_TRIP])
def test_a_call_the_harness_failed_is_not_scored(
    metric: WordErrorRate | EntityErrorRate | RoundTripWordErrorRate,
) -> None:
    assert _gap(metric, scenario(), call(ending=Ending.HARNESS_FAILED)) is Gap.HARNESS_FAILED


# --- entities -------------------------------------------------------------------------------------------


def _entity(type_: str, text: str, turn: str, heard: str | None) -> Scored:
    s = scenario(turns=[says(turn, entities=[{"type": type_, "text": text}])])
    events = said(1, turn, heard)
    return _scored(ENTITIES, s, call(*events, *said(2, "bye", "bye", script_turn=0, wording="repair")))


CARD = "my card is four one two nine please"


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        ("my card is four one two nine please", 0),
        ("card 4129", 0),
        ("my card is forty one twenty nine please", 0),
        ("my card is for one two nine please", 1),
        ("my card is four one two nine nine please", 1),
        ("my card is four one two please", 1),
        ("my card is one four two nine please", 1),
        ("please", 1),
        ("", 1),
        (None, 1),
    ],
)
def test_a_card_number_is_right_only_with_exactly_its_digits(heard: str | None, wrong: int) -> None:
    assert _entity("card", "four one two nine", CARD, heard).total == Ratio(wrong, 1)


@pytest.mark.parametrize(
    ("type_", "text", "heard", "wrong"),
    [
        ("date", "the twenty third of march", "March 23rd", 0),
        ("date", "the twenty third of march", "march twenty three", 0),
        ("date", "the twenty third of march", "23 Mar", 0),
        ("date", "the twenty third of march", "the twenty fourth of march", 1),
        ("date", "the twenty third of march", "the third of march", 1),
        ("date", "next tuesday", "next thursday", 1),
        ("code", "a b one two", "AB12", 0),
        ("code", "a b one two", "A B 1 2", 0),
        ("code", "a b one two", "a d one two", 1),
        ("amount", "forty two dollars", "$42", 0),
        ("amount", "forty two dollars", "$142", 1),
        ("amount", "forty two dollars", "forty dollars", 1),
        ("drug", "Amoxicillin", "amoxicillin", 0),
        ("drug", "Amoxicillin", "a moxie ceiling", 1),
        ("city", "new york", "york", 1),
    ],
)
def test_entities_are_compared_by_type(type_: str, text: str, heard: str, wrong: int) -> None:
    score = _entity(type_, text, f"it is {text} i think", f"it is {heard} i think")
    assert score.total == Ratio(wrong, 1)
    assert ("wrong" if wrong else "right") in score.evidence[0]


def test_an_equally_good_alignment_that_finds_the_entity_is_enough() -> None:
    """``to rome`` → ``rome please``: two substitutions are as good as a deletion and an insertion."""
    assert _entity("city", "rome", "to rome", "rome please").total == Ratio(0, 1)


def test_the_value_somewhere_else_in_the_turn_does_not_count() -> None:
    text = "move it from two to three and not from three to nine"
    s = scenario(
        turns=[
            says(
                text, entities=[{"type": "n", "text": "three to nine"}, {"type": "n", "text": "two to three"}]
            )
        ]
    )
    heard = "move it from two to three and not from"
    assert _scored(ENTITIES, s, call(*said(1, text, heard))).observations == (Ratio(1, 1), Ratio(0, 1))


def test_a_digit_beside_a_number_is_the_callers_own_where_the_caller_said_one() -> None:
    assert _entity(
        "card", "four one two nine", "card four one two nine two tickets", "card 41292 tickets"
    ).total == (Ratio(0, 1))


def test_entities_count_in_repairs_that_say_the_same() -> None:
    turn = says(
        "it ends in two double six eight",
        entities=[{"type": "phone", "text": "two double six eight"}],
        repairs=["two six six eight", "never mind"],
    )
    s = scenario(turns=[turn])
    c = call(
        *said(1, "it ends in two double six eight", "it ends in two six six"),
        *said(2, "two six six eight", "2668", script_turn=0, wording="repair"),
        *said(3, "never mind", "never mind", script_turn=0, wording="repair"),
    )
    assert _scored(ENTITIES, s, c).observations == (Ratio(1, 1), Ratio(0, 1))


def test_an_entity_that_is_read_with_its_neighbours_is_still_looked_at() -> None:
    assert _entity("amount", "hundred dollars", "send a hundred dollars", "send hundred dollars").total == (
        Ratio(0, 1)
    )


def test_one_transcribed_value_does_not_answer_for_two_entities() -> None:
    turn = says(
        "not 5581 but 5581", entities=[{"type": "card", "text": "5581"}, {"type": "card", "text": "5581"}]
    )
    assert _scored(
        ENTITIES, scenario(turns=[turn]), call(*said(1, "not 5581 but 5581", "not but 5581"))
    ).total == Ratio(1, 2)


def test_entities_a_crash_kept_from_being_said_are_wrong() -> None:
    s = scenario(turns=[says("hello"), says("it is 4129", entities=[{"type": "card", "text": "4129"}])])
    assert _scored(ENTITIES, s, call(*said(1, "hello", None), ending=Ending.AGENT_FAILED)).total == Ratio(
        1, 1
    )


def test_without_marked_entities_there_is_nothing_to_score() -> None:
    c = call(*said(1, "please block my card", "please block my card"))
    assert _gap(ENTITIES, scenario(), c) is Gap.NOT_APPLICABLE


# --- round trip -----------------------------------------------------------------------------------------


def _heard(said_: str, heard: str, floor: str) -> Heard:
    return Heard(audio="b", said=said_, heard=heard, floor_heard=floor)


def test_the_round_trip_counts_every_playing_and_shows_the_floor() -> None:
    one = _heard("your card is blocked", "your car is blocked", "your card is blocked")
    c = call(*said(1, "hi", "hi", reply=one.said), heard=(one, one))
    score = _scored(ROUND_TRIP, scenario(), c)
    assert score.observations == (Ratio(1, 4), Ratio(1, 4))
    assert score.evidence[0] == "agent 2/8, floor 0/8, normaliser english/1"
    assert "     floor on the reference voice: 0 errors in 4 words" in score.evidence


def test_the_floor_is_shown_and_not_subtracted() -> None:
    one = _heard("your card is blocked", "your car is blocked", "your car is blocked")
    c = call(*said(1, "hi", "hi", reply=one.said), heard=(one,))
    assert _scored(ROUND_TRIP, scenario(), c).total == Ratio(1, 4)


def test_without_a_reference_recognizer_or_words_there_is_no_round_trip() -> None:
    spoke = AgentStarted(at_ms=1, turn=1, text="hello", audio="b", stage_ms=1)
    unheard = ROUND_TRIP.score(scenario(), call(spoke))
    silent = ROUND_TRIP.score(scenario(), call())
    wordless = ROUND_TRIP.score(scenario(), call(heard=(_heard("…", "", ""),)))
    for score in (unheard, silent, wordless):
        assert isinstance(score, NotScored)
        assert score.gap is Gap.NOT_APPLICABLE
    assert "no reference recognizer" in unheard.reason  # type: ignore[union-attr]


def test_a_failed_call_has_no_round_trip_however_well_it_began() -> None:
    c = call(heard=(_heard("hello", "hello", "hello"),), ending=Ending.AGENT_FAILED)
    assert _gap(ROUND_TRIP, scenario(), c) is Gap.AGENT_FAILED
