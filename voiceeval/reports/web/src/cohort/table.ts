// The calls as a table. TanStack Table orders them and turns the pages; which calls there are comes from `Filter`,
// which answers for 50,000 calls in a few milliseconds where a pass over row objects would take a tenth of a second.
import { ARMS } from "../report_data";
import { button, counted, el, type Child } from "../elements";
import {
  constructRow,
  constructTable,
  createPaginatedRowModel,
  createSortedRowModel,
  rowPaginationFeature,
  rowSortingFeature,
  tableFeatures,
  type ColumnDef,
  type Row,
  type RowModel,
  type Table,
} from "@tanstack/table-core";
import { storeReactivityBindings } from "@tanstack/table-core/store-reactivity-bindings";
import { bdi, fill, part } from "./dom";
import { difference, direction, level, shown } from "./format";
import { gap, type MetricModel, type Model } from "./model";
import type { View } from "./view";

const PAGE_SIZE = 50;
type Call = { row: number };
type Features = ReturnType<typeof features>;

interface Column {
  id: string;
  title: string;
  /** Compared in the table's order; NaN comes last, whichever way the order runs. */
  keys: () => ArrayLike<number>;
  cell: (row: number) => HTMLTableCellElement;
}

const SIGNS: Record<string, [className: string, sign: string]> = {
  "task done": ["result-ok", "✓"],
  completed: ["result-ok", "✓"],
  "task not done": ["result-bad", "✗"],
  "agent failed": ["result-bad", "✗"],
};

export class CallTable {
  readonly #model: Model;
  readonly #change: (changes: Partial<View>) => void;
  readonly #columns: Map<string, Column>;
  readonly #rows: Row<Features, Call>[] = [];
  readonly #keys = new Map<string, ArrayLike<number>>();
  #current: RowModel<Features, Call> = { rows: [], flatRows: [], rowsById: {} };
  #kept: Int32Array | null = null;
  #sorted = "";
  #desc = false;
  readonly #table: Table<Features, Call>;

