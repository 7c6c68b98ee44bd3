/** How strongly each part of a line is drawn, the same on canvas and in SVG. */
import type { Line } from "./line";
import type { Drawn, Scene } from "./scene";

export interface Strokes {
  line: Line;
  color: string;
  dash: readonly number[];
  /** From 0 to 1; 0 leaves it out. */
  band: number;
  /** How strongly the edge of the band is drawn, so that a spike of one bucket is seen. */
  edge: number;
  /** Pairs of columns, the outer one first. */
  bands: readonly (readonly [Float64Array, Float64Array])[];
  /** The mean behind a smoothed line. */
  behind: Float64Array | undefined;
  main: Float64Array;
  opacity: number;
  /** Pixels; 0 for one pixel of the screen, which browsers paint ten times as fast as any other width. */
  width: number;
}

/** With more lines than this, only the one that is pointed at has its band: many bands make a fog. */
const MANY = 12;
/** With more than this, dashes tell nobody anything, and take most of the time of painting. */
const DASHED = 32;

/** What is drawn of each line, in the order of painting: the one that is pointed at comes last. */
export function strokes(scene: Scene, pointed: string | undefined): Strokes[] {
  const many = scene.drawn.length > MANY;
  const dashed = scene.drawn.length <= DASHED;
  const found = scene.drawn.map((drawn) => look(drawn, scene, pointed, many, dashed));
  const at = pointed === undefined ? -1 : scene.drawn.findIndex((drawn) => drawn.line.key === pointed);
  if (at >= 0) found.push(...found.splice(at, 1));
  return found;
}

function look(
  { line, ink }: Drawn,
  scene: Scene,
  pointed: string | undefined,
  many: boolean,
  dashed: boolean,
): Strokes {
  const mine = pointed === line.key;
  const dimmed = pointed !== undefined && !mine;
  const quantiles = pairs(line.quantiles);
  // Single points have no spread.
  const banded = scene.bands && (mine || !many) && (!isSingle(line) || quantiles.length > 0);
  return {
    line,
    color: ink.color,
    dash: dashed ? ink.dash : [],
    band: banded ? (dimmed ? 0.03 : mine ? 0.28 : 0.16) : 0,
    edge: banded && !dimmed ? 0.38 : 0,
    bands: quantiles.length ? quantiles : [[line.min, line.max]],
    behind: line.smooth && !many && !dimmed ? line.mean : undefined,
    main: line.smooth ?? line.mean,
    opacity: dimmed ? 0.22 : 1,
    width: mine ? 2.1 : many ? 0 : 1.45,
  };
}

function isSingle(line: Line): boolean {
  return line.raw && line.rank !== undefined;
}

function pairs(columns: readonly Float64Array[]): [Float64Array, Float64Array][] {
  const found: [Float64Array, Float64Array][] = [];
  for (let outer = 0; outer < Math.floor(columns.length / 2); outer++) {
    found.push([columns[outer] as Float64Array, columns[columns.length - 1 - outer] as Float64Array]);
  }
  return found;
}
