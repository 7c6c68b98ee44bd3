/** Runs side by side: a row for each key, a column for each run. */
import { json } from "../lib/format";

export interface CompareRow {
  key: string;
  values: unknown[];
  /** Whether the runs differ in it. */
  differs: boolean;
  /** Places of the least and the greatest number; -1 where there are no two different ones. */
  least: number;
  greatest: number;
}

/** VALUES has one list for each run, with a value for each of KEYS. */
export function compareRows(keys: readonly string[], values: readonly (readonly unknown[])[]): CompareRow[] {
  return keys.map((key, place) => {
    const row = values.map((list) => list[place]);
    const texts = new Set(row.map((value) => JSON.stringify(value) ?? ""));
    return { key, values: row, differs: texts.size > 1, ...extremes(row) };
  });
}

function extremes(row: readonly unknown[]): { least: number; greatest: number } {
  let [least, greatest] = [-1, -1];
  row.forEach((value, place) => {
    if (typeof value !== "number" || Number.isNaN(value)) return;
    if (least < 0 || value < (row[least] as number)) least = place;
    if (greatest < 0 || value > (row[greatest] as number)) greatest = place;
  });
  return least >= 0 && row[least] !== row[greatest] ? { least, greatest } : { least: -1, greatest: -1 };
}

/** The same as text, for a file. */
export function compareCells(rows: readonly CompareRow[]): string[][] {
  return rows.map((row) => [
    row.key,
    ...row.values.map((value) => (typeof value === "number" ? String(value) : json(value))),
  ]);
}
