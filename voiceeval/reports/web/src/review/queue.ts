// Which calls are shown, in which order, and how far the reviewer has come.
import { ARMS } from "../report_data";
import { CHOSEN, type Entry, RANDOM, type ReviewData, drawn } from "./data";
import { isComplete, placeOf } from "./labels";
import type { Store } from "./store";

export const ALL = "";
export const UNLABELLED = "unlabelled";

export class Queue {
  filter = ALL;
  private readonly bySlug: Map<string, Entry>;
  private mixed: { salt: string; order: Entry[] } = { salt: "", order: [] };

  constructor(
    private readonly data: ReviewData,
    private readonly store: Store,
  ) {
    this.bySlug = new Map([...data.others, ...data.queue].map((entry) => [entry.slug, entry]));
  }

  find(slug: string): Entry | undefined {
    return this.bySlug.get(slug);
  }

  /** In blind mode the order is the reviewer's own: the first calls would otherwise be those that fail. */
  get order(): Entry[] {
    if (!this.store.kept.blind) return this.data.queue;
    const salt = `${this.data.run} ${this.store.kept.reviewer} order `;
    if (this.mixed.salt !== salt) {
      const at = new Map(this.data.queue.map((entry) => [entry, drawn(salt + entry.id)]));
      const order = [...this.data.queue].sort((one, other) => at.get(one)! - at.get(other)! || (one.id < other.id ? -1 : 1));
      this.mixed = { salt, order };
    }
    return this.mixed.order;
  }

  shown(): Entry[] {
    if (this.filter === ALL) return this.order;
    if (this.filter === UNLABELLED) return this.order.filter((entry) => !this.isDone(entry));
    return this.order.filter((entry) => entry.why.some(({ reason }) => reason === this.filter));
  }

  /** Both arms of it that were placed have their answers. */
  isDone(entry: Entry): boolean {
    const labels = this.store.labelsOf();
    return ARMS.every((arm, place) => !entry.placed[place] || isComplete(labels.get(placeOf({ call: entry.id, arm }))));
  }

  /** The call `steps` further in what is shown; the same one at either end. */
  step(from: Entry | undefined, steps: number): Entry | undefined {
    const shown = this.shown();
    const place = from ? shown.indexOf(from) : -1;
    if (place < 0) {
      // It has just left what is shown: go on from where it was.
      const after = from ? this.order.slice(this.order.indexOf(from) + 1).find((each) => shown.includes(each)) : undefined;
      return after ?? shown[0];
    }
    return shown[Math.min(Math.max(place + steps, 0), shown.length - 1)];
  }

  /** The next call without answers, after `from` and then from the start; put-off ones last. */
  nextUnlabelled(from: Entry | undefined): Entry | undefined {
    const order = this.filter === UNLABELLED ? this.order : this.shown();
    const place = from ? order.indexOf(from) + 1 : 0;
    const open = [...order.slice(place), ...order.slice(0, place)].filter((entry) => entry !== from && !this.isDone(entry));
    const skipped = this.store.skippedBy();
    return open.find((entry) => !skipped.has(entry.id)) ?? open[0];
  }

  /** Reasons that calls are there for, with how many of them are labelled. */
  counts(): { reason: string; done: number; of: number }[] {
    return this.data.reasons
      .filter((reason) => !this.store.kept.blind || reason === RANDOM)
      .map((reason) => {
        const there = this.data.queue.filter((entry) => entry.why.some((why) => why.reason === reason));
        return { reason, done: there.filter((entry) => this.isDone(entry)).length, of: there.length };
      })
      .filter(({ of }) => of > 0);
  }

  reasonsOf(entry: Entry): string[] {
    return entry.why.length ? entry.why.map(({ reason }) => reason) : [CHOSEN];
  }

  /** Baseline first, except in blind mode: there a draw of the run, the call and the reviewer decides. */
  armsOf(entry: Entry): [first: 0 | 1, second: 0 | 1] {
    if (!this.store.kept.blind) return [0, 1];
    return drawn(`${this.data.run} ${this.store.kept.reviewer} arms ${entry.slug}`) & 1 ? [1, 0] : [0, 1];
  }
}
