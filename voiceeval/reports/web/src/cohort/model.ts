// The run's columns, made ready for filters: one `Facet` for everything a call can be chosen by.
import { ARMS, type CallsData, type Coded, type MetricColumns, type Pair } from "../report_data";

export interface Facet {
  /** In the fragment of the address: `tag.accent`, `change`, `result.candidate` … */
  key: string;
  title: string;
  values: string[];
  codes: Int32Array;
}

export interface MetricModel {
  info: MetricColumns;
  /** Of every call; NaN where it has none. */
  values: Pair<Float64Array>;
  difference: Float64Array;
}

export interface Model {
  data: CallsData;
  facets: Facet[];
  byKey: Map<string, Facet>;
  metrics: MetricModel[];
  /** All rows, failed calls first. */
  order: Int32Array;
}

export function model(data: CallsData): Model {
  const facet = (key: string, title: string, coded: Coded): Facet => ({
    key,
    title,
    values: coded.values,
    codes: Int32Array.from(coded.codes),
  });
  const facets = [
    ...data.tags.map((tag) => facet(`tag.${tag.name}`, tag.name, tag)),
    facet("change", "Between the arms", data.change),
    ...ARMS.map((arm, side) => facet(`result.${arm}`, `Result on ${arm}`, data.results[side]!)),
    facet("scenario", "Scenario", data.scenario),
    facet("caller", "Caller", data.caller),
    facet("line", "Line of the plan", data.line),
  ];
  return {
    data,
    facets,
    byKey: new Map(facets.map((one) => [one.key, one])),
    metrics: data.metrics.map((info) => metric(info, data.count)),
    order: failedFirst(data.change, data.count),
  };
}

function metric(info: MetricColumns, count: number): MetricModel {
  const [before, after] = info.sides.map((side) => {
    const values = new Float64Array(count).fill(NaN);
    for (let row = 0; row < count; row++) {
      const below = side.denominators[row] ?? 0;
      if (side.gaps[row] === "." && below) values[row] = (side.numerators[row] ?? 0) / below;
    }
    return values;
  }) as Pair<Float64Array>;
  return { info, values: [before, after], difference: after.map((value, row) => value - before[row]!) };
}

function failedFirst({ codes, values }: Coded, count: number): Int32Array {
  const groups: number[][] = Array.from({ length: values.length + 1 }, () => []);
  for (let row = 0; row < count; row++) {
    const code = codes[row] ?? -1;
    groups[code < 0 ? values.length : code]!.push(row);
  }
  return Int32Array.from(groups.flat());
}

/** What a call is called: the same text as in `PlannedCall.id`. */
export function callId({ data }: Model, row: number): string {
  const text = (coded: Coded): string => coded.values[coded.codes[row] ?? -1] ?? "";
  return `${text(data.scenario)}/${text(data.caller)}/${text(data.line)}/${data.trials[row] ?? 0}`;
}

/** Why a call has no value, in words. */
export function gap(info: MetricColumns, side: number, row: number): string {
  const why = info.sides[side]!.gaps[row] ?? "";
  return (
    { n: "not applicable", a: "agent failed", h: "harness failed", r: "not run", ".": "nothing to score" }[why] ??
    "not scored"
  );
}
