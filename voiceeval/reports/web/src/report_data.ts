// What the pages are given by the report, in the shapes that `voiceeval/reports` writes. Times are milliseconds
// of simulated time since the call began. Every text is untrusted: it goes into a page as text, never as markup.

export const ARMS = ["baseline", "candidate"] as const;
export type Arm = (typeof ARMS)[number];
/** Baseline first, candidate second, everywhere. */
export type Pair<T> = [baseline: T, candidate: T];

/** A column of few different texts: `values[codes[row]]`; -1 where a call has none. */
export interface Coded {
  name: string;
  values: string[];
  codes: number[];
}

/** `data/calls.js` sets `globalThis.voiceevalCalls`: every planned call of the run, by columns. */
export interface CallsData {
  schema_version: 1;
  /** Digest of the run: labels of a review belong to it. */
  run: string;
  arms: Pair<string>;
  count: number;
  /** Page of a call: `calls/<slug>.html`. */
  slugs: string[];
  scenario: Coded;
  caller: Coded;
  line: Coded;
  speaker: Coded;
  trials: number[];
  tags: Coded[];
  /** `newly failing`, `failing on both`, … in the order to look at them. */
  change: Coded;
  /** What became of the call on each arm: `task done`, `task not done`, `agent failed` … */
  results: Pair<Coded>;
  /** Gated ones first. */
  metrics: MetricColumns[];
  /** Tools that were due against tools that were called. `names[0]` is "": nothing due, or nothing called. */
  tools: { names: string[]; calls: Pair<[row: number, due: number, called: number, times: number][]> };
  /**
   * Words of the references against what was recognized, errors only: as many as the numerators of the word error
   * rate. `type`: of the entity they belong to. `types[0]` and `texts[0]` are "": no entity, no word.
   */
  words: {
    types: string[];
    texts: string[];
    found: Pair<[row: number, type: number, said: number, heard: number, times: number][]>;
  };
  /** Cohorts with verdicts, worst first; `parts` are [tag, value]. */
  cohorts: { parts: [string, string][]; verdicts: CellData[] }[];
}

export interface MetricColumns {
  name: string;
  title: string;
  definition: string;
  unit: "share" | "ms" | "currency" | "count";
  /** Whether more is better. */
  higher_is_better: boolean;
  yes_no: boolean;
  gated: boolean;
  margin: string;
  /** Of durations: aims that the settings state, by quantile such as `p95`; empty where none is stated. */
  targets: Record<string, number>;
  sides: Pair<MetricSide>;
}

export interface MetricSide {
  /**
   * Sums over a call's observations; a rate of many calls is the ratio of the sums of both. The verdicts compare
   * calls in pairs: a planned call with "n", "h" or "r" on either side counts on neither. With "a" on one side a share
   * counts that side as all wrong, on the other side's denominator and with no fewer errors than it; with "a" on
   * both, a yes/no metric counts 1/1 wrong on both. Any other metric leaves a pair with "a" out.
   */
  numerators: number[];
  denominators: number[];
  /** One character a call: "." scored, "n" not applicable, "a" agent failed, "h" harness failed, "r" not run. */
  gaps: string;
  /** Of durations: the observations of every call (turns, mostly). Absent for other metrics. */
  observations?: number[][];
}

/** The gate's word on one metric in a cohort. Differences are candidate minus baseline. */
export interface CellData {
  metric: string;
  outcome: "invalid" | "regressed" | "improved" | "passed" | "inconclusive";
  gating: boolean;
  waived: boolean;
  reason: string;
  margin: string;
  /** `null`: unbounded. */
  estimate?: {
    baseline: number;
    candidate: number;
    difference: number;
    lower: number | null;
    upper: number | null;
    worse_by: number;
  };
}

/** The element `#call-data` of a call's page: both arms on one clock. */
export interface CallData {
  slug: string;
  /** Of the longer arm. */
  duration_ms: number;
  /** Absent where the arm's call was not placed. */
  arms: { baseline?: ArmData; candidate?: ArmData };
}

export interface ArmData {
  label: string;
  duration_ms: number;
  clips: ClipData[];
  turns: { number: number; at_ms: number; until_ms: number }[];
  marks: MarkData[];
  stages: { turn: number; stage: string; at_ms: number; duration_ms: number }[];
}

/** A piece of sound on a track. */
export interface ClipData {
  track: "caller" | "agent";
  kind: "caller" | "aside" | "agent";
  turn: number;
  /** On the call's clock, the first sample of the file. */
  at_ms: number;
  length_ms: number;
  /** File relative to the page; empty where audio was not kept. */
  src: string;
  /** Loudest sample of every 20 ms, one character each of A–Z a–z 0–9 - _ (0 to 63, √ of the share of full scale). */
  peaks: string;
}

/** Something that happened at a moment, or (with `until_ms`) for a while. */
export interface MarkData {
  kind: "overlap" | "interruption" | "cut" | "end_of_turn" | "early" | "tool" | "key" | "drop" | "failed" | "hung_up";
  at_ms: number;
  until_ms?: number;
  turn: number;
  title: string;
}
