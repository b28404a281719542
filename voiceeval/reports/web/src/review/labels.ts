// Labels, and the files they travel in: the shapes of `docs/schema/labels.schema.json`.
import { ARMS, type Arm } from "../report_data";
import { type ReviewData } from "./data";

export const NOT_GIVEN = "not given";
export type Answer = "yes" | "no" | "unclear" | typeof NOT_GIVEN;
export type Rating = 1 | 2 | 3 | 4 | 5 | typeof NOT_GIVEN;

export interface Label {
  call: string;
  arm: Arm;
  task_done: Answer;
  tools_right: Answer;
  tone: Rating;
  clarity: Rating;
  note: string;
  blind: boolean;
  why: string[];
  at: string;
}

export interface LabelFile {
  schema_version: 1;
  run: string;
  reviewer: string;
  labels: Label[];
}

export type Question = "task_done" | "tools_right" | "tone" | "clarity";
export interface Asked {
  key: Question;
  title: string;
  hint: string;
  /** Value and the key that gives it. */
  options: readonly (readonly [value: Answer | Rating, key: string])[];
}
const YES_NO = [["yes", "y"], ["no", "n"], ["unclear", "u"]] as const;
const ONE_TO_FIVE = [[1, "d"], [2, "f"], [3, "g"], [4, "h"], [5, "j"]] as const;
export const QUESTIONS: readonly Asked[] = [
  { key: "task_done", title: "Task done", hint: "did the caller get what they called for?", options: YES_NO },
  { key: "tools_right", title: "Right tools", hint: "right tools, arguments and order?", options: YES_NO },
  { key: "tone", title: "Tone", hint: "1 out of place … 5 a good colleague", options: ONE_TO_FIVE },
  { key: "clarity", title: "Clarity", hint: "1 hard to follow … 5 clear at once", options: ONE_TO_FIVE },
];

export function emptyLabel(call: string, arm: Arm, why: string[]): Label {
  const none = { task_done: NOT_GIVEN, tools_right: NOT_GIVEN, tone: NOT_GIVEN, clarity: NOT_GIVEN } as const;
  return { call, arm, ...none, note: "", blind: false, why, at: "" };
}

export function saysNothing(label: Label): boolean {
  return !label.note && QUESTIONS.every(({ key }) => label[key] === NOT_GIVEN);
}

export function isComplete(label: Label | undefined): boolean {
  return label !== undefined && label.task_done !== NOT_GIVEN && label.tools_right !== NOT_GIVEN;
}

/** A name for a file that is safe anywhere. */
export function fileName(run: string, reviewer: string): string {
  const plain = reviewer.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return `voiceeval-labels-${run}-${plain || "reviewer"}.json`;
}

/** Something about a file that is not as it must be; the message is for the reviewer. */
export class WrongFile extends Error {}

const KEYS = Object.keys(emptyLabel("", "baseline", [])).sort();

/** The file's labels, all of them checked. */
export function readFile(text: string, data: ReviewData): LabelFile {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new WrongFile("it is no JSON; allowed: a file that this page exported");
  }
  const file = table(found, "", ["labels", "reviewer", "run", "schema_version"]);
  if (file.schema_version !== 1) throw new WrongFile("schema_version: allowed: 1");
  if (file.run !== data.run) {
    throw new WrongFile(`run: its labels are of another run, or of other calls of this one; allowed: ${data.run}`);
  }
  const { reviewer, labels } = file;
  if (typeof reviewer !== "string" || !isName(reviewer, data.longest_name)) throw new WrongFile("reviewer: no name");
  if (!Array.isArray(labels)) throw new WrongFile("labels: allowed: an array");
  const read = labels.map((label, place) => readLabel(label, `labels[${place}]`, data));
  if (new Set(read.map(placeOf)).size < read.length) throw new WrongFile("labels: one arm of a call is there twice");
  return { schema_version: 1, run: data.run, reviewer, labels: read };
}

export function isName(name: string, longest: number): boolean {
  return name.length > 0 && name.length <= longest && name === name.trim() && !/[\p{C}\p{Zl}\p{Zp}]/u.test(name);
}

function table(found: unknown, where: string, keys: string[]): Record<string, unknown> {
  if (typeof found !== "object" || found === null || Array.isArray(found)) {
    throw new WrongFile(`${where || "the file"}: allowed: a table`);
  }
  const given = Object.keys(found).sort();
  if (given.join() !== keys.join()) throw new WrongFile(`${where || "the file"}: allowed keys: ${keys.join(", ")}`);
  return found as Record<string, unknown>;
}

export function readLabel(found: unknown, where: string, data: ReviewData): Label {
  const given = table(found, where, KEYS);
  const wrong = (key: string, allowed: string): never => {
    throw new WrongFile(`${where}.${key}: allowed: ${allowed}`);
  };
  if (typeof given.call !== "string" || !given.call) wrong("call", "a call's id");
  if (!ARMS.includes(given.arm as Arm)) wrong("arm", ARMS.join(", "));
  for (const { key, options } of QUESTIONS) {
    const allowed = [...options.map(([value]) => value), NOT_GIVEN];
    if (!allowed.includes(given[key] as Answer)) wrong(key, allowed.join(", "));
  }
  if (typeof given.note !== "string" || given.note.length > data.longest_note) {
    wrong("note", `a text of at most ${data.longest_note} characters`);
  }
  if (typeof given.blind !== "boolean") wrong("blind", "true, false");
  if (!Array.isArray(given.why) || !given.why.every((why) => data.reasons.includes(why as string))) {
    wrong("why", data.reasons.join(", "));
  }
  if (typeof given.at !== "string" || Number.isNaN(Date.parse(given.at))) wrong("at", "a time, such as 2026-03-01T12:00:00Z");
  return given as unknown as Label;
}

export function placeOf(label: Pick<Label, "call" | "arm">): string {
  return `${label.arm} ${label.call}`;
}

export interface Met {
  added: number;
  replaced: number;
  outdated: number;
  /** Both are kept apart in words; `kept` is in force. */
  conflicts: { kept: Label; dropped: Label }[];
}

/** Take `later` over into `mine`: of one reviewer's words on one call and arm, the newest. */
export function merge(mine: Map<string, Label>, later: Label[]): Met {
  const met: Met = { added: 0, replaced: 0, outdated: 0, conflicts: [] };
  for (const label of later) {
    const before = mine.get(placeOf(label));
    if (before && sameWords(before, label)) {
      if (Date.parse(label.at) > Date.parse(before.at)) mine.set(placeOf(label), label);
      continue;
    }
    const newer = !before || Date.parse(label.at) > Date.parse(before.at);
    if (newer) mine.set(placeOf(label), label);
    if (!before) met.added++;
    else {
      if (newer) met.replaced++;
      else met.outdated++;
      met.conflicts.push(newer ? { kept: label, dropped: before } : { kept: before, dropped: label });
    }
  }
  return met;
}

function sameWords(one: Label, other: Label): boolean {
  return one.note === other.note && QUESTIONS.every(({ key }) => one[key] === other[key]);
}
