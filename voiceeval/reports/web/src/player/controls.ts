// The bar of buttons over the time axis.
import type { Arm } from "../report_data";
import type { Arms } from "./arms";
import { clock } from "./clock";
import { button, el } from "../elements";
import { HELP, type Action } from "./keys";
import type { Axis } from "./lanes";
import type { Sounds, Track } from "./sounds";
import type { Transport } from "./transport";

export const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2];
const ZOOMS = [1, 2, 4, 8, 16];
/** Wider than this a lane is a heavy picture. */
const WIDEST_PX = 24_000;

export class Controls {
  readonly bar: HTMLElement;
  readonly help: HTMLDetailsElement;
  #play: HTMLButtonElement;
  #seek: HTMLInputElement;
  #time = el("output", { class: "num time" });
  #hear: Map<Arm, HTMLButtonElement>;
  #rate: HTMLSelectElement;
  #link = el("a", { class: "moment small" }, "Link to this moment");

  constructor(
    private readonly transport: Transport,
    private readonly sounds: Sounds,
    arms: Arms,
    does: (action: Action) => void,
    hear: (arm: Arm) => void,
    seek: (seconds: number) => void,
  ) {
    this.#play = button(["▶ Play"], { class: "play" }, () => does("toggle"));
    this.#seek = el("input", {
      type: "range", min: 0, max: transport.duration, step: 0.1, value: 0, class: "seek", "aria-label": "Time",
    });
    this.#seek.addEventListener("input", () => seek(this.#seek.valueAsNumber));
    this.#hear = new Map(
      arms.map(({ arm, name, label }) => [
        arm,
        button([name], { "aria-label": `Hear ${name}`, title: label || undefined }, () => hear(arm)),
      ]),
    );
    this.#rate = options("Speed", RATES, (rate) => `${rate}×`, (rate) => (transport.playbackRate = rate));
    this.#rate.value = "1";
    const volume = el("input", { type: "range", min: 0, max: 1, step: 0.05, value: 1, "aria-label": "Volume" });
    volume.addEventListener("input", () => (transport.volume = volume.valueAsNumber));
    const step = (text: string, action: Action, label: string) =>
      button([text], { "aria-label": label, title: label, class: "step" }, () => does(action));
    const moves = el(
      "div", { class: "group" },
      step("‹ turn", "previous-turn", "Previous turn"), step("−5 s", "back", "5 seconds back"),
      ...(sounds.any ? [this.#play] : []),
      step("+5 s", "forward", "5 seconds on"), step("turn ›", "next-turn", "Next turn"),
    );
    const chosen = el(
      "div", { class: "group", role: "group", "aria-label": "Arm to hear" },
      el("span", { class: "small dim", "aria-hidden": true }, sounds.any ? "Hear" : "Arm"), ...this.#hear.values(),
    );
    const sound = el(
      "div", { class: "group" },
      el("label", { class: "small" }, "Speed ", this.#rate), el("label", { class: "small" }, "Volume ", volume),
    );
    this.bar = el(
      "div", { class: "controls" },
      moves, el("div", { class: "group grow" }, this.#time, this.#seek), chosen, ...(sounds.any ? [sound] : []),
    );
    this.help = helpOf(arms);
    for (const name of ["timeupdate", "tick", "ratechange", "play", "pause", "waiting", "playing"]) {
      transport.addEventListener(name, () => this.show());
    }
  }

  /** Zoom, following and a link, which go under the axis. */
  below(axis: Axis, blind: boolean): HTMLElement {
    const widest = () => WIDEST_PX / Math.max(320, axis.element.clientWidth);
    const zoom = options("Zoom", ZOOMS, (times) => (times === 1 ? "fit" : `${times}×`), (times) => {
      axis.zoom = Math.min(times, Math.max(1, Math.floor(widest())));
    });
    const follow = el("input", { type: "checkbox", checked: true });
    follow.addEventListener("change", () => (axis.follows = follow.checked));
    return el(
      "div", { class: "controls below" },
      el("label", { class: "small" }, "Zoom ", zoom), el("label", { class: "small" }, follow, " follow the playing head"),
      ...(blind ? [] : [this.#link]),
    );
  }

  show(): void {
    const { transport, sounds } = this;
    const now = transport.currentTime;
    const text = transport.paused ? "▶ Play" : "❚❚ Pause";
    if (this.#play.textContent !== text) this.#play.textContent = text;
    const time = `${clock(now)} / ${clock(transport.duration)}`;
    if (this.#time.textContent !== time) {
      this.#time.textContent = time;
      this.#seek.value = String(now);
      this.#seek.setAttribute("aria-valuetext", time);
      this.#link.href = `#t=${now.toFixed(1)}&arm=${sounds.heard}`;
    }
    this.#rate.value = String(transport.playbackRate);
    for (const [arm, choice] of this.#hear) choice.setAttribute("aria-pressed", String(arm === sounds.heard));
  }
}

/** The name of a lane, with what silences it and what silences the other. */
export function laneHead(track: Track, name: string, sounds: Sounds): HTMLElement {
  const head = el("div", { class: "lane-head", "data-arm": track.arm }, el("span", {}, track.name));
  if (!sounds.any) return head;
  const flag = (sign: string, what: "muted" | "solo", label: string) => {
    const named = { "aria-pressed": "false", "aria-label": `${label} ${track.name}, ${name}`, title: `${label} the ${track.name}` };
    const made = button([sign], named, () => {
      track[what] = !track[what];
      made.setAttribute("aria-pressed", String(track[what]));
      sounds.mix();
    });
    return made;
  };
  head.append(el("span", { class: "flags" }, flag("M", "muted", "Mute"), flag("S", "solo", "Solo")));
  return head;
}

function options(
  label: string, values: number[], told: (value: number) => string, chosen: (value: number) => void,
): HTMLSelectElement {
  const all = values.map((value) => el("option", { value }, told(value)));
  const select = el("select", { "aria-label": label }, ...all);
  select.addEventListener("change", () => chosen(Number(select.value)));
  return select;
}

function helpOf(arms: Arms): HTMLDetailsElement {
  const hear: [string[], string][] = [[["1", "2"].slice(0, arms.length), `hear ${arms.map(({ name }) => name).join(", ")}`]];
  const rows = [...HELP.slice(0, 2), ...hear, ...HELP.slice(2)].flatMap(([keys, what]) => [
    el("dt", {}, ...keys.map((key) => el("kbd", {}, key))),
    el("dd", {}, what),
  ]);
  return el("details", { class: "keys" }, el("summary", {}, "Keys"), el("dl", { class: "facts" }, ...rows));
}
