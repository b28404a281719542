// The page of the review: calls worth hearing, one after the other, and a person's word on each.
import "./review.css";
import { ARMS } from "./report_data";
import { counted, el } from "./elements";
import { type Entry, type ReviewData } from "./review/data";
import { Frame } from "./review/frame";
import { WrongFile, emptyLabel, fileName, isName, merge, placeOf, readFile, saysNothing } from "./review/labels";
import type { Label, LabelFile, Met } from "./review/labels";
import { type Card, Panel } from "./review/panel";
import { ALL, Queue, UNLABELLED } from "./review/queue";
import { Store } from "./review/store";

declare global {
  // eslint-disable-next-line no-var
  var voiceevalReview: ReviewData | undefined;
}

const MOST_TOLD = 20;
const LONGEST_TITLE = 60;

class Review {
  private readonly store: Store;
  private readonly queue: Queue;
  private readonly frame: Frame;
  private readonly panel: Panel;
  private entry: Entry | undefined;
  private byPointer = false;

  constructor(private readonly data: ReviewData) {
    this.store = new Store(data);
    this.queue = new Queue(data, this.store);
    this.frame = new Frame(at("frame"), at("frame-told"), (key) => this.press(key, null));
    this.panel = new Panel(at("arms"), data.longest_note, (card, change) => this.label(card, change));
    this.listen();
    for (const id of ["tools", "desk"]) at(id).hidden = false;
    this.enter();
    if (!this.store.kept.reviewer) this.ask();
  }

  private get me(): string {
    return this.store.kept.reviewer;
  }

  private get blind(): boolean {
    return this.store.kept.blind;
  }

  // --- what is shown

  /** Go to the call that the address names, or to the first one that has no labels. */
  private enter(): void {
    const slug = new URLSearchParams(location.hash.slice(1)).get("call");
    const found = slug === null ? undefined : this.queue.find(slug);
    if (slug !== null && !found) this.say("The call of this link is not in this run.");
    this.show(found ?? this.queue.nextUnlabelled(undefined) ?? this.queue.shown()[0]);
  }

  private show(entry: Entry | undefined, again = false): void {
    const same = entry === this.entry && !again;
    this.entry = entry;
    this.head();
    if (same) return;
    at("call-name").textContent = entry ? entry.name.join(" · ") : "No call is here";
    at("call-why").replaceChildren(...(entry && !this.blind ? this.why(entry) : []));
    at("call-why").hidden = this.blind || !entry;
    if (!entry) {
      at("frame").replaceChildren();
      this.panel.show([]);
      return;
    }
    const order = this.queue.armsOf(entry);
    this.frame.open(entry.slug, `The call: ${entry.name.join(", ")}`, this.blind ? (order[0] ? "ba" : "ab") : "");
    if (!this.blind && this.me && !this.store.seenBy().has(entry.id)) {
      this.store.seenBy().add(entry.id);
      this.store.save("view");
    }
    this.panel.show(order.map((arm, place) => this.card(entry, arm, place)));
    const known = this.blind && this.store.seenBy().has(entry.id);
    this.say(known ? "You have seen this call with names: its labels do not count as blind." : "");
    const fragment = `#${new URLSearchParams({ call: entry.slug })}`;
    if (location.hash !== fragment) location.hash = fragment;
  }

  private why(entry: Entry): HTMLElement[] {
    if (!entry.why.length) return [el("li", {}, "chosen by a link; it is not in the queue")];
    return entry.why.map(({ reason, told }) => el("li", {}, [reason, told.join("; ")].filter(Boolean).join(": ")));
  }

  private card(entry: Entry, arm: 0 | 1, place: number): Card {
    const name = ARMS[arm]!;
    return {
      arm,
      title: this.blind ? "AB"[place]! : `${name} · ${shortened(this.data.arms[arm])}`,
      placed: entry.placed[arm],
      label: this.store.labelsOf().get(placeOf({ call: entry.id, arm: name })) ?? emptyLabel(entry.id, name, []),
    };
  }

