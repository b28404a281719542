// Elements from parts. Texts go in as text nodes only, so that nothing a run says is ever read as markup.

type Attributes = Partial<
  Record<
    | "class" | "type" | "scope" | "href" | "value" | "id" | "for" | "role" | "title" | "colspan" | "lang" | "name"
    | "aria-label" | "aria-sort" | "aria-disabled" | "aria-pressed" | "aria-hidden" | "aria-describedby" | "tabindex",
    string
  >
>;
export type Child = Node | string | false | null;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const child of children) if (child !== null && child !== false) made.append(child);
  return made;
}

/** A text of the run, kept from turning the direction of what stands around it. */
export function bdi(text: string): HTMLElement {
  return el("bdi", {}, text);
}

export function button(children: Child[], attributes: Attributes, act: () => void): HTMLButtonElement {
  const made = el("button", { type: "button", ...attributes }, ...children);
  made.addEventListener("click", act);
  return made;
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
