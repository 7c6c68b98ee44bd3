/** A run as tables and legends need it. */
import { runs } from "../api/transport";
import type { Run } from "../gen/stepline/v1/runs_pb";
import { byIds } from "./filter";

export interface RunRow {
  id: string;
  project: string;
  name: string;
  state: string;
  tags: readonly string[];
  group: string;
  jobType: string;
  notes: string;
  attempts: number;
  /** Milliseconds since the epoch. */
  created: number;
  updated: number;
  /** Of the attempts that have ended, in milliseconds. */
  ran: number;
  /** When the attempt began that goes on, in milliseconds since the epoch. */
  since: number | undefined;
  /** Where the newest attempt was begun. */
  host: string;
  /** The values of the columns that were asked for; undefined where the run has none. */
  values: readonly unknown[];
}

export interface RunQuery {
  project: string;
  filter: string;
  sort: readonly string[];
  columns: readonly string[];
}

export interface RunPage {
  rows: RunRow[];
  total: number;
}

/** A column that every run has: with columns asked for, the service leaves whole configs out. */
const SOME_COLUMN = "state";

export async function listRuns(
  query: RunQuery,
  limit: number,
  offset: number,
  abort: AbortSignal,
): Promise<RunPage> {
  const { project, filter, sort, columns } = query;
  const reply = await runs.listRuns(
    {
      project,
      filter,
      sort: [...sort],
      columns: columns.length ? [...columns] : [SOME_COLUMN],
      limit,
      offset,
    },
    { signal: abort },
  );
  return { rows: reply.runs.map((run) => runRow(run)), total: Number(reply.total) };
}

/** The runs with these ids, in the order of IDS; those that are not there are left out. */
export async function runsById(
  ids: readonly string[],
  columns: readonly string[],
  abort: AbortSignal,
): Promise<RunRow[]> {
  if (!ids.length) return [];
  const query: RunQuery = { project: "", filter: byIds(ids), sort: [], columns };
  const { rows } = await listRuns(query, ids.length, 0, abort);
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => found.get(id)).filter((row) => row !== undefined);
}

/** A run of which nothing is known yet but its id. */
export function provisional(id: string): RunRow {
  return {
    ...{ id, project: "", name: "", state: "", tags: [], group: "", jobType: "", notes: "", host: "" },
    ...{ attempts: 1, created: 0, updated: 0, ran: 0, since: undefined, values: [] },
  };
}

/** How long a run has gone on, in milliseconds. */
export function durationOf(run: RunRow, now: number): number {
  return run.ran + (run.since === undefined ? 0 : Math.max(0, now - run.since));
}

export function runRow(run: Run): RunRow {
  return {
    id: run.runId,
    project: run.project,
    name: run.name,
    state: run.state,
    tags: run.tags,
    group: run.group,
    jobType: run.jobType,
    notes: run.notes,
    attempts: run.attempts,
    created: Number(run.createdMs),
    updated: Number(run.updatedMs),
    ran: Number(run.ranMs),
    since: run.runningSinceMs === undefined ? undefined : Number(run.runningSinceMs),
    host: run.host,
    values: readList(run.columnsJson),
  };
}

/** What people call a run: its name, or its id where it has none. */
export function title(run: { id: string; name: string }): string {
  return run.name || run.id;
}

/** Titles by id, told apart by the id where runs share a name. */
export function titles(rows: readonly RunRow[]): Map<string, string> {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(title(row), (counts.get(title(row)) ?? 0) + 1);
  return new Map(
    rows.map((row) => [row.id, (counts.get(title(row)) ?? 0) > 1 ? `${title(row)} · ${row.id}` : title(row)]),
  );
}

function readList(text: string): unknown[] {
  if (!text) return [];
  const data: unknown = JSON.parse(text);
  return Array.isArray(data) ? data.map((value) => value ?? undefined) : [];
}
