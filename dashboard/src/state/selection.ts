/** Which runs charts show: those of the address, or the first ones of the list. */
import { computed } from "@preact/signals";
import { address, change } from "./address";

export const DEFAULT_RUNS = 10;
/** More lines than this nobody tells apart, and the service would read for long. */
export const MOST_RUNS = 100;

/** The ids in the address; empty when the view follows the list. */
export const chosen = computed<readonly string[]>(() => {
  const text = address.value.query.sel ?? "";
  return text.split(",").filter(Boolean).slice(0, MOST_RUNS);
});

export function choose(ids: readonly string[]): void {
  change({ sel: [...new Set(ids)].slice(0, MOST_RUNS).join(",") });
}

/** Adds ID to `shown`, or takes it away. */
export function toggle(id: string, shown: readonly string[]): void {
  choose(shown.includes(id) ? shown.filter((other) => other !== id) : [...shown, id]);
}
