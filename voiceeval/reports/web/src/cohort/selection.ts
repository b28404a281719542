// What is selected, in words that can be removed one by one, and what the gate said of it.
import { button, counted, el, type Child } from "../elements";
import type { CallsData, CellData } from "../report_data";
import { bdi, fill, headings, part, scrolled } from "./dom";
import { bounds, difference, direction, number, level, shown } from "./format";
import type { Model } from "./model";
import type { View } from "./view";

type Cohort = CallsData["cohorts"][number];
type Change = (changes: Partial<View>) => void;

const SIGNS: Record<CellData["outcome"], string> = {
  invalid: "!",
  regressed: "✗",
  inconclusive: "?",
  passed: "✓",
  improved: "▲",
};
/** How a reason begins that tells the difference, its interval and the interval's level. */
const AGAIN = /^[^()]* \((\d+(?:\.\d+)? %) interval [^()]*\) (?=over )/;
const OUTCOMES = Object.keys(SIGNS) as CellData["outcome"][];

export class Selection {
  readonly #model: Model;
  readonly #change: Change;
  #open = false;

  constructor(model: Model, change: Change) {
    this.#model = model;
    this.#change = change;
  }

  show(view: View, size: number): void {
    const parts = this.#parts(view);
    const list = el("ul", { class: "chips", "aria-label": "What is selected" });
    for (const { text, without } of parts) {
      const remove = (): void => {
        const place = [...list.children].findIndex((item) => item.contains(document.activeElement));
        this.#change({ ...without, page: 1 });
        const left = part("selection").querySelectorAll<HTMLButtonElement>("button");
        (left[Math.min(place, left.length - 1)] ?? part("title")).focus();
      };
      const label = `Remove ${text}`;
      const cross = el("span", { "aria-hidden": "true" }, " ✕");
      list.append(el("li", {}, button([bdi(text), cross], { class: "chip", "aria-label": label, title: label }, remove)));
    }
    fill(part("selection"), parts.length ? list : el("p", { class: "dim" }, "Nothing is filtered: all calls of the run."));
    part("count").textContent = `${counted(size, "call")} of ${this.#model.data.count.toLocaleString("en")}`;
    part<HTMLButtonElement>("show-all").hidden = parts.length === 0;
    this.#verdicts(view);
  }

