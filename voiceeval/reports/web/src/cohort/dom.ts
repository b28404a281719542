// What the page of a cohort puts together again and again.
import { el, type Child } from "../elements";

/** A text of the run, kept from turning the direction of what stands around it. */
export function bdi(text: string): HTMLElement {
  return el("bdi", {}, text);
}

/** An element that the page's shell must have. */
export function part<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

export function fill(target: HTMLElement, ...children: Child[]): void {
  target.replaceChildren(...children.filter((child) => child !== null && child !== false));
}

/** A table that scrolls sideways by itself, by keyboard too. */
export function scrolled(label: string, table: HTMLTableElement): HTMLElement {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}

export function headings(titles: Child[]): HTMLTableSectionElement {
  return el("thead", {}, el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title))));
}
