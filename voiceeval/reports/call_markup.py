"""Pieces of markup that a call's page holds by the hundred, put together without a template.

What comes from a run is made visible, shortened and escaped: by ``Markup.format``, or in sight.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup, escape

from voiceeval.audio import Milliseconds
from voiceeval.call import Arm
from voiceeval.reports.alignment import AlignedToken, Edit, Hearing, Span
from voiceeval.reports.call_turns import Step
from voiceeval.reports.score_reasons import ScoreReason
from voiceeval.reports.wording import clock, one_line, visible
from voiceeval.score import MetricInfo

_WHO = {
    "caller": "caller says",
    "silent": "caller",
    "aside": "beside it",
    "keys": "caller keys",
    "too early": "too early",
    "hears": "agent hears",
    "deaf": "agent hears",
    "drops": "reply dropped",
    "says": "agent says",
    "cut off": "cut off",
    "calls": "calls tool",
    "returns": "tool returns",
    "fails": "tool fails",
    "failed": "stage failed",
    "ends": "end",
}
_TOKEN = {
    Edit.SAME: '<span class="w"><bdi>{heard}</bdi><bdi aria-hidden="true">{heard}</bdi></span> ',
    Edit.SUBSTITUTED: '<span class="w substituted"><small>SUB</small> <bdi>{said}</bdi>'
    '<span class="visually-hidden"> → </span><bdi>{heard}</bdi></span> ',
    Edit.DELETED: '<span class="w deleted"><small>DEL</small> <bdi>{said}</bdi>'
    '<span class="gap" aria-hidden="true">–</span></span> ',
    Edit.INSERTED: '<span class="w inserted"><small>INS</small> <span class="gap" aria-hidden="true">–</span>'
    "<bdi>{heard}</bdi></span> ",
}
_MARKUP = {edit: Markup(text) for edit, text in _TOKEN.items()}  # noqa: S704 - the lines above
_ENTITY = Markup('<span class="entity{}"><small class="type"><bdi>{}</bdi></small><span>{}</span></span> ')


def aligned(hearing: Hearing) -> Markup:
    """Said over heard, a column for each word; entities in frames that name their type."""
    return Markup("").join(map(_span, hearing.spans))


def _span(span: Span) -> Markup:
    tokens = Markup("").join(map(_token, span.tokens))
    if not span.entity:
        return tokens
    return _ENTITY.format(" wrong" if span.errors else "", one_line(span.entity, limit=40), tokens)


@lru_cache(maxsize=16_384)
def _token(token: AlignedToken) -> Markup:
    return _MARKUP[token.edit].format(
        said=one_line(token.said, limit=200), heard=one_line(token.heard, limit=200)
    )


def moment(at_ms: Milliseconds, arm: Arm | str) -> Markup:
    """A link to a moment of one arm's call; the page's script plays from there."""
    number = int(at_ms)
    return Markup(  # noqa: S704 - numbers, and the name of an arm
        f'<a class="at num" href="#t={number / 1000:.3f}" data-at-ms="{number}" data-arm="{Arm(arm)}">'
        f"{clock(number)}</a>"
    )


def step_head(step: Step, arm: Arm) -> Markup:
    """Whose doing a step is, and when it happened."""
    return Markup(  # noqa: S704 - words of ours
        f'<span class="who">{_WHO[step.kind]}<br>{moment(step.at_ms, arm)}</span>'
    )


def reason_rows(reasons: Iterable[ScoreReason]) -> Markup:
    """Rows of the table of scores: a metric, and both arms' values with what they rest on."""
    return Markup("").join(map(_reason_row, reasons))


def _reason_row(reason: ScoreReason) -> Markup:
    tag = "b" if reason.differs else "span"
    cells = "".join(
        f'<td><{tag} class="num">{escape(visible(value))}</{tag}>'
        + (f'<pre class="evidence"><bdi>{escape(visible(told))}</bdi></pre>' if told else "")
        + "</td>"
        for value, told in zip(reason.values, reason.evidence, strict=True)
    )
    apart = ' class="apart"' if reason.differs else ""
    return Markup(  # noqa: S704 - escaped above
        f'<tr{apart}><th scope="row">{metric_head(reason.metric)}</th>{cells}</tr>\n'
    )


@lru_cache(maxsize=1_024)
def metric_head(metric: MetricInfo) -> Markup:
    """A metric's title and definition."""
    return Markup('<bdi>{}</bdi><p class="small dim"><bdi>{}</bdi></p>').format(
        one_line(metric.title), one_line(metric.definition, limit=600)
    )
