/** Parallel coordinates over all runs of the filter, and the choice of their axes. */
import { useResource } from "../api/resource";
import { catalogue } from "../api/transport";
import type { RunKey } from "../gen/stepline/v1/catalogue_pb";
import { change, param } from "../state/address";
import { listRuns } from "../state/run";
import { Failure, Notice } from "../ui/Notice";
import { Parallel } from "./Parallel";

const MOST_RUNS = 1000;
const MOST_KEYS = 500;
const CONFIG_AXES = 4;

export function ParallelView({ project }: { project: string }) {
  const known = useResource(`keys ${project}`, (abort) =>
    catalogue.listRunKeys({ project, limit: MOST_KEYS }, { signal: abort }),
  );
  const keys = known.data?.keys ?? [];
  const asked = param("axes").split(",").filter(Boolean);
  const axes = asked.length ? asked : defaultAxes(keys);
  const query = { project, filter: param("q"), sort: [], columns: axes };
  const found = useResource(axes.length ? JSON.stringify(query) : "", (abort) =>
    listRuns(query, MOST_RUNS, 0, abort),
  );
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
        <Parallel key={axes.join()} runs={found.data.rows} keys={axes} />
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

/** What was varied, and a result to judge it by. */
function defaultAxes(keys: readonly RunKey[]): string[] {
  const varied = keys.filter((key) => key.key.startsWith("config.") && (key.texts > 0n || key.min < key.max));
  const results = keys.filter(
    (key) => key.key.startsWith("summary.") && !key.key.startsWith("summary.system/") && key.min < key.max,
  );
  const result =
    results.find((key) => /(val|eval|test).*(loss|acc)/i.test(key.key)) ??
    results.find((key) => /loss|acc/i.test(key.key)) ??
    results[0];
  return [...varied.slice(0, CONFIG_AXES).map((key) => key.key), ...(result ? [result.key] : [])];
}
