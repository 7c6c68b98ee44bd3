/** Keys of the keyboard. Pages and dialogs add theirs while they are on the screen; `?` lists them. */
import { useEffect } from "preact/hooks";

export interface Shortcut {
  /** What KeyboardEvent.key says; several words for keys pressed one after the other: "g r". */
  keys: string;
  what: string;
  run(): void;
}

const active: Shortcut[][] = [];
let pending = "";
let pendingUntil = 0;

/** All that work now, the latest first. */
export function shortcuts(): Shortcut[] {
  return active.toReversed().flat();
}

export function useShortcuts(own: Shortcut[]): void {
  useEffect(() => {
    active.push(own);
    return () => {
      active.splice(active.indexOf(own), 1);
    };
  });
}

window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (
    target instanceof HTMLElement &&
    target.matches("input:not([type=checkbox]):not([type=range]), textarea, select")
  ) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const now = performance.now();
  const typed = pending && now < pendingUntil ? `${pending} ${event.key}` : event.key;
  const known = shortcuts();
  const found = known.find((one) => one.keys === typed) ?? known.find((one) => one.keys === event.key);
  pending = "";
  if (found) {
    event.preventDefault();
    found.run();
  } else if (known.some((one) => one.keys.startsWith(`${event.key} `))) {
    pending = event.key;
    pendingUntil = now + 1000;
  }
});
