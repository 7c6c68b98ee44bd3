/** How many panels lie beside each other and on a screen, as `.panels` of the style sheet lays them out. */
const GAP = 10;
const LEAST_WIDTH = 340;
const HEIGHT = 242;

export function columnsIn(width: number): number {
  return Math.max(1, Math.floor((width + GAP) / (LEAST_WIDTH + GAP)));
}

/** The height of COUNT panels in so many columns. */
export function heightOf(count: number, columns: number): number {
  return Math.ceil(count / columns) * (HEIGHT + GAP);
}

/** How many panels a place of WIDTH x HEIGHT pixels has room for, those at its lower edge as well. */
export function panelsIn(width: number, height: number): number {
  return columnsIn(width) * Math.ceil(height / (HEIGHT + GAP));
}
