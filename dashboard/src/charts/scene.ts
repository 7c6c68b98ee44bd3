/** Everything that a chart shows, before it has a size: lines in their ink, and the ranges that hold them. */
import { lowerBound } from "../lib/search";
import type { AxisKind, Line } from "./line";
import type { Ink } from "./palette";
import { padded, type Range } from "./scale";

export interface Drawn {
  line: Line;
  ink: Ink;
  /** What the legend calls it. */
  label: string;
}

export interface Scene {
  drawn: readonly Drawn[];
  axis: AxisKind;
  /** What the x axis counts, in words. */
  axisLabel: string;
  logX: boolean;
  logY: boolean;
  /** Bands between the least and the greatest value of each bucket. */
  bands: boolean;
  /** The part of the x axis that is shown; all when absent. */
  view: Range | undefined;
  /** Leaves the lowest and the highest hundredth out of the y range. */
  clip: boolean;
}

const QUANTILE = 0.01;

/** The x values that the scene spans. */
export function rangeX(scene: Scene): Range {
  if (scene.view) return scene.view;
  let lo = Number.POSITIVE_INFINITY;
  let hi = Number.NEGATIVE_INFINITY;
  for (const { line } of scene.drawn) {
    for (const x of line.x) {
      if (scene.logX && !(x > 0)) continue;
      if (x < lo) lo = x;
      if (x > hi) hi = x;
    }
  }
  return lo < hi ? { lo, hi } : padded({ lo, hi }, scene.logX, 0);
}

/** The y values that the scene spans within `view`. */
export function rangeY(scene: Scene, view: Range): Range {
  let lo = Number.POSITIVE_INFINITY;
  let hi = Number.NEGATIVE_INFINITY;
  // With a logarithm only what is positive counts, and no comparison with NaN holds.
  const least = scene.logY ? Number.MIN_VALUE : Number.NEGATIVE_INFINITY;
  const sample: number[] = [];
  for (const { line } of scene.drawn) {
    const [first, end] = rows(line, view, scene.axis);
    const shown = line.smooth && !scene.bands ? line.smooth : line.mean;
    const low = scene.bands ? line.min : shown;
    const high = scene.bands ? line.max : shown;
    for (let row = first; row < end; row++) {
      const x = line.x[row] as number;
      if (x < view.lo || x > view.hi) continue;
      const a = low[row] as number;
      const b = high[row] as number;
      if (scene.clip) {
        sample.push(a, b);
        continue;
      }
      // Both may set both: the least of a band may be what a logarithm does not have.
      if (a >= least) {
        if (a < lo) lo = a;
        if (a > hi) hi = a;
      }
      if (b >= least) {
        if (b < lo) lo = b;
        if (b > hi) hi = b;
      }
    }
  }
  if (scene.clip) {
    const sorted = Float64Array.from(sample.filter((y) => Number.isFinite(y) && y >= least)).sort();
    const edge = Math.floor(sorted.length * QUANTILE);
    // Nothing at all stays the empty range that it is.
    lo = sorted[edge] ?? lo;
    hi = sorted[sorted.length - 1 - edge] ?? hi;
  }
  return padded({ lo, hi }, scene.logY, 0.06);
}

/** The rows of a line that can be seen: those within `view` and one neighbour on each side. */
export function rows(line: Line, view: Range, axis: AxisKind): [number, number] {
  // The values of another metric go up and down.
  if (axis === "metric") return [0, line.x.length];
  const first = lowerBound(line.x, view.lo);
  let end = lowerBound(line.x, view.hi);
  while (end < line.x.length && (line.x[end] as number) <= view.hi) end += 1;
  return [Math.max(0, first - 1), Math.min(line.x.length, end + 1)];
}
