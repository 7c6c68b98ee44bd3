/** Axes of parallel coordinates: numbers on a scale, everything else in places of its own. */
import { padded, type Range, type Scale, scale } from "../charts/scale";
import { ticks } from "../charts/ticks";
import { json } from "../lib/format";

export interface ParallelAxis {
  key: string;
  scale: Scale;
  ticks: { at: number; label: string }[];
  /** Where a value lies in pixels from the top; undefined for a run without one. */
  place(value: unknown): number | undefined;
}

const TICK = 46;
/** Learning rates and the like spread over more than this and read better on a logarithm. */
const WIDE = 50;

/** The axis of KEY for the values that the runs have, from TOP down to BOTTOM. */
export function axisFor(key: string, values: readonly unknown[], top: number, bottom: number): ParallelAxis {
  const known = values.filter((value) => value !== undefined && value !== null);
  const numbers = known.filter(
    (value): value is number => typeof value === "number" && Number.isFinite(value),
  );
  if (numbers.length > 0 && numbers.length >= known.length / 2) return numeric(key, numbers, top, bottom);
  const names = [...new Set(known.map(json))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const places = new Map(names.map((name, index) => [name, index]));
  const own = scale({ lo: -0.5, hi: Math.max(0.5, names.length - 0.5) }, bottom, top, false);
  const stride = Math.ceil(names.length / Math.max(1, (bottom - top) / 18));
  return {
    key,
    scale: own,
    ticks: names.map((label, at) => ({ at, label })).filter((_, index) => index % stride === 0),
    place: (value) => {
      const at = value === undefined || value === null ? undefined : places.get(json(value));
      return at === undefined ? undefined : own.at(at);
    },
  };
}

function numeric(key: string, numbers: readonly number[], top: number, bottom: number): ParallelAxis {
  let [lo, hi] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const number of numbers) {
    lo = Math.min(lo, number);
    hi = Math.max(hi, number);
  }
  const log = lo > 0 && hi / lo > WIDE;
  const range: Range = padded({ lo, hi }, log, 0.02);
  const own = scale(range, bottom, top, log);
  return {
    key,
    scale: own,
    ticks: ticks(range, (bottom - top) / TICK, log, "value"),
    place: (value) => (typeof value === "number" && Number.isFinite(value) ? own.at(value) : undefined),
  };
}

/** Which of the runs lie inside all brushes; a brush is a range of pixels on an axis. */
export function inside(
  places: readonly (readonly (number | undefined)[])[],
  brushes: ReadonlyMap<number, Range>,
): boolean[] {
  return places.map((row) =>
    [...brushes].every(([axis, { lo, hi }]) => {
      const at = row[axis];
      return at !== undefined && at >= lo && at <= hi;
    }),
  );
}
