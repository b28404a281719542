// What the fragment of the page's address asks for, such as `#t=12.3&arm=candidate` or `#turn-4`.
import type { Arm } from "../report_data";
import type { Blind } from "./arms";

export interface Address {
  seconds: number | undefined;
  turn: number | undefined;
  arm: Arm | undefined;
  embedded: boolean;
  blind: Blind;
}

export function addressOf(fragment: string): Address {
  const text = fragment.replace(/^#/, "");
  const turn = /^turn-(\d{1,6})$/.exec(text)?.[1];
  const asked = new URLSearchParams(turn === undefined ? text : "");
  const t = asked.get("t") ?? "";
  const arm = asked.get("arm");
  const blind = asked.get("blind");
  return {
    seconds: /^\d{1,6}(\.\d{1,3})?$/.test(t) ? Number(t) : undefined,
    turn: turn === undefined ? undefined : Number(turn),
    arm: arm === "baseline" || arm === "candidate" ? arm : undefined,
    embedded: asked.get("embedded") === "1",
    blind: blind === "ab" || blind === "ba" ? blind : "",
  };
}