  constructor(model: Model, change: (changes: Partial<View>) => void) {
    this.#model = model;
    this.#change = change;
    const columns = [...callColumns(model), ...model.metrics.flatMap(metricColumns)];
    this.#columns = new Map(columns.map((column) => [column.id, column]));
    const definitions: ColumnDef<Features, Call>[] = columns.map(({ id }) => ({
      id,
      accessorFn: ({ row }: Call) => this.#key(id)[row],
      sortFn: (one, other) => this.#compare(id, one.original.row, other.original.row),
      sortUndefined: false,
    }));
    this.#table = constructTable({
      features: features(() => this.#current),
      columns: definitions,
      data: [],
      autoResetPageIndex: false,
      initialState: { pagination: { pageIndex: 0, pageSize: PAGE_SIZE } },
    });
    // Equal calls stay failed first: TanStack keeps rows of one key in the order of their index.
    model.order.forEach((row, place) => {
      this.#rows[row] = constructRow(this.#table, String(row), { row }, place, 0);
    });
  }

  /** Show a page of the kept calls; the number of the page that there is. */
  show(view: View, kept: Int32Array): number {
    const rows = kept === this.#kept ? this.#current.rows : Array.from(kept, (row) => this.#rows[row]!);
    // The same rows in the same order are not sorted again, to turn a page or to pick a metric.
    if (kept !== this.#kept) this.#current = { rows, flatRows: rows, rowsById: {} };
    this.#kept = kept;
    const sorted = view.sort || (view.desc ? "change" : "");
    if (sorted !== this.#sorted || view.desc !== this.#desc) {
      this.#desc = view.desc;
      this.#sorted = sorted;
      this.#table.setSorting(sorted ? [{ id: sorted, desc: view.desc }] : []);
    }
    const pages = Math.max(1, Math.ceil(rows.length / PAGE_SIZE));
    const page = Math.min(view.page, pages);
    this.#table.setPagination({ pageIndex: page - 1, pageSize: PAGE_SIZE });
    this.#draw(view, this.#table.getRowModel().rows.map(({ original }) => original.row));
    this.#pager(page, pages, rows.length);
    return page;
  }

  #key(id: string): ArrayLike<number> {
    let keys = this.#keys.get(id);
    if (!keys) this.#keys.set(id, (keys = this.#columns.get(id)!.keys()));
    return keys;
  }

  #compare(id: string, one: number, other: number): number {
    const keys = this.#key(id);
    const [a, b] = [keys[one]!, keys[other]!];
    if (Number.isNaN(a) || Number.isNaN(b)) return (Number(Number.isNaN(a)) - Number(Number.isNaN(b))) * (this.#desc ? -1 : 1);
    return a - b;
  }

  #draw(view: View, rows: number[]): void {
    const columns = this.#shownColumns(view);
    fill(part("calls-head"), el("tr", {}, ...columns.map((column) => this.#heading(column, view))));
    const body = part<HTMLTableSectionElement>("calls-body");
    fill(body, ...rows.map((row) => this.#line(row, columns)));
    if (!rows.length) fill(body, el("tr", {}, el("td", { colspan: String(columns.length), class: "dim" }, "No call matches these filters.")));
  }

  #shownColumns(view: View): Column[] {
    const picked = view.metric || this.#model.metrics[0]?.info.name || "";
    const sorted = view.sort.replace(/\.[^.]*$/, "");
    const metrics = this.#model.metrics.filter(({ info: { name } }) => view.wide || name === picked || name === sorted);
    const names = ["call", "change", ...ARMS.map((arm) => `result.${arm}`)];
    for (const { info } of metrics) for (const side of [...ARMS, "difference"]) names.push(`${info.name}.${side}`);
    return names.map((name) => this.#columns.get(name)!);
  }

  #heading({ id, title }: Column, view: View): HTMLElement {
    const sorted = view.sort === id || (!view.sort && id === "change");
    const arrow = sorted ? (view.desc ? " ▼" : " ▲") : "";
    const act = (): void => this.#change({ sort: id === "change" ? "" : id, desc: sorted && !view.desc, page: 1 });
    const sort = button([bdi(title), el("span", { "aria-hidden": "true" }, arrow)], { class: "sort", id: `sort-${[...this.#columns.keys()].indexOf(id)}` }, act);
    return el("th", { scope: "col", ...(sorted ? { "aria-sort": view.desc ? "descending" : "ascending" } : {}) }, sort);
  }

  #line(row: number, columns: Column[]): HTMLTableRowElement {
    const line = el("tr", {}, ...columns.map(({ cell }) => cell(row)));
    line.addEventListener("click", (event) => {
      const selected = window.getSelection()?.isCollapsed === false;
      if (!selected && !(event.target as Element).closest("a")) line.querySelector("a")?.click();
    });
    return line;
  }

  #pager(page: number, pages: number, size: number): void {
    const first = size ? (page - 1) * PAGE_SIZE + 1 : 0;
    part("calls-range").textContent = `Calls ${first.toLocaleString("en")}–${Math.min(page * PAGE_SIZE, size).toLocaleString("en")} of ${counted(size, "call")}; page ${page} of ${pages}`;
    for (const [id, to] of [["page-first", 1], ["page-before", page - 1], ["page-after", page + 1], ["page-last", pages]] as const) {
      const turn = part<HTMLButtonElement>(id);
      const possible = to >= 1 && to <= pages && to !== page;
      // Stays in reach of the keyboard at the ends, where it was pressed.
      turn.setAttribute("aria-disabled", String(!possible));
      turn.onclick = () => (possible ? this.#change({ page: to }) : undefined);
    }
    part("pager").hidden = pages < 2;
  }
}

/** What this table uses; `any`, because the type of the rows is made from these very features. */
function features(current: () => RowModel<any, Call>) {
  return tableFeatures({
    coreRowModel: () => current,
    coreReactivityFeature: storeReactivityBindings(),
    rowSortingFeature,
    rowPaginationFeature,
    sortedRowModel: createSortedRowModel(),
    paginatedRowModel: createPaginatedRowModel(),
  });
}

function callColumns(model: Model): Column[] {
  const { data } = model;
  const column = (key: string, title: string, cell: (value: string) => Child): Column => {
    const { codes, values } = model.byKey.get(key)!;
    return {
      id: key,
      title,
      keys: () => Float64Array.from(codes, (code) => (code < 0 ? NaN : code)),
      cell: (row) => el("td", {}, cell(values[codes[row]!] ?? "")),
    };
  };
  return [
    { id: "call", title: "Call", keys: () => ranks(model), cell: (row) => callCell(model, row) },
    column("change", "Between the arms", (value) => value),
    ...ARMS.map((arm, side) => column(`result.${arm}`, arm === "baseline" ? "Baseline" : "Candidate", (value) => result(value, data.arms[side]!))),
  ];
}

function result(value: string, label: string): HTMLElement {
  const [name, sign] = SIGNS[value] ?? ["result-other", "!"];
  return el("span", { class: name, title: shown(label) }, `${sign} ${value}`);
}

function callCell({ data }: Model, row: number): HTMLTableCellElement {
  const text = (coded: { values: string[]; codes: number[] }): string => shown(coded.values[coded.codes[row]!] ?? "", 80);
  const slug = data.slugs[row] ?? "";
  const name = bdi(text(data.scenario));
  const trial = data.trials[row];
  return el(
    "th",
    { scope: "row" },
    // A page's name is letters, digits and a few signs; anything else is no address.
    /^[\w.+-]+$/.test(slug) ? el("a", { href: `calls/${slug}.html` }, name) : name,
    el("br"),
    el("span", { class: "dim small" }, bdi(text(data.caller)), " · ", bdi(text(data.line)), trial ? ` · trial ${trial}` : null),
  );
}

/** Scenario, caller, line, trial; as numbers, because 50,000 texts take half a second to sort. */
function ranks({ data }: Model): Float64Array {
  const parts = [data.scenario, data.caller, data.line].map(({ values, codes }) => {
    const sorted = new Map([...values].sort().map((value, rank) => [value, rank]));
    const places = values.map((value) => sorted.get(value)!);
    return { size: values.length, rank: (row: number) => places[codes[row]!] ?? 0 };
  });
  const trials = data.trials.reduce((most, trial) => Math.max(most, trial), 0) + 1;
  return Float64Array.from(data.slugs, (_, row) =>
    parts.reduce((key, { size, rank }) => key * size + rank(row), 0) * trials + (data.trials[row] ?? 0),
  );
}

function metricColumns({ info, values, difference: change }: MetricModel): Column[] {
  const title = shown(info.title, 60);
  const sides = ARMS.map((arm, side): Column => ({
    id: `${info.name}.${arm}`,
    title: `${title}, ${arm}`,
    keys: () => values[side]!,
    cell: (row) => {
      const value = values[side]![row]!;
      if (Number.isNaN(value)) return el("td", { class: "dim small" }, gap(info, side, row));
      return el("td", { class: "num" }, info.yes_no ? (value >= 1 ? "yes" : "no") : level(info, value));
    },
  }));
  return [...sides, { id: `${info.name}.difference`, title: `${title}, difference`, keys: () => change, cell: (row) => changed(info, change[row]!) }];
}

function changed(info: MetricModel["info"], by: number): HTMLTableCellElement {
  if (Number.isNaN(by)) return el("td", { class: "dim" }, "–");
  const word = direction(info, by);
  if (word === "the same") return el("td", { class: "dim" }, "same");
  const text = info.yes_no ? (by > 0 ? "no → yes" : "yes → no") : difference(info, by);
  return el("td", { class: `num ${word === "worse" ? "result-bad" : "result-ok"}` }, `${text} ${word}`);
}
