/** What a run was started with, from what, and what came of it. */
import { useResource } from "../../api/resource";
import { capture, catalogue } from "../../api/transport";
import type { Run } from "../../gen/stepline/v1/runs_pb";
import { flatten, parseObject } from "../../lib/flatten";
import { instant, json } from "../../lib/format";
import { KeyValues } from "../../ui/KeyValues";
import { Failure } from "../../ui/Notice";
import { Context } from "./Context";
import { Lineage } from "./Lineage";
import { Metrics } from "./Metrics";

export function Overview({ run }: { run: Run }) {
  return (
    <div class="overview">
      <section>
        <h2>Run</h2>
        <KeyValues rows={facts(run)} />
        {run.notes && (
          <>
            <h2>Notes</h2>
            <p class="notes" dir="auto">
              {run.notes}
            </p>
          </>
        )}
        <Changes id={run.runId} />
      </section>
      <Lineage id={run.runId} alive={run.state === "running"} />
      <Metrics id={run.runId} alive={run.state === "running"} />
      <section>
        <h2>Summary</h2>
        <KeyValues
          rows={flatten(parseObject(run.summaryJson))}
          search="summary"
          empty="Nothing was summed up"
        />
      </section>
      <section>
        <h2>Config</h2>
        <KeyValues rows={flatten(parseObject(run.configJson))} search="config" empty="No config" />
      </section>
      <ContextOf id={run.runId} />
    </div>
  );
}

function facts(run: Run): Map<string, unknown> {
  const rows = new Map<string, unknown>([
    ["id", run.runId],
    ["project", run.project],
    ["group", run.group],
    ["job type", run.jobType],
    ["created", instant(Number(run.createdMs))],
    ["updated", instant(Number(run.updatedMs))],
    ["attempts", run.attempts],
    ["ranks", run.worldSize],
    ["exit code", run.exitCode],
    ["error", run.errorType && `${run.errorType}: ${run.errorMessage}`],
    ["forked from", run.forkRunId && `${run.forkRunId} at step ${run.forkStep ?? 0n}`],
  ]);
  for (const [key, value] of rows) if (value === "" || value === undefined) rows.delete(key);
  return rows;
}

function ContextOf({ id }: { id: string }) {
  const found = useResource(`context ${id}`, (abort) =>
    capture.getContext({ runId: id, rank: 0 }, { signal: abort }),
  );
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
  return <Context parts={found.data?.parts ?? []} />;
}

function Changes({ id }: { id: string }) {
  const found = useResource(`changes ${id}`, (abort) =>
    catalogue.listConfigChanges({ runId: id }, { signal: abort }),
  );
  const changes = found.data?.changes ?? [];
  if (!changes.length) return null;
  return (
    <>
      <h2>Config changes</h2>
      <ul class="changes">
        {changes.map((change, index) => (
          <li key={index}>
            <time class="dim">{instant(Number(change.timeMs))}</time> <code>{change.key}</code>{" "}
            <bdi class="before">{said(change.beforeJson)}</bdi> → <bdi>{said(change.afterJson)}</bdi>
            {change.who && <span class="dim"> by {change.who}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

function said(text: string): string {
  return text ? json(JSON.parse(text)) : "(none)";
}
