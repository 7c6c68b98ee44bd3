/** The config or the summary of some runs, side by side. */
import { useState } from "preact/hooks";
import { useResource } from "../api/resource";
import { catalogue } from "../api/transport";
import { csv } from "../lib/csv";
import { download } from "../lib/download";
import { count, json, value } from "../lib/format";
import { change, param } from "../state/address";
import { type RunRow, runsById, title } from "../state/run";
import { inkOf } from "../state/slots";
import { Switch } from "../ui/Choice";
import { Icon } from "../ui/icons";
import { Link } from "../ui/Link";
import { Failure, Notice } from "../ui/Notice";
import { Swatch } from "../ui/Swatch";
import { type CompareRow, compareCells, compareRows } from "./table";

const MOST_KEYS = 500;
const REFRESH_MS = 5000;

interface Props {
  project: string;
  runs: readonly RunRow[];
  /** "config" or "summary". */
  part: string;
}

export function CompareTable({ project, runs, part }: Props) {
  const [search, setSearch] = useState("");
  const all = param("same") === "1";
  const ids = runs.map((run) => run.id);
  const keys = useResource(JSON.stringify([project, part, search]), (abort) =>
    catalogue.listRunKeys({ project, prefix: `${part}.`, search, limit: MOST_KEYS }, { signal: abort }),
  );
  const names = (keys.data?.keys ?? []).map((key) => key.key);
  const rows = useResource(
    names.length ? JSON.stringify([ids, names]) : "",
    (abort) => runsById(ids, names, abort),
    { refresh: runs.some((run) => run.state === "running") ? REFRESH_MS : 0 },
  );
  const problem = keys.problem ?? rows.problem;
  if (problem) return <Failure problem={problem} again={keys.reload} />;
  const every = rows.data
    ? compareRows(
        names,
        rows.data.map((run) => run.values),
      )
    : [];
  const known = every.filter((row) => row.values.some((value) => value !== undefined));
  const shown = all ? known : known.filter((row) => row.differs);
  const rest = Number(keys.data?.total ?? 0) - names.length;
  return (
    <>
      <div class="toolbar">
        <label class="search">
          <Icon name="search" size={14} />
          <input
            type="search"
            placeholder={`Search ${part}`}
            aria-label={`Search ${part}`}
            spellcheck={false}
            onChange={(event) => setSearch(event.currentTarget.value.trim())}
          />
        </label>
        <Switch
          label="only differences"
          title="Leave out what is the same in all runs"
          on={!all}
          onChange={(on) => change({ same: on ? undefined : "1" })}
        />
        <span class="dim count">
          {shown.length} of {known.length} keys
        </span>
        <button
          type="button"
          onClick={() =>
            download(
              `${project}-${part}.csv`,
              new Blob([csv(["key", ...ids], compareCells(shown))], { type: "text/csv" }),
            )
          }
        >
          <Icon name="download" size={14} /> CSV
        </button>
      </div>
      {((keys.loading && !keys.data) || (names.length > 0 && !rows.data)) && <div class="loading" />}
      {keys.data && !names.length && <Notice title={search ? "No such key" : `No ${part}`} />}
      {rows.data && names.length > 0 && !shown.length && (
        <Notice title={known.length ? `These runs have the same ${part}` : `No ${part}`} />
      )}
      {rows.data && shown.length > 0 && <Rows runs={rows.data} rows={shown} part={part} />}
      {rest > 0 && <p class="dim more">and {count(rest)} more keys: search for them</p>}
    </>
  );
}

function Rows({ runs, rows, part }: { runs: readonly RunRow[]; rows: readonly CompareRow[]; part: string }) {
  return (
    <div class="compare-scroll">
      <table class="compare">
        <thead>
          <tr>
            <th scope="col">{part}</th>
            {runs.map((run) => (
              <th scope="col" key={run.id}>
                <Link path={["r", run.id]} title={title(run)}>
                  <Swatch ink={inkOf(run.id)} /> <bdi>{title(run)}</bdi>
                </Link>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row">
                <bdi title={row.key}>{row.key.slice(part.length + 1)}</bdi>
              </th>
              {row.values.map((data, place) => (
                <td
                  key={place}
                  class={place === row.least ? "least" : place === row.greatest ? "greatest" : ""}
                >
                  <Value data={data} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Value({ data }: { data: unknown }) {
  if (data === undefined) return <span class="dim">–</span>;
  if (typeof data === "number") return <span title={String(data)}>{value(data)}</span>;
  return <bdi title={json(data)}>{json(data)}</bdi>;
}
