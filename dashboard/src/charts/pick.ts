/** What lies under the pointer. */
import { nearest } from "../lib/search";
import type { Layout } from "./layout";
import type { AxisKind, Line } from "./line";
import type { Drawn, Scene } from "./scene";

const REACH = 28;

/** The row of LINE that is nearest to X on the axis; -1 for none. */
export function rowAt(line: Line, x: number, axis: AxisKind): number {
  if (axis !== "metric") return nearest(line.x, x);
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let row = 0; row < line.x.length; row++) {
    const distance = Math.abs((line.x[row] as number) - x);
    if (distance < least) [best, least] = [row, distance];
  }
  return best;
}

/** The line that passes nearest to a pixel, within reach of a pointer. */
export function nearestLine(scene: Scene, place: Layout, px: number, py: number): Drawn | undefined {
  if (px < place.left || px > place.right) return undefined;
  const x = place.x.invert(px);
  let found: Drawn | undefined;
  let least = REACH;
  for (const drawn of scene.drawn) {
    const distance = Math.abs(py - heightAt(drawn.line, scene.axis, place, x));
    if (distance < least) [found, least] = [drawn, distance];
  }
  return found;
}

function heightAt(line: Line, axis: AxisKind, place: Layout, x: number): number {
  const row = rowAt(line, x, axis);
  const column = line.smooth ?? line.mean;
  if (row < 0) return Number.NaN;
  const [x0, y0] = [line.x[row] as number, place.y.at(column[row] as number)];
  const other = x > x0 ? row + 1 : row - 1;
  if (axis === "metric" || other < 0 || other >= line.x.length) {
    // Beyond its ends a line is not there.
    return Math.abs(place.x.at(x0) - place.x.at(x)) > REACH ? Number.NaN : y0;
  }
  const [x1, y1] = [line.x[other] as number, place.y.at(column[other] as number)];
  return x1 === x0 || !Number.isFinite(y1) ? y0 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

export interface Reading {
  drawn: Drawn;
  row: number;
  value: number;
}

/** What each line says at X, the highest first; lines that end before or begin after it are left out. */
export function readings(scene: Scene, place: Layout, x: number): Reading[] {
  const found: Reading[] = [];
  for (const drawn of scene.drawn) {
    const { line } = drawn;
    const row = rowAt(line, x, scene.axis);
    if (row < 0 || Math.abs(place.x.at(line.x[row] as number) - place.x.at(x)) > REACH * 2) continue;
    found.push({ drawn, row, value: (line.smooth ?? line.mean)[row] as number });
  }
  // NaN goes last.
  const rank = (value: number) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value);
  return found.sort((a, b) => (rank(b.value) === rank(a.value) ? 0 : rank(b.value) - rank(a.value)));
}
