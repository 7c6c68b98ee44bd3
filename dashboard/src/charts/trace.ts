/** Lines and bands as strokes of a pen, which may be a canvas or the text of an SVG path. */

import type { Layout } from "./layout";
import type { AxisKind, Line } from "./line";
import { rows } from "./scene";

export interface Pen {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

/**
 * Draws `column` over the x axis. Where many points share a column of pixels, the pen goes from the first over the least and
 * the greatest to the last: the pixels are the same ones. Values that are not finite break the line.
 */
export function traceLine(pen: Pen, line: Line, column: Float64Array, layout: Layout, axis: AxisKind): void {
  const { x, y } = layout;
  const [first, end] = rows(line, x, axis);
  const places = line.x;
  const shared = axis !== "metric";
  // This runs for each point of each frame: nothing is made here, no closure holds what changes, and linear scales are
  // written out as `at` has them, for a number that a call returns is an object of its own.
  let pixel = Number.NaN;
  let low = 0;
  let high = 0;
  let last = 0;
  let merged = 0;
  let down = false;
  for (let row = first; row < end; row++) {
    const value = column[row] as number;
    const place = places[row] as number;
    const px = x.log ? x.at(place) : x.from + (place - x.lo) * x.factor;
    const py = y.log ? y.at(value) : y.from + (value - y.lo) * y.factor;
    if (!Number.isFinite(px) || !Number.isFinite(py)) {
      if (Number.isFinite(value) && Number.isFinite(px)) continue;
      if (merged > 1) climb(pen, pixel, low, high, last);
      merged = 0;
      down = false;
      continue;
    }
    if (down && shared && px - pixel < 0.5) {
      if (py < low) low = py;
      if (py > high) high = py;
      last = py;
      merged += 1;
      continue;
    }
    if (merged > 1) climb(pen, pixel, low, high, last);
    if (down) pen.lineTo(px, py);
    else pen.moveTo(px, py);
    pixel = px;
    low = py;
    high = py;
    last = py;
    merged = 1;
    down = true;
  }
  if (merged > 1) climb(pen, pixel, low, high, last);
}

/** Through all points that share a column of pixels. */
function climb(pen: Pen, pixel: number, low: number, high: number, last: number): void {
  pen.lineTo(pixel, low);
  pen.lineTo(pixel, high);
  pen.lineTo(pixel, last);
}

/** The rows of a column that a rule finds, looked for once: columns never change. */
class Marked {
  private readonly found = new WeakMap<Float64Array, Uint32Array>();

  constructor(private readonly rule: (column: Float64Array, row: number) => boolean) {}

  rows(column: Float64Array): Uint32Array {
    let found = this.found.get(column);
    if (!found) {
      const list: number[] = [];
      for (let row = 0; row < column.length; row++) if (this.rule(column, row)) list.push(row);
      found = Uint32Array.from(list);
      this.found.set(column, found);
    }
    return found;
  }
}

// Outside of a column there is no number either, and so nothing finite.
const LONELY = new Marked(
  (column, row) =>
    Number.isFinite(column[row]) && !Number.isFinite(column[row - 1]) && !Number.isFinite(column[row + 1]),
);
const NONFINITE = new Marked((column, row) => Boolean(column[row]));

/** Points without a neighbour on either side, which no line would show: their pixels. */
export function loners(line: Line, column: Float64Array, layout: Layout, axis: AxisKind): [number, number][] {
  const [first, end] = rows(line, layout.x, axis);
  const found: [number, number][] = [];
  for (const row of LONELY.rows(column)) {
    if (row < first || row >= end) continue;
    found.push([layout.x.at(line.x[row] as number), layout.y.at(column[row] as number)]);
  }
  return found;
}

/** The outline of what lies between two columns, one piece for each stretch without a gap. */
export function traceBand(
  pen: Pen,
  line: Line,
  lower: Float64Array,
  upper: Float64Array,
  layout: Layout,
  axis: AxisKind,
): void {
  const { x, y, top, bottom } = layout;
  const [first, end] = rows(line, x, axis);
  // What a logarithm does not have lies below the picture.
  const place = (value: number) => {
    const pixel = y.at(value);
    return Number.isFinite(pixel) ? Math.min(bottom + 50, Math.max(top - 50, pixel)) : bottom + 50;
  };
  let begin = first;
  while (begin < end) {
    while (begin < end && !Number.isFinite(upper[begin] as number)) begin += 1;
    let stop = begin;
    while (stop < end && Number.isFinite(upper[stop] as number)) stop += 1;
    if (stop - begin > 1) {
      pen.moveTo(x.at(line.x[begin] as number), place(upper[begin] as number));
      for (let row = begin + 1; row < stop; row++)
        pen.lineTo(x.at(line.x[row] as number), place(upper[row] as number));
      for (let row = stop - 1; row >= begin; row--)
        pen.lineTo(x.at(line.x[row] as number), place(lower[row] as number));
    }
    begin = stop;
  }
}

/** Where a line has values that are NaN or infinite: pixels on the x axis, at most one in three pixels. */
export function gaps(line: Line, layout: Layout, axis: AxisKind): number[] {
  const [first, end] = rows(line, layout.x, axis);
  const found: number[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const row of NONFINITE.rows(line.nonfinite)) {
    if (row < first || row >= end) continue;
    const px = layout.x.at(line.x[row] as number);
    if (px >= layout.left - 1 && px <= layout.right + 1 && px - last >= 3) {
      found.push(px);
      last = px;
    }
  }
  return found;
}
