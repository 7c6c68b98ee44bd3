/** Keeps the charts of a page up to date with one stream, while the page is seen and a run goes on. */
import { effect, signal, untracked } from "@preact/signals";
import { epoch, failed } from "../api/connection";
import { isAbort } from "../api/problem";
import { live } from "../api/transport";
import type { LineUpdate } from "../gen/stepline/v1/live_pb";
import type { Run } from "../gen/stepline/v1/runs_pb";
import { axisKind, decode, type Line, merged } from "./line";
import { chartRequest, type Shape } from "./request";
import type { ChartStore } from "./store";

const SETTLE_MS = 400;
const INTERVAL_MS = 500;
const MOST_PANELS = 32;

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
    void epoch.value;
    stop();
    if (!visible.value || !shape || !running.length || !metrics.length) return;
    // Steps of a zoom over another axis follow from lines that are drawn: it stands still.
    if (shape.options.zoom && axisKind(shape.options.x) !== "step") return;
    // Finished runs do not change, unless they share a line with one that goes on.
    const runs = shape.options.groupBy ? shape.runs : shape.runs.filter((id) => running.includes(id));
    if (!runs.length) return;
    timer = window.setTimeout(() => {
      abort = new AbortController();
      const request = chartRequest({ ...shape, runs }, metrics, steps(shape), shape.points);
      void watch(store, request, shape, options, abort.signal);
    }, SETTLE_MS);
  });
  return () => {
    dispose();
    stop();
  };
}

async function watch(
  store: ChartStore,
  chart: ReturnType<typeof chartRequest>,
  shape: Shape,
  options: Options,
  abort: AbortSignal,
): Promise<void> {
  const axis = axisKind(shape.options.x);
  try {
    const updates = live.watch(
      { charts: [{ chart, patterns: [] }], intervalMs: INTERVAL_MS },
      { signal: abort },
    );
    let parts: LineUpdate[] = [];
    for await (const update of updates) {
      parts.push(...update.lines);
      if (update.runs.length) untracked(() => options.onRuns(update.runs));
      if (update.more) continue;
      apply(store, parts, axis, shape.runs);
      parts = [];
    }
  } catch (error) {
    if (!isAbort(error)) failed(error);
  }
}

function apply(
  store: ChartStore,
  updates: LineUpdate[],
  axis: ReturnType<typeof axisKind>,
  runs: readonly string[],
): void {
  const byMetric = Map.groupBy(updates, (update) => update.line?.metric ?? "");
  for (const [metric, changes] of byMetric) {
    if (!metric) continue;
    store.put(metric, (lines) => changed(lines, changes, axis, runs));
  }
}

/** LINES with what changed of them. */
export function changed(
  lines: readonly Line[],
  updates: readonly LineUpdate[],
  axis: ReturnType<typeof axisKind>,
  runs: readonly string[],
): Line[] {
  const byKey = new Map(lines.map((line) => [line.key, line]));
  for (const update of updates) {
    if (!update.line) continue;
    const line = decode(update.line, axis);
    const old = byKey.get(line.key);
    if (update.gone) byKey.delete(line.key);
    else byKey.set(line.key, update.whole || !old ? line : merged(old, line));
  }
  const order = new Map(runs.map((run, index) => [run, index]));
  return [...byKey.values()].sort((a, b) => (order.get(a.run) ?? 0) - (order.get(b.run) ?? 0));
}

function steps(shape: Shape) {
  return axisKind(shape.options.x) === "step" ? shape.options.zoom : undefined;
}
