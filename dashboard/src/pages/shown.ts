/** The runs that a view of a project draws: those that were chosen, or the first ones of the list. */
import { useResource } from "../api/resource";
import { provisional, type RunRow, runsById } from "../state/run";
import { chosen, DEFAULT_RUNS } from "../state/selection";
import { assign } from "../state/slots";
import type { RunPages } from "./runs/pages";

const REFRESH_MS = 5000;

export function useShown(
  pages: RunPages,
  columns: readonly string[] = [],
): { runs: RunRow[]; ready: boolean } {
  const ids = chosen.value;
  const picked = useResource(
    ids.length ? JSON.stringify([ids, columns]) : "",
    (abort) => runsById(ids, columns, abort),
    { refresh: REFRESH_MS },
  );
  void pages.version.value;
  // What is chosen can be drawn before it is known what it is called.
  const waiting = ids.length > 0 && picked.data === undefined && picked.problem === undefined;
  const runs = waiting ? ids.map(provisional) : ids.length ? (picked.data ?? []) : pages.first(DEFAULT_RUNS);
  assign(runs.map((run) => run.id));
  const ready = ids.length
    ? picked.data !== undefined || picked.problem !== undefined
    : pages.total.value !== undefined;
  return { runs, ready };
}
