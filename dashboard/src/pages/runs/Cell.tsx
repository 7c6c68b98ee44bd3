/** One cell of the table of runs. */
import { ago, duration, instant, json, value } from "../../lib/format";
import { now } from "../../state/clock";
import { durationOf, type RunRow } from "../../state/run";
import { State } from "../../ui/State";
import { Tags } from "../../ui/Tags";
import type { Column } from "./columns";

export function Cell({ run, column }: { run: RunRow; column: Column }) {
  // What was not asked for yet is not "none".
  if (column.value >= run.values.length) return null;
  if (column.value >= 0) return <Value data={run.values[column.value]} />;
  switch (column.key) {
    case "state":
      return <State state={run.state} />;
    case "created":
      return <time title={instant(run.created)}>{ago(run.created, now.value)}</time>;
    case "updated":
      return <time title={instant(run.updated)}>{ago(run.updated, now.value)}</time>;
    case "duration":
      return <>{duration(durationOf(run, now.value))}</>;
    case "host":
      return <Text text={run.host} />;
    case "tags":
      return <Tags tags={run.tags} />;
    case "group":
      return <Text text={run.group} />;
    case "job_type":
      return <Text text={run.jobType} />;
    case "attempts":
      return <>{run.attempts}</>;
    case "notes":
      return <Text text={run.notes} />;
    case "id":
      return <code>{run.id}</code>;
    default:
      return null;
  }
}

function Value({ data }: { data: unknown }) {
  if (data === undefined) return <span class="dim">–</span>;
  if (typeof data === "number") return <span title={String(data)}>{value(data)}</span>;
  return <Text text={json(data)} />;
}

function Text({ text }: { text: string }) {
  return <bdi title={text}>{text}</bdi>;
}
