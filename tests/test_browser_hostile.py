"""Everything that comes from a run, as an attacker would write it: every page stays what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from browser_pages import LAPTOP, PHONE, Chromium, Opened
from heard_run import heard_run
from labelled import said
from test_report_html import dressed
from test_report_sample import planned_calls, report_input
from test_run_history import agent, run_at

from voiceeval.call import (
    AgentStarted,
    Arm,
    Call,
    CallerStarted,
    Replied,
    ToolCalled,
    ToolReturned,
    Transcribed,
)
from voiceeval.cohort import EVERYONE, PlannedCall
from voiceeval.label_agreement import agreement
from voiceeval.reports.call_list import slug
from voiceeval.reports.history_page import write_history
from voiceeval.reports.labels_page import write_labels_page
from voiceeval.reports.report_files import render_all
from voiceeval.reports.report_input import ReportInput, arm_call_id
from voiceeval.reports.wording import visible
from voiceeval.run_history import chosen, history

SIZES = {"laptop": LAPTOP, "phone": PHONE}
ATTACKS = (
    "<script>window.hacked=1</script>",
    "</script><script>window.hacked=2</script>",
    '"><img src=x onerror="window.hacked=3">',
    "' onmouseover='window.hacked=4' autofocus onfocus='window.hacked=4' x='",
    "<svg/onload=window.hacked=5><details open ontoggle=window.hacked=5>",
    "<iframe srcdoc='<script>parent.hacked=6</script>'></iframe>",
    "<base href='https://evil.example/'><meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<link rel=stylesheet href='https://evil.example/x.css'><style>*{display:none!important}</style>",
    "</style></title></textarea></template>]]>--><!--",
    "url(https://evil.example/x.png);position:fixed;inset:0",
    "{{ 7*7 }}{% raw %}${window.hacked=7}`",
    "javascript:window.hacked=8",
    "data:text/html,<script>window.hacked=9</script>",
    "https://evil.example/",
    "\\u003cscript\\u003ewindow.hacked=10\\u003c/script\\u003e \\x3cscript\\x3e",
    "&lt;script&gt;window.hacked=11&lt;/script&gt;",
)
TEXTS: Mapping[str, str] = {
    "markup": " ".join(ATTACKS),
    "long": "A" * 20_000,
    "marks": "Z" + "\u0301\u0336\u0489" * 3_334,
    "bidi": "\u202egnp.exe\u2066\u2067\u200f שלום עולם مرحبا " * 20,
    "control": "\x00\x07\x1b[31m\x7f\x85\u2028\u2029\ufeff\u200b\ud800 \udfff \U000e0041 end",
    "names": "__proto__",
}
MEGABYTE = "B" * 1_000_000
MARK = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Marks that are drawn over the letter before them."""


def planned_of(text: str) -> PlannedCall:
    return dressed(text).planned[0]


def hostile_run(run: Path) -> ReportInput:
    """A run of two calls for each text, whose verdicts hold the markup, and one call that can be heard."""
    reports = [
        with_texts(dressed(text), MEGABYTE) if name == "long" else dressed(text)
        for name, text in TEXTS.items()
    ]
    heard = with_texts(report_input(planned=planned_calls()[72:73]), TEXTS["markup"])
    whole = replace(
        reports[0],
        planned=tuple(planned for report in (*reports, heard) for planned in report.planned),
        scenarios={id_: each for report in (*reports, heard) for id_, each in report.scenarios.items()},
        calls={id_: each for report in reports for id_, each in report.calls.items()},
        scores={id_: each for report in reports for id_, each in report.scores.items()},
        audio_href=lambda _: "",
    )
    cells = [cell for report in reports for cell in report.comparison.verdicts if cell.cohort != EVERYONE]
    sound = heard_run(run, heard)
    return replace(
        whole,
        comparison=replace(
            whole.comparison,
            verdicts=tuple({cell.id: cell for cell in (*whole.comparison.verdicts, *cells)}.values()),
        ),
        calls={**whole.calls, **sound.calls},
        scores={**whole.scores, **sound.scores},
        audio_href=sound.audio_href,
        audio=sound.audio,
    )


