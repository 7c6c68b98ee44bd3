/** What each metric of a run came to. */
import { useState } from "preact/hooks";
import { useResource } from "../../api/resource";
import { query } from "../../api/transport";
import { readSearch } from "../../charts/search";
import { count, short, value } from "../../lib/format";
import { Failure } from "../../ui/Notice";

const MOST = 200;
const REFRESH_MS = 5000;

export function Metrics({ id, alive }: { id: string; alive: boolean }) {
  const [search, setSearch] = useState("");
  const found = useResource(
    JSON.stringify([id, search]),
    (abort) =>
      query.listMetrics(
        { runId: id, ...readSearch(search), hidden: search !== "", limit: MOST },
        { signal: abort },
      ),
    { refresh: alive ? REFRESH_MS : 0 },
  );
  const metrics = found.data?.metrics ?? [];
  const rest = Number(found.data?.total ?? 0) - metrics.length;
  return (
    <section class="wide">
      <h2>Metrics</h2>
      <input
        type="search"
        class="small-search"
        placeholder="Search metrics: text, glob* or /regex/"
        aria-label="Search metrics"
        spellcheck={false}
        onChange={(event) => setSearch(event.currentTarget.value)}
      />
      {found.problem && <Failure problem={found.problem} />}
      <div class="metric-scroll">
        <table class="metric-table">
          <thead>
            <tr>
              <th scope="col">name</th>
              {["last", "min", "max", "mean", "last step", "points"].map((name) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {metrics.map((metric) => (
              <tr key={metric.name}>
                <th scope="row">
                  <bdi title={metric.name}>{metric.name}</bdi>
                </th>
                <td>{value(metric.lastValue)}</td>
                <td>{value(metric.min)}</td>
                <td>{value(metric.max)}</td>
                <td>{value(metric.mean)}</td>
                <td>{metric.name.startsWith("system/") ? "" : count(metric.lastStep)}</td>
                <td>
                  {short(Number(metric.count))}
                  {metric.nonfinite > 0n && <span class="bad"> {count(metric.nonfinite)} NaN</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rest > 0 && <p class="dim">and {count(rest)} more: search for them</p>}
    </section>
  );
}
