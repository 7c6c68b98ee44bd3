/** Where an axis has its ticks, and what they say. */
import { duration, short, value } from "../lib/format";
import type { AxisKind } from "./line";
import type { Range } from "./scale";

export interface Tick {
  at: number;
  label: string;
}

const NICE = [1, 2, 5, 10];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SPANS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((n) => n * DAY),
];

/** At most about `most` ticks over `range`. */
export function ticks(range: Range, most: number, log: boolean, kind: AxisKind | "value"): Tick[] {
  const wanted = Math.max(2, Math.floor(most));
  if (log) return logarithmic(range, wanted, kind);
  if (kind === "relative") return spans(range, wanted, 0, duration);
  if (kind === "time") return moments(range, wanted);
  return linear(range, wanted, kind);
}

function linear({ lo, hi }: Range, most: number, kind: AxisKind | "value"): Tick[] {
  const width = niceWidth((hi - lo) / most, kind === "step");
  const found: Tick[] = [];
  const first = Math.ceil(lo / width);
  const decimals = Math.max(0, -Math.floor(Math.log10(width) + 1e-9));
  for (let index = first; index * width <= hi && found.length <= 2 * most; index++) {
    const at = index * width;
    found.push({
      at,
      label: kind === "step" ? short(at) : plain(at, decimals, Math.max(Math.abs(lo), Math.abs(hi))),
    });
  }
  return found;
}

function niceWidth(ideal: number, whole: boolean): number {
  const power = 10 ** Math.floor(Math.log10(ideal));
  const width = (NICE.find((factor) => factor * power >= ideal * 0.999) ?? 10) * power;
  return whole ? Math.max(1, width) : width;
}

/** A tick's number with as many decimals as its neighbours need. */
function plain(at: number, decimals: number, largest: number): string {
  if (at === 0) return "0";
  if (largest >= 1e4) return decimals === 0 ? short(at) : value(at, 4);
  if (largest < 1e-3 || decimals > 6) return value(at, 4);
  return at.toFixed(decimals).replace("-", "\u2212");
}

function logarithmic({ lo, hi }: Range, most: number, kind: AxisKind | "value"): Tick[] {
  const decades = Math.log10(hi / lo);
  const label = (at: number) =>
    kind === "relative" ? duration(at) : kind === "step" ? short(at) : value(at, 2);
  if (decades < 0.7) return linear({ lo, hi }, most, kind).filter((tick) => tick.at > 0);
  const factors = decades * 3 <= most ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil(decades / most));
  const found: Tick[] = [];
  for (let power = Math.floor(Math.log10(lo)); power <= Math.log10(hi); power++) {
    if (power % stride) continue;
    for (const factor of factors) {
      // As text, so that it is the nearest number to what the label says.
      const at = Number(`${factor}e${power}`);
      if (at >= lo * 0.9999 && at <= hi * 1.0001) found.push({ at, label: label(at) });
    }
  }
  return found;
}

function spans({ lo, hi }: Range, most: number, offset: number, label: (at: number) => string): Tick[] {
  const width = SPANS.find((span) => span >= (hi - lo) / most) ?? (SPANS.at(-1) as number);
  const found: Tick[] = [];
  for (let index = Math.ceil((lo - offset) / width); index * width + offset <= hi; index++) {
    const at = index * width + offset;
    found.push({ at, label: at === 0 ? "0" : label(at) });
    if (found.length > 3 * most) break;
  }
  return found;
}

/** Ticks at whole minutes, hours and days of the local clock. */
function moments(range: Range, most: number): Tick[] {
  const offset = new Date(range.lo).getTimezoneOffset() * MINUTE;
  const span = range.hi - range.lo;
  return spans(range, most, offset % DAY, (at) => {
    const date = new Date(at);
    const two = (number: number) => String(number).padStart(2, "0");
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
    if (span < 3 * MINUTE) return `${clock}:${two(date.getSeconds())}`;
    const midnight = date.getHours() === 0 && date.getMinutes() === 0;
    if (span < 2 * DAY && !midnight) return clock;
    const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    return midnight ? day : `${day} ${clock}`;
  });
}