  /** Progress, filter and switches: whatever a label can change. */
  private head(): void {
    const shown = this.queue.shown();
    const place = this.entry ? shown.indexOf(this.entry) + 1 : 0;
    const all = this.data.queue;
    const done = all.filter((entry) => this.queue.isDone(entry)).length;
    const parts = this.queue.counts().map(({ reason, done: some, of }) => `${reason} ${some}/${of}`);
    at("progress").textContent = [
      place ? `Call ${place} of ${shown.length}` : `${shown.length} calls`,
      `${done} of ${all.length} labelled`,
      ...parts,
    ].join(" · ");
    this.filters();
    at("blind").setAttribute("aria-checked", String(this.blind));
    at("blind-state").textContent = this.blind ? "on" : "off";
    at("who-name").textContent = this.me || "nobody yet";
    at("trouble").hidden = !this.store.trouble;
    at("trouble").textContent = this.store.trouble;
    document.documentElement.toggleAttribute("data-is-blind", this.blind);
    at("skip").setAttribute("aria-pressed", String(!!this.entry && this.store.skippedBy().has(this.entry.id)));
  }

  private filters(): void {
    const select = at("reason") as HTMLSelectElement;
    const open = this.data.queue.filter((entry) => !this.queue.isDone(entry)).length;
    const options: [string, string][] = [
      [ALL, `all ${this.data.queue.length} calls`],
      [UNLABELLED, `unlabelled (${open})`],
      ...this.queue.counts().map(({ reason, of }): [string, string] => [reason, `${reason} (${of})`]),
    ];
    if (!options.some(([value]) => value === this.queue.filter)) this.queue.filter = ALL;
    select.replaceChildren(
      ...options.map(([value, text]) => {
        const option = el("option", {}, text);
        option.value = value;
        option.selected = value === this.queue.filter;
        return option;
      }),
    );
  }

  private say(text: string): void {
    at("status").textContent = text;
  }

  // --- labels

  private label(card: Card, change: Partial<Label>): void {
    const entry = this.entry;
    if (!entry) return;
    if (!this.me) {
      this.ask();
      this.panel.show(this.queue.armsOf(entry).map((arm, place) => this.card(entry, arm, place)));
      return;
    }
    const labels = this.store.labelsOf();
    const before = labels.get(placeOf(card.label));
    const label: Label = {
      ...card.label,
      ...change,
      blind: this.blind && !this.store.seenBy().has(entry.id),
      why: this.queue.reasonsOf(entry),
      // Later than before even where the clock was set back: the newest word counts.
      at: new Date(Math.max(Date.now(), before ? Date.parse(before.at) + 1 : 0)).toISOString(),
    };
    card.label = label;
    // An emptied label stays, so that the emptying reaches whoever imported it before.
    if (saysNothing(label) && !before) return;
    labels.set(placeOf(label), label);
    this.store.skippedBy().delete(entry.id);
    this.store.save();
    this.head();
    const complete = this.queue.isDone(entry) ? " This call is labelled." : "";
    this.say(`${this.panel.said(card, change)}.${complete}`);
  }

  private skip(): void {
    if (!this.entry) return;
    const skipped = this.store.skippedBy();
    skipped.add(this.entry.id);
    this.store.save("view");
    const from = this.entry;
    const next = this.queue.step(from, 1);
    this.show(next === from ? this.queue.nextUnlabelled(from) ?? from : next);
    this.say("Put off: it comes again after the other unlabelled calls.");
  }

  private nextUnlabelled(): void {
    const next = this.queue.nextUnlabelled(this.entry);
    if (next) this.show(next);
    else this.say(this.entry && !this.queue.isDone(this.entry) ? "This is the last unlabelled call." : "Every call here is labelled.");
  }

  private move(steps: number): void {
    const next = this.queue.step(this.entry, steps);
    if (next && next !== this.entry) this.show(next);
    else this.say(steps > 0 ? "This is the last call." : "This is the first call.");
  }

  private turnBlind(): void {
    this.store.kept.blind = !this.blind;
    this.store.save("view");
    this.show(this.entry, true);
    at("call-why").hidden = this.blind;
  }

  // --- files

