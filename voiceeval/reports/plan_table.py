"""A plan on a terminal, as Markdown and as JSON: readable without colour, from 80 columns up."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from voiceeval.planning.figures import Figures
from voiceeval.planning.plan import Plan
from voiceeval.planning.release import Release, slicing_name
from voiceeval.reports.markdown_text import escaped
from voiceeval.reports.terminal_style import print_anywhere
from voiceeval.reports.wording import counted, level, number, one_line, signed

SCHEMA_VERSION = 1
MOST_ROWS = 24
"""Cells of a metric that a terminal shows; the others are in the JSON file."""
MOST_LACKING = 8
"""Cells whose lack is spelt out."""

HEADINGS = (
    "cohort",
    "speakers\ncalls",
    "baseline\nseen",
    "se\n90 % ±",
    "detects\nadj.",
    "certify\ntoday",
    "find\nadj.",
    "needed\ncalls",
)
_ASCII = str.maketrans({"×": "x", "−": "-", "±": "+-", "…": "~", "–": "-"})


def render(plan: Plan, console: Console) -> None:
    """Print the plan."""
    print_anywhere(console, lambda: _print(plan, console), ascii_signs=_ASCII)


def _print(plan: Plan, console: Console) -> None:
    console.print(Group(*_page(plan, console.width)))
    if plan.release.cohorts:
        # Lines of settings are for pasting: they are never broken or cut.
        console.print(f"\n{plan.release.settings()}", soft_wrap=True, markup=False)


def markdown(plan: Plan) -> str:
    """The plan as Markdown, with the settings in a block of their own."""
    lines = ["## What this suite can certify", "", escaped(plan.basis, limit=600), ""]
    for name, figures in _by_metric(plan).items():
        lines += [f"### {escaped(_title(figures))}", "", f"`{name}`", ""]
        lines += [_line([heading.replace("\n", " / ") for heading in HEADINGS])]
        lines += ["|" + " --- |" * len(HEADINGS)]
        lines += [
            _line([escaped(cell).replace("⏎", " / ") for cell in _joined(_row(each))]) for each in figures
        ]
        lines += [""]
    lines += [f"- {escaped(line, limit=500)}" for line in (*_unplanned(plan), *_legend(plan)) if line]
    lines += ["", "### What to add first", ""]
    lines += [f"- {escaped(line, limit=500)}" for line in _lacking(plan)]
    lines += [
        "",
        f"**{escaped(_sentence(plan.advice), limit=900)}**",
        "",
        "### A release that it can certify",
        "",
    ]
    lines += [f"- {escaped(line, limit=500)}" for line in (*_gating_today(plan), *_release_words(plan))]
    if plan.release.cohorts:
        lines += ["", "```toml", plan.release.settings(), "```"]
    return "\n".join(lines) + "\n"


def document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON. Differences are in the metric's unit: parts of 1, milliseconds, currency."""
    release = plan.release
    return {
        "schema_version": SCHEMA_VERSION,
        "basis": plan.basis,
        "goal": {
            "alpha": plan.goal.alpha,
            "power": plan.goal.power,
            "joint": plan.goal.joint,
            "fewest_speakers": plan.goal.fewest_speakers,
        },
        "suite": {
            "speakers": plan.suite.speakers,
            "calls": plan.suite.calls,
            "trials": plan.suite.trials,
        },
        "gating_cells": plan.family,
        "cells": [_cell_document(each) for each in plan.figures],
        "not_planned": [
            {"metric": cell.metric.name, "cohort": dict(cell.cohort.parts), "reason": cell.noise.reason}
            for cell in plan.unplanned
            if hasattr(cell.noise, "reason")
        ],
        "additions": [
            {"add": each.what, "calls": each.calls, "certified": each.certified, "expected": each.expected}
            for each in plan.additions
        ],
        "advice": plan.advice,
        "release": {
            "cohorts": [list(tags) for tags in release.cohorts],
            "report_cohorts": [list(tags) for tags in release.report_cohorts],
            "margins": {name: margin.written for name, margin in release.margins.items()},
            "trials": release.trials,
            "cells": release.cells,
            "weakest": release.weakest,
            "joint_bound": release.joint_bound,
            "joint_product": release.joint_product,
            "joint_with_more_noise": release.joint_louder,
            "left_out": list(release.reasons),
        },
    }


