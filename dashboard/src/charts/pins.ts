/** Panels that stand before all others. The address knows them. */
import { computed } from "@preact/signals";
import { address, change } from "../state/address";

const MOST = 24;

export const pinned = computed<readonly string[]>(() => {
  try {
    const names: unknown = JSON.parse(address.value.query.pin || "[]");
    return Array.isArray(names) ? names.filter((name) => typeof name === "string").slice(0, MOST) : [];
  } catch {
    return [];
  }
});

export function togglePin(metric: string): void {
  const before = pinned.peek();
  const names = before.includes(metric) ? before.filter((name) => name !== metric) : [...before, metric];
  // Names may have commas.
  change({ pin: names.length ? JSON.stringify(names) : undefined });
}
