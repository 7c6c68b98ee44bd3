/** Which colour a run has. It keeps it as long as the page is open, whatever is selected, sorted or filtered. */
import { type Ink, ink } from "../charts/palette";
import { dark } from "./theme";

export class Slots {
  private readonly taken = new Map<string, number>();

  /** The number of the colour of KEY: the one it has, or the lowest that none of AMONG (all, without) has. */
  of(key: string, among: Iterable<string> = this.taken.keys()): number {
    const known = this.taken.get(key);
    if (known !== undefined) return known;
    const used = new Set<number>();
    for (const other of among) {
      const slot = this.taken.get(other);
      if (slot !== undefined) used.add(slot);
    }
    let free = 0;
    while (used.has(free)) free += 1;
    this.taken.set(key, free);
    return free;
  }
}

const slots = new Slots();

/** Gives each of KEYS a colour, those that come first the lower ones. */
export function assign(keys: readonly string[]): void {
  for (const key of keys) slots.of(key, keys);
}

/** The ink of a run, a rank or a group on the ground that is chosen. */
export function inkOf(key: string): Ink {
  return ink(slots.of(key), dark.value);
}
