from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from test_report_full_sample import (
    FAULTS,
    WAIVER,
    consistency,
    disparities,
    everything,
    exploration,
    quantiles,
    waived,
)
from test_report_sample import (
    GATING,
    comparison,
    planned_calls,
    report_input,
    scenario,
    verdict,
)

from voiceeval.call import (
    AgentStarted,
    AgentStopped,
    Arm,
    AsideStarted,
    Call,
    CallerStarted,
    CallKey,
    Ending,
    Event,
    HungUp,
    KeyPressed,
    Replied,
    Stage,
    StageFailed,
    ToolCalled,
    ToolReturned,
    Transcribed,
    Usage,
)
from voiceeval.cohort import EVERYONE, Cohort, PlannedCall
from voiceeval.reports.call_list import Change, call_rows, slug
from voiceeval.reports.call_turns import relative_href
from voiceeval.reports.html import HtmlReport
from voiceeval.reports.report_input import ReportInput, arm_call_id, flac_in_run_folder
from voiceeval.reports.wording import SIGNS
from voiceeval.score import Ratio, Scored
from voiceeval.verdict import Blame, Disparity, Exploration, Outcome, Waiver

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus x='",
    "</style><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}<b>",
    "]]><!--<b>-->",
    "\u202egnp.exe\u2066\u200b\u2028\u0000\u001b[31m",
    "&lt;b&gt;&amp;",
    "\ud800 lone",
)
PLAIN_LINK = re.compile(r"#[a-z0-9-]*|#t=\d+\.\d{3}|(\.\./)*[A-Za-z0-9_./-]+(#[A-Za-z0-9_.~%+=&*-]*)?")
CALL_PAGE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,70}\.html")


