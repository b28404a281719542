// What the report gives the review: `data/review.js` sets `globalThis.voiceevalReview`. Every text is untrusted.

export interface Entry {
  id: string;
  slug: string;
  /** Scenario, caller, line and perhaps trial. */
  name: string[];
  /** Whether the call was placed, by arm. */
  placed: [baseline: boolean, candidate: boolean];
  why: { reason: string; told: string[] }[];
}

export interface ReviewData {
  schema_version: 1;
  run: string;
  arms: [baseline: string, candidate: string];
  planned: number;
  /** Every reason there is, in order. */
  reasons: string[];
  longest_name: number;
  longest_note: number;
  queue: Entry[];
  /** Calls outside the queue that a link may name. */
  others: Entry[];
}

export const RANDOM = "random sample";
export const CHOSEN = "chosen";

/** 32 bits that are the same for the same text everywhere: FNV-1a over UTF-16, then mixed as MurmurHash3 ends. */
export function drawn(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
