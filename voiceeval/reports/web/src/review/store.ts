// Labels in the browser, under the run's digest: nothing leaves the machine before it is exported.
import { type ReviewData } from "./data";
import { type Label, placeOf, readLabel } from "./labels";

export interface Kept {
  reviewer: string;
  blind: boolean;
  /** By reviewer, then by arm and call. */
  labels: Map<string, Map<string, Label>>;
  /** By reviewer: ids of calls that were once shown with names. */
  seen: Map<string, Set<string>>;
  /** By reviewer: ids of calls that were put off. */
  skipped: Map<string, Set<string>>;
}

export class Store {
  readonly kept: Kept = { reviewer: "", blind: true, labels: new Map(), seen: new Map(), skipped: new Map() };
  /** Why nothing is kept beyond this page; empty while all is well. */
  trouble = "";
  /** Labels that neither the browser nor a file has. */
  unsaved = false;
  private readonly key: string;

  constructor(private readonly data: ReviewData) {
    this.key = `voiceeval.labels.${data.run}`;
    try {
      const text = localStorage.getItem(this.key);
      if (text !== null) this.read(text);
      localStorage.setItem(`${this.key}.probe`, "");
      localStorage.removeItem(`${this.key}.probe`);
    } catch {
      this.fail();
    }
  }

  labelsOf(reviewer = this.kept.reviewer): Map<string, Label> {
    return grown(this.kept.labels, reviewer, () => new Map());
  }

  seenBy(reviewer = this.kept.reviewer): Set<string> {
    return grown(this.kept.seen, reviewer, () => new Set());
  }

  skippedBy(reviewer = this.kept.reviewer): Set<string> {
    return grown(this.kept.skipped, reviewer, () => new Set());
  }

  save(changed: "labels" | "view" = "labels"): void {
    const { reviewer, blind, labels, seen, skipped } = this.kept;
    const text = JSON.stringify({
      version: 1,
      reviewer,
      blind,
      labels: [...labels].map(([name, given]) => [name, [...given.values()]]),
      seen: [...seen].map(([name, ids]) => [name, [...ids]]),
      skipped: [...skipped].map(([name, ids]) => [name, [...ids]]),
    });
    try {
      localStorage.setItem(this.key, text);
      this.trouble = "";
      this.unsaved = false;
    } catch {
      if (changed === "labels") this.unsaved = true;
      this.fail();
    }
  }

  /** Another page of the same run in this browser saved something; read it. */
  follow(event: StorageEvent): boolean {
    if (event.key !== this.key || event.newValue === null) return false;
    const { reviewer, blind } = this.kept;
    this.read(event.newValue);
    if (reviewer) Object.assign(this.kept, { reviewer, blind });
    return true;
  }

  private fail(): void {
    this.trouble = "This browser keeps nothing for this page: labels are lost when it is closed. Export them before you leave.";
  }

  private read(text: string): void {
    try {
      const found = JSON.parse(text) as Record<string, unknown>;
      if (found.version !== 1) throw new Error("another version");
      const lists = (name: string) => found[name] as [string, unknown[]][];
      const labels = lists("labels").map(([name, given]): [string, Map<string, Label>] => [
        name,
        new Map(given.map((each) => readLabel(each, "kept", this.data)).map((label) => [placeOf(label), label])),
      ]);
      this.kept.labels = new Map(labels);
      this.kept.seen = new Map(lists("seen").map(([name, ids]) => [name, new Set(ids as string[])]));
      this.kept.skipped = new Map(lists("skipped").map(([name, ids]) => [name, new Set(ids as string[])]));
      this.kept.reviewer = String(found.reviewer);
      this.kept.blind = found.blind !== false;
    } catch {
      // Nothing is thrown away: whoever knows how can still read it there.
      localStorage.setItem(`${this.key}.unread`, text);
      this.trouble = "What this browser kept of an earlier review could not be read; it was put aside, and nothing of it is shown.";
    }
  }
}

function grown<T>(map: Map<string, T>, key: string, make: () => T): T {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
