// Plays the clips of both arms at their moments. The arm that is not listened to plays too, muted: a switch is
// instant and stays at the moment. A clip is fetched when play was pressed and its moment is near, not before.
import type { Arm, ClipData } from "../report_data";
import type { Arms } from "./arms";
import type { Transport } from "./transport";

/** How long before its moment a clip is fetched, and how long after it is let go, in seconds. */
const AHEAD = 4;
const BEHIND = 12;
/** A clip that is further from the clock than this, in seconds, is put right: nudged until it is NEAR, sought where it is FAR. */
const DRIFT = 0.06;
const NEAR = 0.02;
const FAR = 0.3;
const NUDGE = 0.25;
/** How long a clip has to settle after it began or was put right, before it is judged. */
const SETTLED_MS = 350;
const FROM_START = 0.04;
/** What is shorter, or has no more left, makes no sound worth asking for. */
const SHORTEST = 0.05;
/** Chromium cannot seek to some places of a FLAC file without a seek table, most of them near its end. Such a clip
 *  is loaded again, sought further to the front or not at all, and run up to its place fast and unheard. */
const RETRIES = 5;
export const RUN_UP_FROM = 0.4;
const RUN_UP_RATE = 8;
/** What sounds fast has that much of it under way, in seconds: nearer to its place than this a clip runs up at LAST_RATE. */
const RUN_UP_LAST = 1.2;
const LAST_RATE = 2;
/** With less of it left than this a clip is not worth a run-up. */
const WORTH = 0.2;
const PATIENCE_MS = 6000;

export interface Track {
  arm: Arm;
  name: "caller" | "agent";
  muted: boolean;
  solo: boolean;
}

interface Sound {
  clip: ClipData;
  track: Track;
  from: number;
  until: number;
  element: HTMLAudioElement | undefined;
  /** When it began or was put right. */
  begun: number;
  /** How far it is before (above 0) or behind the clock, smoothed, in seconds of its own. */
  drift: number;
  nudged: boolean;
  waitsSince: number;
  failures: number;
  runsUp: boolean;
  /** It ran up to its place, or past it: it waits there for the clock, since to seek back would fail again. */
  ranUp: boolean;
  gone: boolean;
}

export class Sounds {
  readonly tracks: Track[] = [];
  #sounds: Sound[] = [];
  #heard: Arm;
  /** From asking for sound until there is some, in seconds, as found out while playing: muted, and audible. */
  #lead: [muted: number, audible: number] = [0.05, 0.05];

