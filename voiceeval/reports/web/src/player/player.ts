// The player of a call: clock, sounds, axis and controls put together, and the ways to reach it from outside.
import type { Arm, CallData } from "../report_data";
import { addressOf, type Address } from "./address";
import { armsOf, blindPage, type Arms } from "./arms";
import { Controls, RATES, laneHead } from "./controls";
import { el } from "../elements";
import { eventsList } from "./events_list";
import { KINDS, SIGNS, Axis } from "./lanes";
import { listen, type Action } from "./keys";
import { RUN_UP_FROM, Sounds } from "./sounds";
import { Transport } from "./transport";

const SKIP = 5;
/** Further into a turn than this, the previous turn is the start of this one. */
const INTO = 1.5;

class Player {
  readonly transport: Transport;
  readonly sounds: Sounds;
  readonly #told = el("p", { class: "told small", role: "status" });
  readonly #controls: Controls;
  readonly #axis: Axis;
  #lost = 0;

  constructor(private readonly arms: Arms, seconds: number, place: HTMLElement, blind: boolean) {
    this.transport = new Transport(seconds);
    const box = el("div", { class: "sounds", hidden: true });
    this.sounds = new Sounds(
      this.transport, arms, arms[0]!.arm, box,
      () => this.#tell(`${++this.#lost === 1 ? "One sound" : `${this.#lost} sounds`} of this call could not be played: the file is missing, or cannot be read.`),
      () => this.#tell("The browser plays sound only after a click on this page: press Play."),
    );
    const { transport, sounds } = this;
    this.#controls = new Controls(
      transport, sounds, arms, (action) => this.does(action), (arm) => this.hear(arm), (at) => this.seek(at),
    );
    const nameOf = (arm: Arm) => arms.find((each) => each.arm === arm)?.name ?? "";
    this.#axis = new Axis(
      transport, arms, sounds,
      { seek: (at) => this.seek(at), turn: (track, at) => this.jump(track.arm, at) },
      (track) => laneHead(track, nameOf(track.arm), sounds),
    );
    const events = eventsList(arms, (arm, at) => this.jump(arm, at));
    place.classList.add("player");
    place.setAttribute("role", "region");
    place.setAttribute("aria-label", "Player");
    place.append(
      this.#controls.bar, this.#told, this.#axis.element, this.#controls.below(this.#axis, blind),
      legend(arms), events, this.#controls.help, box,
    );
    const left = arms.flatMap(({ data }) => data.clips).filter(({ src }) => !src).length;
    if (!sounds.any) this.#tell("The audio was left out of this report: the lanes show what happened, without sound.");
    else if (left) this.#tell(`${left === 1 ? "One sound was" : `${left} sounds were`} left out of this report: a plain block stands for each.`);
    this.#axis.draw();
    this.hear(arms[0]!.arm);
    this.#takeTurns(box);
  }

  does(action: Action): void {
    const { transport } = this;
    const [first, second] = this.arms;
    const faster = RATES.indexOf(transport.playbackRate);
    if (action === "toggle") this.#toggle();
    else if (action === "pause") transport.pause();
    else if (action === "switch") this.hear((this.arms.find(({ arm }) => arm !== this.sounds.heard) ?? first!).arm);
    else if (action === "first") this.hear(first!.arm);
    else if (action === "second") this.hear((second ?? first!).arm);
    else if (action === "back") this.seek(transport.currentTime - SKIP);
    else if (action === "forward") this.seek(transport.currentTime + SKIP);
    else if (action === "previous-turn") this.#turn(-1);
    else if (action === "next-turn") this.#turn(1);
    else if (action === "slower") transport.playbackRate = RATES[Math.max(0, faster - 1)]!;
    else if (action === "faster") transport.playbackRate = RATES[Math.min(RATES.length - 1, faster + 1)]!;
    else if (action === "help") this.#controls.help.open = !this.#controls.help.open;
  }

  hear(arm: Arm): void {
    this.sounds.heard = arm;
    this.#axis.hear();
    this.#controls.show();
  }

  seek(seconds: number): void {
    this.transport.currentTime = seconds;
  }

  /** Go to a moment of one arm, and listen to that one. */
  jump(arm: Arm | undefined, seconds: number): void {
    if (arm && this.arms.some((each) => each.arm === arm)) this.hear(arm);
    this.seek(seconds);
  }

  play(): void {
    if (this.sounds.any) void this.transport.play();
  }

  go({ arm, seconds, turn }: Address): void {
    if (arm) this.jump(arm, seconds ?? this.transport.currentTime);
    const asked = this.#turns().find(({ number }) => number === turn);
    const at = seconds ?? (asked && asked.at_ms / 1000);
    if (at !== undefined) this.seek(at);
  }

  #toggle(): void {
    if (this.transport.paused) this.play();
    else this.transport.pause();
  }

  #turns() {
    return this.arms.find(({ arm }) => arm === this.sounds.heard)?.data.turns ?? [];
  }

  #turn(by: 1 | -1): void {
    const now = this.transport.currentTime;
    const starts = this.#turns().map(({ at_ms }) => at_ms / 1000);
    const found = by > 0 ? starts.find((at) => at > now + 0.05) : starts.filter((at) => at < now - INTO).at(-1);
    if (found !== undefined) this.seek(found);
    else if (by < 0) this.seek(0);
  }

  #tell(text: string): void {
    this.#told.textContent = text;
  }

  /** One thing sounds at a time: this player, or one of the page's own sounds. */
  #takeTurns(box: HTMLElement): void {
    document.addEventListener("error", ({ target }) => {
      if (target instanceof HTMLAudioElement && !box.contains(target)) mend(target);
    }, true);
    document.addEventListener("play", (event) => {
      if (event.target instanceof Node && !box.contains(event.target)) this.transport.pause();
    }, true);
    this.transport.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) if (!box.contains(other)) other.pause();
    });
  }
}

