// Four lanes on one time axis: what the caller and the agent of both arms sounded like, and what happened when.
//
// Every lane is a waveform of wavesurfer.js, drawn from peaks that the page holds: nothing is fetched or decoded.
// All four follow one transport. Scrolling, seeking and the playing head are the axis' own, since they are shared.
import WaveSurfer from "wavesurfer.js";
import type { ClipData, MarkData } from "../report_data";
import type { Arms } from "./arms";
import { clock } from "./clock";
import { el } from "../elements";
import type { Sounds, Track } from "./sounds";
import type { Transport } from "./transport";

const STEP_MS = 20;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LANE_PX = 44;
const TICK_PX = 90;
const STEPS_S = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
/** Marks that are a sign on a lane, and that sign. The others are stretches. */
export const SIGNS: Partial<Record<MarkData["kind"], string>> = {
  interruption: "⚡", cut: "✂", end_of_turn: "◂", early: "▼", tool: "⚙", key: "#", drop: "✕", failed: "!", hung_up: "■",
};
export const KINDS: Record<MarkData["kind"], string> = {
  overlap: "both speak", interruption: "interruption", cut: "reply cut off", end_of_turn: "end of turn",
  early: "end of turn, too early", tool: "tool call", key: "key pressed", drop: "reply given up", failed: "stage failed",
  hung_up: "end of the call",
};

export interface AxisActions {
  seek(seconds: number): void;
  turn(track: Track, seconds: number): void;
}

export class Axis {
  readonly element: HTMLElement;
  #inner = el("div", { class: "axis" });
  #scroller = el("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Time axis, scrolls sideways" });
  #ruler = el("div", { class: "ruler", "aria-hidden": true });
  #head = el("div", { class: "head", "aria-hidden": true });
  #hover = el("div", { class: "hover", "aria-hidden": true, hidden: true });
  #waves: { surfer: WaveSurfer; lane: HTMLElement }[] = [];
  #zoom = 1;
  follows = true;

