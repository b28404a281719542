// The errors of the recognizers by word: what was said, what was heard, and how often on each arm.
import { button, counted, el, type Child } from "../elements";
import { bdi, fill, part, scrolled } from "./dom";
import { shown } from "./format";
import type { Kept } from "./filter";
import type { Model } from "./model";
import { said as pair } from "./selection";
import type { View } from "./view";

const AT_FIRST = 20;
const COLUMNS = ["Kind of word", "Said → heard", "Baseline", "Candidate", "Change"] as const;

interface Confusion {
  id: string;
  type: string;
  said: string;
  heard: string;
  counts: [number, number];
}

export class WordView {
  readonly #model: Model;
  readonly #change: (changes: Partial<View>) => void;
  /** Of every line of both arms: its row, its error, and how often. */
  #lines: { rows: Int32Array; errors: Int32Array; times: Int32Array }[] = [];
  #known: Confusion[] = [];
  #found: Confusion[] = [];
  #sort = 3;
  #up = false;
  #most = AT_FIRST;

  constructor(model: Model, change: (changes: Partial<View>) => void) {
    this.#model = model;
    this.#change = change;
    const types = part<HTMLSelectElement>("word-type");
    types.addEventListener("change", () => this.#draw());
    const { types: names } = model.data.words;
    const kinds = names.map((name, code) => ({ name, code })).filter(({ name }) => name);
    fill(types, el("option", { value: "" }, "all words"), el("option", { value: "entities" }, "all entities"), ...kinds.map(({ name, code }) => el("option", { value: String(code) }, shown(name, 60))));
  }

  show(kept: Kept): void {
    if (!this.#lines.length) this.#read();
    const counts = [new Int32Array(this.#known.length), new Int32Array(this.#known.length)];
    this.#lines.forEach(({ rows, errors, times }, arm) => {
      const own = counts[arm]!;
      for (let at = 0; at < rows.length; at++) if (kept.has[rows[at]!]) own[errors[at]!] = own[errors[at]!]! + times[at]!;
    });
    this.#found = this.#known.flatMap((one, at) => {
      const pair: [number, number] = [counts[0]![at]!, counts[1]![at]!];
      return pair[0] || pair[1] ? [{ ...one, counts: pair }] : [];
    });
    this.#most = AT_FIRST;
    this.#draw();
  }

  #read(): void {
    const { types, texts, found } = this.#model.data.words;
    const numbers = new Map<string, number>();
    this.#lines = found.map((lines) => {
      const rows = new Int32Array(lines.length);
      const errors = new Int32Array(lines.length);
      const times = new Int32Array(lines.length);
      lines.forEach(([row, type, said, heard, count], at) => {
        const key = `${type},${said},${heard}`;
        let number = numbers.get(key);
        if (number === undefined) {
          numbers.set(key, (number = this.#known.length));
          this.#known.push({ id: `word-${number}`, type: types[type] ?? "", said: texts[said] ?? "", heard: texts[heard] ?? "", counts: [0, 0] });
        }
        [rows[at], errors[at], times[at]] = [row, number, count];
      });
      return { rows, errors, times };
    });
  }

  #draw(): void {
    const choice = part<HTMLSelectElement>("word-type").value;
    const type = choice === "" || choice === "entities" ? null : (this.#model.data.words.types[Number(choice)] ?? "");
    const wanted = this.#found.filter((one) => (type !== null ? one.type === type : choice === "" || one.type !== ""));
    wanted.sort((one, other) => this.#compare(one, other));
    const box = part("words");
    if (!wanted.length) return fill(box, el("p", { class: "dim" }, "No word was misheard in these calls, or no transcripts are known."));
    const table = el("table", { class: "confusions" }, el("thead", {}, el("tr", {}, ...COLUMNS.map((title, at) => this.#heading(title, at)))), el("tbody", {}, ...wanted.slice(0, this.#most).map((one) => this.#line(one))));
    const more = wanted.length - this.#most;
    fill(
      box,
      scrolled("Words misheard", table),
      more > 0 && button([`Show ${Math.min(more, 100)} more of ${counted(wanted.length, "error")}`], { id: "more-words" }, () => {
        this.#most += 100;
        this.#draw();
        part("more-words-here").focus();
      }),
      el("span", { id: "more-words-here", tabindex: "-1" }),
    );
  }

  #compare(one: Confusion, other: Confusion): number {
    const keys = (item: Confusion): (string | number)[] => [item.type, `${item.said} ${item.heard}`, ...item.counts, item.counts[1] - item.counts[0]];
    const [a, b] = [keys(one)[this.#sort]!, keys(other)[this.#sort]!];
    const way = this.#up ? 1 : -1;
    if (a !== b) return a < b ? -way : way;
    const sum = other.counts[0] + other.counts[1] - one.counts[0] - one.counts[1];
    return sum || (one.said + one.heard < other.said + other.heard ? -1 : 1);
  }

  #heading(title: string, at: number): HTMLElement {
    const sorted = this.#sort === at;
    const id = `word-sort-${at}`;
    const sort = button([title, el("span", { "aria-hidden": "true" }, sorted ? (this.#up ? " ▲" : " ▼") : "")], { class: "sort", id }, () => {
      this.#up = sorted ? !this.#up : at < 2;
      this.#sort = at;
      this.#draw();
      part(id).focus();
    });
    return el("th", { scope: "col", ...(sorted ? { "aria-sort": this.#up ? "ascending" : "descending" } : {}) }, sort);
  }

  #line({ id, type, said, heard, counts: [before, after] }: Confusion): HTMLTableRowElement {
    const kind: Child = said === "" ? mark("inserted", "INS", "", heard) : heard === "" ? mark("deleted", "DEL", said, "") : mark("substituted", "SUB", said, heard);
    const act = button([kind], { class: "link plain", id, "aria-label": `${pair(said, heard)}: show the calls` }, () => this.#change({ word: { type, said, heard }, page: 1 }));
    const by = after - before;
    const moved = by ? `${by > 0 ? "+" : "−"}${Math.abs(by).toLocaleString("en")}` : "±0";
    return el("tr", {}, el("td", { class: type ? "" : "dim" }, type ? bdi(shown(type, 60)) : "no entity"), el("td", {}, act), ...[before, after].map((count) => el("td", { class: "num" }, count.toLocaleString("en"))), el("td", { class: `num ${by > 0 ? "result-bad" : by < 0 ? "result-ok" : "dim"}` }, moved));
  }
}

function mark(name: string, short: string, said: string, heard: string): HTMLElement {
  const arrow = said && heard ? " → " : null;
  return el("span", { class: `w ${name}` }, el("small", {}, short), said ? bdi(shown(said, 80)) : null, arrow, heard ? bdi(shown(heard, 80)) : null);
}
