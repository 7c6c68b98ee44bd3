/** The kinds of hardware metrics: names that differ only in the number of a device belong together. */

/** Metrics of the hardware have a page of their own, and steps of their own: milliseconds since the epoch. */
export const SYSTEM = "system/";

export interface Kind {
  /** Such as "system/gpu/*\/utilization". */
  pattern: string;
  names: string[];
}

/** What people look at first. */
const FIRST = [
  "system/gpu/*/utilization",
  "system/gpu/*/memory_percent",
  "system/cpu/percent",
  "system/memory/percent",
];

export function kinds(names: readonly string[]): Kind[] {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const pattern = name.replace(/\/\d+(?=\/|$)/g, "/*");
    const list = found.get(pattern);
    if (list) list.push(name);
    else found.set(pattern, [name]);
  }
  const place = (pattern: string) => (FIRST.includes(pattern) ? FIRST.indexOf(pattern) : FIRST.length);
  return [...found]
    .map(([pattern, list]) => ({ pattern, names: list.sort(byNumber) }))
    .sort((a, b) => place(a.pattern) - place(b.pattern) || a.pattern.localeCompare(b.pattern));
}

/** "system/gpu/*\/utilization" as "gpu utilization". */
export function kindLabel(pattern: string): string {
  return pattern
    .slice(SYSTEM.length)
    .split("/")
    .filter((part) => part !== "*")
    .join(" ")
    .replaceAll("_", " ");
}

/** Which device of a node a name is about; empty for the node itself. */
export function device(name: string): string {
  const found = /\/([^/]+)\/(\d+)(?:\/|$)/.exec(name);
  return found ? `${found[1]} ${found[2]}` : "";
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