  private export(): void {
    if (!this.me) {
      this.ask();
      return;
    }
    const labels = [...this.store.labelsOf().values()].sort((one, other) => (placeOf(one) < placeOf(other) ? -1 : 1));
    const file: LabelFile = { schema_version: 1, run: this.data.run, reviewer: this.me, labels };
    const url = URL.createObjectURL(new Blob([`${JSON.stringify(file, null, 1)}\n`], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = fileName(this.data.run, this.me);
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    this.store.unsaved = false;
    this.say(`${counted(labels.length, "label")} exported as ${link.download}.`);
  }

  private async import(file: File): Promise<void> {
    let found: LabelFile;
    try {
      found = readFile(await file.text(), this.data);
    } catch (failure) {
      if (!(failure instanceof WrongFile)) throw failure;
      this.imported(`${file.name} was not imported: ${failure.message}.`, []);
      return;
    }
    const met = merge(this.store.labelsOf(found.reviewer), found.labels);
    if (!this.me) this.store.kept.reviewer = found.reviewer;
    this.store.save();
    this.show(this.entry, true);
    this.tell(file.name, found, met);
  }

  private tell(name: string, found: LabelFile, met: Met): void {
    const kept = `${met.added} new, ${met.replaced} newer than what was here, ${met.outdated} older and left out`;
    const same = found.labels.length - met.added - met.replaced - met.outdated;
    const whose = found.reviewer === this.me ? "yours" : `those of ${found.reviewer}, kept apart from yours`;
    const lines = met.conflicts.map(({ kept: one, dropped }) => {
      const arm = this.blind ? "" : `, ${one.arm}`;
      return `${one.call}${arm}: ${inWords(one)} of ${clock(one.at)} stands over ${inWords(dropped)} of ${clock(dropped.at)}`;
    });
    this.imported(`${name}: ${counted(found.labels.length, "label")}, ${whose}: ${kept}, ${same} alike.`, lines);
  }

  private imported(text: string, lines: string[]): void {
    const list = el("ul");
    list.append(...lines.slice(0, MOST_TOLD).map((line) => el("li", {}, line)));
    if (lines.length > MOST_TOLD) list.append(el("li", {}, `and ${lines.length - MOST_TOLD} more`));
    at("imported-told").replaceChildren(el("p", {}, text), ...(lines.length ? [list] : []));
    at("imported").hidden = false;
    at("imported-close").focus();
  }

  private askToClear(): void {
    const count = this.store.labelsOf().size;
    at("clear-told").textContent = count
      ? `${counted(count, "label")} of ${this.me} on this run will be gone from this browser. Files that were exported stay.`
      : "There are none of yours.";
    at("clear-yes").hidden = !count;
    dialog("clear-dialog").showModal();
  }

  private clear(): void {
    this.store.labelsOf().clear();
    this.store.skippedBy().clear();
    this.store.save();
    dialog("clear-dialog").close();
    this.show(this.entry, true);
    this.say("Your labels are cleared.");
  }

  // --- the reviewer

  private ask(): void {
    const input = at("who-input") as HTMLInputElement;
    input.value = this.me;
    (at("who-blind") as HTMLInputElement).checked = this.blind;
    if (!dialog("who-dialog").open) dialog("who-dialog").showModal();
    input.focus();
  }

  private start(): void {
    const input = at("who-input") as HTMLInputElement;
    const name = input.value.trim().normalize("NFC");
    const allowed = isName(name, this.data.longest_name);
    input.setCustomValidity(allowed ? "" : `Write a name of at most ${this.data.longest_name} visible characters.`);
    if (!input.reportValidity()) return;
    const isNew = name !== this.me;
    this.store.kept.reviewer = name;
    this.store.kept.blind = (at("who-blind") as HTMLInputElement).checked;
    this.store.save("view");
    dialog("who-dialog").close();
    const linked = new URLSearchParams(location.hash.slice(1)).has("call") && this.arrivedByLink;
    if (isNew && !linked) this.show(this.queue.nextUnlabelled(undefined) ?? this.entry, true);
    else this.show(this.entry, true);
    at("say").focus({ preventScroll: true });
  }

  private readonly arrivedByLink = new URLSearchParams(location.hash.slice(1)).has("call");

  // --- events

  private listen(): void {
    const doing: Record<string, () => void> = {
      blind: () => this.turnBlind(),
      who: () => this.ask(),
      export: () => this.export(),
      import: () => at("import-file").click(),
      clear: () => this.askToClear(),
      help: () => dialog("help-dialog").showModal(),
      back: () => this.move(-1),
      on: () => this.move(1),
      skip: () => this.skip(),
      empty: () => this.nextUnlabelled(),
      "clear-no": () => dialog("clear-dialog").close(),
      "clear-yes": () => this.clear(),
      "help-close": () => dialog("help-dialog").close(),
      "imported-close": () => (at("imported").hidden = true),
    };
    for (const [id, act] of Object.entries(doing)) {
      at(id).addEventListener("click", (event) => {
        act();
        // What was clicked keeps no keys: Space is the player's.
        if (event.detail > 0) (event.currentTarget as HTMLElement).blur();
      });
    }
    at("who-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    at("who-input").addEventListener("input", () => (at("who-input") as HTMLInputElement).setCustomValidity(""));
    const select = at("reason") as HTMLSelectElement;
    select.addEventListener("change", () => this.choose(select.value));
    const file = at("import-file") as HTMLInputElement;
    file.addEventListener("change", () => {
      const given = file.files?.[0];
      if (given) void this.import(given);
      file.value = "";
    });
    this.listenToTheWindow();
  }

  private listenToTheWindow(): void {
    document.addEventListener("pointerdown", () => (this.byPointer = true), true);
    document.addEventListener("keydown", (event) => this.keydown(event));
    // After a click the arrows belong to the player again; whoever goes by Tab keeps them for the options.
    document.addEventListener("change", (event) => {
      if (this.byPointer && event.target instanceof HTMLInputElement && event.target.type === "radio") event.target.blur();
    });
    window.addEventListener("hashchange", () => {
      const slug = new URLSearchParams(location.hash.slice(1)).get("call");
      if (slug !== null && slug !== this.entry?.slug) this.enter();
    });
    window.addEventListener("storage", (event) => {
      if (this.store.follow(event)) this.show(this.entry, true);
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.store.unsaved) event.preventDefault();
    });
  }

  private choose(reason: string): void {
    this.queue.filter = reason;
    const shown = this.queue.shown();
    if (this.entry && shown.includes(this.entry)) this.head();
    else this.show(this.queue.nextUnlabelled(undefined) ?? shown[0]);
    at("reason").blur();
    this.say(`${counted(shown.length, "call")} shown.`);
  }

  private keydown(event: KeyboardEvent): void {
    this.byPointer = false;
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || document.querySelector("dialog[open]")) return;
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (target?.matches("textarea, input:not([type=radio])")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (this.press(event.key, target)) event.preventDefault();
  }

  /** What a key does, here or in the player; false if nothing. `target`: what has the focus in this page. */
  private press(key: string, target: HTMLElement | null): boolean {
    if (target?.matches("select")) return false;
    if (key.length > 1 || !/[a-z]/i.test(key) || key.toLowerCase() === "s") {
      // Where the focus is on something that these keys work themselves, they are left to it.
      const own = target?.matches("input[type=radio]") ? / |Arrow/ : target?.closest("button, a, summary, [tabindex='0']") ? / / : /^$/;
      return !own.test(key) && this.frame.press(key.length === 1 ? key.toLowerCase() : key);
    }
    return this.letter(key.toLowerCase());
  }

  private letter(key: string): boolean {
    if ("ynudfghj".includes(key)) {
      if (!this.panel.answer(key)) this.say(`${this.panel.asks}: ${this.panel.keys}`);
      return true;
    }
    const doing: Record<string, () => void> = {
      k: () => (this.panel.step(-1), this.say(`${this.panel.asks}: ${this.panel.keys}`)),
      l: () => (this.panel.step(1), this.say(`${this.panel.asks}: ${this.panel.keys}`)),
      a: () => (this.panel.toArm(0), this.say(`${this.panel.asks}: ${this.panel.keys}`)),
      b: () => (this.panel.toArm(1), this.say(`${this.panel.asks}: ${this.panel.keys}`)),
      x: () => this.say(this.panel.takeBack()),
      m: () => (this.frame.do("pause"), this.panel.writeNote()),
      o: () => this.move(1),
      i: () => this.move(-1),
      e: () => this.nextUnlabelled(),
      z: () => this.skip(),
      w: () => this.turnBlind(),
      r: () => at("reason").focus(),
      t: () => this.export(),
      q: () => dialog("help-dialog").showModal(),
    };
    const act = doing[key];
    act?.();
    return act !== undefined;
  }
}

function at(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

function dialog(id: string): HTMLDialogElement {
  return at(id) as HTMLDialogElement;
}

/** A long name would push the questions out of sight. */
function shortened(text: string): string {
  return text.length > LONGEST_TITLE ? `${text.slice(0, LONGEST_TITLE)}…` : text;
}

function inWords(label: Label): string {
  return `task ${label.task_done}, tools ${label.tools_right}, tone ${label.tone}, clarity ${label.clarity}${label.note ? ", a note" : ""}`;
}

function clock(time: string): string {
  return new Date(time).toISOString().slice(0, 16).replace("T", " ");
}

if (globalThis.voiceevalReview) new Review(globalThis.voiceevalReview);
else document.getElementById("progress")!.textContent = "data/review.js is missing: the report is not whole.";
