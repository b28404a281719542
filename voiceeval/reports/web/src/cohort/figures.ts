// Drawings of a metric's spread. Colours are variables of the page, so light, dark and print need no second drawing.
import { ARMS } from "../report_data";
import { counted } from "../elements";
import { axisX, axisY, barX, dot, gridX, gridY, line, plot, rectY, ruleX, ruleY, text, type PlotOptions } from "@observablehq/plot";
import { level, difference } from "./format";
import { bins, fewest, observed, quantile, QUANTILES, rate, supported, type Bin, type Summary } from "./summary";

const COLOURS = ["var(--baseline)", "var(--candidate)"];
/** Told apart without colour too: the baseline is drawn in dashes and outlines. */
const DASHES = ["5 3", ""];
const HEIGHT = 250;

export interface Figure {
  title: string;
  /** What it shows, in a sentence. */
  told: string;
  svg: SVGSVGElement;
  bins: Bin[];
}

export function spread(summary: Summary, width: number): Figure | null {
  if (!summary.sides.some((side) => side.scored)) return null;
  if (summary.info.yes_no) return yesAndNo(summary, width);
  if (summary.info.unit === "ms") return latencyCurve(summary, width);
  return histogram(summary, width);
}

/** Around a single bin some room is left, so that it does not look as if it were everywhere. */
function domain(found: Bin[], scale: number, holds?: number): { domain: [number, number] } | { nice: true } {
  const [only] = found;
  if (found.length !== 1 || !only) return { nice: true };
  const [low, high] = holds === undefined ? [only.from, only.to] : [Math.min(only.from, holds), Math.max(only.to, holds)];
  const room = 5 * (only.to - only.from);
  return { domain: [(low < 0 ? low - room : Math.max(0, low - room)) * scale, (high + room) * scale] };
}

function drawn(options: PlotOptions, label: string): SVGSVGElement {
  const svg = plot({ height: HEIGHT, marginLeft: 56, marginRight: 20, marginBottom: 38, ...options }) as SVGSVGElement;
  // Its style would need a policy that lets styles stand in the page; cohort.css says the same.
  for (const style of svg.querySelectorAll("style")) style.remove();
  // One picture with one name; the numbers stand in a table beside it.
  for (const inner of svg.querySelectorAll("[aria-label],[aria-description]")) {
    inner.removeAttribute("aria-label");
    inner.removeAttribute("aria-description");
  }
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg;
}

function yesAndNo({ info, sides }: Summary, width: number): Figure {
  const bars = sides.flatMap((side, arm) => {
    const yes = side.values.reduce((sum, value) => sum + Number(value >= 1), 0);
    return [
      { arm, answer: "yes", count: yes },
      { arm, answer: "no", count: side.scored - yes },
    ];
  });
  const most = Math.max(...bars.map(({ count }) => count));
  const told = `${info.title}: ${bars.map(({ arm, answer, count }) => `${ARMS[arm]} ${answer} ${count}`).join(", ")}`;
  const svg = drawn(
    {
      width,
      height: 190,
      marginLeft: 78,
      marginRight: 56,
      x: { label: "calls", domain: [0, most], nice: true },
      y: { label: null, domain: ["yes", "no"] },
      fy: { label: null, domain: [...ARMS], axis: null },
      marks: [
        axisX({ ticks: Math.min(6, Math.max(1, most)), tickFormat: "d" }),
        ...ARMS.flatMap((name, arm) => {
          const own = bars.filter((bar) => bar.arm === arm);
          return [
            barX(own, { x: "count", y: "answer", fy: () => name, fill: COLOURS[arm]!, fillOpacity: arm ? 0.9 : 0.35, stroke: COLOURS[arm]!, insetTop: 2, insetBottom: 2 }),
            text(own, { x: "count", y: "answer", fy: () => name, text: (bar: { count: number }) => bar.count.toLocaleString("en"), textAnchor: "start", dx: 6 }),
            axisY({ label: null, tickSize: 0, tickFormat: (answer: string) => `${answer}`, facet: "auto", tickPadding: 6 }),
          ];
        }).slice(0, 5),
        text(ARMS, { fy: (name: string) => name, frameAnchor: "left", dx: -72, text: (name: string) => name, rotate: -90, textAnchor: "middle", fill: "var(--dim)" }),
      ],
    },
    told,
  );
  const [before, after] = [bars.slice(0, 2), bars.slice(2)];
  const values = ["yes", "no"].map((_, at): Bin => ({ from: 1 - at, to: 1 - at, counts: [before[at]!.count, after[at]!.count] }));
  return { title: "Calls by answer", told, svg, bins: values };
}

