"""``voiceeval plan``: what a suite can certify and find, what to add first, and the release it supports."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voiceeval.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from voiceeval.cohort import Cohort
    from voiceeval.experiment import Experiment
    from voiceeval.margins import Margin
    from voiceeval.pair_table import CohortRows, PairTable
    from voiceeval.planning.noise import Goal
    from voiceeval.planning.plan import Plan, Wish
    from voiceeval.run_folder import RunFolder
    from voiceeval.score import MetricInfo, Score

AA = (
    "Noise from an A/A run: the baseline against itself, with draws of its own in each arm. A real change "
    "adds how differently speakers take it."
)
CHANGED = (
    "Noise from a run whose arms differ: it is the noise of those differences, and includes how differently "
    "speakers took the change. A run with --voice-aa shows the noise alone."
)
STATED = (
    "Noise from the rates stated in {}: no call was placed. The tag 'cohort' stands for the one that you "
    "will slice by."
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its arguments."""
    plan = commands.add_parser("plan", help="what a suite can certify and find, and what to add to it first")
    plan.add_argument(
        "run", type=Path, nargs="?", help="a run's folder, best of pytest --voice-cohorts --voice-aa"
    )
    plan.add_argument("--stated", type=Path, metavar="FILE", help="plan from stated rates instead (TOML)")
    plan.add_argument("--speakers", type=int, metavar="N", help="with --stated: speakers in each cohort")
    plan.add_argument("--calls-per-speaker", type=int, metavar="N", help="with --stated")
    plan.add_argument(
        "--policy", choices=("pr", "release"), help="whose cohorts and margins; default: the run's"
    )
    plan.add_argument(
        "--effect",
        action="append",
        default=[],
        metavar="[METRIC=]AMOUNT",
        help="worsening to be found, such as wer=+4pp; default: twice the margin",
    )
    plan.add_argument("--power", type=float, default=0.8, help="per cell; default: %(default)s")
    plan.add_argument(
        "--joint", type=float, default=0.9, help="of a release's clean pass; default: %(default)s"
    )
    plan.add_argument("--trials", type=int, metavar="N", help="repeats in the release; default: the run's")
    plan.add_argument(
        "--widest",
        type=float,
        default=2.0,
        metavar="TIMES",
        help="how many times its margin in force a release may tolerate; default: %(default)s",
    )
    plan.add_argument("--tighten", action="store_true", help="propose smaller margins as well")
    plan.add_argument("--json", type=Path, metavar="FILE", help="write the plan as JSON, too")
    plan.add_argument("--markdown", type=Path, metavar="FILE", help="write the plan as Markdown, too")
    plan.set_defaults(command=run)


def run(given: argparse.Namespace) -> int:
    """0 when the plan is made, whatever it says."""
    import json

    from rich.console import Console

    from voiceeval.reports import plan_table

    _check(given)
    made = _from_stated(given) if given.stated else _from_run(given)
    plan_table.render(made, Console(highlight=False))
    if given.json is not None:
        text = json.dumps(plan_table.document(made), indent=2, ensure_ascii=False)
        _write(given.json, f"{text}\n")
    if given.markdown is not None:
        _write(given.markdown, plan_table.markdown(made))
    return 0


def _write(path: Path, text: str) -> None:
    from voiceeval.content_files import write_whole

    try:
        write_whole(path, text.encode("utf-8"))
    except OSError as failure:
        raise ConfigError(f"{path}: cannot be written ({failure.strerror})") from None