def _cell_document(each: Figures) -> dict[str, Any]:
    cell, noise = each.cell, each.noise
    return {
        "metric": cell.metric.name,
        "cohort": dict(cell.cohort.parts),
        "alike": cell.copies,
        "speakers": noise.speakers,
        "calls": noise.calls,
        "baseline": cell.baseline,
        "seen": cell.observed.worse_by if cell.observed else None,
        "standard_error": each.se,
        "between_speakers": cell.in_unit(noise.between_se) if noise.separable else None,
        "half_width": each.half_width,
        "detectable": each.detectable,
        "detectable_adjusted": each.detectable_adjusted,
        "margin": cell.margin.written,
        "power_to_certify": each.certify,
        "effect": each.effect,
        "power_to_find": each.find,
        "power_to_find_adjusted": each.find_adjusted,
        "speakers_needed": each.speakers_needed,
        "calls_needed": each.calls_needed,
        "repeats_needed": each.repeats_needed,
        "certifiable_margin": each.today.written if each.today else None,
        "advice": each.advice,
    }


def _page(plan: Plan, width: int) -> Iterator[RenderableType]:
    yield Text(one_line(plan.basis, limit=600), style="dim")
    for figures in _by_metric(plan).values():
        yield Text("")
        yield Text(_title(figures), style="bold")
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        for place, heading in enumerate(HEADINGS):
            grid.add_column(heading, justify="right" if place else "left", vertical="top", no_wrap=True)
        for each in figures[:MOST_ROWS]:
            style = "" if each.certify < plan.goal.power else "green"
            grid.add_row(*(Text(cell, style=style) for cell in _row(each)))
        yield grid
        if len(figures) > MOST_ROWS:
            more = counted(len(figures) - MOST_ROWS, "more cell")
            yield Text(f"{more}, nearer to their margin: see --json", style="dim")
    yield Text("")
    for line in (*_unplanned(plan), *_legend(plan)):
        yield Text(line, style="dim")
    yield Text("")
    yield Text("What to add first", style="bold")
    for line in _lacking(plan):
        yield _item(line, width)
    yield Text(_sentence(plan.advice), style="bold")
    yield Text("")
    yield Text("A release that it can certify", style="bold")
    for line in (*_gating_today(plan), *_release_words(plan)):
        yield _item(line, width)


