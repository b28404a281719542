// One metric in the selection: figures, and the same in tables.
import { ARMS } from "../report_data";
import { counted, el, type Child } from "../elements";
import { bdi, fill, headings, part, scrolled } from "./dom";
import { paired, spread, withheld, type Figure } from "./figures";
import { difference, direction, level, shown } from "./format";
import { type MetricModel } from "./model";
import { observed, quantile, QUANTILES, rate, summarize, supported, type Bin, type Summary } from "./summary";

const WHY: Record<string, string> = {
  n: "not applicable",
  a: "agent failed",
  h: "harness failed",
  r: "not run",
  ".": "nothing to score",
};

export class MetricView {
  #summary: Summary | null = null;
  #width = 0;

  constructor() {
    const box = part("figures");
    new ResizeObserver(() => {
      if (this.#summary && box.clientWidth !== this.#width) requestAnimationFrame(() => this.#draw());
    }).observe(box);
  }

  show(metric: MetricModel, rows: Int32Array): void {
    this.#summary = summarize(metric, rows);
    const { info } = metric;
    fill(part("metric-title"), bdi(shown(info.title)));
    const better = info.higher_is_better ? "Higher is better." : "Lower is better.";
    fill(part("metric-told"), bdi(shown(info.definition, 400)), ` ${better}`, info.gated && info.margin ? ` Margin of the gate: ${shown(info.margin)}.` : null);
    fill(part("numbers"), scrolled("The selection in numbers", numbers(this.#summary)), el("p", { class: "small dim" }, pairs(this.#summary)), note(this.#summary));
    this.#draw();
  }

  #draw(): void {
    const summary = this.#summary;
    if (!summary) return;
    const box = part("figures");
    this.#width = box.clientWidth;
    const two = this.#width >= 900;
    const width = Math.max(280, Math.floor(two ? (this.#width - 24) / 2 : this.#width));
    const made = [spread(summary, width), paired(summary, width)].filter((figure) => figure !== null);
    fill(box, ...made.map(figure), made.length ? null : el("p", { class: "dim" }, "No call of this selection has a value of this metric."));
    fill(part("bins"), ...made.map((one) => behind(one, summary)));
  }
}

function figure({ title, svg }: Figure): HTMLElement {
  return el("figure", {}, el("figcaption", {}, title), svg);
}

function numbers(summary: Summary): HTMLTableElement {
  const { info, sides } = summary;
  const lines: Child[] = [];
  const add = (name: string, cells: Child[]): void =>
    void lines.push(el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((cell) => el("td", { class: "num" }, cell))));
  const [before, after] = sides.map(rate) as [number, number];
  const name = info.unit === "share" ? "Pooled rate" : info.unit === "ms" ? `Mean of the ${observed(summary)}` : "Mean";
  const said = (value: number): string => (Number.isNaN(value) ? "–" : level(info, value));
  const moved = (one: number, other: number): Child => (Number.isNaN(other - one) ? "–" : el("b", {}, `${difference(info, other - one)} ${direction(info, other - one)}`));
  add(name, [said(before), said(after), moved(before, after)]);
  if (info.unit === "ms")
    for (const [label, q] of Object.entries(QUANTILES)) {
      const values = sides.map((side) => (supported(q, side.scored) ? quantile(side.ordered, q) : NaN)) as [number, number];
      const aim = info.targets[label];
      const cell = (value: number): string => {
        if (Number.isNaN(value)) return "withheld";
        return said(value) + (aim === undefined ? "" : value <= aim ? " ✓" : " ✗");
      };
      add(aim === undefined ? label : `${label} (aim ${level(info, aim)})`, [cell(values[0]), cell(values[1]), moved(...values)]);
    }
  add("Calls with a value", [...sides.map((side) => side.scored.toLocaleString("en")), ""]);
  const gaps = [...new Set(sides.flatMap((side) => [...side.missing.keys()]))].sort();
  for (const gap of gaps) add(`Without: ${WHY[gap] ?? "not scored"}`, [...sides.map((side) => (side.missing.get(gap) ?? 0).toLocaleString("en")), ""]);
  return el("table", { class: "numbers" }, headings(["", "Baseline", "Candidate", "Difference"]), el("tbody", {}, ...lines));
}

function pairs({ info, calls, worse, better, same, unpaired }: Summary): string {
  const pooled =
    info.unit === "share"
      ? "Rates are pooled as the gate pools them: over pairs, with everything wrong where the agent failed."
      : "Means are over pairs with a value on both arms, as the gate takes them.";
  return `${counted(calls, "call")}, arm against arm: worse in ${worse}, better in ${better}, the same in ${same}${unpaired ? `; ${unpaired} without a value on one arm or both` : ""}. ${pooled}`;
}

function note(summary: Summary): HTMLElement | null {
  const told = summary.info.unit === "ms" ? withheld(summary) : "";
  return told ? el("p", { class: "small dim" }, told) : null;
}

/** The bins of a drawing as a table: what it shows to those who do not see it. */
function behind({ title, bins }: Figure, summary: Summary): HTMLElement {
  const arms = bins[0]?.counts.length === 2;
  const lines = bins.map((bin) => el("tr", {}, el("th", { scope: "row", class: "num" }, range(bin, summary, arms)), ...bin.counts.map((count) => el("td", { class: "num" }, count.toLocaleString("en")))));
  const what = summary.info.unit === "ms" && arms ? observed(summary) : "calls";
  const heads = arms ? ARMS.map((arm) => `${arm === "baseline" ? "Baseline" : "Candidate"}, ${what}`) : ["Calls"];
  const table = el("table", {}, el("caption", {}, title), headings([arms ? "Value" : "Candidate − baseline", ...heads]), el("tbody", {}, ...lines));
  return scrolled(`${title}, as a table`, table);
}

function range({ from, to }: Bin, { info }: Summary, arms: boolean): string {
  if (info.yes_no) return arms ? (from >= 1 ? "yes" : "no") : ["yes → no", "same", "no → yes"][Math.round((from + to) / 2) + 1]!;
  const said = arms ? level : difference;
  return `${said(info, from)} to ${said(info, to)}`;
}