  constructor(
    private readonly transport: Transport,
    private readonly arms: Arms,
    private readonly sounds: Sounds,
    private readonly actions: AxisActions,
    heads: (track: Track) => HTMLElement,
  ) {
    const names = el("div", { class: "lane-heads" }, el("div", { class: "ruler" }));
    this.#inner.append(this.#ruler);
    for (const arm of arms) {
      const tracks = sounds.tracks.filter((track) => track.arm === arm.arm);
      names.append(el("div", { class: "turns-head", "data-arm": arm.arm }, arm.name));
      names.append(...tracks.map(heads), el("div", { class: "stages-head", "data-arm": arm.arm }, "stages"));
      this.#inner.append(this.#armRows(arm, tracks));
    }
    this.#inner.append(this.#hover, this.#head);
    this.#scroller.append(this.#inner);
    this.element = el("div", { class: "stage" }, names, this.#scroller);
    this.#listen();
  }

  /** Draw the waveforms; the element has to be in the page by now, for its colours and widths. */
  draw(): void {
    for (const lane of this.#inner.querySelectorAll<HTMLElement>(".wave")) {
      const arm = this.arms.find(({ arm: name }) => name === lane.dataset["arm"]);
      const clips = arm?.data.clips.filter((clip) => clip.track === lane.dataset["track"]) ?? [];
      const surfer = WaveSurfer.create({
        container: lane,
        media: this.transport as unknown as HTMLMediaElement,
        peaks: [composed(clips, this.transport.duration)],
        duration: this.transport.duration,
        height: LANE_PX,
        barWidth: 2,
        barGap: 1,
        barRadius: 1,
        maxPeak: 1,
        cursorWidth: 0,
        interact: false,
        autoScroll: false,
        ...colours(lane),
      });
      this.#waves.push({ surfer, lane });
    }
    this.#ticks();
    this.#place();
  }

  get zoom(): number {
    return this.#zoom;
  }

  /** How many times wider than the window the axis is. The playing head stays where it is seen. */
  set zoom(times: number) {
    const { clientWidth, scrollLeft } = this.#scroller;
    const share = this.transport.currentTime / this.transport.duration;
    const seen = share * clientWidth * this.#zoom - scrollLeft;
    const kept = seen >= 0 && seen <= clientWidth ? seen : clientWidth / 2;
    this.#zoom = times;
    this.#inner.style.width = `${times * 100}%`;
    this.#scroller.scrollLeft = share * clientWidth * times - kept;
    this.#ticks();
    this.#place();
  }

  /** Show which arm is listened to. */
  hear(): void {
    for (const element of this.element.querySelectorAll<HTMLElement>("[data-arm]")) {
      element.classList.toggle("unheard", element.dataset["arm"] !== this.sounds.heard);
    }
  }

  #armRows({ arm, name, data }: Arms[number], tracks: Track[]): HTMLElement {
    const rows = el("div", { class: "arm-rows", "data-arm": arm });
    const [first] = tracks;
    const turns = el("div", { class: "turns" });
    let free = 0;
    for (const turn of first ? data.turns : []) {
      const label = turn.number ? String(turn.number) : "G";
      const title = `${name}: ${turn.number ? `turn ${turn.number}` : "greeting"}, ${clock(turn.at_ms / 1000)}`;
      const jump = el("button", { type: "button", class: "turn-jump", title, "aria-label": title }, label);
      jump.addEventListener("click", () => this.actions.turn(first!, turn.at_ms / 1000));
      this.#at(jump, turn.at_ms);
      const share = turn.at_ms / 1000 / this.transport.duration;
      jump.classList.toggle("crowded", share < free);
      if (share >= free) free = share + 0.03;
      turns.append(jump);
    }
    const stages = el("div", { class: "stages" });
    for (const { stage, at_ms, duration_ms, turn } of data.stages) {
      const title = `${stage}, turn ${turn}: ${duration_ms} ms`;
      const span = el("span", { class: `span s-${stage}`, title });
      stages.append(this.#at(span, at_ms, duration_ms));
    }
    const lanes = tracks.map((track) => this.#lane(track, data.clips));
    const signs = el("div", { class: "marks" }, ...data.marks.flatMap((mark) => this.#mark(mark)));
    const end = el("div", { class: "ends", title: `end of the call, ${clock(data.duration_ms / 1000)}` });
    rows.append(turns, ...lanes, stages, signs, this.#at(end, data.duration_ms));
    return rows;
  }

  #lane(track: Track, clips: ClipData[]): HTMLElement {
    const lane = el("div", { class: `lane-row lane-${track.name}` });
    for (const clip of clips) {
      if (clip.track !== track.name) continue;
      const block = el("div", { class: `clip clip-${clip.kind}${clip.src ? "" : " silent"}` });
      lane.append(this.#at(block, Math.max(0, clip.at_ms), clip.length_ms + Math.min(0, clip.at_ms)));
    }
    lane.append(el("div", { class: "wave", "data-arm": track.arm, "data-track": track.name }));
    return lane;
  }

  #mark({ kind, at_ms, until_ms, title }: MarkData): HTMLElement[] {
    const told = `${clock(at_ms / 1000)} ${title}`;
    const sign = SIGNS[kind];
    const made = [];
    if (until_ms !== undefined) {
      made.push(this.#at(el("span", { class: `while m-${kind}`, title: told }), at_ms, until_ms - at_ms));
    }
    if (sign) made.push(this.#at(el("span", { class: `sign m-${kind}`, title: told }, sign), at_ms));
    return made;
  }

  #at<T extends HTMLElement>(element: T, at_ms: number, length_ms = -1): T {
    const whole = this.transport.duration * 10;
    element.style.left = `${at_ms / whole}%`;
    if (length_ms >= 0) element.style.width = `${length_ms / whole}%`;
    return element;
  }

  #ticks(): void {
    const width = this.#scroller.clientWidth * this.#zoom || 1;
    const { duration } = this.transport;
    const step = STEPS_S.find((each) => (each / duration) * width >= TICK_PX) ?? duration;
    const ticks = [];
    for (let at = 0; at <= duration; at += step) {
      const label = step < 1 ? clock(at) : clock(at).slice(0, -2);
      const near = (1 - at / duration) * width < 30;
      ticks.push(this.#at(el("span", { class: "tick" }, near ? "" : label), at * 1000));
    }
    this.#ruler.replaceChildren(...ticks);
  }

  #listen(): void {
    const { transport } = this;
    let frame = 0;
    const play = () => {
      this.#place();
      frame = requestAnimationFrame(play);
    };
    transport.addEventListener("play", play);
    transport.addEventListener("pause", () => cancelAnimationFrame(frame));
    transport.addEventListener("seeking", () => {
      this.#place();
      this.#show();
    });
    this.#inner.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#inner.addEventListener("pointermove", (event) => {
      this.#hover.hidden = event.pointerType === "touch";
      const seconds = this.#secondsAt(event);
      this.#hover.style.left = `${(seconds / transport.duration) * 100}%`;
      this.#hover.dataset["time"] = clock(seconds);
      this.#hover.classList.toggle("flipped", seconds > transport.duration * 0.9);
    });
    this.#inner.addEventListener("pointerleave", () => (this.#hover.hidden = true));
    new ResizeObserver(() => this.#ticks()).observe(this.#scroller);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const { surfer, lane } of this.#waves) surfer.setOptions(colours(lane));
    });
  }

  #drag(event: PointerEvent): void {
    if (event.button !== 0 || (event.target as Element).closest("button")) return;
    const seek = (moved: PointerEvent) => this.actions.seek(this.#secondsAt(moved));
    if (event.pointerType === "touch") {
      // A finger that moves scrolls; one that does not seeks.
      this.#inner.addEventListener("pointerup", seek, { once: true });
      this.#inner.addEventListener("pointercancel", () => this.#inner.removeEventListener("pointerup", seek), { once: true });
      return;
    }
    event.preventDefault();
    this.#inner.setPointerCapture(event.pointerId);
    this.#inner.addEventListener("pointermove", seek);
    const end = () => this.#inner.removeEventListener("pointermove", seek);
    for (const name of ["pointerup", "pointercancel"]) this.#inner.addEventListener(name, end, { once: true });
    seek(event);
  }

  #secondsAt(event: PointerEvent): number {
    const { left, width } = this.#inner.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - left) / width)) * this.transport.duration;
  }

