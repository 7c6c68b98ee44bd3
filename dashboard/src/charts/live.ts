/** Keeps the charts of a page up to date with one stream, while the page is seen and a run goes on. */
import { effect, signal, untracked } from "@preact/signals";
import { epoch, failed } from "../api/connection";
import { isAbort } from "../api/problem";
import { live } from "../api/transport";
import type { LineUpdate } from "../gen/stepline/v1/live_pb";
import type { Run } from "../gen/stepline/v1/runs_pb";
import { decode, type Line, merged } from "./line";
import { chartRequest, type Shape } from "./request";
import type { ChartStore } from "./store";

const SETTLE_MS = 400;
const INTERVAL_MS = 500;
const MOST_PANELS = 32;

interface Watched {
  /** The axis of the chart; empty while it is not known. */
  x: string;
  chart: ReturnType<typeof chartRequest>;
}

const visible = signal(!document.hidden);
document.addEventListener("visibilitychange", () => {
  visible.value = !document.hidden;
});

interface Options {
  /** What is shown, and by it what can change; undefined for nothing. */
  shape(): Shape | undefined;
  /** The ids of the runs that go on. */
  running(): readonly string[];
  /** What the stream says of the runs themselves. */
  onRuns(runs: readonly Run[]): void;
}

/** Follows STORE until the returned function is called. */
export function follow(store: ChartStore, options: Options): () => void {
  let abort: AbortController | undefined;
  let timer = 0;
  const stop = () => {
    clearTimeout(timer);
    abort?.abort();
    abort = undefined;
  };
  const dispose = effect(() => {
    const metrics = store.seen.value.slice(0, MOST_PANELS);
    const shape = options.shape();
    const running = options.running();
    // Lines over another axis than before are another stream.
    void [epoch.value, store.axes.value];
    stop();
    if (!visible.value || !shape || !running.length || !metrics.length) return;
    // Finished runs do not change, unless they share a line with one that goes on.
    const runs = shape.options.groupBy ? shape.runs : shape.runs.filter((id) => running.includes(id));
    if (!runs.length) return;
    timer = window.setTimeout(() => {
      abort = new AbortController();
      const charts = store.lots(metrics, shape.options.x).map((lot) => {
        const x = store.axisOf(lot, shape);
        const over = { ...shape, runs, options: { ...shape.options, x } };
        return { x, chart: chartRequest(over, lot, x || "step", shape.points) };
      });
      void watch(store, charts, shape, options, abort.signal);
    }, SETTLE_MS);
  });
  return () => {
    dispose();
    stop();
  };
}

async function watch(
  store: ChartStore,
  charts: readonly Watched[],
  shape: Shape,
  options: Options,
  abort: AbortSignal,
): Promise<void> {
  const axes = charts.map(({ x }) => x);
  try {
    const updates = live.watch(
      { charts: charts.map(({ chart }) => ({ chart, patterns: [] })), intervalMs: INTERVAL_MS },
      { signal: abort },
    );
    let parts: LineUpdate[] = [];
    for await (const update of updates) {
      parts.push(...update.lines);
      if (update.runs.length) untracked(() => options.onRuns(update.runs));
      if (update.more) continue;
      apply(store, parts, axes, shape.runs);
      parts = [];
    }
  } catch (error) {
    if (!isAbort(error)) failed(error);
  }
}

function apply(
  store: ChartStore,
  updates: LineUpdate[],
  axes: readonly string[],
  runs: readonly string[],
): void {
  const byMetric = Map.groupBy(updates, (update) => update.line?.metric ?? "");
  for (const [metric, changes] of byMetric) {
    if (!metric) continue;
    store.put(metric, (lines) => changed(lines, changes, axes, runs));
  }
}

/** LINES with what changed of them; AXES are those of the charts that are watched, empty where the service chose. */
export function changed(
  lines: readonly Line[],
  updates: readonly LineUpdate[],
  axes: readonly string[],
  runs: readonly string[],
): Line[] {
  const byKey = new Map(lines.map((line) => [line.key, line]));
  for (const update of updates) {
    if (!update.line) continue;
    const line = decode(update.line, update.line.definedX || axes[update.chart] || "step");
    const old = byKey.get(line.key);
    if (update.gone) byKey.delete(line.key);
    else if (update.whole || !old) byKey.set(line.key, line);
    // Buckets over another axis are no part of the line: the stream that begins anew brings it whole.
    else if (old.axis === line.axis) byKey.set(line.key, merged(old, line));
  }
  const order = new Map(runs.map((run, index) => [run, index]));
  return [...byKey.values()].sort((a, b) => (order.get(a.run) ?? 0) - (order.get(b.run) ?? 0));
}
