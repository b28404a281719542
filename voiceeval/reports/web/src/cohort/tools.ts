// Which tool was called where which one was due: a matrix of each arm, with what differs between them marked.
import { ARMS } from "../report_data";
import { button, el, type Child } from "../elements";
import { bdi, fill, part, scrolled } from "./dom";
import { shown } from "./format";
import { type Model } from "./model";
import type { Kept } from "./filter";
import { dueAndCalled } from "./selection";
import type { View } from "./view";

type Matrix = Map<number, Map<number, number>>;

export class ToolView {
  readonly #model: Model;
  readonly #change: (changes: Partial<View>) => void;

  constructor(model: Model, change: (changes: Partial<View>) => void) {
    this.#model = model;
    this.#change = change;
  }

  show(kept: Kept): void {
    const { names, calls } = this.#model.data.tools;
    const matrices = calls.map((found) => counts(found, kept)) as [Matrix, Matrix];
    const used = (which: (matrix: Matrix) => Iterable<number>): number[] =>
      [...new Set(matrices.flatMap((matrix) => [...which(matrix)]))].sort((one, other) => order(names, one, other));
    const due = used((matrix) => matrix.keys());
    const called = used((matrix) => [...matrix.values()].flatMap((line) => [...line.keys()]));
    const box = part("tools");
    if (!due.length) return fill(box, el("p", { class: "dim" }, "No tool was due or called in these calls."));
    box.classList.toggle("wide", called.length > 5);
    fill(box, ...ARMS.map((arm, side) => scrolled(`Tools on the ${arm}`, this.#table(arm, side, matrices, due, called))));
  }

  #table(arm: string, side: number, matrices: [Matrix, Matrix], due: number[], called: number[]): HTMLTableElement {
    const { names } = this.#model.data.tools;
    const name = (code: number, none: string): Child => (names[code] ? bdi(shown(names[code], 60)) : el("i", {}, none));
    const heads = called.map((code) => el("th", { scope: "col" }, name(code, "none called")));
    const lines = due.map((from) => el("tr", {}, el("th", { scope: "row" }, name(from, "none due")), ...called.map((to) => this.#cell(from, to, side, matrices))));
    const caption = `${arm === "baseline" ? "Baseline" : "Candidate"}: due (down) against called (across)`;
    return el("table", { class: "matrix" }, el("caption", {}, caption), el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Due"), ...heads)), el("tbody", {}, ...lines));
  }

  #cell(from: number, to: number, side: number, matrices: [Matrix, Matrix]): HTMLTableCellElement {
    const [before, after] = matrices.map((matrix) => matrix.get(from)?.get(to) ?? 0) as [number, number];
    const { names } = this.#model.data.tools;
    const count = side ? after : before;
    const tool = { due: names[from] ?? "", called: names[to] ?? "" };
    const differs = side === 1 && before !== after;
    const classes = ["num", from === to && names[from] ? "right" : count ? "wrong" : "", differs ? "differs" : ""].filter(Boolean).join(" ");
    const moved = differs ? el("span", { class: "moved" }, ` (${after > before ? "+" : "−"}${Math.abs(after - before).toLocaleString("en")})`) : null;
    if (!count) return el("td", { class: `${classes} dim` }, "0", moved);
    const label = `${count} ${dueAndCalled(tool.due, tool.called)}: show these calls`;
    return el("td", { class: classes }, button([count.toLocaleString("en")], { class: "link", "aria-label": label, id: `tool-${side}-${from}-${to}` }, () => this.#change({ tool, page: 1 })), moved);
  }
}

function counts(found: [number, number, number, number][], kept: Kept): Matrix {
  const matrix: Matrix = new Map();
  for (const [row, due, called, times] of found) {
    if (!kept.has[row]) continue;
    let line = matrix.get(due);
    if (!line) matrix.set(due, (line = new Map()));
    line.set(called, (line.get(called) ?? 0) + times);
  }
  return matrix;
}

/** By name; nothing due and nothing called last. */
function order(names: string[], one: number, other: number): number {
  const [a, b] = [names[one] ?? "", names[other] ?? ""];
  if (!a || !b) return Number(!a) - Number(!b);
  return a < b ? -1 : Number(a > b);
}