def tables(
    experiment: Experiment,
    scores: Mapping[tuple[str, str], Score],
    margins: Mapping[str, Margin],
    own: Mapping[tuple[str, Cohort], Margin],
    expected: Iterable[Cohort] = (),
) -> list[tuple[PairTable, Sequence[CohortRows]]]:
    """A table per metric that has a margin, with the cohorts of the experiment and those it expects."""
    from voiceeval.experiment import cohorts_of
    from voiceeval.pair_table import columns_of
    from voiceeval.repeats import repeat_metrics
    from voiceeval.samples import CohortCalls, pairs_of_calls, pairs_of_repeats, samples

    scored = [metric.info for metric in experiment.metrics]
    names = {info.name for info in scored}
    infos = [*scored, *repeat_metrics(experiment.trials, experiment.pass_k, scored=names)]
    kept = [info for info in infos if info.name in margins or any(name == info.name for name, _ in own)]
    cohorts = list(cohorts_of(experiment))
    present = {each.cohort for each in cohorts}
    cohorts += [CohortCalls(cohort, True, ()) for cohort in expected if cohort not in present]
    found: list[tuple[PairTable, Sequence[CohortRows]]] = []
    for info in kept:
        theirs = [margins[info.name]] if info.name in margins else []
        theirs += [margin for (name, _), margin in own.items() if name == info.name]
        paired = pairs_of_calls if info.name in names else pairs_of_repeats
        pairs = paired(info, experiment.planned, scores)
        grouped = samples(
            [pairs],
            cohorts,
            same_by_construction={info.name: False},
            stored=experiment.stored,
            not_comparable=experiment.not_comparable,
        )
        found.append(columns_of(grouped, log_scale=any(margin.on_log_scale(info) for margin in theirs)))
    return found


def _from_run(given: argparse.Namespace) -> Plan:
    from voiceeval.assembly import judge, restored
    from voiceeval.gate import CohortGate
    from voiceeval.planning.additions import suite_of
    from voiceeval.planning.cells import cells_of
    from voiceeval.planning.plan import plan_of
    from voiceeval.run_folder import RunFolder, find_run

    folder = RunFolder.open(find_run(given.run))
    experiment = restored(folder)
    gate = experiment.gate
    if not isinstance(gate, CohortGate):
        raise ConfigError(f"{folder.path}: judged by a gate of its own; a plan is for the bundled one")
    margins: Mapping[str, Margin] = gate.margins
    if given.policy == "pr" and experiment.policy == "release":
        raise ConfigError(
            f"plan: --policy: given 'pr'; allowed: 'release', which {folder.path} was made with"
        )
    expected, trials = gate.declared, given.trials
    if given.policy == "release" and experiment.policy != "release":
        release = _as_release(folder, experiment, margins)
        experiment, margins, expected = release.experiment, release.margins, release.expected
        trials = trials or release.trials
    own = {(each.metric, each.cohort): each.margin for each in gate.own_margins}
    judged, _ = judge(folder, experiment)
    goal = _goal(given, alpha=gate.alpha, fewest_speakers=gate.min_clusters)
    infos = [metric.info for metric in experiment.metrics if metric.info.name in margins]
    basis = AA if experiment.independent_arms else CHANGED
    if experiment.partial:
        basis += " Only a part of the suite was placed."
    report = tuple(slicing.tags for slicing in experiment.slicings if not slicing.gates)
    found = tables(experiment, judged.scores, margins, own, () if experiment.partial else expected)
    return plan_of(
        cells_of(found, margins, own=own, alpha=gate.alpha),
        suite_of(experiment.planned),
        basis=basis,
        goal=goal,
        effects=_effects(given.effect, infos),
        wish=_wish(given, trials=trials, report=report),
    )


class _Release(NamedTuple):
    """What a release of the project is judged by."""

    experiment: Experiment
    margins: Mapping[str, Margin]
    expected: tuple[Cohort, ...]
    trials: int | None


def _as_release(folder: RunFolder, experiment: Experiment, margins: Mapping[str, Margin]) -> _Release:
    """The experiment with the cohorts and margins that a release of this project has."""
    from dataclasses import replace

    from voiceeval.config import Config
    from voiceeval.experiment import Slicing
    from voiceeval.gate_settings import expected_cohorts
    from voiceeval.margins import parse_margins
    from voiceeval.settings import TABLE

    settings = Config.restored(folder.stated("config"), where=f"{folder.path}/manifest.json: config").settings
    release = settings.release
    cohorts = settings.cohorts if release.cohorts is None else release.cohorts
    reported = settings.report_cohorts if release.report_cohorts is None else release.report_cohorts
    slicings = tuple(
        Slicing(tags=tags, gates=gates)
        for listed, gates in ((cohorts, True), (reported, False))
        for tags in dict.fromkeys(listed)
    )
    if release.margins is not None:
        infos = [metric.info for metric in experiment.metrics]
        margins = parse_margins(release.margins, infos, key=f"{TABLE} release.margins")
    expected = expected_cohorts(settings.model_copy(update={"cohorts": cohorts}))
    return _Release(replace(experiment, slicings=slicings), margins, expected, release.trials)


