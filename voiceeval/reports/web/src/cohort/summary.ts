// What the chosen calls are like together in one metric: pooled as the gate pools, spread, and pair by pair.
import type { MetricColumns } from "../report_data";
import type { MetricModel } from "./model";

export interface Side {
  /** Calls with a value. */
  scored: number;
  /** By letter of `gaps`, and "." for nothing to score. */
  missing: Map<string, number>;
  /** Of every call with a value. */
  values: Float64Array;
  /** Of durations: of every observation, ascending. Empty for other metrics. */
  ordered: Float64Array;
  /** Sums over the pairs that the gate would compare. */
  numerator: number;
  denominator: number;
}

export interface Summary {
  info: MetricColumns;
  calls: number;
  sides: [Side, Side];
  /** Candidate minus baseline, of calls with a value on both. */
  differences: Float64Array;
  worse: number;
  better: number;
  same: number;
  /** Calls that have no value on one side or on both. */
  unpaired: number;
}

export const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 };

export function summarize({ info, values, difference }: MetricModel, rows: Int32Array): Summary {
  const sides = info.sides.map((_, side) => oneSide(info, values[side]!, side, rows)) as [Side, Side];
  pool(info, rows, sides);
  const differences = Float64Array.from(rows, (row) => difference[row]!).filter((value) => !Number.isNaN(value));
  const up = differences.reduce((sum, value) => sum + Number(value > 0), 0);
  const down = differences.reduce((sum, value) => sum + Number(value < 0), 0);
  return {
    info,
    calls: rows.length,
    sides,
    differences,
    worse: info.higher_is_better ? down : up,
    better: info.higher_is_better ? up : down,
    same: differences.length - up - down,
    unpaired: rows.length - differences.length,
  };
}

function oneSide(info: MetricColumns, values: Float64Array, side: number, rows: Int32Array): Side {
  const { gaps, observations } = info.sides[side]!;
  const missing = new Map<string, number>();
  const found = new Float64Array(rows.length);
  let scored = 0;
  for (const row of rows) {
    const value = values[row]!;
    if (Number.isNaN(value)) missing.set(gaps[row] ?? "", (missing.get(gaps[row] ?? "") ?? 0) + 1);
    else found[scored++] = value;
  }
  return { scored, missing, values: found.subarray(0, scored), ordered: ordered(observations, rows), numerator: 0, denominator: 0 };
}

function ordered(observations: number[][] | undefined, rows: Int32Array): Float64Array {
  if (!observations) return new Float64Array(0);
  let size = 0;
  for (const row of rows) size += observations[row]?.length ?? 0;
  const all = new Float64Array(size);
  let at = 0;
  for (const row of rows) for (const value of observations[row] ?? []) all[at++] = value;
  return all.sort();
}

/** The rule that `MetricSide` states: whole pairs, and an agent that failed has everything wrong. */
function pool(info: MetricColumns, rows: Int32Array, sides: [Side, Side]): void {
  const [one, other] = info.sides;
  for (const row of rows) {
    const gaps = [one.gaps[row] ?? "", other.gaps[row] ?? ""];
    if (gaps.some((gap) => gap !== "." && gap !== "a")) continue;
    const failed = gaps.map((gap) => gap === "a");
    if ((failed[0] || failed[1]) && info.unit !== "share") continue;
    if (failed[0] && failed[1] && !info.yes_no) continue;
    for (const side of [0, 1] as const) {
      const [numerator, denominator] = pooled(info, row, side, failed);
      sides[side].numerator += numerator;
      sides[side].denominator += denominator;
    }
  }
}

function pooled(info: MetricColumns, row: number, side: 0 | 1, failed: boolean[]): [number, number] {
  const own = info.sides[side];
  if (!failed[side]) return [own.numerators[row] ?? 0, own.denominators[row] ?? 0];
  const other = info.sides[1 - side]!;
  const of = failed[1 - side] ? 1 : (other.denominators[row] ?? 0);
  const wrong = failed[1 - side] ? of : Math.max(of, other.numerators[row] ?? 0);
  return [info.higher_is_better ? 0 : wrong, of];
}

export function rate({ numerator, denominator }: Side): number {
  return denominator ? numerator / denominator : NaN;
}

/** How many calls it takes before the largest bounds the true quantile (Wilks 1941), as `fewest_for_quantile`. */
export function fewest(q: number): number {
  return Math.ceil(Math.log(1 - 0.95) / Math.log(q) - 1e-9);
}

export function supported(q: number, calls: number): boolean {
  return calls > 0 && (q <= 0.5 || calls >= fewest(q));
}

/** The smallest value that at least a share q does not exceed: an observed one, as the gate takes it. */
export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.max(Math.ceil(q * sorted.length - 1e-9), 1) - 1] ?? NaN;
}

const ALIKE = { share: 0.01, ms: 10, count: 1, currency: 0.0001 };

export interface Bin {
  from: number;
  to: number;
  counts: number[];
}

/**
 * Bins of a round width that hold every value of every series; with `middle`, one of them is centred on zero.
 * Where all values are alike, the width is a small one of the unit.
 */
export function bins(series: Float64Array[], { most, middle, unit }: { most: number; middle: boolean; unit: MetricColumns["unit"] }): Bin[] {
  let low = Infinity;
  let high = -Infinity;
  for (const values of series) for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low > high) return [];
  if (!middle && low >= 0 && low < high / 2) low = 0;
  const width = roundWidth((high - low) / most || Math.max(ALIKE[unit], middle || unit === "currency" ? Math.abs(high) / 20 : 0));
  const shift = middle ? width / 2 : 0;
  const first = Math.floor((low + shift) / width + 1e-9);
  const last = Math.max(first, Math.floor((high + shift) / width + 1e-9));
  const made = Array.from({ length: last - first + 1 }, (_, at): Bin => ({
    from: (first + at) * width - shift,
    to: (first + at + 1) * width - shift,
    counts: series.map(() => 0),
  }));
  series.forEach((values, index) => {
    for (const value of values) {
      const counts = made[Math.min(Math.max(Math.floor((value + shift) / width + 1e-9) - first, 0), made.length - 1)]!.counts;
      counts[index] = counts[index]! + 1;
    }
  });
  return made;
}

/** What the observations of a duration are: one a call, or one a turn. */
export function observed({ info }: Summary): "calls" | "turns" {
  return info.sides.every(({ observations }) => observations?.every((own) => own.length <= 1)) ? "calls" : "turns";
}

function roundWidth(width: number): number {
  const power = 10 ** Math.floor(Math.log10(width));
  const step = [1, 2, 2.5, 5, 10].find((times) => times * power >= width - 1e-12) ?? 10;
  return step * power;
}
