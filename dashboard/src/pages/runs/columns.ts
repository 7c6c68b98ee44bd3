/** The columns of the table of runs. */
import type { RunKey } from "../../gen/stepline/v1/catalogue_pb";

/** Columns that every run has, by the field that the service sorts and filters by. */
export const FIXED = [
  ...(["state", "created", "updated", "duration", "user", "host", "tags"] as const),
  ...(["group", "job_type", "attempts", "notes", "id"] as const),
];
const UNSORTABLE = new Set<string>(["tags", "notes"]);
/** They come as values, like keys of a config. */
const ASKED_FOR = new Set<string>(["user"]);
const WIDTHS: Record<string, number> = {
  state: 96,
  created: 104,
  updated: 104,
  duration: 96,
  user: 110,
  host: 130,
  tags: 150,
  attempts: 76,
  notes: 180,
  id: 150,
};
const KEY_WIDTH = 118;
const MOST_CONFIG = 4;
const MOST_SUMMARY = 4;

export interface Column {
  /** What it is called in the address, and in the filter language. */
  key: string;
  title: string;
  /** What stands before the last dot or slash of a key, for the second line of the head. */
  origin: string;
  width: number;
  sortable: boolean;
  /** Its place in the values of a row; -1 for a column that every run has. */
  value: number;
}

/** Columns by their keys, in the order of KEYS. */
export function columnsOf(keys: readonly string[]): Column[] {
  let value = 0;
  return keys.map((key) => {
    const fixed = (FIXED as readonly string[]).includes(key);
    const [origin, ...rest] = fixed ? [""] : key.split(".");
    return {
      key,
      title: fixed ? key.replace("_", " ") : rest.join("."),
      origin: origin ?? "",
      width: WIDTHS[key] ?? KEY_WIDTH,
      sortable: !fixed || !UNSORTABLE.has(key),
      value: fixed && !ASKED_FOR.has(key) ? -1 : value++,
    };
  });
}

/** The keys that the service is asked for. */
export function valueKeys(columns: readonly Column[]): string[] {
  return columns.filter((column) => column.value >= 0).map((column) => column.key);
}

/** What is shown where the address says nothing: what tells the runs apart, and how they went. */
export function defaultColumns(keys: readonly RunKey[]): string[] {
  const config = keys
    .filter((key) => key.key.startsWith("config.") && tells(key))
    .sort((a, b) => Number(b.numbers > 0n) - Number(a.numbers > 0n))
    .slice(0, MOST_CONFIG);
  const summary = keys
    .filter(
      (key) => key.key.startsWith("summary.") && !key.key.startsWith("summary.system/") && key.numbers > 0n,
    )
    .sort((a, b) => Number(b.runs - a.runs) || weight(b.key) - weight(a.key))
    .slice(0, MOST_SUMMARY);
  return ["state", "created", "duration", "tags", ...[...config, ...summary].map((key) => key.key)];
}

/** Whether runs can differ in it. */
function tells(key: RunKey): boolean {
  return key.texts > 0n || (key.numbers > 0n && key.min !== key.max);
}

/** People look at losses and accuracies first. */
function weight(key: string): number {
  return Number(/loss|acc|score|reward|perplexity|f1/i.test(key)) + Number(/val|eval|test/i.test(key));
}