def _from_stated(given: argparse.Namespace) -> Plan:
    from voiceeval.assembly import score_with
    from voiceeval.planning.plan import plan_of
    from voiceeval.planning.stated import StatedSuite, read_stated, stated_cells, stated_design
    from voiceeval.toml_files import validated

    stated = read_stated(given.stated)
    options = {"speakers": given.speakers, "calls_per_speaker": given.calls_per_speaker}
    changed = {name: value for name, value in options.items() if value is not None}
    if changed:
        document = {**stated.model_dump(exclude_unset=True), **changed}
        stated = validated(document, StatedSuite, where="options", error=ConfigError)
    infos = [metric.info for metric in score_with(tuple(stated.metrics))]
    for written, info in zip(stated.metrics, infos, strict=True):
        if written != info.name:
            raise ConfigError(f"{given.stated}: metrics.{written}: the metric is named {info.name!r}")
    return plan_of(
        stated_cells(stated, infos, where=str(given.stated)),
        stated_design(stated),
        basis=STATED.format(given.stated),
        goal=_goal(given),
        effects=_effects(given.effect, infos),
        wish=_wish(given, trials=given.trials),
    )


def _check(given: argparse.Namespace) -> None:
    if (given.run is None) == (given.stated is None):
        raise ConfigError("plan: give either a run's folder or --stated FILE")
    if given.stated is None:
        for name in ("speakers", "calls_per_speaker"):
            if getattr(given, name) is not None:
                raise ConfigError(f"plan: --{name.replace('_', '-')}: only with --stated")
    for name in ("power", "joint"):
        value = getattr(given, name)
        if not 0.5 <= value < 1:
            raise ConfigError(
                f"plan: --{name}: given {value:g}; allowed: at least 0.5 and below 1, such as 0.9"
            )
    if given.widest < 1:
        raise ConfigError(f"plan: --widest: given {given.widest:g}; allowed: 1 or more")
    if given.trials is not None and not 1 <= given.trials <= 100:
        raise ConfigError(f"plan: --trials: given {given.trials}; allowed: 1 to 100")
    if given.policy and given.stated:
        raise ConfigError("plan: --policy: only with a run, whose settings it chooses from")


def _goal(given: argparse.Namespace, *, alpha: float = 0.05, fewest_speakers: int = 8) -> Goal:
    from voiceeval.planning.noise import Goal

    return Goal(alpha=alpha, power=given.power, joint=given.joint, fewest_speakers=fewest_speakers)


def _wish(given: argparse.Namespace, *, trials: int | None, report: tuple[tuple[str, ...], ...] = ()) -> Wish:
    from voiceeval.planning.plan import Wish

    return Wish(trials=trials, widest=given.widest, tighten=given.tighten, report=report)


def _effects(written: Sequence[str], metrics: Iterable[MetricInfo]) -> dict[str, Margin]:
    """The effects to be found, by metric; one without a metric is for all that are measured in its unit."""
    from voiceeval.margins import Margin

    infos = {metric.name: metric for metric in metrics}
    found: dict[str, Margin] = {}
    for text in sorted(written, key=lambda each: "=" in each):
        name, equals, amount = text.rpartition("=")
        effect = Margin.parse(amount, key="plan: --effect")
        if equals:
            if name not in infos:
                raise ConfigError(f"plan: --effect: {unknown_name('metric with a margin', name, infos)}")
            effect.check(infos[name], key=f"plan: --effect {name}")
            found[name] = effect
            continue
        fitting = [info.name for info in infos.values() if effect.unit in ("relative", info.unit)]
        if not fitting:
            raise ConfigError(
                f"plan: --effect: given {text!r}; no metric with a margin is measured in that unit"
            )
        found.update(dict.fromkeys(fitting, effect))
    return found
