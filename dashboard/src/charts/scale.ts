/** From values to pixels and back, linear or logarithmic. */

export interface Range {
  lo: number;
  hi: number;
}

export interface Scale extends Range {
  log: boolean;
  /** Pixels of lo and hi. */
  from: number;
  to: number;
  /** Pixels for each unit, or for each power of ten. */
  factor: number;
  /** The pixel of a value; not finite for what a logarithm does not have. */
  at(value: number): number;
  invert(pixel: number): number;
}

export function scale(range: Range, from: number, to: number, log: boolean): Scale {
  const { lo, hi } = range;
  if (log) {
    const low = Math.log10(lo);
    const factor = (to - from) / (Math.log10(hi) - low);
    return {
      ...{ lo, hi, log, from, to, factor },
      at: (value) => from + (Math.log10(value) - low) * factor,
      invert: (pixel) => 10 ** (low + (pixel - from) / factor),
    };
  }
  const factor = (to - from) / (hi - lo);
  return {
    ...{ lo, hi, log, from, to, factor },
    at: (value) => from + (value - lo) * factor,
    invert: (pixel) => lo + (pixel - from) / factor,
  };
}

/** RANGE with room around it, never empty. With LOG only what is positive counts. */
export function padded(range: Range, log: boolean, share: number): Range {
  let { lo, hi } = range;
  if (!(lo <= hi)) return log ? { lo: 1, hi: 10 } : { lo: 0, hi: 1 };
  if (log) {
    if (lo === hi) return { lo: lo / 2, hi: hi * 2 };
    const room = (hi / lo) ** share;
    return { lo: lo / room, hi: hi * room };
  }
  if (lo === hi) {
    const room = lo === 0 ? 1 : Math.abs(lo) * 0.1;
    return { lo: lo - room, hi: hi + room };
  }
  const room = (hi - lo) * share;
  // Halves first: the span of two finite numbers may be infinite.
  if (!Number.isFinite(room)) return { lo: -Number.MAX_VALUE / 4, hi: Number.MAX_VALUE / 4 };
  lo -= room;
  hi += room;
  return { lo, hi };
}
