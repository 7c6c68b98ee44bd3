/** Where the parts of a chart lie in a box of pixels. */
import { type Range, type Scale, scale } from "./scale";
import { rangeX, rangeY, type Scene } from "./scene";
import { type Tick, ticks } from "./ticks";

export interface Box {
  width: number;
  height: number;
}

export interface Layout {
  box: Box;
  left: number;
  right: number;
  top: number;
  bottom: number;
  x: Scale;
  y: Scale;
  ticksX: Tick[];
  ticksY: Tick[];
}

export const FONT_SIZE = 10.5;
const LETTER = 6.1;
const TICK_X = 76;
const TICK_Y = 34;
const EDGE = { right: 10, top: 8, bottom: 22 };

/** The pixels of SCENE in BOX. */
export function layout(scene: Scene, box: Box): Layout {
  const top = EDGE.top;
  const bottom = Math.max(top + 10, box.height - EDGE.bottom);
  const right = Math.max(40, box.width - EDGE.right);
  const spanX = rangeX(scene);
  const spanY = rangeY(scene, spanX);
  const ticksY = ticks(spanY, (bottom - top) / TICK_Y, scene.logY, "value");
  const longest = Math.max(3, ...ticksY.map((tick) => tick.label.length));
  const left = Math.min(box.width / 3, Math.max(36, 12 + Math.ceil(longest * LETTER)));
  return {
    ...{ box, left, right, top, bottom, ticksY },
    x: scale(spanX, left, right, scene.logX),
    y: scale(spanY, bottom, top, scene.logY),
    ticksX: ticks(spanX, (right - left) / TICK_X, scene.logX, scene.axis),
  };
}

/** LAYOUT of SCENE with another VIEW of the x axis. The y axis rests, as long as the view moves. */
export function moved(still: Layout, scene: Scene, view: Range): Layout {
  const { left, right } = still;
  return {
    ...still,
    x: scale(view, left, right, scene.logX),
    ticksX: ticks(view, (right - left) / TICK_X, scene.logX, scene.axis),
  };
}
