// The labels of one call: a card an arm, a row a question. One question is current; keys answer it.
import { el } from "../elements";
import { type Asked, type Label, NOT_GIVEN, QUESTIONS } from "./labels";

export interface Card {
  /** 0 baseline, 1 candidate. */
  arm: 0 | 1;
  title: string;
  placed: boolean;
  label: Label;
}

type Changed = (card: Card, change: Partial<Label>) => void;

export class Panel {
  private cards: Card[] = [];
  private current = 0;
  private rows: { card: Card; asked: Asked; row: HTMLElement; inputs: HTMLInputElement[] }[] = [];
  private notes: HTMLTextAreaElement[] = [];

  constructor(
    private readonly place: HTMLElement,
    private readonly longestNote: number,
    private readonly changed: Changed,
  ) {}

  show(cards: Card[]): void {
    this.cards = cards;
    this.rows = [];
    this.notes = [];
    this.place.replaceChildren(...cards.map((card, place) => this.card(card, place)));
    const open = this.rows.findIndex(({ card, asked }) => card.label[asked.key] === NOT_GIVEN);
    this.goTo(Math.max(open, 0));
  }

  /** Answer the current question by its key; false if no question takes that key. */
  answer(key: string): boolean {
    const at = this.rows[this.current];
    if (!at) return false;
    const option = at.asked.options.findIndex(([, each]) => each === key);
    const input = at.inputs[option];
    if (!input) return false;
    input.checked = true;
    this.give(at.card, at.asked, option);
    if (this.current + 1 < this.rows.length) this.goTo(this.current + 1);
    return true;
  }

  takeBack(): string {
    const at = this.rows[this.current];
    if (!at) return "";
    for (const input of at.inputs) input.checked = false;
    this.changed(at.card, { [at.asked.key]: NOT_GIVEN });
    return `${at.card.title}: ${at.asked.title}: taken back`;
  }

  step(steps: number): void {
    this.goTo(this.current + steps);
  }

  toArm(place: number): void {
    const first = this.rows.findIndex(({ card }) => card === this.cards[place]);
    if (first >= 0) this.goTo(first);
  }

  writeNote(): void {
    const card = this.rows[this.current]?.card;
    this.notes[Math.max(card ? this.cards.indexOf(card) : 0, 0)]?.focus();
  }

  /** The current question in words. */
  get asks(): string {
    const at = this.rows[this.current];
    return at ? `${at.card.title}: ${at.asked.title}` : "";
  }

  get keys(): string {
    return this.rows[this.current]?.asked.options.map(([value, key]) => `${key} = ${value}`).join(", ") ?? "";
  }

  /** What was said last of the question before the current one. */
  said(card: Card, change: Partial<Label>): string {
    const asked = QUESTIONS.find(({ key }) => key in change);
    return asked ? `${card.title}: ${asked.title}: ${change[asked.key]}` : `${card.title}: note kept`;
  }

  private goTo(place: number): void {
    this.rows[this.current]?.row.removeAttribute("data-current");
    this.current = Math.min(Math.max(place, 0), Math.max(this.rows.length - 1, 0));
    const row = this.rows[this.current]?.row;
    row?.setAttribute("data-current", "");
    row?.scrollIntoView({ block: "nearest" });
  }

  private give(card: Card, asked: Asked, option: number): void {
    this.changed(card, { [asked.key]: asked.options[option]![0] });
  }

  private card(card: Card, place: number): HTMLElement {
    const section = el("section", { class: "review-arm" });
    const heading = el("h3", {}, card.title);
    heading.id = `arm-${place}`;
    heading.append(" ", shortcut("ab"[place]!));
    section.setAttribute("aria-labelledby", heading.id);
    section.append(heading);
    if (!card.placed) {
      section.append(el("p", { class: "dim" }, "This call was not placed."));
      return section;
    }
    for (const asked of QUESTIONS) section.append(this.row(card, asked, place));
    section.append(this.note(card, place));
    return section;
  }

  private row(card: Card, asked: Asked, place: number): HTMLElement {
    const row = el("fieldset", { class: "review-row" });
    const legend = el("legend", {}, asked.title);
    legend.title = asked.hint;
    row.append(legend);
    const number = this.rows.length;
    const inputs = asked.options.map(([value, key], option) => {
      const input = document.createElement("input");
      input.type = "radio";
      input.name = `${asked.key}-${place}`;
      input.checked = card.label[asked.key] === value;
      input.setAttribute("aria-keyshortcuts", key);
      input.addEventListener("change", () => {
        this.goTo(number);
        this.give(card, asked, option);
      });
      const label = el("label", { class: "review-option" });
      const words = el("span", {}, String(value));
      words.append(" ", shortcut(key));
      label.append(input, words);
      row.append(label);
      return input;
    });
    this.rows.push({ card, asked, row, inputs });
    return row;
  }

  private note(card: Card, place: number): HTMLElement {
    const label = el("label", { class: "review-note" });
    const words = el("span", {}, "Note ");
    words.append(shortcut("m"));
    label.append(words);
    const note = document.createElement("textarea");
    note.rows = 1;
    note.maxLength = this.longestNote;
    note.value = card.label.note;
    note.id = `note-${place}`;
    // Half a character, which no file can hold, is no one's note.
    note.addEventListener("input", () => this.changed(card, { note: whole(note.value) }));
    label.append(note);
    this.notes.push(note);
    return label;
  }
}

function whole(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}

function shortcut(key: string): HTMLElement {
  return el("kbd", { "aria-hidden": "true" }, key);
}
