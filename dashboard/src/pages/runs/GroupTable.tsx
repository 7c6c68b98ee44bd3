/** Runs by what they have in common; each group opens to its runs. */
import { useState } from "preact/hooks";
import { useResource } from "../../api/resource";
import { runs } from "../../api/transport";
import type { RunGroup } from "../../gen/stepline/v1/runs_pb";
import { count, json } from "../../lib/format";
import { change, param } from "../../state/address";
import { both } from "../../state/filter";
import { listRuns, type RunQuery } from "../../state/run";
import { Icon } from "../../ui/icons";
import { Failure, Notice } from "../../ui/Notice";
import { Cell } from "./Cell";
import type { Column } from "./columns";
import { Heads, RunName, templateOf } from "./RunTable";

const MOST_GROUPS = 200;
const MOST_RUNS = 50;

interface Props {
  query: RunQuery;
  groupBy: readonly string[];
  columns: readonly Column[];
}

export function GroupTable({ query, groupBy, columns }: Props) {
  const { project, filter } = query;
  const key = JSON.stringify([project, filter, groupBy]);
  const found = useResource(key, (abort) =>
    runs.listRuns({ project, filter, groupBy: [...groupBy], limit: MOST_GROUPS }, { signal: abort }),
  );
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
  if (!found.data) return <div class="loading" />;
  const { groups, total } = found.data;
  if (!groups.length) return <Notice title="No run meets the filter" />;
  return (
    <div class="run-table groups" role="table" aria-label="Runs by group">
      <Heads columns={columns} />
      {groups.map((group) => (
        <Group key={group.valuesJson} group={group} {...{ query, groupBy, columns }} />
      ))}
      {total > BigInt(groups.length) && (
        <p class="dim more">and {count(total - BigInt(groups.length))} smaller groups</p>
      )}
    </div>
  );
}

function Group({ group, query, groupBy, columns }: Props & { group: RunGroup }) {
  const [open, setOpen] = useState(false);
  const values = JSON.parse(group.valuesJson) as unknown[];
  return (
    <div class="group" role="rowgroup">
      <button type="button" class="group-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="chevron" size={12} />
        {groupBy.map((key, index) => (
          <span key={key}>
            <small>{key}</small>{" "}
            <bdi>{values[index] === null || values[index] === "" ? "(none)" : json(values[index])}</bdi>
          </span>
        ))}
        <span class="dim">{count(group.count)} runs</span>
      </button>
      {open && <Members group={group} query={query} columns={columns} />}
    </div>
  );
}

function Members({
  group,
  query,
  columns,
}: {
  group: RunGroup;
  query: RunQuery;
  columns: readonly Column[];
}) {
  const filter = both(query.filter, group.filter);
  const inside = { ...query, filter };
  const found = useResource(JSON.stringify(inside), (abort) => listRuns(inside, MOST_RUNS, 0, abort));
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
  const template = templateOf(columns);
  return (
    <>
      {found.data?.rows.map((run) => (
        <div
          class="run-row still"
          role="row"
          key={run.id}
          style={{ gridTemplateColumns: template }}
          data-run={run.id}
        >
          <RunName run={run} />
          {columns.map((column) => (
            <div key={column.key} role="cell" class="cell">
              <Cell run={run} column={column} />
            </div>
          ))}
        </div>
      ))}
      {Number(group.count) > MOST_RUNS && (
        <button
          type="button"
          class="quiet"
          onClick={() => change({ q: both(param("q"), group.filter), group: undefined }, { push: true })}
        >
          All {count(group.count)} runs of this group
        </button>
      )}
    </>
  );
}
