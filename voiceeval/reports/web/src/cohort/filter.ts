// Which calls a view keeps. One pass over the columns counts every facet as well: a value's count is of the
// calls that all other filters keep, so that it tells what choosing it would show.
import { callId, type Model } from "./model";
import type { View } from "./view";

export interface Kept {
  /** Failed calls first. */
  rows: Int32Array;
  /** By facet key: calls of every value; of those without one last. */
  counts: Map<string, Int32Array>;
  /** Row numbers, as flags. */
  has: Uint8Array;
}

export class Filter {
  readonly #model: Model;
  #ids: string[] | null = null;

  constructor(model: Model) {
    this.#model = model;
  }

  /** The texts that a search looks through; made before the first one, it does not wait for them. */
  makeReady(): string[] {
    return (this.#ids ??= this.#model.data.slugs.map((slug, row) => `${callId(this.#model, row)}\n${slug}`.toLowerCase()));
  }

  keep(view: View): Kept {
    const { facets, order, data } = this.#model;
    const wanted = facets.map(({ key }) => view.chosen.get(key) ?? null);
    const tests = wanted.flatMap((value, at) => (value === null ? [] : [{ at, value }]));
    const counts = facets.map(({ values }) => new Int32Array(values.length + 1));
    const passes = this.#passes(view);
    const rows = new Int32Array(data.count);
    const has = new Uint8Array(data.count);
    let size = 0;
    for (const row of order) {
      if (passes && !passes[row]) continue;
      let failed = 0;
      let only = -1;
      for (const { at, value } of tests) {
        if (facets[at]!.codes[row] === value) continue;
        only = at;
        if (++failed > 1) break;
      }
      if (failed > 1) continue;
      if (failed === 0) {
        rows[size++] = row;
        has[row] = 1;
        for (let at = 0; at < facets.length; at++) tally(counts[at]!, facets[at]!.codes[row]!);
      } else tally(counts[only]!, facets[only]!.codes[row]!);
    }
    return { rows: rows.subarray(0, size), has, counts: new Map(facets.map(({ key }, at) => [key, counts[at]!])) };
  }

  /** Flags of the rows that search, word and tool let through; null where nothing of these is asked for. */
  #passes(view: View): Uint8Array | null {
    const { data } = this.#model;
    const flags: Uint8Array[] = [];
    for (const term of view.q.toLowerCase().split(/\s+/).filter(Boolean)) flags.push(this.#found(term));
    if (view.word) flags.push(this.#misheard(view.word));
    if (view.tool) flags.push(this.#called(view.tool));
    if (!flags.length) return null;
    const all = new Uint8Array(data.count).fill(1);
    for (const one of flags) for (let row = 0; row < all.length; row++) all[row]! &= one[row]!;
    return all;
  }

  /** Ids, pages and every value of a tag: `welsh`, `accent=welsh`, `banking.block-card/welsh-3`. */
  #found(term: string): Uint8Array {
    const { data, facets } = this.#model;
    const flags = new Uint8Array(data.count);
    const ids = this.makeReady();
    for (let row = 0; row < flags.length; row++) if (ids[row]!.includes(term)) flags[row] = 1;
    const columns = [...facets.map(({ title, values, codes }) => ({ title, values, codes })), { title: "speaker", ...data.speaker }];
    for (const { title, values, codes } of columns) {
      const held = values.map((value) => matches(title, value, term));
      if (!held.includes(true)) continue;
      for (let row = 0; row < flags.length; row++) if (held[codes[row]!]) flags[row] = 1;
    }
    return flags;
  }

  #misheard({ type, said, heard }: { type: string; said: string; heard: string }): Uint8Array {
    const { words, count } = this.#model.data;
    const flags = new Uint8Array(count);
    const wanted = [words.types.indexOf(type), words.texts.indexOf(said), words.texts.indexOf(heard)];
    for (const found of words.found)
      for (const [row, ofType, from, to] of found)
        if (ofType === wanted[0] && from === wanted[1] && to === wanted[2]) flags[row] = 1;
    return flags;
  }

  #called({ due, called }: { due: string; called: string }): Uint8Array {
    const { tools, count } = this.#model.data;
    const flags = new Uint8Array(count);
    const wanted = [tools.names.indexOf(due), tools.names.indexOf(called)];
    for (const found of tools.calls)
      for (const [row, from, to] of found) if (from === wanted[0] && to === wanted[1]) flags[row] = 1;
    return flags;
  }
}

/** A term is looked for in the value, and with its `=` in the pair: the name alone would match every call. */
function matches(title: string, value: string, term: string): boolean {
  return value.toLowerCase().includes(term) || (term.includes("=") && `${title}=${value}`.toLowerCase().includes(term));
}

function tally(counts: Int32Array, code: number): void {
  const at = code < 0 ? counts.length - 1 : code;
  counts[at] = counts[at]! + 1;
}
