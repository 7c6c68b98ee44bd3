/** The hardware under a run: every node and device as a row of a heat map, and as a line. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useResource } from "../api/resource";
import type { Line } from "../charts/line";
import { chartLines } from "../charts/lines";
import { type Cursor, Plot } from "../charts/Plot";
import { chartRequest } from "../charts/request";
import type { Range } from "../charts/scale";
import type { Scene } from "../charts/scene";
import { change, param } from "../state/address";
import { printRange, readOptions, readRange } from "../state/options";
import type { RunRow } from "../state/run";
import { title } from "../state/run";
import { assign, inkOf } from "../state/slots";
import { Choice } from "../ui/Choice";
import { Icon } from "../ui/icons";
import { Failure, Notice } from "../ui/Notice";
import { HeatMap } from "./HeatMap";
import type { HeatRow } from "./heat";
import { device, type Kind, kindLabel } from "./kinds";
import { listKinds } from "./names";

const POINTS = 300;
const REFRESH_MS = 5000;

export function SystemView({ runs }: { runs: readonly RunRow[] }) {
  const run = runs.find((one) => one.id === param("node_of")) ?? runs[0];
  if (!run) return <Notice title="No runs here" />;
  return <OfRun run={run} runs={runs} />;
}

function OfRun({ run, runs }: { run: RunRow; runs: readonly RunRow[] }) {
  const alive = run.state === "running" ? REFRESH_MS : 0;
  const found = useResource(`kinds ${run.id}`, (abort) => listKinds(run.id, abort), { refresh: 4 * alive });
  const kind = found.data?.find((one) => one.pattern === param("hw")) ?? found.data?.[0];
  return (
    <div class="system">
      <div class="toolbar">
        {runs.length > 1 && (
          <Choice
            label="run"
            value={run.id}
            options={runs.map((one) => [one.id, title(one)] as const)}
            onChange={(id) => change({ node_of: id })}
          />
        )}
        {kind && (
          <Choice
            label="show"
            value={kind.pattern}
            options={(found.data ?? []).map((one) => [one.pattern, kindLabel(one.pattern)] as const)}
            onChange={(hw) => change({ hw })}
          />
        )}
        {param("when") && (
          <button type="button" class="chip" onClick={() => change({ when: undefined })}>
            <Icon name="reset" size={13} /> zoomed
          </button>
        )}
      </div>
      {found.problem && <Failure problem={found.problem} again={found.reload} />}
      {found.data?.length === 0 && (
        <Notice title="No hardware metrics">
          They are taken from each node while a run goes on, unless it was started without.
        </Notice>
      )}
      {kind && <Readings key={`${run.id} ${kind.pattern}`} run={run} kind={kind} refresh={alive} />}
    </div>
  );
}

function Readings({ run, kind, refresh }: { run: RunRow; kind: Kind; refresh: number }) {
  const zoom = readRange(param("when"));
  const found = useResource(
    JSON.stringify([run.id, kind, zoom]),
    (abort) => read(run.id, kind, zoom, abort),
    { refresh },
  );
  const cursor = useSignal<Cursor | undefined>(undefined);
  const picked = param("row");
  const rows = found.data ?? [];
  const scene = useMemo(() => sceneOf(rows, zoom, picked), [rows, picked, JSON.stringify(zoom)]);
  const percent = /percent|utilization/.test(kind.pattern);
  if (found.problem) return <Failure problem={found.problem} again={found.reload} />;
  if (!found.data) return <div class="loading" />;
  if (!rows.length) return <Notice title="No readings in this span" />;
  return (
    <>
      <HeatMap
        rows={rows}
        percent={percent}
        onPick={(row) => change({ row: row.label === picked ? undefined : row.label })}
      />
      <section class="panel system-lines">
        <header>
          <h3>{kindLabel(kind.pattern)}</h3>
          {picked && (
            <button type="button" class="chip" onClick={() => change({ row: undefined })}>
              only {picked} ×
            </button>
          )}
        </header>
        <div class="panel-body">
          <Plot
            id="system"
            label={`${kindLabel(kind.pattern)}, ${scene.drawn.length} lines`}
            scene={scene}
            cursor={cursor}
            onZoom={(range) => change({ when: range && printRange(range) }, { push: true })}
          />
        </div>
      </section>
    </>
  );
}

async function read(
  runId: string,
  kind: Kind,
  zoom: Range | undefined,
  abort: AbortSignal,
): Promise<HeatRow[]> {
  const options = { ...readOptions({}), ranks: "all" as const, zoom, zoomX: "step", x: "step" };
  const shape = { runs: [runId], options, points: POINTS };
  const lines: Line[] = [];
  const request = chartRequest(shape, kind.names, "step", POINTS);
  for await (const line of chartLines(request, "step", abort)) lines.push(line);
  lines.sort(
    (a, b) => (a.rank ?? 0) - (b.rank ?? 0) || kind.names.indexOf(a.metric) - kind.names.indexOf(b.metric),
  );
  return lines.map((line) => {
    const part = device(line.metric);
    return {
      line: { ...line, key: `${line.rank} ${line.metric}` },
      label: `node ${line.rank ?? 0}${part && ` · ${part}`}`,
    };
  });
}

function sceneOf(rows: readonly HeatRow[], zoom: Range | undefined, picked: string): Scene {
  const shown = picked ? rows.filter((row) => row.label === picked) : rows;
  assign(rows.map((row) => row.label));
  return {
    drawn: shown.map(({ line, label }) => ({ line, label, ink: inkOf(label) })),
    axis: "time",
    axisLabel: "time",
    ...{ logX: false, logY: false, clip: false },
    bands: shown.length === 1,
    view: zoom,
  };
}