function histogram({ info, sides }: Summary, width: number): Figure {
  const found = bins(sides.map((side) => side.values), { most: 24, middle: false, unit: info.unit });
  const scale = info.unit === "share" ? 100 : 1;
  const unit = info.unit === "share" ? " (%)" : "";
  const told = `${info.title}, value of every call: ${sides.map((side, arm) => `${ARMS[arm]} ${counted(side.scored, "call")}, pooled ${level(info, rate(side))}`).join("; ")}`;
  const svg = drawn(
    {
      width,
      height: HEIGHT + 20,
      marginRight: 44,
      x: { label: `value of a call${unit}`, ...domain(found, scale) },
      y: { label: "calls", nice: true },
      fy: { label: null, domain: [...ARMS], padding: 0.12 },
      marks: [
        axisY({ ticks: whole(found, 3), tickFormat: "d", label: "calls" }),
        gridY({ ticks: whole(found, 3) }),
        ...ARMS.flatMap((name, arm) => {
          const pooled = [rate(sides[arm]!) * scale].filter(Number.isFinite);
          return [
            rectY(found, { x1: (bin: Bin) => bin.from * scale, x2: (bin: Bin) => bin.to * scale, y: (bin: Bin) => bin.counts[arm], fy: () => name, fill: COLOURS[arm]!, fillOpacity: arm ? 0.85 : 0.35, stroke: COLOURS[arm]!, strokeWidth: 0.8, insetLeft: 0.5, insetRight: 0.5 }),
            ruleX(pooled, { fy: () => name, stroke: "var(--text)", strokeDasharray: "4 3", strokeWidth: 1.5 }),
            text(pooled, { x: (value: number) => value, fy: () => name, frameAnchor: "top", dx: 5, dy: 2, textAnchor: "start", text: () => `pooled ${level(info, rate(sides[arm]!))}`, fill: "var(--text)", stroke: "var(--bg)", strokeWidth: 4 }),
          ];
        }),
        ruleY([0], { stroke: "var(--dim)" }),
      ],
    },
    told,
  );
  return { title: "Value of every call", told, svg, bins: found };
}

/** How far into the tail the calls reach: the largest quantile that they can bound, at least the median. */
function reach(calls: number): number {
  return Math.max(0.5, calls ? 0.05 ** (1 / calls) : 0);
}

const tail = (q: number): number => -Math.log10(1 - q);

/** The quantile function over the share of turns, which is stretched towards the slowest. */
function latencyCurve(summary: Summary, width: number): Figure {
  const { info, sides } = summary;
  const ends = sides.map((side) => Math.min(tail(reach(side.scored)), 3.3));
  const right = Math.max(...ends, tail(0.95));
  const of = observed(summary);
  const curves = sides.map((side, arm) =>
    side.ordered.length
      ? Array.from({ length: 301 }, (_, step) => {
          const u = (ends[arm]! * step) / 300;
          return { u, ms: quantile(side.ordered, 1 - 10 ** -u) };
        })
      : [],
  );
  const points = sides.flatMap((side, arm) =>
    Object.entries(QUANTILES)
      .filter(([, q]) => supported(q, side.scored))
      .map(([name, q]) => ({ arm, name, u: tail(q), ms: quantile(side.ordered, q) })),
  );
  const aims = Object.entries(info.targets).flatMap(([name, ms]) => {
    const q = Number(name.slice(1)) / 100;
    return q > 0 && q < 1 ? [{ name, ms, u: tail(q) }] : [];
  });
  const end = Math.max(right, ...aims.map(({ u }) => u));
  const marked = Object.values(QUANTILES).map(tail).filter((u) => u <= right + 1e-9);
  const told = `${info.title} by share of ${of}: ${points.map(({ arm, name, ms }) => `${ARMS[arm]} ${name} ${level(info, ms)}`).join(", ")}`;
  const svg = drawn(
    {
      width,
      height: HEIGHT + 20,
      marginRight: 74,
      x: { domain: [0, end], label: `share of ${of} at or below` },
      y: { label: "ms", nice: true, grid: true, zero: true },
      marks: [
        axisX([0, 0.5, 0.9, 0.95, 0.99, 0.999].map(tail).filter((u) => u <= end + 1e-9), { tickFormat: (u: number) => `${+(100 * (1 - 10 ** -u)).toFixed(1)} %`, label: `share of ${of} at or below` }),
        axisY({ ticks: 5, label: "ms" }),
        gridX(marked, { strokeDasharray: "2 3" }),
        ...curves.map((curve, arm) => line(curve, { x: "u", y: "ms", stroke: COLOURS[arm]!, strokeWidth: 2, strokeDasharray: DASHES[arm]!, curve: "step-after" })),
        ...ARMS.map((_, arm) => dot(points.filter((point) => point.arm === arm), { x: "u", y: "ms", r: 4, fill: arm ? COLOURS[1]! : "var(--bg)", stroke: COLOURS[arm]!, strokeWidth: 2 })),
        ...curves.map((curve, arm) => text(curve.slice(-1), { x: "u", y: "ms", text: () => ARMS[arm]!, textAnchor: "start", dx: 7, dy: arm ? -6 : 6, fill: COLOURS[arm]!, fontWeight: "bold" })),
        dot(aims, { x: "u", y: "ms", symbol: "times", r: 6, stroke: "var(--regressed)", strokeWidth: 2.5 }),
        // Towards the middle, where there is room.
        ...(["start", "end"] as const).map((anchor) =>
          text(aims.filter(({ u }) => u > 0.6 === (anchor === "end")), { x: "u", y: "ms", text: ({ name, ms }: { name: string; ms: number }) => `aim ${name} ${level(info, ms)}`, dy: anchor === "end" ? -12 : 12, dx: anchor === "end" ? -6 : 8, textAnchor: anchor, fill: "var(--regressed)", stroke: "var(--bg)", strokeWidth: 4 }),
        ),
      ],
    },
    told,
  );
  const found = bins(sides.map((side) => side.ordered), { most: 24, middle: false, unit: info.unit });
  return { title: of === "turns" ? "Latency curve" : "Durations of the calls", told, svg, bins: found };
}

