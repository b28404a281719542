// Elements made in one expression. Texts go in as text nodes only, so that nothing a run says is ever read as markup.

type Attributes = Record<string, string | number | boolean | undefined>;
export type Child = Node | string | false | null;

/** An element; `false` and `undefined` leave an attribute out, `false` and `null` a child. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== false) made.append(child);
  return made;
}

export function button(children: Child[], attributes: Attributes, act: () => void): HTMLButtonElement {
  const made = el("button", { type: "button", ...attributes }, ...children);
  made.addEventListener("click", act);
  return made;
}

export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? singular : plural}`;
}
