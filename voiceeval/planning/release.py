"""The settings of a release that this suite can certify: which cohorts gate, with which margins."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from voiceeval.margins import Margin
from voiceeval.planning.cells import Cell, Unknown
from voiceeval.planning.noise import Design, Goal, Noise, chance_to_certify
from voiceeval.planning.steps import STEPS, certifiable, margin_of, steps_in

LOUDER = 1.25
"""How much larger the noise is taken to be when asked what if it was underestimated."""

Tags = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Which cohorts gate a release and with which margins, and how likely an unchanged agent passes."""

    cohorts: tuple[Tags, ...]
    """Slicings that gate; none where nothing can be certified."""
    report_cohorts: tuple[Tags, ...]
    """Slicings that gate now and would only report."""
    margins: dict[str, Margin]
    """By metric, in the order of their names."""
    trials: int
    cells: int
    """Gating cells."""
    weakest: float
    """Smallest chance to certify among them; 0 without any."""
    joint_product: float
    """Product of their chances: what independent cells would give."""
    joint_bound: float
    """1 − Σ(1 − chance), which holds however cells depend on each other (Bonferroni)."""
    joint_louder: float
    """The same bound if all noise is a quarter larger than it looks."""
    reasons: tuple[str, ...]
    """What was left out, and why."""

    def settings(self) -> str:
        """The table for pyproject.toml."""
        lines = ["[tool.voiceeval.release]"]
        if self.trials > 1:
            lines.append(f"trials = {self.trials}")
        lines += [
            f"cohorts = {json.dumps([list(tags) for tags in self.cohorts])}",
            f"report_cohorts = {json.dumps([list(tags) for tags in self.report_cohorts])}",
            "",
            "[tool.voiceeval.release.margins]",
        ]
        return "\n".join([*lines, *(f'{_key(name)} = "{m.written}"' for name, m in self.margins.items())])


@dataclass(frozen=True, slots=True)
class _Search:
    """The cells at hand, and what is allowed."""

    cells: tuple[Cell, ...]
    goal: Goal
    repeats: float
    widest: float
    tighten: bool = False

    def cap(self, margin: Margin) -> int:
        """The widest margin that is allowed, in steps; never less than the one in force."""
        return max(math.floor(self.widest * margin.amount / STEPS[margin.unit] + 1e-9), steps_in(margin))

    def chance(self, cell: Cell, margin: Margin, *, louder: float = 1.0) -> float:
        """To certify that margin, or the cohort's own; 0 for a cell of which nothing is known."""
        if isinstance(cell.noise, Unknown):
            return 0.0
        margin = cell.margin if cell.own_margin else margin
        noise = cell.noise
        if louder != 1:
            one, two, three = (louder**2 * part for part in noise.variance)
            noise = replace(noise, variance=(one, two, three))
        return chance_to_certify(noise, cell.tolerance(margin), self.goal, self._design(noise))

    def fits(self, cell: Cell) -> bool:
        """Whether a margin that is allowed can be certified with the wished power."""
        return self.chance(cell, self.start(cell)) >= self.goal.power

    def start(self, cell: Cell) -> Margin:
        """The margin in force, or the smallest step above it that is certified, as far as allowed."""
        if isinstance(cell.noise, Unknown) or cell.own_margin:
            return cell.margin
        if not self.tighten and self.chance(cell, cell.margin) >= self.goal.power:
            return cell.margin
        found = certifiable(cell, cell.noise, self.goal, design=self._design(cell.noise))
        cap, least = self.cap(cell.margin), 1 if self.tighten else steps_in(cell.margin)
        return margin_of(min(max(steps_in(found), least), cap) if found else cap, cell.margin)

    def _design(self, noise: Noise) -> Design:
        return Design(noise.speakers, self.repeats)