def with_texts(report: ReportInput, text: str) -> ReportInput:
    def call(given: Call) -> Call:
        events = tuple(
            replace(event, text=f"{event.text} {text}")
            if isinstance(event, CallerStarted | Transcribed | Replied | AgentStarted)
            else replace(event, name=text, arguments={text: text, "__proto__": text})
            if isinstance(event, ToolCalled)
            else replace(event, name=text, value=[text, {text: text}])
            if isinstance(event, ToolReturned)
            else event
            for event in given.events
        )
        return replace(given, events=events, failure=text, final_state={text: text})

    return replace(report, calls={id_: call(each) for id_, each in report.calls.items()})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("hostile")
    return render_all(hostile_run(run), run).html.parent


LOOK = r"""(marks) => {
    const all = [...document.querySelectorAll("*")];
    const count = (kept) => all.filter(kept).length;
    const named = ["href", "src", "action", "data", "srcset", "poster", "formaction"];
    const links = all.flatMap((one) => named.map((name) => one.getAttribute(name)))
        .filter((link) => link && !link.startsWith("blob:"));
    const text = document.body.innerText;
    const runs = text.match(new RegExp(`[${marks}]+`, "gu")) ?? [];
    const beyond = (one) => one.getBoundingClientRect().right > window.innerWidth;
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    return {
        hacked: window.hacked ?? null,
        polluted: ({}).voiceeval ?? ({}).hacked ?? null,
        handlers: count((one) => [...one.attributes].some((each) => /^on/i.test(each.name))),
        foreign: count((one) => one.matches("base, object, embed, form[action]")),
        refreshing: count((one) => one.tagName === "META" && /refresh/i.test(one.httpEquiv)),
        inline: count((one) => one.tagName === "SCRIPT" && !one.src && one.type !== "application/json"),
        links: links.filter((link) => /^\s*([a-z][a-z0-9+.-]*:|[/][/]|[/])/i.test(link)),
        unseen: /[\u202a-\u202e\u2066-\u2069\u200b\u2028\u0000\u001b\ufeff]/.test(text),
        stacked: Math.max(0, ...runs.map((run) => run.length)) > 12,
        wide: wide > 0 ? all.filter(beyond).map((one) => one.outerHTML.slice(0, 80)).slice(-4) : [],
        headings: document.querySelectorAll("h1").length,
    };
}"""
HARMLESS: Mapping[str, object] = {
    "hacked": None,
    "polluted": None,
    "handlers": 0,
    "foreign": 0,
    "refreshing": 0,
    "inline": 0,
    "links": [],
    "unseen": False,
    "stacked": False,
    "wide": [],
    "headings": 1,
}


def assert_harmless(opened: Opened, root: Path) -> None:
    """Nothing ran, nothing leads away, nothing is wider than the window, and the page is all there."""
    page = opened.page
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.mouse.move(200, 300)
    page.keyboard.press("Tab")
    found = page.evaluate(
        LOOK,
        MARK,
    )
    assert found == HARMLESS
    box = page.locator("h1").bounding_box()
    assert box
    assert 0 < box["height"] < 700
    assert page.locator("h1").is_visible()
    assert all(url.startswith((root.as_uri(), "blob:")) for url in opened.requests), opened.requests
    opened.assert_quiet()


def page_of(name: str) -> str:
    return f"calls/{slug(planned_of(TEXTS[name]).id)}.html"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("page", ["index.html", "cohort.html", "review.html"])
def test_pages_of_the_run_are_harmless(chromium: Chromium, hostile: Path, page: str, size: str) -> None:
    opened = chromium.open(hostile / page, size=SIZES[size])
    opened.page.wait_for_load_state("networkidle")
    assert_harmless(opened, hostile.parent)


@pytest.mark.parametrize("name", TEXTS)
def test_pages_of_calls_are_harmless(chromium: Chromium, hostile: Path, name: str) -> None:
    context = chromium.context(size=LAPTOP)
    opened = chromium.open(hostile / page_of(name), context=context)
    assert_harmless(opened, hostile.parent)
    opened.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert_harmless(opened, hostile.parent)
    shown = opened.page.locator("body").inner_text()
    expected = {
        "markup": ATTACKS[0],
        "long": "more characters",
        "marks": "more marks",
        "bidi": "⟨U+202E⟩gnp.exe",
        "control": "⟨U+0000⟩⟨U+0007⟩⟨U+001B⟩[31m",
        "names": "__proto__",
    }
    assert expected[name] in shown


def test_the_call_that_is_heard_plays_and_stays_harmless(chromium: Chromium, hostile: Path) -> None:
    name = f"{slug(planned_calls()[72].id)}.html"
    opened = chromium.open(hostile / "calls" / name)
    opened.page.keyboard.press("Space")
    opened.page.keyboard.press("]")
    opened.page.keyboard.press("Space")
    assert_harmless(opened, hostile.parent)


