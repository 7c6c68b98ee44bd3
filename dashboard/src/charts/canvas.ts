/** A scene on a canvas. */
import { FONT_SIZE, type Layout } from "./layout";
import { type Strokes, strokes } from "./looks";
import { faded } from "./palette";
import type { Scene } from "./scene";
import type { ChartStyle } from "./style";
import { gaps, loners, traceBand, traceLine } from "./trace";

/** Paints SCENE; the units of `context` are CSS pixels. POINTED is the key of the line that stands out. */
export function paint(
  context: CanvasRenderingContext2D,
  scene: Scene,
  layout: Layout,
  style: ChartStyle,
  pointed?: string,
): void {
  paintFrame(context, layout, style);
  paintLines(context, scene, layout, pointed);
}

/** The lines of SCENE without what is around them. */
export function paintLines(
  context: CanvasRenderingContext2D,
  scene: Scene,
  layout: Layout,
  pointed?: string,
): void {
  context.save();
  context.beginPath();
  context.rect(layout.left, layout.top - 2, layout.right - layout.left, layout.bottom - layout.top + 3);
  context.clip();
  context.lineJoin = "bevel";
  const every = strokes(scene, pointed);
  for (const one of every) band(context, one, layout, scene);
  for (const one of every) line(context, one, layout, scene);
  context.restore();
  for (const one of every) marks(context, one, layout, scene);
}

/** Grid and axes, on an empty ground. */
export function paintFrame(context: CanvasRenderingContext2D, layout: Layout, style: ChartStyle): void {
  const { left, right, bottom } = layout;
  context.clearRect(0, 0, layout.box.width, layout.box.height);
  context.font = `${FONT_SIZE}px ${style.font}`;
  context.lineWidth = 1;
  context.setLineDash([]);
  context.strokeStyle = style.grid;
  context.fillStyle = style.dim;
  context.textBaseline = "middle";
  context.textAlign = "right";
  context.beginPath();
  for (const tick of layout.ticksY) {
    const y = crisp(layout.y.at(tick.at));
    context.moveTo(left, y);
    context.lineTo(right, y);
    context.fillText(tick.label, left - 7, y);
  }
  context.stroke();
  context.textBaseline = "top";
  let free = Number.NEGATIVE_INFINITY;
  context.beginPath();
  for (const tick of layout.ticksX) {
    const x = crisp(layout.x.at(tick.at));
    context.moveTo(x, bottom);
    context.lineTo(x, bottom + 3);
    const half = context.measureText(tick.label).width / 2;
    const middle = Math.min(x, layout.box.width - half - 2);
    if (middle - half < free) continue;
    free = middle + half + 8;
    context.textAlign = "center";
    context.fillText(tick.label, middle, bottom + 7);
  }
  context.moveTo(left, crisp(bottom));
  context.lineTo(right, crisp(bottom));
  context.strokeStyle = style.axis;
  context.stroke();
}

function band(context: CanvasRenderingContext2D, one: Strokes, layout: Layout, scene: Scene): void {
  if (!one.band) return;
  context.fillStyle = faded(one.color, one.band);
  for (const [lower, upper] of one.bands) {
    context.beginPath();
    traceBand(context, one.line, lower, upper, layout, scene.axis);
    context.fill();
    if (!one.edge) continue;
    context.strokeStyle = faded(one.color, one.edge);
    context.lineWidth = 0.8;
    context.setLineDash([]);
    for (const column of [lower, upper]) {
      context.beginPath();
      traceLine(context, one.line, column, layout, scene.axis);
      context.stroke();
    }
  }
}

function line(context: CanvasRenderingContext2D, one: Strokes, layout: Layout, scene: Scene): void {
  context.strokeStyle = one.color;
  context.setLineDash([]);
  if (one.behind) {
    context.globalAlpha = 0.28 * one.opacity;
    context.lineWidth = 1;
    context.beginPath();
    traceLine(context, one.line, one.behind, layout, scene.axis);
    context.stroke();
  }
  context.globalAlpha = one.opacity;
  context.lineWidth = one.width || 1 / context.getTransform().a;
  context.setLineDash(one.dash as number[]);
  context.beginPath();
  traceLine(context, one.line, one.main, layout, scene.axis);
  context.stroke();
  context.fillStyle = one.color;
  for (const [x, y] of loners(one.line, one.main, layout, scene.axis)) {
    context.beginPath();
    context.arc(x, y, 2.4, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

/** A wedge at the upper edge for each place with NaN or infinite values. */
function marks(context: CanvasRenderingContext2D, one: Strokes, layout: Layout, scene: Scene): void {
  const found = gaps(one.line, layout, scene.axis);
  if (!found.length) return;
  context.globalAlpha = one.opacity;
  context.fillStyle = one.color;
  context.beginPath();
  for (const x of found) {
    context.moveTo(x - 3.5, layout.top - 7);
    context.lineTo(x + 3.5, layout.top - 7);
    context.lineTo(x, layout.top - 1);
    context.closePath();
  }
  context.fill();
  context.globalAlpha = 1;
}

function crisp(pixel: number): number {
  return Math.round(pixel) + 0.5;
}