  /**
   * @param place where the audio elements are put; it shows nothing.
   * @param lost called when a clip cannot be played.
   * @param refused called when the browser wants a click before it plays anything.
   */
  constructor(
    private readonly transport: Transport,
    arms: Arms,
    heard: Arm,
    private readonly place: HTMLElement,
    private readonly lost: () => void,
    private readonly refused: () => void,
  ) {
    this.#heard = heard;
    for (const { arm, data } of arms) {
      for (const name of ["caller", "agent"] as const) {
        const track: Track = { arm, name, muted: false, solo: false };
        this.tracks.push(track);
        for (const clip of data.clips) {
          if (clip.track !== name || !clip.src || clip.length_ms < SHORTEST * 1000) continue;
          const from = clip.at_ms / 1000;
          this.#sounds.push({
            clip, track, from, until: from + clip.length_ms / 1000,
            element: undefined, begun: 0, drift: 0, nudged: false, waitsSince: 0, failures: 0, runsUp: false, ranUp: false, gone: false,
          });
        }
      }
    }
    transport.addEventListener("seeking", () => {
      const now = transport.currentTime;
      for (const sound of this.#sounds) {
        sound.runsUp = sound.ranUp = false;
        if (sound.element?.paused === false && sound.from <= now && now < sound.until - SHORTEST) this.#put(sound);
      }
      this.mix();
    });
    for (const name of ["tick", "play", "pause", "seeked", "waiting", "playing"]) {
      transport.addEventListener(name, () => this.#follow());
    }
    for (const name of ["volumechange", "ratechange"]) transport.addEventListener(name, () => this.mix());
  }

  get any(): boolean {
    return this.#sounds.length > 0;
  }

  get heard(): Arm {
    return this.#heard;
  }

  set heard(arm: Arm) {
    this.#heard = arm;
    this.mix();
  }

  /** Who is audible, how loud and how fast. */
  mix(): void {
    for (const sound of this.#sounds) {
      const { element, track, runsUp } = sound;
      if (!element) continue;
      element.muted = runsUp || !this.#audible(track);
      element.volume = this.transport.volume;
      element.playbackRate = runsUp ? this.#runUpRate(sound) : this.transport.playbackRate;
      sound.nudged = false;
    }
  }

  #audible(track: Track): boolean {
    if (track.arm !== this.#heard || this.transport.muted) return false;
    const alone = this.tracks.some((other) => other.arm === track.arm && other.solo);
    return alone ? track.solo : !track.muted;
  }

  /** Bring every clip to where the clock is. */
  #follow(): void {
    const { transport } = this;
    const now = transport.currentTime;
    if (transport.paused) {
      for (const { element } of this.#sounds) element?.pause();
      return;
    }
    const due: Sound[] = [];
    for (const sound of this.#sounds) {
      const { from, until } = sound;
      if (!sound.gone && from - AHEAD * transport.playbackRate <= now && now < until) this.#fetch(sound);
      else if (now > until + BEHIND || now < from - BEHIND) this.#release(sound);
      const early = this.#leadOf(sound) * transport.playbackRate;
      if (sound.element && from - early <= now && now < until) due.push(sound);
      else sound.element?.pause();
    }
    transport.hold(due.some((sound) => this.#isAwaited(sound)));
    for (const sound of due) this.#align(sound, now);
  }

  /** Whether the clock has to wait for a clip: only for one that is to be heard, and not forever. */
  #isAwaited(sound: Sound): boolean {
    const { element, track } = sound;
    if (track.arm !== this.#heard || !element || element.ended) return false;
    const ready = element.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA || this.#isAtItsEnd(sound);
    if (ready && !sound.runsUp) {
      sound.waitsSince = 0;
      return false;
    }
    sound.waitsSince ||= performance.now();
    if (performance.now() - sound.waitsSince < PATIENCE_MS) return true;
    this.#lose(sound);
    return false;
  }

  /** Near its end a clip has no future data, and needs none. */
  #isAtItsEnd({ element }: Sound): boolean {
    return !!element && element.duration > 0 && element.currentTime > element.duration - 0.1;
  }

  /** Begin a clip that is due; put one right that has drifted. */
  #align(sound: Sound, now: number): void {
    const { element, from, until } = sound;
    if (!element || sound.gone) return;
    if (this.transport.held && !sound.runsUp) return element.pause();
    const place = now - from;
    if (element.paused) {
      // A file may be a few samples shorter than its clip was said to be.
      if (now > until - SHORTEST || place > element.duration - SHORTEST) return;
      if (sound.ranUp) {
        if (element.ended || element.currentTime > place + this.#leadOf(sound)) return;
      } else if (!sound.runsUp) {
        this.#put(sound);
        if (sound.ranUp) return;
      }
      element.play().catch((error: unknown) => this.#failed(error));
    } else if (sound.runsUp) {
      if (element.currentTime < place - NEAR && !element.ended) {
        const rate = this.#runUpRate(sound);
        if (element.playbackRate !== rate) element.playbackRate = rate;
        return;
      }
      this.#arrived(sound);
      if (element.currentTime > place + DRIFT) element.pause();
    } else {
      this.#judge(sound, element, element.currentTime - place);
    }
  }

  #judge(sound: Sound, element: HTMLAudioElement, drift: number): void {
    const { playbackRate: rate } = this.transport;
    sound.drift = sound.drift === 0 ? drift : 0.8 * sound.drift + 0.2 * drift;
    const away = Math.abs(sound.drift) / Math.max(1, rate);
    if (sound.nudged && away < NEAR) this.mix();
    if (sound.nudged || away <= DRIFT || performance.now() - sound.begun < SETTLED_MS || element.seeking) return;
    const learned = this.#leadOf(sound) - sound.drift / rate;
    this.#lead[element.muted ? 0 : 1] = Math.max(0, Math.min(0.3, learned));
    if (away > FAR && sound.ranUp && sound.drift > 0) return element.pause();
    if (away > FAR) return this.#put(sound);
    sound.nudged = true;
    const faster = Math.max(-NUDGE, Math.min(NUDGE, -1.5 * sound.drift));
    element.playbackRate = rate * (1 + faster);
  }

  /** Have a clip sound what is due as soon as it can: from its start, or from within. */
  #put(sound: Sound): void {
    const { element, from } = sound;
    if (!element) return;
    const { currentTime, playbackRate } = this.transport;
    const due = currentTime - from;
    // At its start nothing of a clip is left out, though it may come a moment late.
    let place = due < FROM_START ? 0 : due + this.#leadOf(sound) * playbackRate;
    sound.ranUp = false;
    if (sound.failures && element.duration > 0) {
      if (place > FROM_START && element.duration - place < WORTH) {
        sound.ranUp = true;
        return element.pause();
      }
      const sure = sound.failures > 1 ? 0 : Math.min(place, element.duration * RUN_UP_FROM);
      sound.runsUp = place - sure > DRIFT;
      if (sound.runsUp) place = sure;
    }
    sound.begun = performance.now();
    sound.drift = 0;
    if (Math.abs(element.currentTime - place) > 0.005) element.currentTime = place;
    if (sound.runsUp) this.mix();
  }

  /** Fast while far from its place, so that what is under way when it arrives is little. */
  #runUpRate({ element, from }: Sound): number {
    const { currentTime, playbackRate } = this.transport;
    const left = element ? currentTime - from - element.currentTime : 0;
    return left > RUN_UP_LAST * Math.max(1, playbackRate) ? RUN_UP_RATE : LAST_RATE * Math.max(1, playbackRate);
  }

  #arrived(sound: Sound): void {
    sound.runsUp = false;
    sound.ranUp = true;
    sound.begun = performance.now();
    sound.drift = 0;
    this.mix();
  }

  #leadOf({ element }: Sound): number {
    return this.#lead[element?.muted ? 0 : 1];
  }

  #fetch(sound: Sound): void {
    if (sound.element) return;
    const element = document.createElement("audio");
    element.preload = "auto";
    element.dataset["arm"] = sound.track.arm;
    element.dataset["track"] = sound.track.name;
    element.dataset["atMs"] = String(sound.clip.at_ms);
    element.dataset["lengthMs"] = String(sound.clip.length_ms);
    element.preservesPitch = true;
    element.defaultPlaybackRate = this.transport.playbackRate;
    element.addEventListener("error", () => {
      if (sound.element !== element) return;
      // A file that was read already is there: the decoder has stumbled, and starts anew.
      const read = element.readyState > HTMLMediaElement.HAVE_NOTHING;
      if (read && ++sound.failures <= RETRIES) this.#release(sound);
      else this.#lose(sound);
    });
    element.src = sound.clip.src;
    sound.element = element;
    this.place.append(element);
    this.mix();
  }

  #release(sound: Sound): void {
    const { element } = sound;
    if (!element) return;
    sound.element = undefined;
    sound.runsUp = sound.ranUp = false;
    element.pause();
    element.removeAttribute("src");
    element.remove();
  }

  #lose(sound: Sound): void {
    sound.gone = true;
    this.#release(sound);
    this.lost();
  }

  #failed(error: unknown): void {
    // To be paused again before it began is no failure; a file that cannot be read sends an event of its own.
    if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
    this.transport.pause();
    this.refused();
  }
}
