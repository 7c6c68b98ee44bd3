/** Pieces of the filter language, as the service reads it. */

/** A text in quotes. */
export function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** The runs with these ids. */
export function byIds(ids: readonly string[]): string {
  return ids.map((id) => `id = ${quoted(id)}`).join(" or ");
}

/** Both conditions; either may be empty. */
export function both(a: string, b: string): string {
  const [left, right] = [a.trim(), b.trim()];
  return left && right ? `(${left}) and (${right})` : left || right;
}
