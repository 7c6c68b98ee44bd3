/** A heat map: a row for each line, a column of pixels for each moment. */
import { FONT_SIZE } from "../charts/layout";
import type { Line } from "../charts/line";
import { heat } from "../charts/palette";
import type { Range } from "../charts/scale";
import type { ChartStyle } from "../charts/style";
import { ticks } from "../charts/ticks";

export interface HeatRow {
  line: Line;
  label: string;
}

export interface HeatLayout {
  left: number;
  right: number;
  top: number;
  rowHeight: number;
  height: number;
  time: Range;
  value: Range;
}

const LABELS = 104;
const TICKS = 24;
const LEAST_ROW = 3;
const MOST_ROW = 22;
const WANTED_HEIGHT = 420;

export function heatLayout(rows: readonly HeatRow[], width: number, percent: boolean): HeatLayout {
  const rowHeight = Math.max(
    LEAST_ROW,
    Math.min(MOST_ROW, Math.floor(WANTED_HEIGHT / Math.max(1, rows.length))),
  );
  const time = { lo: Number.POSITIVE_INFINITY, hi: Number.NEGATIVE_INFINITY };
  const value = percent ? { lo: 0, hi: 100 } : { lo: Number.POSITIVE_INFINITY, hi: Number.NEGATIVE_INFINITY };
  for (const { line } of rows) {
    if (!line.step.length) continue;
    time.lo = Math.min(time.lo, line.step[0] as number);
    time.hi = Math.max(time.hi, (line.step.at(-1) as number) + line.width);
    if (percent) continue;
    for (const mean of line.mean) {
      if (mean < value.lo) value.lo = mean;
      if (mean > value.hi) value.hi = mean;
    }
  }
  return {
    left: LABELS,
    right: width - 8,
    top: 4,
    rowHeight,
    height: rows.length * rowHeight + TICKS + 4,
    time,
    value,
  };
}

export function paintHeat(
  context: CanvasRenderingContext2D,
  rows: readonly HeatRow[],
  place: HeatLayout,
  style: ChartStyle,
  dark: boolean,
): void {
  const { left, right, top, rowHeight, time, value } = place;
  context.clearRect(0, 0, right + 8, place.height);
  const scale = (right - left) / Math.max(1, time.hi - time.lo);
  const height = value.hi - value.lo || 1;
  const gap = rowHeight > 6 ? 1 : 0;
  context.font = `${FONT_SIZE}px ${style.font}`;
  context.textBaseline = "middle";
  context.textAlign = "right";
  const every = Math.ceil(13 / rowHeight);
  rows.forEach(({ line, label }, index) => {
    const y = top + index * rowHeight;
    if (index % every === 0) {
      context.fillStyle = style.dim;
      context.fillText(label, left - 8, y + rowHeight / 2, LABELS - 12);
    }
    const pace = paceOf(line);
    for (let row = 0; row < line.step.length; row++) {
      const mean = line.mean[row] as number;
      const x = left + ((line.step[row] as number) - time.lo) * scale;
      const wide = Math.max(1, span(line, row, pace) * scale) + 0.6;
      context.fillStyle = Number.isFinite(mean) ? heat((mean - value.lo) / height, dark) : style.axis;
      context.fillRect(x, y, Math.min(wide, right - x), rowHeight - gap);
    }
  });
  context.fillStyle = style.dim;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of ticks(time, (right - left) / 90, false, "time")) {
    context.fillText(tick.label, left + (tick.at - time.lo) * scale, top + rows.length * rowHeight + 8);
  }
}

/** The row and the bucket at a pixel. */
export function heatAt(
  rows: readonly HeatRow[],
  place: HeatLayout,
  x: number,
  y: number,
): { row: HeatRow; bucket: number } | undefined {
  const row = rows[Math.floor((y - place.top) / place.rowHeight)];
  if (!row || x < place.left || x > place.right) return undefined;
  const at =
    place.time.lo + ((x - place.left) / (place.right - place.left)) * (place.time.hi - place.time.lo);
  const bucket = row.line.step.findLastIndex((step) => step <= at);
  return bucket < 0 || at > (row.line.step[bucket] as number) + row.line.width * 2
    ? undefined
    : { row, bucket };
}

/** The usual time between two buckets that have readings; buckets may be narrower than that. */
function paceOf(line: Line): number {
  const gaps: number[] = [];
  for (let row = 1; row < line.step.length; row++)
    gaps.push((line.step[row] as number) - (line.step[row - 1] as number));
  gaps.sort((a, b) => a - b);
  return Math.max(line.width, gaps[gaps.length >> 1] ?? 0);
}

/** How long a reading counts: until the next one, unless that is missing. */
function span(line: Line, row: number, pace: number): number {
  const next =
    row + 1 < line.step.length ? (line.step[row + 1] as number) - (line.step[row] as number) : pace;
  return next <= 2.5 * pace ? next : pace;
}
