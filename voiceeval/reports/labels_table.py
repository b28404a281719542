"""What labels say of a run, arranged for reading on a terminal and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from voiceeval.call import Arm
from voiceeval.label_agreement import (
    FEWEST,
    LEVEL,
    Agreement,
    Crossed,
    MeanRating,
    MetricAgreement,
    Untold,
)
from voiceeval.reports.call_list import slug
from voiceeval.reports.terminal_style import print_anywhere
from voiceeval.reports.wording import counted, one_line

SCHEMA_VERSION = 1
QUESTIONS: Mapping[str, str] = {"task_done": "task done", "tools_right": "right tools"}
PICKED = (
    "Only the random sample tells how far a metric can be trusted on this run: every call had the same "
    "chance to be in it. All labelled calls hold picked ones too, which are in the queue because they failed "
    "or because metrics contradict each other; there agreement looks worse, and the rates are not the run's."
)
FOOTNOTE = (
    "Prevalence and bias push kappa away from plain agreement. Too few: fewer than "
    f"{FEWEST} calls give it no interval; no spread: all agree, so that none can be estimated."
)
_MOST_CONTRADICTIONS = 40
_ASCII = {ord("×"): "x", ord("–"): "-", ord("…"): "~"}
_SHORT = {"random sample": "random", "all labelled calls": "all"}


def render(found: Agreement, console: Console) -> None:
    """Print everything."""
    print_anywhere(console, lambda: _print(found, console), ascii_signs=_ASCII)


def _print(found: Agreement, console: Console) -> None:
    console.print(Group(*_page(found)))
    for line in _contradictions(found):
        # Paths stay whole, however narrow the terminal is: they are there to be opened.
        console.print(line, soft_wrap=True)


def labels_json(found: Agreement, run: str) -> dict[str, Any]:
    """The same for machines; what is not known is absent, and ``why_no_…`` says why."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "level": LEVEL,
        "fewest_for_an_interval": FEWEST,
        "reviewers": [asdict(each) for each in found.reviewers],
        "metrics": [_fields(each, crossed_json(each.crossed)) for each in found.metrics],
        "people": [_fields(each, crossed_json(each.crossed)) for each in found.people],
        "people_on_ratings": [
            {
                "rating": each.rating,
                "calls": each.calls,
                **(
                    {"why_no_alpha": each.alpha.reason}
                    if isinstance(each.alpha, Untold)
                    else {"alpha": each.alpha}
                ),
            }
            for each in found.alphas
        ],
        "ratings": [
            {**asdict(each), "cohort": dict(each.cohort.parts), "arm": str(each.arm)}
            for each in found.ratings
        ],
        "contradictions": [
            {**asdict(each), "arm": str(each.arm), "page": page_of(each.call)}
            for each in found.contradictions
        ],
    }


def page_of(call_id: str) -> str:
    """The page of a call, as seen from the run folder."""
    return f"report/calls/{slug(call_id)}.html"


def _fields(each: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asdict(each).items() if name != "crossed"} | dict(more)


def crossed_json(crossed: Crossed) -> dict[str, Any]:
    """Counts, rates and kappa of two judges."""
    found: dict[str, Any] = {
        "compared": crossed.compared,
        "agreed": crossed.agreed,
        "both_yes": crossed.both,
        "only_first_yes": crossed.first,
        "only_second_yes": crossed.second,
        "both_no": crossed.neither,
    }
    rates, skew, kappa = crossed.rates, crossed.skew, crossed.kappa
    if not isinstance(rates, Untold):
        found |= {"first_yes_rate": rates[0], "second_yes_rate": rates[1]}
    if not isinstance(skew, Untold):
        found |= {"prevalence": skew.prevalence, "bias": skew.bias, "adjusted_kappa": skew.adjusted}
    if isinstance(kappa, Untold):
        return found | {"why_no_kappa": kappa.reason}
    found["kappa"] = kappa.value
    if isinstance(kappa.interval, Untold):
        return found | {"why_no_interval": kappa.interval.reason}
    return found | {"lower": kappa.interval.lower, "upper": kappa.interval.upper}


def _page(found: Agreement) -> Iterator[RenderableType]:
    total, blind = sum(each.labels for each in found.reviewers), sum(each.blind for each in found.reviewers)
    yield Text(
        f"{counted(total, 'label')} of {counted(len(found.reviewers), 'reviewer')}, {blind} given blind and "
        f"{total - blind} not",
        style="bold",
    )
    for each in found.reviewers:
        yield Text(
            f"  {one_line(each.reviewer, limit=60)}: {counted(each.labels, 'label')}, {each.blind} blind, "
            f"{each.random} on the random sample"
        )
    if not total:
        return
    for question, title in QUESTIONS.items():
        rows = [each for each in found.metrics if each.question == question]
        yield Text(f"\nPeople and {rows[0].metric}: {title}?", style="bold")
        yield _metric_table(rows)
        yield from _left_out(rows)
    yield Text(
        "random: the random sample; all: all labelled calls. people, metric: how often each says yes. "
        f"{FOOTNOTE} {PICKED}",
        style="dim",
    )
    yield from _people(found)
    yield from _ratings(found)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", collapse_padding=True)
    for heading in headings:
        table.add_column(
            heading,
            justify="left" if heading in ("calls", "arm") else "right",
            no_wrap=heading not in ("left out", "calls"),
        )
    return table


