// What the time axis shows, as a table: for those who do not see it, and for those who look for one thing.
import type { Arm } from "../report_data";
import type { Arms } from "./arms";
import { clock } from "./clock";
import { button, el } from "../elements";
import { KINDS } from "./lanes";

interface Row {
  at: number;
  arm: Arm;
  name: string;
  turn: number;
  kind: string;
  told: string;
}

/** A folded table; it is filled when it is opened. */
export function eventsList(arms: Arms, jump: (arm: Arm, seconds: number) => void): HTMLElement {
  const rows = arms.flatMap(rowsOf).sort((one, other) => one.at - other.at);
  const heads = ["Time", "Arm", "Turn", "Event", "What"].map((text) => el("th", { scope: "col" }, text));
  const body = el("tbody");
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body);
  const scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Events of the call" }, table);
  const list = el("details", { class: "events" }, el("summary", {}, `Events as a list (${rows.length})`), scroll);
  list.addEventListener("toggle", () => {
    if (!list.open || body.childElementCount) return;
    body.append(
      ...rows.map(({ at, arm, name, turn, kind, told }) => {
        const time = clock(at);
        const go = button([time], { class: "link num", "aria-label": `Go to ${time} on ${name}` }, () => jump(arm, at));
        const cells = [name, turn ? String(turn) : "greeting", kind, told].map((text) => el("td", {}, text));
        return el("tr", {}, el("td", {}, go), ...cells);
      }),
    );
  });
  return list;
}

function rowsOf({ arm, name, data }: Arms[number]): Row[] {
  const row = (at_ms: number, turn: number, kind: string, told: string): Row => ({
    at: at_ms / 1000, arm, name, turn, kind, told,
  });
  return [
    ...data.turns.map(({ at_ms, number }) => row(at_ms, number, "turn", number ? "begins" : "the agent's greeting begins")),
    ...data.marks.map(({ at_ms, turn, kind, title }) => row(at_ms, turn, KINDS[kind], title)),
    ...data.stages.map(({ at_ms, turn, stage, duration_ms }) => row(at_ms, turn, stage, `${duration_ms} ms`)),
  ];
}
