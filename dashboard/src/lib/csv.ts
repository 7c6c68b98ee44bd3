/** Comma-separated text (RFC 4180). */
export type Cell = string | number | undefined;

export function csv(header: readonly string[], rows: Iterable<readonly Cell[]>): string {
  const lines = [line(header)];
  for (const row of rows) lines.push(line(row));
  return `${lines.join("\r\n")}\r\n`;
}

function line(row: readonly Cell[]): string {
  return row.map(field).join(",");
}

function field(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell === "number") return String(cell);
  // A spreadsheet would run a name that begins like a formula.
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