def _metric_table(rows: list[MetricAgreement]) -> Table:
    table = _table("calls", "arm", "agree", "kappa (95 %)", "people", "metric", "prev.", "bias")
    for row in rows:
        table.add_row(_SHORT[row.which], row.arm, *crossed_cells(row.crossed))
    return table


def crossed_cells(crossed: Crossed) -> tuple[str, ...]:
    """Agreement, kappa, both rates, prevalence and bias, in words."""
    rates, skew = crossed.rates, crossed.skew
    if isinstance(rates, Untold) or isinstance(skew, Untold):
        return ("0/0", "none", "–", "–", "–", "–")
    return (
        f"{crossed.agreed}/{crossed.compared} {crossed.agreed / crossed.compared:.0%}",
        kappa_words(crossed),
        f"{rates[0]:.0%}",
        f"{rates[1]:.0%}",
        f"{skew.prevalence:+.2f}",
        f"{skew.bias:+.2f}",
    )


def kappa_words(crossed: Crossed) -> str:
    """``0.61 (0.40 to 0.82)``, or shortly why there is no such figure."""
    kappa = crossed.kappa
    if isinstance(kappa, Untold):
        return "none: all alike" if crossed.compared else "none"
    if isinstance(kappa.interval, Untold):
        return f"{kappa.value:.2f} ({'too few' if crossed.compared < FEWEST else 'no spread'})"
    return f"{kappa.value:.2f} ({kappa.interval.lower:.2f} to {kappa.interval.upper:.2f})"


def _left_out(rows: list[MetricAgreement]) -> Iterator[Text]:
    for which in dict.fromkeys(row.which for row in rows):
        told = []
        for row in rows:
            parts = [(row.unclear, "unclear"), (row.split, "split"), (row.unscored, "not scored")]
            words = ", ".join(f"{count} {name}" for count, name in parts if count)
            if row.which == which and row.arm != "both" and words:
                told.append(f"{row.arm} {words}")
        if told:
            yield Text(f"left out of {_SHORT[which]}: {'; '.join(told)}")


def _people(found: Agreement) -> Iterator[RenderableType]:
    if len(found.reviewers) < 2:
        yield Text(
            "\nPeople among themselves: one reviewer, so that nothing is known of how far people agree."
        )
        return
    yield Text("\nPeople among themselves, on calls that both labelled", style="bold")
    if not found.people:
        yield Text("No call was labelled twice.")
        return
    table = _table("calls", "arm", "agree", "kappa (95 %)", "first", "second", "unclear")
    table.columns[0].header, table.columns[1].header = "reviewers", "question"
    for row in found.people:
        names = " and ".join(one_line(name, limit=30) for name in row.reviewers)
        table.add_row(names, QUESTIONS[row.question], *crossed_cells(row.crossed)[:4], str(row.unclear))
    yield table
    for alpha in found.alphas:
        value = alpha.alpha.reason if isinstance(alpha.alpha, Untold) else f"{alpha.alpha:.2f}"
        yield Text(f"{alpha.rating}: Krippendorff's alpha over {counted(alpha.calls, 'call')}: {value}")


def _ratings(found: Agreement) -> Iterator[RenderableType]:
    if not found.ratings:
        return
    yield Text("\nTone and clarity, means of 1 to 5 (calls); reported, not gated", style="bold")
    table = _table("calls", "tone\nbaseline", "tone\ncandidate", "clarity\nbaseline", "clarity\ncandidate")
    table.columns[0].header = "cohort"
    by_cell = {(each.cohort, each.rating, each.arm): each for each in found.ratings}
    for cohort in sorted({each.cohort for each in found.ratings}):
        cells = [by_cell.get((cohort, rating, arm)) for rating in ("tone", "clarity") for arm in Arm]
        table.add_row(one_line(cohort.name), *(mean_words(cell) for cell in cells))
    yield table


def mean_words(cell: MeanRating | None) -> str:
    """``4.2 (11)``; a dash where nobody rated."""
    return "–" if cell is None else f"{cell.mean:.1f} ({cell.calls})"


def _contradictions(found: Agreement) -> Iterator[Text]:
    if not found.contradictions:
        return
    yield Text(f"\n{counted(len(found.contradictions), 'time')} a metric contradicts people", style="bold")
    for each in found.contradictions[:_MOST_CONTRADICTIONS]:
        people, metric = ("yes" if word else "no" for word in (each.people, each.metric))
        yield Text(
            f"  {each.arm}, {QUESTIONS[each.question]}: people {people}, metric {metric}"
            f"{', with a note' if each.noted else ''}: {page_of(each.call)}"
        )
    if len(found.contradictions) > _MOST_CONTRADICTIONS:
        yield Text(f"  and {len(found.contradictions) - _MOST_CONTRADICTIONS} more: see --json")
