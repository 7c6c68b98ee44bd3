/** What the lines of a chart are called, and whose ink they have. */
import type { Line } from "./line";

export interface Labelling {
  /** Titles of runs by id. */
  titles: ReadonlyMap<string, string>;
  /** True when all lines are of one run, so that only what tells them apart is said. */
  single: boolean;
}

export function labelOf(line: Line, { titles, single }: Labelling): string {
  const whose = line.group !== undefined ? groupLabel(line) : (titles.get(line.run) ?? line.run);
  if (line.rank === undefined) return whose;
  const rank = `rank ${line.rank}${line.deviation === undefined ? "" : ` (${line.deviation.toFixed(1)} σ)`}`;
  return single && line.group === undefined ? rank : `${whose} · ${rank}`;
}

/** The key of the ink: of the rank where ranks of one run are compared, else of the run or the group. */
export function inkKey(line: Line, { single }: Labelling): string {
  if (line.group !== undefined) return `group ${line.group}`;
  return single && line.rank !== undefined ? `rank ${line.rank}` : line.run;
}

function groupLabel(line: Line): string {
  const name = line.group === "" ? "(none)" : (line.group ?? "");
  return `${name} · ${line.runs.length} ${line.runs.length === 1 ? "run" : "runs"}`;
}