def _item(line: str, width: int) -> RenderableType:
    """A line with a hanging indent; rich would fill it with blanks."""
    return Text("\n".join(textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ")))


def _by_metric(plan: Plan) -> dict[str, list[Figures]]:
    """The figures by metric, in the order of their names; within one, the farthest from its margin first."""
    names = sorted({each.cell.metric.name for each in plan.figures})
    return {name: [each for each in plan.figures if each.cell.metric.name == name] for name in names}


def _title(figures: Sequence[Figures]) -> str:
    first = figures[0]
    margins = list(dict.fromkeys(each.cell.margin.written for each in figures))
    unit = {"share": "rates in %, differences in pp", "ms": "in ms"}.get(first.cell.metric.unit, "")
    told = f"{first.cell.metric.title}: margin {', '.join(margins)}; to be found {first.effect}"
    return f"{one_line(told, limit=120)}{'; ' if unit else ''}{unit}"


def _row(each: Figures) -> tuple[str, ...]:
    cell, noise, metric = each.cell, each.noise, each.cell.metric
    needed = ">20000" if each.speakers_needed is None else str(each.speakers_needed)
    name = one_line(cell.cohort.name, limit=80).replace(" × ", "\n× ")
    return (
        name,
        f"{noise.speakers}\n{noise.calls}",
        f"{level(metric, cell.baseline)}\n{signed(metric, cell.observed.worse_by) if cell.observed else '–'}",
        f"{_fine(each, each.se)}\n{_fine(each, each.half_width)}",
        f"{number(metric, each.detectable)}\n{number(metric, each.detectable_adjusted)}",
        f"{_chance(each.certify)}\n{each.today.written if each.today else '–'}",
        f"{_chance(each.find)}\n{_chance(each.find_adjusted)}",
        f"{needed}\n{each.calls_needed if each.calls_needed is not None else '–'}",
    )


def _joined(row: Sequence[str]) -> tuple[str, ...]:
    first, *others = row
    return (first.replace("\n", " "), *(cell.replace("\n", "⏎") for cell in others))


def _fine(each: Figures, value: float) -> str:
    """A small difference with a digit more than a rate has."""
    if each.cell.metric.unit == "share":
        return f"{100 * value:.2f}"
    return f"{value:.1f}" if each.cell.metric.unit == "ms" else f"{value:.4f}"


def _chance(probability: float) -> str:
    """A probability in per cent that is never rounded to certainty.

    >>> _chance(0.9996), _chance(0.0001), _chance(0.8)
    ('>99 %', '<1 %', '80 %')
    """
    if probability > 0.995:
        return ">99 %"
    return "<1 %" if probability < 0.005 else f"{100 * probability:.0f} %"


def _percent(probability: float) -> str:
    return f"{100 * probability:g} %"


def _legend(plan: Plan) -> Iterator[str]:
    power = _percent(plan.goal.power)
    yield (
        f"detects: smallest worsening found with {power} power, and that after the adjustment for "
        f"{counted(plan.family, 'gating cell')} (adj., at {100 * plan.goal.alpha:g} % / {plan.family})"
    )
    yield (
        f"certify: the chance of PASSED if nothing changed; today: the smallest margin that has {power}; "
        f"needed: speakers, and calls of as many, for {power} with the margin in force"
    )
    yield "find: the chance of REGRESSED if the candidate is worse by what is to be found"


def _unplanned(plan: Plan) -> Iterator[str]:
    for cell in plan.unplanned:
        reason = getattr(cell.noise, "reason", "")
        yield one_line(f"no plan for {cell.metric.name}[{cell.cohort.name}]: {reason}")


def _lacking(plan: Plan) -> Iterator[str]:
    lacking = [each for each in plan.figures if each.certify < plan.goal.power]
    for each in lacking[:MOST_LACKING]:
        yield one_line(f"{each.cell.metric.name}[{each.cell.cohort.name}]: {each.advice}")
    if len(lacking) > MOST_LACKING:
        yield f"and {counted(len(lacking) - MOST_LACKING, 'more cell')}, nearer to their margin"
    for addition in plan.additions if lacking else ():
        yield one_line(
            f"for {counted(addition.calls, 'more call')} per arm, {addition.what}: "
            f"{counted(addition.certified, 'cell')} certify"
        )


def _gating_today(plan: Plan) -> Iterator[str]:
    """Which cells can gate a release as they are, and what the others could certify."""
    for name, figures in _by_metric(plan).items():
        able = [each for each in figures if each.certify >= plan.goal.power]
        total, count = (sum(each.cell.copies for each in some) for some in (figures, able))
        which = "" if count in (0, total) else f" ({', '.join(sorted(e.cell.cohort.name for e in able))})"
        told = f"can gate today, {name}: {count or 'none'} of {counted(total, 'cell')}{which}"
        lacking = [each for each in figures if each.certify < plan.goal.power]
        slicings = sorted({each.cell.cohort.tags for each in lacking}, key=lambda tags: (len(tags), tags))
        margins = []
        for tags in slicings:
            mine = [each for each in figures if each.cell.cohort.tags == tags]
            # Figures come with the farthest cell first, which is the one that all the others are within.
            margin = mine[0].today.written if mine[0].today else "no margin"
            margins.append(f"{margin} {'by ' if tags else ''}{slicing_name(tags)}")
        yield one_line(f"{told}; today's data certify {', '.join(margins)}" if margins else told, limit=400)


def _release_words(plan: Plan) -> Iterator[str]:
    release: Release = plan.release
    yield from (one_line(reason) for reason in release.reasons)
    if not release.cohorts:
        yield "no cohort could gate a release with this data: add calls, or allow wider margins"
        return
    yield (
        f"clean pass of an unchanged agent, all {counted(release.cells, 'cell')} together: at least "
        f"{100 * release.joint_bound:.1f} % (Bonferroni; {100 * release.joint_product:.1f} % if cells were "
        f"independent; weakest cell {100 * release.weakest:.1f} %)"
    )
    yield f"if all noise were a quarter larger than it looks: at least {100 * release.joint_louder:.0f} %"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
