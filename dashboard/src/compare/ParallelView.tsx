/** Parallel coordinates over all runs of the filter, and the choice of their axes. */
import { useResource } from "../api/resource";
import { catalogue } from "../api/transport";
import type { RunKey } from "../gen/stepline/v1/catalogue_pb";
import { change, param } from "../state/address";
import { listRuns, type RunRow } from "../state/run";
import { Failure, Notice } from "../ui/Notice";
import { Parallel } from "./Parallel";

const MOST_RUNS = 1000;
const MOST_KEYS = 500;
const CONFIG_AXES = 5;
/** Keys that are looked at for those in which the runs differ. */
const CANDIDATES = 24;

export function ParallelView({ project }: { project: string }) {
  const known = useResource(`keys ${project}`, (abort) =>
    catalogue.listRunKeys({ project, limit: MOST_KEYS }, { signal: abort }),
  );
  const keys = known.data?.keys ?? [];
  const asked = param("axes").split(",").filter(Boolean);
  const columns = asked.length ? asked : candidates(keys);
  const query = { project, filter: param("q"), sort: [], columns };
  const found = useResource(columns.length ? JSON.stringify(query) : "", (abort) =>
    listRuns(query, MOST_RUNS, 0, abort),
  );
  const places = asked.length ? asked.map((_, place) => place) : varied(columns, found.data?.rows ?? []);
  const axes = places.map((place) => columns[place] as string);
  const rows = (found.data?.rows ?? []).map((run) => ({
    ...run,
    values: places.map((place) => run.values[place]),
  }));
  const problem = known.problem ?? found.problem;
  if (problem) return <Failure problem={problem} again={found.reload} />;
  const set = (next: string[]) => change({ axes: next.join(",") });
  return (
    <>
      <div class="toolbar">
        {axes.map((key, place) => (
          <button
            type="button"
            class="chip"
            key={key}
            title="Leave this axis out"
            onClick={() => set(axes.toSpliced(place, 1))}
          >
            <bdi>{key}</bdi> ×
          </button>
        ))}
        <label class="choice">
          <span>add</span>
          <select
            value=""
            onChange={(event) => event.currentTarget.value && set([...axes, event.currentTarget.value])}
          >
            <option value="">an axis …</option>
            {keys
              .filter((key) => !axes.includes(key.key))
              .map((key) => (
                <option key={key.key} value={key.key}>
                  {key.key}
                </option>
              ))}
          </select>
        </label>
      </div>
      {found.data && found.data.rows.length > 0 && axes.length > 1 && (
        <Parallel key={axes.join()} runs={rows} keys={axes} />
      )}
      {found.data && found.data.total > MOST_RUNS && (
        <p class="dim more">The newest {MOST_RUNS} of the runs; a filter picks others.</p>
      )}
      {!known.loading && axes.length < 2 && (
        <Notice title="Two axes make a picture">Choose keys of config or summary above.</Notice>
      )}
    </>
  );
}

/** Keys in which runs may differ, and a result to judge them by. */
function candidates(keys: readonly RunKey[]): string[] {
  const config = keys.filter(
    (key) => key.key.startsWith("config.") && (key.texts + key.flags > 0n || key.min < key.max),
  );
  const results = keys.filter(
    (key) => key.key.startsWith("summary.") && !key.key.startsWith("summary.system/") && key.min < key.max,
  );
  const result =
    results.find((key) => /(val|eval|test).*(loss|acc)/i.test(key.key)) ??
    results.find((key) => /loss|acc/i.test(key.key)) ??
    results[0];
  return [...config.slice(0, CANDIDATES).map((key) => key.key), ...(result ? [result.key] : [])];
}

/** The places of the first keys in which ROWS differ, and of the result. */
function varied(columns: readonly string[], rows: readonly RunRow[]): number[] {
  const differ = (place: number) => new Set(rows.map((run) => JSON.stringify(run.values[place]))).size > 1;
  const all = columns.map((_, place) => place);
  const config = all.filter((place) => columns[place]?.startsWith("config.") && differ(place));
  return [...config.slice(0, CONFIG_AXES), ...all.filter((place) => columns[place]?.startsWith("summary."))];
}
