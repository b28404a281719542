// The clock that both arms play by. To wavesurfer.js it is a media element: the waveforms follow it and seek with it.

const TICK_MS = 20;
const TOLD_EVERY_MS = 200;

/**
 * Time that passes at a rate while it plays. `hold` stops it while the sound that is listened to is not there yet.
 *
 * Of HTMLMediaElement it has what wavesurfer's `Player` touches; there is no file behind it, so `src` is empty.
 * Besides the events of a media element it sends `tick`, many times a second, while it plays.
 */
export class Transport extends EventTarget {
  readonly readyState = HTMLMediaElement.HAVE_ENOUGH_DATA;
  readonly error = null;
  readonly seeking = false;
  readonly src = "";
  readonly currentSrc = "";
  paused = true;
  preservesPitch = true;
  #at = 0;
  #since = 0;
  #held = false;
  #rate = 1;
  #volume = 1;
  #muted = false;
  #timer = 0;
  #told = 0;

  constructor(readonly duration: number) {
    super();
  }

  get currentTime(): number {
    const passed = this.paused || this.#held ? 0 : ((performance.now() - this.#since) / 1000) * this.#rate;
    return Math.min(this.duration, this.#at + passed);
  }

  set currentTime(seconds: number) {
    this.#settle(Math.max(0, Math.min(this.duration, seconds)));
    for (const name of ["seeking", "timeupdate", "seeked"]) this.#send(name);
  }

  get ended(): boolean {
    return this.currentTime >= this.duration;
  }

  get held(): boolean {
    return this.#held;
  }

  get playbackRate(): number {
    return this.#rate;
  }

  set playbackRate(rate: number) {
    this.#settle();
    this.#rate = rate;
    this.#send("ratechange");
  }

  get volume(): number {
    return this.#volume;
  }

  set volume(share: number) {
    this.#volume = share;
    this.#send("volumechange");
  }

  get muted(): boolean {
    return this.#muted;
  }

  set muted(muted: boolean) {
    this.#muted = muted;
    this.#send("volumechange");
  }

  async play(): Promise<void> {
    if (!this.paused) return;
    if (this.ended) this.currentTime = 0;
    this.#settle(this.#at);
    this.paused = false;
    this.#timer = window.setInterval(() => this.#tick(), TICK_MS);
    this.#send("play");
    this.#tick();
  }

  pause(): void {
    if (this.paused) return;
    this.#settle();
    this.paused = true;
    this.#held = false;
    window.clearInterval(this.#timer);
    this.#send("timeupdate");
    this.#send("pause");
  }

  /** Let no time pass until told otherwise. */
  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#settle();
    this.#held = held;
    this.#send(held ? "waiting" : "playing");
  }

  load(): void {}
  remove(): void {}
  removeAttribute(): void {}
  canPlayType(): string {
    return "";
  }

  #tick(): void {
    if (this.ended) {
      this.pause();
      this.#send("ended");
      return;
    }
    this.#send("tick");
    const now = performance.now();
    if (now - this.#told < TOLD_EVERY_MS) return;
    this.#told = now;
    this.#send("timeupdate");
  }

  /** Count on from here. */
  #settle(at = this.currentTime): void {
    this.#at = at;
    this.#since = performance.now();
  }

  #send(name: string): void {
    this.dispatchEvent(new Event(name));
  }
}
