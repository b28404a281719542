// The form of filters: a choice for everything a call can be chosen by, each value with its count.
import { el } from "../elements";
import { bdi, fill, part } from "./dom";
import { shown } from "./format";
import type { Facet, Model } from "./model";
import { cohortName, cohortSign, type Selection } from "./selection";
import { sortable, type View } from "./view";
import type { Kept } from "./filter";

const TYPING_MS = 60;

export class Controls {
  readonly #model: Model;
  readonly #change: (changes: Partial<View>) => void;
  readonly #choices = new Map<Facet, HTMLSelectElement>();
  #view: View;

  constructor(model: Model, view: View, selection: Selection, change: (changes: Partial<View>) => void) {
    this.#model = model;
    this.#view = view;
    this.#change = change;
    const groups = { tags: part("filter-tags"), calls: part("filter-calls") };
    for (const facet of model.facets) {
      // A label around its choice would be read with all the values in it.
      const id = `choice-${this.#choices.size}`;
      const select = el("select", { id });
      const group = facet.key.startsWith("tag.") ? groups.tags : groups.calls;
      group.append(el("div", {}, el("label", { for: id }, bdi(shown(facet.title, 60))), select));
      select.addEventListener("change", () => this.#choose(facet, select.value));
      this.#choices.set(facet, select);
    }
    this.#search();
    this.#cohorts(selection);
    this.#metrics();
    this.#orders();
    part("filters").addEventListener("submit", (event) => event.preventDefault());
    const wide = part<HTMLInputElement>("wide");
    wide.addEventListener("change", () => change({ wide: wide.checked }));
  }

  show(view: View, kept: Kept): void {
    this.#view = view;
    for (const [facet, select] of this.#choices) options(facet, select, view.chosen.get(facet.key), kept.counts.get(facet.key)!);
    const search = part<HTMLInputElement>("search");
    if (search.value !== view.q && document.activeElement !== search) search.value = view.q;
    part<HTMLSelectElement>("metric").value = String(Math.max(0, this.#model.metrics.findIndex(({ info }) => info.name === view.metric)));
    part<HTMLSelectElement>("order").value = String(sortable(this.#model).indexOf(view.sort || "change"));
    part<HTMLButtonElement>("descending").setAttribute("aria-pressed", String(view.desc));
    part<HTMLInputElement>("wide").checked = view.wide;
  }

  /** A search that is still being typed counts as made. */
  settle(q: string): void {
    part<HTMLInputElement>("search").value = q;
  }

  #choose(facet: Facet, value: string): void {
    const chosen = new Map(this.#view.chosen);
    if (value === "") chosen.delete(facet.key);
    else chosen.set(facet.key, Number(value));
    this.#change({ chosen, page: 1 });
  }

  #search(): void {
    const search = part<HTMLInputElement>("search");
    let timer = 0;
    search.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => this.#change({ q: search.value, page: 1 }), TYPING_MS);
    });
  }

  #cohorts(selection: Selection): void {
    const { cohorts } = this.#model.data;
    const pick = part<HTMLSelectElement>("cohort");
    const listed = cohorts.map((cohort, at) => el("option", { value: String(at) }, `${cohortSign(cohort)} ${cohortName(cohort)}`));
    fill(pick, el("option", { value: "" }, listed.length ? "Go to a cohort …" : "none in this run"), ...listed);
    pick.disabled = listed.length === 0;
    pick.addEventListener("change", () => {
      const cohort = cohorts[Number(pick.value)];
      if (pick.value !== "" && cohort) this.#change(selection.viewOf(cohort));
      pick.value = "";
    });
  }

  #metrics(): void {
    const pick = part<HTMLSelectElement>("metric");
    const { metrics } = this.#model;
    fill(pick, ...metrics.map(({ info }, at) => el("option", { value: String(at) }, `${shown(info.title)}${info.gated ? "" : " (reported only)"}`)));
    pick.addEventListener("change", () => this.#change({ metric: metrics[Number(pick.value)]?.info.name ?? "" }));
  }

  #orders(): void {
    const pick = part<HTMLSelectElement>("order");
    const titles = new Map(this.#model.metrics.map(({ info }) => [info.name, shown(info.title, 60)]));
    const columns = sortable(this.#model);
    const words: Record<string, string> = { call: "call", change: "failed first", "result.baseline": "result, baseline", "result.candidate": "result, candidate" };
    const told = (id: string): string => {
      const dot = id.lastIndexOf(".");
      return words[id] ?? `${titles.get(id.slice(0, dot)) ?? id}, ${id.slice(dot + 1)}`;
    };
    fill(pick, ...columns.map((id, at) => el("option", { value: String(at) }, told(id))));
    pick.addEventListener("change", () => {
      const id = columns[Number(pick.value)] ?? "change";
      this.#change({ sort: id === "change" ? "" : id, page: 1 });
    });
    part("descending").addEventListener("click", () => this.#change({ desc: !this.#view.desc, page: 1 }));
  }
}

function options(facet: Facet, select: HTMLSelectElement, chosen: number | undefined, counts: Int32Array): void {
  const without = counts.length - 1;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const said = (text: string, count: number): string => `${text} (${count.toLocaleString("en")})`;
  const made = [el("option", { value: "" }, said("any", total))];
  for (let at = 0; at < without; at++)
    // Of many values those without a call are left out, unless one of them is what was chosen.
    if (counts[at] || at === chosen || without <= 12) made.push(el("option", { value: String(at) }, said(shown(facet.values[at]!, 80) || "(empty)", counts[at]!)));
  if (counts[without] || chosen === -1) made.push(el("option", { value: "-1" }, said("none", counts[without]!)));
  select.replaceChildren(...made);
  select.value = chosen === undefined ? "" : String(chosen);
  select.classList.toggle("narrowing", chosen !== undefined);
}

/** Copies a text; says whether that worked. */
export function copyButton(id: string, text: () => string): void {
  const made = part<HTMLButtonElement>(id);
  const told = part("copied");
  made.addEventListener("click", () => {
    const done = (): void => void (told.textContent = "Link copied.");
    const failed = (): void => void (told.textContent = "The browser did not let the page copy; the address bar has the same link.");
    if (navigator.clipboard) navigator.clipboard.writeText(text()).then(done, failed);
    else failed();
  });
}

