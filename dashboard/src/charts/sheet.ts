/** Several panels as one drawing, in columns. */
import type { Scene } from "./scene";
import type { ChartStyle } from "./style";
import { svg } from "./svg";

const WIDTH = 620;
const HEIGHT = 300;
const GAP = 14;
const MOST_COLUMNS = 3;

export function sheet(panels: readonly { title: string; scene: Scene }[], style: ChartStyle): string {
  const columns = Math.max(1, Math.min(MOST_COLUMNS, Math.ceil(Math.sqrt(panels.length))));
  const out: string[] = [];
  let top = GAP;
  for (let first = 0; first < panels.length; first += columns) {
    const row = panels.slice(first, first + columns).map(({ scene, title }, column) => {
      const text = svg(scene, title, style, WIDTH, HEIGHT, `plot${first + column}`);
      const height = Number(/ height="(\d+)"/.exec(text)?.[1] ?? HEIGHT);
      const x = GAP + column * (WIDTH + GAP);
      return { height, text: text.replace("<svg ", `<svg x="${x}" y="${top}" `) };
    });
    out.push(...row.map(({ text }) => text));
    top += Math.max(...row.map(({ height }) => height)) + GAP;
  }
  const width = GAP + columns * (WIDTH + GAP);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}">`,
    `<rect width="100%" height="100%" fill="${style.ground}"/>`,
    ...out,
    "</svg>",
  ].join("\n");
}
