// The page of a cohort: any selection of the run's calls, what the gate said of it, and what its calls are like.
import "./cohort.css";
import type { CallsData } from "./report_data";
import { counted, el } from "./elements";
import { Controls, copyButton } from "./cohort/controls";
import { fill, part } from "./cohort/dom";
import { Filter, type Kept } from "./cohort/filter";
import { MetricView } from "./cohort/metric";
import { model, type Model } from "./cohort/model";
import { Selection } from "./cohort/selection";
import { CallTable } from "./cohort/table";
import { ToolView } from "./cohort/tools";
import { emptyView, parse, written, type View } from "./cohort/view";
import { WordView } from "./cohort/words";

class Page {
  readonly #model: Model;
  readonly #filter: Filter;
  readonly #selection: Selection;
  readonly #controls: Controls;
  readonly #table: CallTable;
  readonly #metric = new MetricView();
  readonly #tools: ToolView;
  readonly #words: WordView;
  #view: View;
  #kept: Kept | null = null;
  #asked = "";
  #drawing = 0;

  constructor(data: CallsData) {
    this.#model = model(data);
    const change = (changes: Partial<View>): void => this.#change(changes);
    this.#filter = new Filter(this.#model);
    this.#selection = new Selection(this.#model, change);
    const { view, unknown } = parse(location.hash, this.#model);
    this.#view = view;
    this.#controls = new Controls(this.#model, view, this.#selection, change);
    this.#table = new CallTable(this.#model, change);
    this.#tools = new ToolView(this.#model, change);
    this.#words = new WordView(this.#model, change);
    window.addEventListener("hashchange", () => this.#read());
    part("show-all").addEventListener("click", () => {
      const { metric, sort, desc, wide } = this.#view;
      this.#change({ ...emptyView(), metric, sort, desc, wide });
      part("title").focus();
    });
    copyButton("copy", () => `${location.href.split("#")[0]}#${written(this.#view, this.#model)}`);
    this.#tell(unknown);
    this.#render();
    window.requestIdleCallback(() => this.#filter.makeReady(), { timeout: 2000 });
  }

  #read(): void {
    const { view, unknown } = parse(location.hash, this.#model);
    this.#view = view;
    this.#controls.settle(view.q);
    this.#tell(unknown);
    this.#render();
  }

  #change(changes: Partial<View>): void {
    this.#view = { ...this.#view, ...changes };
    if (changes.q !== undefined && document.activeElement !== part("search")) this.#controls.settle(changes.q);
    this.#tell([]);
    this.#render();
    const fragment = written(this.#view, this.#model);
    history.replaceState(null, "", fragment ? `#${fragment}` : location.href.split("#")[0]);
  }

  #tell(unknown: string[]): void {
    const box = part("told");
    box.hidden = unknown.length === 0;
    const items = unknown.slice(0, 20).map((one) => el("li", {}, el("bdi", {}, one)));
    fill(box, el("p", {}, el("b", {}, `The link says ${counted(unknown.length, "thing")} that this page leaves out:`)), el("ul", {}, ...items));
  }

  #render(): void {
    const focused = document.activeElement?.id ?? "";
    const kept = this.#keep();
    this.#view.page = this.#table.show(this.#view, kept.rows);
    this.#selection.show(this.#view, kept.rows.length);
    this.#controls.show(this.#view, kept);
    // What was pressed has been drawn anew.
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
    this.#drawLater(kept, focused);
  }

  /** What is kept stays the same object for as long as the filters stay the same. */
  #keep(): Kept {
    const { chosen, q, word, tool } = this.#view;
    const asked = JSON.stringify([[...chosen], q, word, tool]);
    if (!this.#kept || asked !== this.#asked) this.#kept = this.#filter.keep(this.#view);
    this.#asked = asked;
    return this.#kept;
  }

  /** The drawings follow the table, each in a frame of its own; a newer view drops those that are still due. */
  #drawLater(kept: Kept, focused: string): void {
    const drawing = ++this.#drawing;
    const steps = [
      () => this.#drawMetric(kept),
      () => this.#tools.show(kept),
      () => this.#words.show(kept),
      () => part("main").setAttribute("data-drawn", String(drawing)),
    ];
    part("main").removeAttribute("data-drawn");
    const next = (): void => {
      if (drawing !== this.#drawing) return;
      steps.shift()?.();
      // What was pressed may be among what was drawn anew.
      if (focused && document.activeElement === document.body) {
        const again = document.getElementById(focused) ?? (steps.length ? null : part("title"));
        again?.focus({ preventScroll: true });
      }
      if (steps.length) window.setTimeout(next, 0);
    };
    requestAnimationFrame(() => window.setTimeout(next, 0));
  }

  #drawMetric(kept: Kept): void {
    const { metrics } = this.#model;
    const metric = metrics.find(({ info }) => info.name === this.#view.metric) ?? metrics[0];
    part("metric-section").hidden = !metric;
    if (metric) this.#metric.show(metric, kept.rows);
  }
}

function start(): void {
  const data = (globalThis as { voiceevalCalls?: CallsData }).voiceevalCalls;
  if (!data || data.schema_version !== 1) {
    const told = part("told");
    told.hidden = false;
    told.textContent = data
      ? "The list of calls was written by another version of voiceeval; write the report anew with “voiceeval report”."
      : "The list of calls could not be loaded: the file data/calls.js beside this page is missing or damaged.";
    return;
  }
  part("shell").hidden = false;
  // On a phone the filters would fill the first two screens.
  part<HTMLDetailsElement>("filter-box").open = window.matchMedia("(min-width: 601px)").matches;
  jumps();
  new Page(data);
}

/** Links within the page leave its address alone, which says what is shown. */
function jumps(): void {
  for (const link of document.querySelectorAll<HTMLAnchorElement>('a[href^="#"]'))
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = document.getElementById(link.hash.slice(1));
      target?.scrollIntoView();
      target?.focus({ preventScroll: true });
    });
}

start();
