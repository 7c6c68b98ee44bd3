/**
 * Colours that people with any colour vision tell apart: eight hues after Okabe and Ito, each in a shade for a light and
 * one for a dark ground. From the ninth line on the same hues come back dashed, then dotted.
 */

export interface Ink {
  color: string;
  /** Lengths of dashes and gaps in pixels; empty for a solid line. */
  dash: readonly number[];
}

const LIGHT = ["#0b6fb8", "#d55e00", "#00906a", "#b4558f", "#b98500", "#2f9fd0", "#8a2846", "#5f6b78"];
const DARK = ["#5aa9e6", "#ff8a3d", "#2fc79b", "#e592c4", "#eebb4d", "#8ad4f5", "#e0708d", "#a5b0bd"];
const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 2.5], [8, 3, 2, 3]];

export const HUES = LIGHT.length;

/** The look of line number `slot`. */
export function ink(slot: number, dark: boolean): Ink {
  const hues = dark ? DARK : LIGHT;
  return {
    color: hues[slot % HUES] as string,
    dash: DASHES[Math.floor(slot / HUES) % DASHES.length] as readonly number[],
  };
}

/** `color` (#rrggbb) with an opacity. */
export function faded(color: string, alpha: number): string {
  const byte = Math.round(alpha * 255)
    .toString(16)
    .padStart(2, "0");
  return color + byte;
}

// Cividis (Nuñez, Anderton and Renslow 2018) at nine places: even in lightness, the same for every colour vision.
const CIVIDIS: Ramp = [
  [0, 34, 78],
  [18, 53, 112],
  [59, 73, 108],
  [87, 93, 109],
  [112, 113, 115],
  [138, 134, 120],
  [165, 156, 116],
  [195, 179, 105],
  [254, 232, 56],
];
// One hue, away from the ground: what is busy stands out, what idles recedes.
const BLUES_ON_LIGHT: Ramp = [
  [236, 242, 248],
  [176, 208, 234],
  [92, 158, 210],
  [20, 106, 172],
  [6, 52, 98],
];
const BLUES_ON_DARK: Ramp = [
  [27, 33, 42],
  [24, 58, 92],
  [32, 98, 154],
  [84, 160, 218],
  [186, 222, 248],
];

type Ramp = readonly (readonly [number, number, number])[];

/** A colour for a share between 0 and 1, for lines that differ in one number. */
export function ramp(share: number): string {
  return between(CIVIDIS, share);
}

/** A colour for a share between 0 and 1, for areas. */
export function heat(share: number, dark: boolean): string {
  return between(dark ? BLUES_ON_DARK : BLUES_ON_LIGHT, share);
}

function between(ramp: Ramp, share: number): string {
  const place = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const low = Math.min(Math.floor(place), ramp.length - 2);
  const [from, to] = [ramp[low], ramp[low + 1]] as [readonly number[], readonly number[]];
  const mixed = from.map((byte, index) => Math.round(byte + ((to[index] as number) - byte) * (place - low)));
  return `rgb(${mixed.join(",")})`;
}