  #place(): void {
    this.#head.style.left = `${(this.transport.currentTime / this.transport.duration) * 100}%`;
    if (this.follows && !this.transport.paused) this.#show();
  }

  /** Turn the page when the head leaves it. */
  #show(): void {
    if (this.#zoom === 1) return;
    const { clientWidth, scrollLeft, scrollWidth } = this.#scroller;
    const at = (this.transport.currentTime / this.transport.duration) * scrollWidth;
    if (at < scrollLeft || at > scrollLeft + clientWidth * 0.95) this.#scroller.scrollLeft = at - clientWidth * 0.15;
  }
}

/** The heights of a lane, every 20 ms: its clips at their places; a later one takes over, as in the call. */
export function composed(clips: ClipData[], seconds: number): Float32Array {
  const heights = new Float32Array(Math.max(1, Math.ceil((seconds * 1000) / STEP_MS)));
  for (const { at_ms, peaks } of clips) {
    const first = Math.round(at_ms / STEP_MS);
    for (let place = 0; place < peaks.length; place++) {
      const at = first + place;
      if (at >= 0 && at < heights.length) heights[at] = LETTERS.indexOf(peaks.charAt(place)) / LETTERS.length;
    }
  }
  return heights;
}

/** The colours that the style sheet gives a lane, as a canvas takes them. */
function colours(lane: HTMLElement): { waveColor: string; progressColor: string } {
  const probe = el("i");
  lane.append(probe);
  const read = (variable: string): string => {
    probe.style.color = `var(${variable})`;
    return getComputedStyle(probe).color;
  };
  const found = { waveColor: read("--wave"), progressColor: read("--played") };
  probe.remove();
  return found;
}