FRAGMENTS = (
    *(f"#tag.accent={quote(text[:300], errors='replace')}" for text in TEXTS.values()),
    "#q=" + quote(ATTACKS[2]) + "&change=" + quote(ATTACKS[0]) + "&metric=" + quote(ATTACKS[1]),
    "#" + "&".join(f"{quote(attack)}={quote(attack)}" for attack in ATTACKS),
    "#tag.__proto__=hacked&__proto__=hacked&constructor=hacked&result.__proto__=x&sort=__proto__&page=1e9",
    "#tag.accent=%ff%fe&q=%&page=-1&desc=<b>",
)


def test_no_address_makes_the_page_of_cohorts_do_anything_else(chromium: Chromium, hostile: Path) -> None:
    context = chromium.context(size=PHONE)
    opened = chromium.open(hostile / "cohort.html", context=context)
    for fragment in FRAGMENTS:
        opened.page.evaluate("(fragment) => { location.hash = fragment; }", fragment)
        opened.page.wait_for_timeout(30)
        assert_harmless(opened, hostile.parent)


def test_no_choice_on_the_page_of_cohorts_does_anything_else(chromium: Chromium, hostile: Path) -> None:
    opened = chromium.open(hostile / "cohort.html")
    chosen_from = [choice for choice in opened.page.locator("select").all() if choice.is_visible()]
    assert len(chosen_from) >= 3
    for choice in chosen_from:
        opened.page.evaluate("location.hash = ''")
        choice.select_option(index=choice.locator("option").count() - 1)
    opened.page.locator("input[type=search]").first.fill(ATTACKS[2])
    assert_harmless(opened, hostile.parent)


@pytest.mark.parametrize("page", ["index.html", "review.html"])
def test_no_address_makes_other_pages_do_anything_else(chromium: Chromium, hostile: Path, page: str) -> None:
    for fragment in (
        "#" + quote(ATTACKS[2]),
        "#call=" + quote("javascript:window.hacked=1"),
        "#blind=" + ATTACKS[0],
    ):
        opened = chromium.open(hostile / page, fragment=fragment)
        assert_harmless(opened, hostile.parent)


def test_the_history_of_hostile_runs_is_harmless(chromium: Chromium, tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS.values()):
        run_at(
            tmp_path / "runs" / f"{number}",
            agent(f"1.{number}", f"2026-0{number + 1}-01", name=f"n {text}"),
            agent(f"1.{number} {text}", f"2026-0{number + 1}-02", name=f"n {text}"),
        )
    found = history([tmp_path / "runs"])
    page = write_history(found, chosen(found.trends), tmp_path / "page")
    for size in SIZES.values():
        assert_harmless(chromium.open(page, size=size), tmp_path / "page")


def test_the_agreement_with_hostile_reviewers_is_harmless(chromium: Chromium, tmp_path: Path) -> None:
    report = hostile_run(tmp_path)
    labels = [
        said(f"{text[:200]} {number}", planned.id, arm, task_done="yes" if number else "no")
        for text in TEXTS.values()
        for number in range(2)
        for planned in report.planned
        if "\ud800" not in planned.id  # a file of labels is UTF-8
        for arm in ("baseline", "candidate")
    ]
    cohorts = [EVERYONE, *(cell.cohort for cell in report.comparison.verdicts)]
    page = write_labels_page(agreement(labels, report.scores, report.planned, cohorts), tmp_path / "page")
    for size in SIZES.values():
        assert_harmless(chromium.open(page, size=size), tmp_path / "page")


def test_many_marks_over_one_letter_are_counted_and_few_are_kept() -> None:
    assert visible("e\u0301 q\u0323\u0307 नमस्ते") == "e\u0301 q\u0323\u0307 नमस्ते"
    told = visible(TEXTS["marks"])
    assert told.startswith("Z\u0301")
    assert "more marks" in told
    assert len(told) < 60
    assert visible(told) == told


def test_ids_of_arms_are_no_place_for_an_attack(hostile: Path) -> None:
    names = [path.name for path in (hostile / "calls").iterdir()]
    assert len(names) == 2 * len(TEXTS) + 1
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for name in names)
    assert arm_call_id(planned_of("x"), Arm.BASELINE).endswith("/baseline")
