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
  let pixel = Number.NaN;
  let [low, high, last] = [0, 0, 0];
  let merged = 0;
  let down = false;
  const finish = () => {
    if (merged > 1) {
      pen.lineTo(pixel, low);
      pen.lineTo(pixel, high);
      pen.lineTo(pixel, last);
    }
    merged = 0;
  };
  for (let row = first; row < end; row++) {
    const px = x.at(line.x[row] as number);
    const py = y.at(column[row] as number);
    if (!Number.isFinite(px) || !Number.isFinite(py)) {
      if (Number.isFinite(column[row] as number) && Number.isFinite(px)) continue;
      finish();
      down = false;
      continue;
    }
    if (down && axis !== "metric" && px - pixel < 0.5) {
      low = Math.min(low, py);
      high = Math.max(high, py);
      last = py;
      merged += 1;
      continue;
    }
    finish();
    if (down) pen.lineTo(px, py);
    else pen.moveTo(px, py);
    [pixel, low, high, last, merged, down] = [px, py, py, py, 1, true];
  }
  finish();
}

/** Points without a neighbour on either side, which no line would show: their pixels. */
export function loners(line: Line, column: Float64Array, layout: Layout, axis: AxisKind): [number, number][] {
  const [first, end] = rows(line, layout.x, axis);
  const found: [number, number][] = [];
  for (let row = first; row < end; row++) {
    if (!Number.isFinite(column[row] as number)) continue;
    const before = row > 0 && Number.isFinite(column[row - 1] as number);
    const after = row + 1 < column.length && Number.isFinite(column[row + 1] as number);
    if (!before && !after)
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
  for (let row = first; row < end; row++) {
    if (!line.nonfinite[row]) continue;
    const px = layout.x.at(line.x[row] as number);
    if (px >= layout.left - 1 && px <= layout.right + 1 && px - last >= 3) {
      found.push(px);
      last = px;
    }
  }
  return found;
}