/** Where the browser could not seek, a sound of the page would be dead: it is read again, and goes on further to the front. */
function mend(audio: HTMLAudioElement): void {
  const { currentTime, duration, paused, readyState } = audio;
  if (readyState === HTMLMediaElement.HAVE_NOTHING || currentTime === 0) return;
  const place = Math.min(currentTime / 2, duration * RUN_UP_FROM);
  audio.addEventListener("loadedmetadata", () => {
    audio.currentTime = place < 0.05 ? 0 : place;
    if (!paused) void audio.play();
  }, { once: true });
  audio.preload = "auto";
  audio.load();
}

/** Put a player into the page, if it holds a call that lasts; what the address and other pages ask is done. */
export function start(): void {
  const address = addressOf(location.hash);
  if (address.embedded) document.documentElement.dataset["embedded"] = "";
  blindPage(address.blind);
  if (address.embedded) keepInFrame(address.blind !== "");
  const place = document.getElementById("player");
  const source = document.getElementById("call-data");
  const data = source ? (JSON.parse(source.textContent) as CallData) : undefined;
  const arms = data ? armsOf(data, address.blind) : [];
  let player: Player | undefined;
  if (place && data && arms.length && data.duration_ms > 0) {
    document.documentElement.dataset["player"] = "";
    player = new Player(arms, data.duration_ms / 1000, place, address.blind !== "");
    // As a media element would be, the player is reached through the element that shows it.
    Object.assign(place, { transport: player.transport });
    player.go(address);
    reach(player);
  }
  answer(player, data?.slug ?? "", address);
}

/** In a frame, links to other pages open beside it; blind, they lead nowhere: those pages name the arms. */
function keepInFrame(blind: boolean): void {
  for (const link of document.querySelectorAll<HTMLAnchorElement>('a[href]:not([href^="#"])')) {
    if (blind) link.removeAttribute("href");
    else link.target = "_blank";
  }
}

/** Links of the page: moments with `data-at-ms`, turns, and addresses with a time. */
function reach(player: Player): void {
  addEventListener("hashchange", () => player.go(addressOf(location.hash)));
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLElement>("a.at[data-at-ms]") : null;
    const at_ms = Number(link?.dataset["atMs"]);
    if (!link || !Number.isFinite(at_ms)) return;
    event.preventDefault();
    const arm = link.closest<HTMLElement>("[data-arm]")?.dataset["arm"];
    player.jump(arm === "baseline" || arm === "candidate" ? arm : undefined, at_ms / 1000);
    player.play();
  });
}

const FROM_OUTSIDE: Action[] = [
  "toggle", "switch", "first", "second", "back", "forward", "slower", "faster", "previous-turn", "next-turn", "pause", "help",
];

/** Keys, and the page of reviews that may hold this one in a frame. */
function answer(player: Player | undefined, slug: string, { embedded }: Address): void {
  const outer = embedded && parent !== window ? parent : undefined;
  // Pages of files have no origin that could be named.
  const send = (message: object) => outer?.postMessage(message, "*");
  listen(
    (action) => player?.does(action),
    ({ key, shiftKey }) => send({ voiceeval: "key", key, shift: shiftKey }),
  );
  if (!outer) return;
  addEventListener("message", ({ source, data }: MessageEvent<unknown>) => {
    if (source !== outer || typeof data !== "object" || data === null) return;
    const { voiceeval, action } = data as { voiceeval?: unknown; action?: unknown };
    if (voiceeval === "do" && FROM_OUTSIDE.includes(action as Action)) player?.does(action as Action);
  });
  send({ voiceeval: "ready", slug });
}

/** Only what this call has. */
function legend(arms: Arms): HTMLElement {
  const marks = new Set(arms.flatMap(({ data }) => data.marks.map(({ kind }) => kind)));
  const stages = new Set(arms.flatMap(({ data }) => data.stages.map(({ stage }) => stage)));
  const signs = (Object.keys(KINDS) as (keyof typeof KINDS)[])
    .filter((kind) => marks.has(kind))
    .map((kind) => {
      const sign = el("span", { class: `key m-${kind}`, "aria-hidden": true }, SIGNS[kind] ?? "");
      return el("span", {}, sign, ` ${KINDS[kind]}`);
    });
  const colours = [...stages].sort().map((stage) => {
    return el("span", {}, el("span", { class: `key span s-${stage}`, "aria-hidden": true }), ` ${stage}`);
  });
  return el("div", { class: "legend" }, ...signs, ...colours);
}
