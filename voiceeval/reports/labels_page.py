"""What labels say of a run as a page beside the others of its report."""

from __future__ import annotations

from pathlib import Path

from voiceeval.call import Arm
from voiceeval.cohort import Cohort
from voiceeval.label_agreement import RATINGS, Agreement
from voiceeval.reports.call_list import slug
from voiceeval.reports.labels_table import FOOTNOTE, PICKED, QUESTIONS, crossed_cells, mean_words
from voiceeval.reports.page_frame import copy_assets, page_frame
from voiceeval.reports.page_templates import page_templates

PAGE = "labels.html"


def write_labels_page(found: Agreement, folder: Path) -> Path:
    """Write ``labels.html`` into a report's folder."""
    copy_assets(folder)
    template = page_templates().get_template("labels.html.j2")
    page = template.render(
        found=found,
        questions=QUESTIONS,
        ratings=_rating_rows(found),
        cells=crossed_cells,
        slug=slug,
        picked=PICKED,
        footnote=FOOTNOTE,
        **page_frame("labels"),
    )
    path = folder / PAGE
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def _rating_rows(found: Agreement) -> list[tuple[Cohort, list[str]]]:
    cells = {(each.cohort, each.rating, each.arm): each for each in found.ratings}
    return [
        (cohort, [mean_words(cells.get((cohort, rating, arm))) for rating in RATINGS for arm in Arm])
        for cohort in sorted({each.cohort for each in found.ratings})
    ]