/** How many ticks an axis of calls bears: no more than there are whole numbers. */
function whole(found: Bin[], most: number): number {
  return Math.min(most, Math.max(1, ...found.flatMap((bin) => bin.counts)));
}

/** Candidate minus baseline, call by call. */
export function paired(summary: Summary, width: number): Figure | null {
  const { info, differences, worse, better, same } = summary;
  if (!differences.length) return null;
  const found = info.yes_no
    ? [-1, 0, 1].map((value): Bin => ({ from: value - 0.5, to: value + 0.5, counts: [differences.filter((one) => one === value).length] }))
    : bins([differences], { most: 30, middle: true, unit: info.unit });
  const scale = info.unit === "share" && !info.yes_no ? 100 : 1;
  const told = `${info.title}, candidate minus baseline of every call: worse in ${worse}, better in ${better}, the same in ${same}`;
  const colour = (bin: Bin): string => {
    if (bin.from <= 0 && bin.to > 0) return "var(--dim)";
    return bin.from > 0 === info.higher_is_better ? "var(--passed)" : "var(--regressed)";
  };
  const sides = info.higher_is_better ? ["← worse", "better →"] : ["← better", "worse →"];
  const label = info.yes_no ? "candidate against baseline" : `candidate − baseline${info.unit === "share" ? " (pp)" : info.unit === "ms" ? " (ms)" : ""}`;
  const svg = drawn(
    {
      width,
      height: HEIGHT + 20,
      marginTop: 42,
      marginRight: 40,
      x: { label: null, ...domain(found, scale, 0) },
      y: { label: "calls", nice: true },
      marks: [
        info.yes_no
          ? axisX([-1, 0, 1], { tickFormat: (value: number) => ["yes → no", "same", "no → yes"][value + 1]!, label })
          : axisX({ label, tickFormat: (value: number) => difference(info, value / scale).replace(/ (pp|ms)$/, "") }),
        axisY({ ticks: whole(found, 4), tickFormat: "d", label: "calls" }),
        gridY({ ticks: whole(found, 4) }),
        ...found.map((bin) => rectY([bin], { x1: bin.from * scale, x2: bin.to * scale, y: bin.counts[0]!, fill: colour(bin), fillOpacity: 0.75, insetLeft: info.yes_no ? 12 : 0.5, insetRight: info.yes_no ? 12 : 0.5 })),
        ruleX([0], { stroke: "var(--text)", strokeOpacity: info.yes_no ? 0 : 0.8 }),
        ruleY([0], { stroke: "var(--dim)" }),
        text([sides[0]!], { frameAnchor: "top-left", lineAnchor: "bottom", dx: 60, dy: -12, fontWeight: "bold", fill: info.higher_is_better ? "var(--regressed)" : "var(--passed)" }),
        text([sides[1]!], { frameAnchor: "top-right", lineAnchor: "bottom", dx: -4, dy: -12, fontWeight: "bold", fill: info.higher_is_better ? "var(--passed)" : "var(--regressed)" }),
      ],
    },
    told,
  );
  return { title: "Difference of every call", told, svg, bins: found };
}

/** Quantiles that the calls are too few for, in a sentence; empty where none is. */
export function withheld({ sides }: Summary): string {
  const told = Object.entries(QUANTILES).flatMap(([name, q]) => {
    const short = ARMS.filter((_, arm) => sides[arm]!.scored > 0 && !supported(q, sides[arm]!.scored));
    return short.length ? [`${name} takes ${fewest(q)} calls (${short.map((arm) => `${arm} has ${sides[ARMS.indexOf(arm)]!.scored}`).join(", ")})`] : [];
  });
  return told.length ? `Withheld, because the largest of fewer values may well lie below it: ${told.join("; ")}.` : "";
}
