/** What is asked of the service for panels that share everything but their metric. */
import { create } from "@bufbuild/protobuf";
import { type ChartRequest, ChartRequestSchema, type RankSelection } from "../gen/stepline/v1/query_pb";
import type { Options, Ranks } from "../state/options";
import { axisKind } from "./line";
import type { Range } from "./scale";

export interface Shape {
  runs: readonly string[];
  options: Options;
  /** Buckets a line: as many as the panel has pixels. */
  points: number;
}

/** What is drawn; the rest of a line stays at the service. */
const COLUMNS = ["min", "max", "mean", "count", "nonfinite"];
const QUANTILES = [0.05, 0.25, 0.75, 0.95];
const STRAGGLERS = 8;
/** A share of the zoomed range is asked for beyond each end, so that lines go on to the edge. */
const BEYOND = 0.03;
const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** STEPS is the range on the axis of steps; all when absent. */
export function chartRequest(
  shape: Shape,
  metrics: string[],
  steps: Range | undefined,
  points: number,
): ChartRequest {
  const { options } = shape;
  const banded = options.bands === "quantiles" && (options.ranks === "band" || options.groupBy !== "");
  const request = create(ChartRequestSchema, {
    runIds: [...shape.runs],
    metrics,
    points,
    columns: COLUMNS,
    x: options.x,
    ranks: selection(options.ranks),
    groupBy: options.groupBy,
    quantiles: banded ? QUANTILES : [],
    logX: options.logX && axisKind(options.x) === "step",
  });
  if (options.smooth > 0) request.smoothing = smoothing(options.smooth);
  if (steps) {
    const room = (steps.hi - steps.lo) * BEYOND + 1;
    request.start = clamped(Math.floor(steps.lo - room));
    request.stop = clamped(Math.ceil(steps.hi + room) + 1);
  }
  return request;
}

function smoothing(weight: number) {
  return { $typeName: "stepline.v1.Smoothing" as const, kind: { case: "ema" as const, value: weight } };
}

function selection(ranks: Ranks): RankSelection {
  const $typeName = "stepline.v1.RankSelection";
  if (ranks === "band") return { $typeName, kind: { case: "band", value: true } };
  if (ranks === "all") return { $typeName, kind: { case: "all", value: true } };
  if (ranks === "worst") return { $typeName, kind: { case: "stragglers", value: STRAGGLERS } };
  return { $typeName, kind: { case: "rank", value: ranks } };
}

function clamped(step: number): bigint {
  if (!(Math.abs(step) < 2 ** 63)) return step < 0 ? LEAST : MOST;
  const whole = BigInt(step);
  return whole < LEAST ? LEAST : whole > MOST ? MOST : whole;
}
