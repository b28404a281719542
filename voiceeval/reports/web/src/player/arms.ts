// The two arms as the player shows them: in their order, under their names. Blind, the names are A and B.
import type { Arm, ArmData, CallData } from "../report_data";

export type Arms = { arm: Arm; name: string; label: string; data: ArmData }[];
/** `ab`: A is the baseline. Empty: not blind. */
export type Blind = "" | "ab" | "ba";

/** Both arms in the order in which they are shown. */
export function orderOf(blind: Blind): Arm[] {
  return blind === "ba" ? ["candidate", "baseline"] : ["baseline", "candidate"];
}

export function nameOf(arm: Arm, blind: Blind): string {
  return blind ? "AB".charAt(orderOf(blind).indexOf(arm)) : arm;
}

/** The arms whose calls were placed. */
export function armsOf(data: CallData, blind: Blind): Arms {
  return orderOf(blind).flatMap((arm) => {
    const own = data.arms[arm];
    return own ? [{ arm, name: nameOf(arm, blind), label: blind ? "" : own.label, data: blind ? unjudged(own) : own }] : [];
  });
}

/** What can be heard, without what was measured of it. */
function unjudged(own: ArmData): ArmData {
  return { ...own, stages: [], marks: own.marks.filter(({ kind }) => kind !== "early" && kind !== "end_of_turn") };
}

const ARM = /\b(baseline|candidate)\b/gi;

/** Take everything from the page that tells which arm is which, or how the call was judged. */
export function blindPage(blind: Blind): void {
  if (!blind) return;
  document.documentElement.dataset["blind"] = blind;
  for (const element of document.querySelectorAll<HTMLElement>("[data-arm-name]")) {
    element.textContent = nameOf(element.dataset["armName"] as Arm, blind);
  }
  for (const name of ["aria-label", "title"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const told = element.getAttribute(name) ?? "";
      element.setAttribute(name, told.replace(ARM, (arm) => nameOf(arm.toLowerCase() as Arm, blind)));
    }
  }
  for (const link of document.querySelectorAll<HTMLAnchorElement>("a.at[data-at-ms]")) {
    // Where a link leads is told when the pointer is over it.
    link.setAttribute("href", `#t=${(Number(link.dataset["atMs"]) / 1000).toFixed(3)}`);
  }
  if (blind === "ba") {
    for (const side of document.querySelectorAll('.side[data-arm="baseline"]')) {
      const other = side.parentElement?.querySelector(':scope > .side[data-arm="candidate"]');
      if (other) side.before(other);
    }
  }
}
