/** One line of a chart, as columns with one entry a bucket. */
import type { ChartLine } from "../gen/stepline/v1/query_pb";
import { floats, integers } from "../lib/bytes";

export interface Line {
  /** What names it in its chart, and gives it its colour. */
  key: string;
  run: string;
  metric: string;
  /** Absent for a line over all ranks. */
  rank: number | undefined;
  /** What the runs of a grouped line have in common. */
  group: string | undefined;
  runs: readonly string[];
  /** How far a straggler is from the other ranks, in robust standard deviations. */
  deviation: number | undefined;
  /** What its x counts, as a chart request says it. */
  axis: string;
  /** Steps a bucket; 0 where they differ. */
  width: number;
  /** True when these are the points as they were logged. */
  raw: boolean;
  /** First step of each bucket. */
  step: Float64Array;
  /** Where each bucket lies on the axis. */
  x: Float64Array;
  /** NaN where a bucket has no finite value. */
  mean: Float64Array;
  min: Float64Array;
  max: Float64Array;
  smooth: Float64Array | undefined;
  quantiles: readonly Float64Array[];
  /** Points of each bucket that are NaN or infinite. */
  nonfinite: Float64Array;
  /** All points of each bucket. */
  count: Float64Array;
}

/** What an axis counts: steps, an instant, the time since the beginning of a run, or the values of a metric. */
export type AxisKind = "step" | "time" | "relative" | "metric";

export function axisKind(x: string): AxisKind {
  if (x === "time" || x === "relative") return x;
  return x.startsWith("metric:") ? "metric" : "step";
}

/** AXIS is what was asked for, or what the service took by itself. */
export function decode(message: ChartLine, axis: string): Line {
  const step = integers(message.x);
  return {
    key: keyOf(message),
    run: message.runId,
    metric: message.metric,
    rank: message.rank,
    group: message.runId ? undefined : message.group,
    runs: message.runId ? [message.runId] : message.groupRunIds,
    deviation: message.deviation,
    axis,
    width: Number(message.bucketWidth),
    raw: message.tierWidth === 0n && message.bucketWidth === 1n,
    step,
    x: places(message, axisKind(axis), step),
    mean: floats(message.mean),
    min: floats(message.min),
    max: floats(message.max),
    smooth: message.smooth.length ? floats(message.smooth) : undefined,
    quantiles: message.quantiles.map(floats),
    nonfinite: integers(message.nonfinite),
    count: integers(message.count),
  };
}

function keyOf(message: ChartLine): string {
  const whose = message.runId || `group ${message.group}`;
  return message.rank === undefined ? whose : `${whose} rank ${message.rank}`;
}

function places(message: ChartLine, axis: AxisKind, step: Float64Array): Float64Array {
  if (axis === "step" || message.at.length === 0) return step;
  return axis === "metric" ? floats(message.at) : integers(message.at);
}

/** The line with the buckets of `news` in the place of those that have the same steps, in the order of steps. */
export function merged(old: Line, news: Line): Line {
  const rows: [Line, number][] = [];
  let a = 0;
  let b = 0;
  while (a < old.step.length || b < news.step.length) {
    const before = a < old.step.length ? (old.step[a] as number) : Number.POSITIVE_INFINITY;
    const after = b < news.step.length ? (news.step[b] as number) : Number.POSITIVE_INFINITY;
    if (after <= before) {
      rows.push([news, b++]);
      if (after === before) a += 1;
    } else rows.push([old, a++]);
  }
  const column = (of: (line: Line) => Float64Array | undefined): Float64Array =>
    Float64Array.from(rows, ([line, row]) => of(line)?.[row] ?? Number.NaN);
  return {
    ...news,
    step: column((line) => line.step),
    x: column((line) => line.x),
    mean: column((line) => line.mean),
    min: column((line) => line.min),
    max: column((line) => line.max),
    smooth: old.smooth || news.smooth ? column((line) => line.smooth) : undefined,
    quantiles: news.quantiles.map((_, index) => column((line) => line.quantiles[index])),
    nonfinite: column((line) => line.nonfinite),
    count: column((line) => line.count),
  };
}
