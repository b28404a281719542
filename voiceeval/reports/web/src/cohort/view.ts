// What the page shows, and the fragment of its address that says the same: one can be had from the other.
import { ARMS } from "../report_data";
import { shown } from "./format";
import { type Facet, type Model } from "./model";

export interface View {
  /** By facet: index of its value, or -1 for calls that have none. */
  chosen: Map<string, number>;
  /** Name; empty for the first. */
  metric: string;
  q: string;
  /** Calls in which this was said and that was heard. */
  word: { type: string; said: string; heard: string } | null;
  /** Calls in which this tool was due and that one called. */
  tool: { due: string; called: string } | null;
  /** Column; empty for failed calls first. */
  sort: string;
  desc: boolean;
  /** From 1. */
  page: number;
  /** Every metric as a column of the table. */
  wide: boolean;
}

export interface Parsed {
  view: View;
  /** What the fragment says that this page or this run does not know. */
  unknown: string[];
}

const PLAIN = ["metric", "q", "sort", "desc", "page", "columns"];
const PARTS = ["word.type", "word.said", "word.heard", "tool.due", "tool.called"];
const LONE = /\p{Surrogate}/gu;

export function emptyView(): View {
  return {
    chosen: new Map(),
    metric: "",
    q: "",
    word: null,
    tool: null,
    sort: "",
    desc: false,
    page: 1,
    wide: false,
  };
}

export function sortable(model: Model): string[] {
  const sides = [...ARMS, "difference"];
  return [
    "call",
    "change",
    ...ARMS.map((arm) => `result.${arm}`),
    ...model.metrics.flatMap(({ info }) => sides.map((side) => `${info.name}.${side}`)),
  ];
}

export function parse(fragment: string, model: Model): Parsed {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const view = emptyView();
  const unknown: string[] = [];
  const once = new Map<string, string>();
  for (const [key, value] of given) {
    if (once.has(key)) unknown.push(`${named(key, value)} is given again; the first one counts`);
    else once.set(key, value);
  }
  for (const [key, value] of once) {
    const facet = model.byKey.get(key);
    if (facet) choose(facet, value, view, unknown);
    else if (!PLAIN.includes(key) && !PARTS.includes(key)) unknown.push(missingKey(key, value));
  }
  readPlain(once, model, view, unknown);
  readParts(once, model, view, unknown);
  return { view, unknown };
}

function named(key: string, value: string): string {
  return `“${shown(key, 60)}=${shown(value, 60)}”`;
}

function missingKey(key: string, value: string): string {
  const why = key.startsWith("tag.") ? "no call of this run has this tag" : "the page knows no such key";
  return `${named(key, value)}: ${why}`;
}

function choose(facet: Facet, value: string, view: View, unknown: string[]): void {
  const at = place(facet, value);
  if (at !== null) view.chosen.set(facet.key, at);
  else unknown.push(`${named(facet.key, value)}: no call of this run has this value`);
}

function place(facet: Facet, value: string): number | null {
  const same = [
    facet.values.indexOf(value),
    // Addresses hold no lone surrogates: whoever writes them puts something in their place.
    facet.values.findIndex((one) => one.replace(LONE, "\ufffd") === value),
    facet.values.findIndex((one) => one.replace(LONE, "?") === value),
  ].find((at) => at >= 0);
  if (same !== undefined) return same;
  return value === "" && facet.codes.includes(-1) ? -1 : null;
}

function readPlain(given: Map<string, string>, model: Model, view: View, unknown: string[]): void {
  const read = (key: string, take: (value: string) => boolean, why: string): void => {
    const value = given.get(key);
    if (value !== undefined && !take(value)) unknown.push(`${named(key, value)}: ${why}`);
  };
  view.q = given.get("q") ?? "";
  read("metric", (value) => (model.metrics.some(({ info }) => info.name === value) ? ((view.metric = value), true) : false), "the run has no such metric");
  read("sort", (value) => (sortable(model).includes(value) ? ((view.sort = value), true) : false), "the table has no such column");
  read("desc", (value) => ((view.desc = value === "1"), value === "1" || value === "0"), "is 1 or 0");
  read("page", (value) => (/^[1-9]\d{0,6}$/.test(value) ? ((view.page = Number(value)), true) : false), "is a number from 1");
  read("columns", (value) => ((view.wide = value === "all"), value === "all"), "is all, or absent");
}

function readParts(given: Map<string, string>, model: Model, view: View, unknown: string[]): void {
  const part = (key: string): string => given.get(key) ?? "";
  const { words, tools } = model.data;
  if (given.has("word.said") || given.has("word.heard")) {
    const word = { type: part("word.type"), said: part("word.said"), heard: part("word.heard") };
    const known = words.types.includes(word.type) && words.texts.includes(word.said) && words.texts.includes(word.heard);
    if (known || (word.said === "" || word.heard === "") && [word.said, word.heard].every((text) => text === "" || words.texts.includes(text))) view.word = word;
    else unknown.push(`${named("word", `${word.said} → ${word.heard}`)}: no call of this run has this error`);
  } else if (given.has("word.type")) unknown.push(`${named("word.type", part("word.type"))}: needs word.said or word.heard`);
  if (given.has("tool.due") || given.has("tool.called")) {
    const tool = { due: part("tool.due"), called: part("tool.called") };
    if ([tool.due, tool.called].every((name) => name === "" || tools.names.includes(name))) view.tool = tool;
    else unknown.push(`${named("tool", `${tool.due} → ${tool.called}`)}: no call of this run has these tools`);
  }
}

/** The fragment of a view, without the `#`. */
export function written(view: View, model: Model): string {
  const out = new URLSearchParams();
  for (const { key, values } of model.facets) {
    const at = view.chosen.get(key);
    if (at !== undefined) out.set(key, at < 0 ? "" : (values[at] ?? ""));
  }
  const put = (key: string, value: string): void => (value ? out.set(key, value) : undefined);
  put("metric", view.metric);
  put("q", view.q);
  if (view.word) for (const name of ["type", "said", "heard"] as const) out.set(`word.${name}`, view.word[name]);
  if (view.tool) for (const name of ["due", "called"] as const) out.set(`tool.${name}`, view.tool[name]);
  put("sort", view.sort);
  put("desc", view.desc ? "1" : "");
  put("page", view.page > 1 ? String(view.page) : "");
  put("columns", view.wide ? "all" : "");
  return out.toString();
}
