/** What is asked of the service for panels that share everything but their metric. */
import { create } from "@bufbuild/protobuf";
import { type ChartRequest, ChartRequestSchema, type RankSelection } from "../gen/stepline/v1/query_pb";
import type { Options, Ranks } from "../state/options";
import { axisKind } from "./line";
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

/** AXIS is what METRICS are drawn over: a zoom over another one is not theirs. */
export function chartRequest(shape: Shape, metrics: string[], axis: string, points: number): ChartRequest {
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
    logX: options.logX && axisKind(axis) === "step",
  });
  if (options.smooth > 0) request.smoothing = smoothing(options.smooth);
  const { zoom } = options;
  if (zoom && options.zoomX === axis) {
    const room = (zoom.hi - zoom.lo) * BEYOND;
    if (axis === "step") {
      request.start = clamped(Math.floor(zoom.lo - room - 1));
      request.stop = clamped(Math.ceil(zoom.hi + room + 2));
    } else {
      request.atStart = zoom.lo - room;
      request.atStop = zoom.hi + room;
    }
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
