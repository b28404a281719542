// Keys of the call's page, and what they do; the page of reviews sends the same actions from outside.

export type Action =
  | "toggle" | "switch" | "first" | "second" | "back" | "forward" | "previous-turn" | "next-turn" | "slower" | "faster"
  | "help" | "pause";

const KEYS: Record<string, Action> = {
  " ": "toggle", s: "switch", "1": "first", "2": "second", ArrowLeft: "back", ArrowRight: "forward",
  "[": "previous-turn", "]": "next-turn", "-": "slower", "+": "faster", "=": "faster", "?": "help",
};
/** What the keys do, for the help; `first` and `second` are named by the player. */
export const HELP: [keys: string[], what: string][] = [
  [["Space"], "play or pause"],
  [["s"], "hear the other arm at the same moment"],
  [["←", "→"], "5 s back, 5 s on"],
  [["[", "]"], "previous turn, next turn"],
  [["-", "+"], "slower, faster"],
  [["?"], "show or hide this help"],
];

/** The element uses this key itself. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : document.body;
  if (target.closest("input:not([type=range],[type=checkbox]), textarea, select, [contenteditable], audio")) return true;
  if (event.key === " ") return !!target.closest("button, summary, a, input:not([type=range])");
  if (event.key.startsWith("Arrow")) return !!target.closest("input, pre, .scroll, .scroller, .lanes");
  return false;
}

/** Call `does` for keys that are the player's, and `other` for those that nobody uses. */
export function listen(does: (action: Action) => void, other: (event: KeyboardEvent) => void): void {
  document.addEventListener("click", (event) => {
    // A button that was clicked with a pointer keeps no keys: Space goes on being the player's.
    if (event.detail > 0 && event.target instanceof Element) event.target.closest<HTMLElement>("#player button")?.blur();
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    const action = KEYS[event.key];
    if (action) {
      event.preventDefault();
      does(action);
    } else if (!["Tab", "Shift", "Enter", " "].includes(event.key) && !event.key.startsWith("Arrow")) {
      other(event);
    }
  });
}