def choose_release(
    cells: Sequence[Cell],
    goal: Goal,
    *,
    trials: int = 1,
    repeats: float = 1.0,
    widest: float = 2.0,
    tighten: bool = False,
    report: Iterable[Tags] = (),
) -> Release:
    """The slicings and margins with which an unchanged agent passes a release.

    A metric gates if some slicing can certify it, and a slicing gates if all its cells of those metrics can,
    each with the wished power and a margin no wider than allowed. Margins then grow a step at a time, where a
    step buys most, until the bound on the joint probability is what was wished; where they may not grow, the
    slicing that costs most is reported instead.

    Args:
        cells: all gating cells.
        goal: what is asked.
        trials: to be written into the settings.
        repeats: those trials over the ones that the noise was measured with.
        widest: how many times the margin in force is allowed.
        tighten: also propose smaller margins than those in force.
        report: slicings that only report now.
    """
    search = _Search(tuple(cells), goal, repeats, widest, tighten)
    slicings = list(dict.fromkeys(cell.cohort.tags for cell in sorted(cells, key=_coarse_first)))
    fits = {(cell.metric.name, cell.cohort): search.fits(cell) for cell in cells}
    reasons: list[str] = []
    metrics = []
    for name in sorted({cell.metric.name for cell in cells}):
        mine = [cell for cell in cells if cell.metric.name == name]
        if any(all(fits[name, c.cohort] for c in mine if c.cohort.tags == tags) for tags in slicings):
            metrics.append(name)
            continue
        wide = f"{widest:g} x {mine[0].margin.written}"
        reasons.append(f"{name} only reports: no slicing can certify it within {wide}")
    chosen = []
    for tags in slicings:
        mine = [cell for cell in cells if cell.cohort.tags == tags and cell.metric.name in metrics]
        lacking = sorted({cell.metric.name for cell in mine if not fits[cell.metric.name, cell.cohort]})
        if lacking:
            reasons.append(
                f"{slicing_name(tags)} only reports: within {widest:g} times their margins not all of its "
                f"cells certify {', '.join(lacking)}"
            )
        elif mine:
            chosen.append(tags)
    margins: dict[str, Margin] = {}
    while chosen:
        margins, reached = _widened(search, chosen, metrics)
        if reached:
            break
        costs = {tags: _failures(search, [tags], margins) for tags in chosen}
        worst = max(chosen, key=lambda tags: (costs[tags], tags))
        chosen.remove(worst)
        reasons.append(
            f"{slicing_name(worst)} only reports: with it the chance of a clean pass stays under "
            f"{100 * goal.joint:g} %"
        )
    return _release(search, chosen, slicings, margins if chosen else {}, tuple(report), trials, reasons)


def _widened(
    search: _Search, chosen: Sequence[Tags], metrics: Sequence[str]
) -> tuple[dict[str, Margin], bool]:
    """Margins that reach the joint probability, or the widest that are allowed and False."""
    margins: dict[str, Margin] = {}
    in_force: dict[str, Margin] = {}
    for name in metrics:
        mine = [cell for cell in search.cells if cell.metric.name == name and cell.cohort.tags in chosen]
        mine = [cell for cell in mine if not cell.own_margin] or mine
        if mine:
            in_force[name] = min((cell.margin for cell in mine), key=lambda margin: margin.amount)
            margins[name] = max((search.start(cell) for cell in mine), key=lambda margin: margin.amount)
    failing = {name: _failures(search, chosen, {name: margin}) for name, margin in margins.items()}
    while sum(failing.values()) > 1 - search.goal.joint:
        best: tuple[float, str, Margin, float] | None = None
        for name, margin in margins.items():
            steps = steps_in(margin) + 1
            if steps > search.cap(in_force[name]):
                continue
            wider = margin_of(steps, margin)
            left = _failures(search, chosen, {name: wider})
            gain = (failing[name] - left) / ((wider.amount - margin.amount) / in_force[name].amount)
            if best is None or gain > best[0]:
                best = (gain, name, wider, left)
        if best is None:
            return margins, False
        margins[best[1]], failing[best[1]] = best[2], best[3]
    return margins, True


def _failures(
    search: _Search, chosen: Sequence[Tags], margins: dict[str, Margin], *, louder: float = 1.0
) -> float:
    """Expected number of cells that do not certify."""
    return sum(
        cell.copies * (1 - search.chance(cell, margins[cell.metric.name], louder=louder))
        for cell in search.cells
        if cell.cohort.tags in chosen and cell.metric.name in margins
    )


def _release(
    search: _Search,
    chosen: Sequence[Tags],
    slicings: Sequence[Tags],
    margins: dict[str, Margin],
    report: tuple[Tags, ...],
    trials: int,
    reasons: Sequence[str],
) -> Release:
    gating = [cell for cell in search.cells if cell.cohort.tags in chosen and cell.metric.name in margins]
    chances = [search.chance(cell, margins[cell.metric.name]) for cell in gating]
    copies = [cell.copies for cell in gating]
    return Release(
        cohorts=tuple(chosen),
        report_cohorts=(*(tags for tags in slicings if tags not in chosen), *report),
        margins=dict(sorted(margins.items())),
        trials=trials,
        cells=sum(copies),
        weakest=min(chances, default=0.0),
        joint_product=math.prod(p**n for p, n in zip(chances, copies, strict=True)) if gating else 0.0,
        joint_bound=max(0.0, 1 - _failures(search, chosen, margins)) if gating else 0.0,
        joint_louder=max(0.0, 1 - _failures(search, chosen, margins, louder=LOUDER)) if gating else 0.0,
        reasons=tuple(reasons),
    )


def _coarse_first(cell: Cell) -> tuple[int, Tags]:
    return len(cell.cohort.tags), cell.cohort.tags


def slicing_name(tags: Tags) -> str:
    """How a slicing is called: ``overall``, ``accent × line``."""
    return " × ".join(tags) or "overall"


def _key(name: str) -> str:
    """A TOML key, quoted where it must be."""
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