class Page(HTMLParser):
    """The elements of a page in order, with the names of their attributes; and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.inside: list[str] = []
        self.spoken: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.inside.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside[:-1]

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.inside[-1:]):
            self.spoken.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.spoken).split())


def dressed(text: str) -> ReportInput:
    """A small run in which everything that comes from outside is ``text``."""
    planned = PlannedCall(
        scenario=f"s{text}",
        caller=text,
        line=text,
        trial=0,
        speaker=text,
        tags={"accent": text, f"b{text}": text},
    )
    other = replace(planned, scenario=f"t{text}", tags={"accent": f"x{text}", f"b{text}": f"x{text}"})
    cohort = Cohort((("accent", text),))
    info = replace(GATING[0], name=f"m{text}", title=f"title {text}", definition=text)
    cells = (
        verdict(info, EVERYONE),
        verdict(
            info, cohort, Outcome.REGRESSED, worse_by=0.05, reason=f"reason {text}", flags=(f"flag {text}",)
        ),
    )
    waived = replace(
        verdict(info, replace(cohort, parts=((f"b{text}", text),)), Outcome.REGRESSED, flags=("own margin",)),
        waiver=Waiver(
            metric=info.name,
            cohort=cohort,
            owner=f"owner {text}",
            reason=f"why {text}",
            expires=date(2026, 12, 31),
        ),
    )
    both = {"baseline": cohort, "candidate": waived.cohort}
    result = comparison(
        verdicts=tuple(replace(cell, margin=f"+{text}") for cell in (*cells, waived)),
        faults=(f"fault {text}",),
        disparities=(
            Disparity(
                metric=info,
                tags=("accent", f"b{text}"),
                worst=both,
                best=both,
                rates={"baseline": (0.2, 0.1), "candidate": (0.3, 0.1)},
            ),
        ),
        exploration=Exploration(
            tested=9, found=(replace(exploration().found[0], metric=info, cohort=cohort),)
        ),
        consistency=tuple(consistency(f"s{text}", arm, 1) for arm in Arm),
        quantiles=tuple(
            replace(item, metric=info, cohort=cohort, values={"p50": 1.0, f"p{text}": 2.0})
            for item in quantiles()[:2]
        ),
        alarms=(f"alarm {text}",),
        blames=(Blame(cohort=cohort, arm="candidate", failed=2, saved_by_right_words=2),),
        manifest={
            "arms": {
                "baseline": {"name": f"a{text}"},
                "candidate": {"name": f"a{text}", "model_version": text},
            },
            "differences": [{"key": f"k{text}", "baseline": f"v{text}", "candidate": {"nested": text}}],
            f"fact{text}": f"v{text}",
        },
    )
    ids = [arm_call_id(item, arm) for item in (planned, other) for arm in Arm]
    calls = {id_: _call(text) for id_ in ids}
    scores = {(id_, info.name): Scored(observations=(Ratio(1, 4),), evidence=(f"e{text}",)) for id_ in ids}
    goal = scenario("plain", goal=f"goal {text}", outcome={"state": {f"p{text}": text}})
    scenarios = {planned.scenario: goal, other.scenario: goal}
    return ReportInput(
        comparison=result, planned=(planned, other), scenarios=scenarios, calls=calls, scores=scores
    )


def _call(text: str) -> Call:
    events: tuple[Event, ...] = (
        CallerStarted(at_ms=0, turn=1, text=f"w {text}", script_turn=0, wording="repair", audio="abc"),
        Transcribed(at_ms=5, turn=1, text=f"w {text}", stage_ms=3),
        Replied(at_ms=6, turn=1, text=f"w {text}", tool_calls=1, stage_ms=3),
        ToolCalled(at_ms=7, turn=1, name=f"n{text}", arguments={f"k{text}": text}),
        ToolReturned(at_ms=8, turn=1, name=f"n{text}", value={f"k{text}": text}, failed=True, stage_ms=1),
        AsideStarted(at_ms=8, turn=1, aside="side_talk", text=f"a {text}", audio="abc", audio_from_ms=8),
        KeyPressed(at_ms=8, turn=2, key=f"k {text}"),
        Transcribed(at_ms=9, turn=2, text=f"w {text}", stage_ms=3, heard="keys"),
        AgentStarted(at_ms=9, turn=1, text=f"w {text}", audio="abcd", stage_ms=1),
        AgentStopped(at_ms=10, turn=1, interrupted=True, believed=f"b {text}"),
        StageFailed(at_ms=10, turn=1, stage=Stage.DIALOGUE, error=f"e{text}"),
        HungUp(at_ms=11, turn=1, by="limit", reason="failure"),
    )
    return Call(
        key=CallKey(scenario="s", caller="c", line="l", trial=0, arm=Arm.BASELINE),
        seed=1,
        events=events,
        ending=Ending.AGENT_FAILED,
        failure=f"f{text}",
        final_state={f"k{text}": text},
        usage=Usage(),
        cost=0.0,
    )


def pages(report: ReportInput, folder: Path) -> Iterator[tuple[str, str]]:
    HtmlReport().write(report, folder)
    for path in sorted(folder.rglob("*.html")):
        yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_element_or_attribute_comes_from_data(text: str, tmp_path: Path) -> None:
    tame = [Page(page).elements for _, page in pages(dressed("plain"), tmp_path / "tame")]
    wild = [Page(page).elements for _, page in pages(dressed(text), tmp_path / "wild")]
    assert sorted(map(repr, wild)) == sorted(map(repr, tame))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_shown_as_text(text: str, tmp_path: Path) -> None:
    for name, page in pages(dressed(text), tmp_path):
        read = Page(page)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u2028\x00\x1b]", page)
        assert all(PLAIN_LINK.fullmatch(link) for link in read.links), name
        shown = text.split("\u202e", maxsplit=1)[0].split("\ud800", maxsplit=1)[0]
        assert " ".join(shown.split()) in read.text


def test_unseen_characters_are_written_out(tmp_path: Path) -> None:
    (text,) = (page for name, page in pages(dressed("\u202egnp.exe"), tmp_path) if name == "index.html")
    assert "⟨U+202E⟩gnp.exe" in text


def test_every_link_leads_to_a_file_or_a_place_on_the_page(tmp_path: Path) -> None:
    found = dict(pages(report_input(everything()), tmp_path))
    index = Page(found["index.html"])
    for link in index.links:
        assert link[1:] in index.ids if link.startswith("#") else (tmp_path / link.split("#")[0]).is_file()
    calls = {name for name in found if name.startswith("calls/")}
    assert len(calls) == 12
    for name in calls:
        assert CALL_PAGE_NAME.fullmatch(name.removeprefix("calls/"))
        assert "../index.html" in Page(found[name]).links


def test_ids_on_a_page_are_unique(tmp_path: Path) -> None:
    for _, page in pages(report_input(everything()), tmp_path):
        ids = Page(page).ids
        assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_a_network_and_no_script_stands_in_a_page(tmp_path: Path) -> None:
    for name, page in pages(report_input(everything()), tmp_path):
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
        assert policy
        assert "default-src &#39;none&#39;" in policy[1]
        assert "unsafe" not in policy[1]
        assert "http" not in page.replace('http-equiv="Content', "")
        elements = Page(page).elements
        tags = [tag for tag, _ in elements]
        assert not {"img", "object", "base", "style"} & set(tags)
        loaded = re.findall(r'<(?:script defer src|link rel="stylesheet" href)="([^"]+)"', page)
        data = page.count('<script type="application/json" id=')
        assert len(loaded) + data == tags.count("script") + tags.count("link")
        assert all((tmp_path / name).parent.joinpath(href).is_file() for href in loaded)
        assert not any(
            attr.startswith("on") or attr == "style" for _, names in Page(page).elements for attr in names
        )


def test_audio_lies_in_the_run_folder_and_is_loaded_only_when_played(tmp_path: Path) -> None:
    page = next(page for name, page in pages(report_input(), tmp_path) if name.startswith("calls/"))
    sounds = re.findall(r"<audio ([^>]*)>", page)
    assert len(sounds) == 14  # a greeting and three turns of caller and agent, on both arms
    for attributes in sounds:
        assert 'controls preload="none"' in attributes
        assert re.search(r'src="\.\./\.\./audio/([0-9a-f]{2})/\1[0-9a-f]{62}\.flac"', attributes)
        assert "aria-label=" in attributes


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "//host/x",
        "/etc/passwd",
        "a/../../x",
        "C:\\x",
        "https://x/y",
        "a//b",
        "",
        "./a",
    ],
)
def test_only_plain_relative_audio_paths_become_links(href: str) -> None:
    assert relative_href(href) == ""


def test_audio_paths_are_quoted() -> None:
    assert unquote(relative_href('audio/a"b c.flac')) == '../../audio/a"b c.flac'
    assert '"' not in relative_href('audio/a"b c.flac')
    assert flac_in_run_folder("../../etc/passwd") == ""


@pytest.mark.parametrize("text", [*HOSTILE, "", "..", "CON", "x" * 5000, "ä/ö", "A", "a"])
def test_slugs_are_safe_file_names(text: str) -> None:
    assert CALL_PAGE_NAME.fullmatch(slug(text) + ".html")


def test_slugs_of_different_calls_differ_even_where_case_does_not_count() -> None:
    names = ["a/b", "a-b", "A/b", "a//b", "a", "a" * 200, "a" * 201]
    assert len({slug(name).lower() for name in names}) == len(names)


def test_a_megabyte_of_transcript_is_shortened_and_says_so(tmp_path: Path) -> None:
    for _, page in pages(dressed("word " * 200_000), tmp_path):
        assert len(page) < 300_000
        assert "more characters" in page


def test_every_outcome_is_told_by_sign_and_word(tmp_path: Path) -> None:
    cells = tuple(
        verdict(GATING[0], Cohort((("accent", str(number)),)), outcome)
        for number, outcome in enumerate(Outcome)
    )
    text = Page(HtmlReport().index(report_input(comparison(verdicts=cells)))).text
    for outcome, sign in SIGNS.items():
        assert f"{sign} {outcome.value}" in text


def index_text(**changed: object) -> str:
    return Page(HtmlReport().index(report_input(everything(**changed)))).text


def test_the_index_has_its_sections_in_the_order_to_read_them() -> None:
    order = (
        "MAY NOT SHIP: 2 cohorts regressed, 2 faults beside the verdicts",
        f"Fault: {FAULTS[0]}",
        "Alarm: Word error rate: overall improved",
        "Caribbean callers on the telephone line",
        "What changed",
        "This run",
        "Why it may not ship",
        "Waived, not passed",
        "Cohorts and gated metrics",
        "Differences and how sure they are",
        "Calls worth opening",
        "What changed between the arms",
        "Gaps between the worst and the best served cohort",
        "Exploration of undeclared cohorts",
        "Repeats of the same call",
        "Observed quantiles",
        "Numbers per cohort",
    )
    page = HtmlReport().index(report_input(everything()))
    # The links to the sections name them too.
    text = Page(re.sub("<nav.*?</nav>", "", page, flags=re.DOTALL)).text
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_waived_regression_is_neither_passed_nor_blocking() -> None:
    page = HtmlReport().index(report_input(everything()))
    text = Page(page).text
    assert "⊘ regressed, waived" in text
    assert f"waived by asr-team until 2026-12-31: {WAIVER.reason}" in text
    assert "6 regressed (1 of them waived)" in text
    assert page.count('class="cell waived"') == 1
    why = text[text.rindex("Why it may not ship") : text.rindex("Waived, not passed")]
    assert WAIVER.cohort.name not in why
    page = HtmlReport().index(report_input(comparison(verdicts=(waived(),))))
    assert 'class="banner unclear"' in page
    alone = Page(page).text
    assert "✓ may ship: no unwaived regression; 1 known regression waived" in alone


def test_a_fault_alone_is_told_as_the_reason() -> None:
    result = comparison(verdicts=(verdict(),), faults=FAULTS[:1], alarms=())
    text = Page(HtmlReport().index(report_input(result))).text
    assert f"✗ MAY NOT SHIP: {FAULTS[0].split(';')[0]} " in text
    assert f"Fault: {FAULTS[0]}" in text
    many = comparison(verdicts=(verdict(),), faults=tuple(f"fault {number}" for number in range(70)))
    text = Page(HtmlReport().index(report_input(many))).text
    assert "MAY NOT SHIP: 70 faults beside the verdicts" in text
    assert "and 20 more faults" in text


def test_a_margin_of_its_own_is_not_taken_for_the_common_one() -> None:
    text = index_text()
    assert "own margin +4pp" in text
    assert "Word error rate margin +2pp lower is better" in text


def test_gaps_finds_repeats_and_quantiles_are_shown_with_what_they_rest_on() -> None:
    text = index_text()
    told = "87.2 % welsh × telephone → 65.4 % caribbean × telephone"
    assert f"{told} 95.5 → 95.5 % american × wideband 8.3 → 30.1 pp widened +21.8 pp" in text
    assert "narrowed −0.7 pp" in text
    assert "8.4 → 8.4 pp unchanged" in text
    assert "Searched 412 cells (undeclared intersections × metrics); 9 stand out" in text
    assert "reported, never gated. Declare a cohort to gate it in the NEXT run, on fresh calls" in text
    assert "accent=caribbean × domain=pharmacy Task completion +28.0 pp +41.0 pp < 0.0001 7" in text
    assert "banking.block-card newly flaky 0 of 12 mixed 5 of 12 mixed 100.0 → 79.2" in text
    assert "Placed again because we failed to measure them at first: baseline 0, candidate 2 calls" in text
    assert "same by construction and show no steadiness: baseline 6, candidate 0" in text
    assert "overall 1180 → 1310 ms 2140 → 2400 ms too few calls for p99 (299) 216 calls, 648 turns" in text
    assert "too few calls for p95 (59)" in text


def test_what_a_comparison_does_not_hold_has_no_section() -> None:
    page = HtmlReport().index(report_input())
    assert not re.search(r'id="(waived|gaps|repeats|quantiles)"', page)
    assert "No undeclared intersection was searched." in Page(page).text


def test_of_many_finds_twenty_are_shown_and_the_rest_is_counted() -> None:
    many = replace(exploration(), found=exploration().found[:1] * 50)
    text = index_text(exploration=many)
    assert text.count("accent=caribbean × domain=pharmacy Task completion") == 20
    assert "and 30 more finds" in text


def test_of_many_scenarios_the_flaky_ones_are_open_and_none_is_left_out() -> None:
    many = tuple(consistency(f"s{number:03}", arm, number == 90) for number in range(100) for arm in Arm)
    page = HtmlReport().index(report_input(everything(consistency=many)))
    shown, folded = page.split("70 more scenarios")
    assert "s090" in shown
    assert "s000" in shown
    assert "s099" in folded


def test_gaps_of_metrics_that_gate_nowhere_are_last_and_say_so() -> None:
    text = index_text(disparities=tuple(reversed(disparities())))
    assert text.index("Round-trip word error rate gates nowhere") > text.index("narrowed −0.7 pp")


def test_the_index_says_what_regressed_by_how_much_how_sure_and_which_stage(tmp_path: Path) -> None:
    text = Page(HtmlReport().index(report_input())).text
    assert "MAY NOT SHIP: 2 cohorts regressed" in text
    counts = "9 of 11 failed calls would have succeeded with the right words"
    assert f"recognition or turn-taking to blame – {counts}" in text
    assert "+6.1 pp worse 8.1 → 14.2 %" in text
    assert "95 % interval +3.2 pp to +9.0 pp" in text
    assert "95 % interval +214 to +406 ms; margin +10%; answers come later" in text
    assert "Slower stage: endpointing +260 ms" in text
    assert (
        "65 gating cells: 0 invalid, 5 regressed, 23 inconclusive (not decided), 36 passed, 1 improved"
        in text
    )
    assert text.index("accent=caribbean × line=telephone") < text.index("accent=scottish × line=telephone")


def test_a_call_page_marks_errors_by_word_and_blames_a_stage(tmp_path: Path) -> None:
    report = report_input()
    row = next(row for row in call_rows(report, GATING) if row.change is Change.NEWLY_FAILING)
    page = Page(dict(pages(report, tmp_path))[f"calls/{row.slug}.html"]).text
    assert "SUB card → cart" in page
    assert "DEL need" in page
    assert "block_card: card: expected '4129', got '4125'" in page
    assert "Recognition is to blame: given the words that were said" in page
    assert '"blocked" ✓ "blocked" ✗ "active"' in page


def test_failed_and_changed_calls_come_first(tmp_path: Path) -> None:
    rows = call_rows(report_input(planned=planned_calls()), GATING)
    assert len(rows) == 216
    order = list(Change)
    assert [order.index(row.change) for row in rows] == sorted(order.index(row.change) for row in rows)
    assert sum(row.change is Change.NEWLY_FAILING for row in rows) == 24


def test_a_call_that_was_not_run_is_listed_as_not_measured(tmp_path: Path) -> None:
    report = report_input()
    report = replace(report, calls={}, scores={}, scenarios={})
    assert {row.change for row in call_rows(report, GATING)} == {Change.UNMEASURED}
    found = dict(pages(report, tmp_path))
    assert "not run" in Page(found["index.html"]).text
    assert all(
        "planned, and not placed" in Page(page).text
        for name, page in found.items()
        if name.startswith("calls/")
    )


def test_an_empty_comparison_is_not_a_pass(tmp_path: Path) -> None:
    empty = comparison(verdicts=(), blames=(), alarms=(), manifest={})
    text = Page(HtmlReport().index(report_input(empty, planned=()))).text
    assert "NOT JUDGED" in text
    assert "may ship" not in text


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    assert dict(pages(report_input(), tmp_path / "a")) == dict(pages(report_input(), tmp_path / "b"))


def test_tables_name_their_rows_and_columns(tmp_path: Path) -> None:
    for _, page in pages(report_input(everything()), tmp_path):
        headers = [names for tag, names in Page(page).elements if tag == "th"]
        assert headers
        assert all("scope" in names for names in headers)
        assert '<html lang="en">' in page
