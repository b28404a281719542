// Numbers and texts as `voiceeval/reports/wording.py` says them.
import type { MetricColumns } from "../report_data";

const MINUS = "−";
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}\p{Surrogate}]/gu;
/** Marks that are drawn over the letter before them; four of them are kept. */
const STACKED =
  /([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+)/g;

type Unit = Pick<MetricColumns, "unit">;

/** On one line, shortened, with every unseen character written out, such as ⟨U+202E⟩. */
export function shown(text: string, limit = 200): string {
  const whole = text.length > limit ? `${text.slice(0, limit)}… (${text.length - limit} more characters)` : text;
  return whole
    .replace(UNSEEN, (found) => `⟨U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`)
    .replace(STACKED, (_, kept: string, more: string) => `${kept}⟨${more.length.toLocaleString("en")} more marks⟩`)
    .replace(/\s+/g, " ")
    .trim();
}

export function number({ unit }: Unit, value: number): string {
  if (!Number.isFinite(value)) return "unbounded";
  const text = unit === "share" ? (100 * value).toFixed(1) : value.toFixed(unit === "ms" ? 0 : unit === "count" ? 2 : 4);
  return (/[1-9]/.test(text) ? text : text.replace("-", "")).replace("-", MINUS);
}

export function level(metric: Unit, value: number): string {
  const unit = { share: " %", ms: " ms", currency: "", count: "" }[metric.unit];
  return number(metric, value) + unit;
}

function signed(metric: Unit, value: number): string {
  const text = number(metric, value);
  if (text.startsWith(MINUS) || text === "unbounded") return text;
  return (/[1-9]/.test(text) ? "+" : "±") + text;
}

export function difference(metric: Unit, value: number): string {
  const unit = { share: " pp", ms: " ms", currency: "", count: "" }[metric.unit];
  return signed(metric, value) + unit;
}

export function bounds(metric: Unit, lower: number, upper: number): string {
  return `${signed(metric, lower)} to ${difference(metric, upper)}`;
}

/** `worse`, `better`, or `the same` as far as the shown digits tell. */
export function direction(metric: MetricColumns, change: number): "worse" | "better" | "the same" {
  if (!/[1-9]/.test(signed(metric, change))) return "the same";
  return change > 0 === metric.higher_is_better ? "better" : "worse";
}

export function percent(part: number, of: number): string {
  return of ? `${((100 * part) / of).toFixed(1)} %` : "–";
}
