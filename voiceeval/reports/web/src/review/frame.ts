// The call's own page inside this one. Pages under file:// may not look into each other; they send messages.

const ACTIONS: Record<string, string> = {
  " ": "toggle",
  s: "switch",
  "1": "first",
  "2": "second",
  ArrowLeft: "back",
  ArrowRight: "forward",
  "[": "previous-turn",
  "]": "next-turn",
  "-": "slower",
  "+": "faster",
  "=": "faster",
  "?": "help",
};
const PATIENCE_MS = 6000;

export class Frame {
  private frame: HTMLIFrameElement | undefined;
  private waiting = 0;

  constructor(
    private readonly place: HTMLElement,
    private readonly told: HTMLElement,
    onKey: (key: string) => void,
  ) {
    window.addEventListener("message", (event) => {
      if (!this.frame || event.source !== this.frame.contentWindow) return;
      const message: unknown = event.data;
      if (typeof message !== "object" || message === null || !("voiceeval" in message)) return;
      if (message.voiceeval === "ready") this.show();
      else if (message.voiceeval === "key" && "key" in message) onKey(String(message.key));
    });
  }

  /** Show a call's page; `blind` hides its names and results, "ab" with the baseline as A. */
  open(slug: string, name: string, blind: "" | "ab" | "ba"): void {
    const src = `calls/${encodeURIComponent(slug)}.html#embedded=1${blind && `&blind=${blind}`}`;
    // What is heard goes on where only the labels beside it have changed.
    if (this.frame?.isConnected && this.frame.getAttribute("src") === src) return;
    window.clearTimeout(this.waiting);
    const frame = document.createElement("iframe");
    frame.title = name;
    // Keys that are pressed out here may start the sound in there.
    frame.allow = "autoplay";
    // A frame of its own for every call: another fragment alone would not load the page again.
    frame.src = src;
    this.told.textContent = "";
    if (blind) {
      // Nothing is seen before the page has said that it is ready, and so hides what it has to.
      frame.classList.add("waits");
      this.waiting = window.setTimeout(() => {
        this.told.textContent = "The call's page does not answer, so that it cannot be shown blind. Turn blind mode off to hear it.";
      }, PATIENCE_MS);
    }
    this.place.replaceChildren(frame);
    this.frame = frame;
  }

  /** Pass a key on to the player; false if it has no use for it. */
  press(key: string): boolean {
    const action = ACTIONS[key];
    if (action === undefined) return false;
    this.do(action);
    return true;
  }

  do(action: string): void {
    this.frame?.contentWindow?.postMessage({ voiceeval: "do", action }, "*");
  }

  private show(): void {
    window.clearTimeout(this.waiting);
    this.told.textContent = "";
    this.frame?.classList.remove("waits");
    this.frame?.setAttribute("data-ready", "");
  }
}