  #parts(view: View): { text: string; without: Partial<View> }[] {
    const parts: { text: string; without: Partial<View> }[] = [];
    for (const facet of this.#model.facets) {
      const at = view.chosen.get(facet.key);
      if (at === undefined) continue;
      const chosen = new Map(view.chosen);
      chosen.delete(facet.key);
      const value = at < 0 ? "none" : shown(facet.values[at] ?? "", 80);
      parts.push({ text: `${shown(facet.title, 60)}${facet.key.startsWith("tag.") ? "=" : ": "}${value}`, without: { chosen } });
    }
    if (view.q.trim()) parts.push({ text: `Text: ${shown(view.q, 80)}`, without: { q: "" } });
    if (view.word) parts.push({ text: `Words: ${said(view.word.said, view.word.heard)}`, without: { word: null } });
    if (view.tool) parts.push({ text: `Tools: ${dueAndCalled(view.tool.due, view.tool.called)}`, without: { tool: null } });
    return parts;
  }

  #verdicts(view: View): void {
    const { cohorts } = this.#model.data;
    const tags = this.#tags(view);
    const narrowed = tags === null;
    const exact = narrowed ? undefined : cohorts.find((cohort) => sameParts(cohort, tags));
    const box = part("verdict");
    if (exact) {
      const gated = exact.verdicts.some((cell) => cell.gating);
      const told = gated ? null : el("p", { class: "note" }, el("b", {}, "Reported only."), " No metric gates in this cohort: none of this can fail the run.");
      fill(box, told, this.#cells(exact, view));
      return;
    }
    if (!cohorts.length) {
      fill(box, el("p", { class: "note" }, el("b", {}, "No verdict."), " The gate judged no cohort of this run."));
      return;
    }
    const wider = cohorts
      .filter((cohort) => cohort.parts.every(([tag, value]) => this.#holds(view, tag, value)))
      .sort((one, other) => other.parts.length - one.parts.length);
    fill(
      box,
      el("p", { class: "note" }, el("b", {}, "No verdict for this selection."), " The gate judges declared cohorts only; a filter that was picked by hand is exploration, and what it shows is not a finding."),
      wider.length ? el("p", {}, "It lies within ", ...wider.slice(0, 6).flatMap((cohort, at) => [at ? ", " : null, this.#link(cohort)]), wider.length > 6 ? ` and ${counted(wider.length - 6, "more")}` : null, ".") : null,
    );
  }

  /** The chosen tags by name; null where the view also narrows by something that makes no cohort. */
  #tags(view: View): Map<string, string> | null {
    if (view.q.trim() || view.word || view.tool) return null;
    const tags = new Map<string, string>();
    for (const [key, at] of view.chosen) {
      const value = this.#model.byKey.get(key)?.values[at];
      if (!key.startsWith("tag.") || value === undefined) return null;
      tags.set(key.slice(4), value);
    }
    return tags;
  }

  #holds(view: View, tag: string, value: string): boolean {
    const facet = this.#model.byKey.get(`tag.${tag}`);
    const at = view.chosen.get(`tag.${tag}`);
    return facet !== undefined && at !== undefined && facet.values[at] === value;
  }

  #link(cohort: Cohort): HTMLElement {
    return button([bdi(cohortName(cohort))], { class: "link" }, () => {
      this.#change(this.viewOf(cohort));
      part("title").focus();
    });
  }

  /** What shows a cohort and nothing else of a filter. */
  viewOf(cohort: Cohort): Partial<View> {
    const chosen = new Map<string, number>();
    for (const [tag, value] of cohort.parts) {
      const facet = this.#model.byKey.get(`tag.${tag}`);
      if (facet) chosen.set(facet.key, facet.values.indexOf(value));
    }
    return { chosen, q: "", word: null, tool: null, page: 1 };
  }

  /** Those that can fail the run, and the metric that is looked at; the others folded away. */
  #cells(cohort: Cohort, view: View): HTMLElement {
    const first = cohort.verdicts.filter((cell) => cell.gating || cell.metric === view.metric);
    const others = cohort.verdicts.filter((cell) => !first.includes(cell));
    const table = (cells: CellData[], name: string): HTMLElement =>
      scrolled(name, el("table", { class: "verdicts" }, headings(["Metric", "Verdict", "Baseline → candidate", "Difference", "Interval", "Margin", "Reason"]), el("tbody", {}, ...cells.map((cell) => this.#cell(cell)))));
    const folded = el("details", { class: "light" }, el("summary", {}, `${counted(others.length, first.length ? "more metric" : "metric")}, reported only`));
    folded.append(table(others, "Reported only"));
    folded.open = this.#open;
    folded.addEventListener("toggle", () => (this.#open = folded.open));
    return el("div", {}, first.length ? table(first, "Verdicts of this cohort") : null, others.length ? folded : null);
  }

  #cell(cell: CellData): HTMLTableRowElement {
    const metric = this.#model.metrics.find(({ info }) => info.name === cell.metric)?.info;
    const kind = cell.waived ? "waived" : OUTCOMES.includes(cell.outcome) ? cell.outcome : "plain";
    const words = cell.waived ? `⊘ ${cell.outcome}, waived` : `${SIGNS[cell.outcome] ?? "!"} ${cell.outcome}`;
    const badge = el("span", { class: `badge ${kind}` }, words);
    const only = cell.gating ? null : el("span", { class: "small dim" }, " reported only");
    const name: Child = metric
      ? button([bdi(shown(metric.title))], { class: "link", id: `verdict-${this.#model.data.metrics.indexOf(metric)}` }, () => this.#change({ metric: metric.name }))
      : bdi(shown(cell.metric));
    const { estimate } = cell;
    // Difference and interval have columns of their own; in the reason the interval may run the other way round.
    const again = estimate && metric ? AGAIN.exec(cell.reason) : null;
    const reason = cell.reason.slice(again?.[0].length ?? 0).replace(/(^|[\s(])-(?=\d)/g, "$1−");
    const numbers: Child[] = ["–", "–", "–"];
    if (estimate && metric) {
      numbers[0] = `${number(metric, estimate.baseline)} → ${level(metric, estimate.candidate)}`;
      numbers[1] = el("b", {}, `${difference(metric, estimate.difference)} ${direction(metric, estimate.difference)}`);
      numbers[2] = bounds(metric, estimate.lower ?? -Infinity, estimate.upper ?? Infinity) + (again ? ` (${again[1]})` : "");
    }
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      el("td", {}, badge, only),
      ...numbers.map((child) => el("td", { class: "num" }, child)),
      el("td", { class: "num" }, bdi(shown(cell.margin) || "–")),
      el("td", { class: "small" }, bdi(shown(reason, 400))),
    );
  }
}

export function cohortName({ parts }: Cohort): string {
  return parts.length ? parts.map(([tag, value]) => shown(`${tag}=${value}`, 80)).join(" × ") : "overall";
}

/** The worst gating verdict of a cohort, as a sign; what is waived counts as waived. */
export function cohortSign({ verdicts }: Cohort): string {
  const found = verdicts.filter((cell) => cell.gating);
  const worst = OUTCOMES.find((outcome) => found.some((cell) => cell.outcome === outcome && !cell.waived));
  if (found.some((cell) => cell.waived) && worst !== "invalid" && worst !== "regressed") return "⊘";
  return worst ? SIGNS[worst] : "·";
}

export function said(from: string, to: string): string {
  return `${from ? shown(from, 60) : "nothing said"} → ${to ? shown(to, 60) : "nothing heard"}`;
}

export function dueAndCalled(due: string, called: string): string {
  return `${due ? shown(due, 60) : "none due"} → ${called ? shown(called, 60) : "none called"}`;
}

function sameParts({ parts }: Cohort, tags: Map<string, string>): boolean {
  return parts.length === tags.size && parts.every(([tag, value]) => tags.get(tag) === value);
}
