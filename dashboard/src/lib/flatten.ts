/** Nested JSON objects as flat rows: {a: {b: 1}} has the key "a.b". */

export type Flat = Map<string, unknown>;

/** The key of a run's config that belongs to Stepline itself. */
export const RESERVED = "_stepline";

/** The leaves of a JSON object by their dotted keys, in the order they stand. Arrays are leaves. */
export function flatten(data: unknown): Flat {
  const rows: Flat = new Map();
  walk(data, "", rows);
  return rows;
}

/** What a text says, or an empty object when it is no JSON object. */
export function parseObject(text: string): Record<string, unknown> {
  if (!text) return {};
  try {
    const data: unknown = JSON.parse(text);
    return isObject(data) ? data : {};
  } catch {
    return {};
  }
}

export function isObject(data: unknown): data is Record<string, unknown> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

function walk(data: unknown, prefix: string, rows: Flat): void {
  if (!isObject(data) || (prefix && Object.keys(data).length === 0)) {
    if (prefix) rows.set(prefix, data);
    return;
  }
  for (const [key, child] of Object.entries(data)) {
    if (!prefix && key === RESERVED) continue;
    walk(child, prefix ? `${prefix}.${key}` : key, rows);
  }
}
