/**
 * The lines of a chart as pixels, for the time in which somebody pans or zooms it: a hundred lines take longer to paint than a
 * frame lasts, their picture is moved in a tenth of that. A still chart is always painted from its lines.
 */
import { paintFrame, paintLines } from "./canvas";
import type { Layout } from "./layout";
import { scale } from "./scale";
import type { Scene } from "./scene";
import type { ChartStyle } from "./style";

/** How far the picture goes beyond either edge, as a share of the view. */
const MARGIN = 0.5;
/** It is painted anew where it would be stretched more than this. */
const STRETCH = 1.6;

interface Made {
  scene: Scene;
  canvas: HTMLCanvasElement;
  layout: Layout;
}

export class Picture {
  private made: Made | undefined;

  /** Paints SCENE as SHOWN, where only the x axis is another one than in the last call. */
  paint(context: CanvasRenderingContext2D, scene: Scene, shown: Layout, style: ChartStyle): void {
    const ratio = context.getTransform().a;
    if (this.made?.scene !== scene || !covers(this.made.layout, shown)) this.made = make(scene, shown, ratio);
    const { canvas, layout } = this.made;
    const [from, to] = ends(layout, shown);
    const stretched = Math.abs(to - from - layout.right) > 0.01;
    paintFrame(context, shown, style);
    context.save();
    context.beginPath();
    context.rect(shown.left, 0, shown.right - shown.left, shown.box.height);
    context.clip();
    context.imageSmoothingEnabled = stretched;
    // Pixels on pixels are copied as they are.
    const left = stretched ? from : Math.round(from * ratio) / ratio;
    context.drawImage(canvas, left, 0, stretched ? to - from : layout.right, shown.box.height);
    context.restore();
  }

  forget(): void {
    this.made = undefined;
  }
}

function make(scene: Scene, shown: Layout, ratio: number): Made {
  const { left, right, box, x } = shown;
  const room = MARGIN * (right - left);
  // Whole pixels, so that it can be copied.
  const width = Math.ceil((right - left + 2 * room) * ratio) / ratio;
  const view = { lo: x.invert(left - room), hi: x.invert(left - room + width) };
  const layout = {
    ...shown,
    ...{ left: 0, right: width, box: { width, height: box.height } },
    x: scale(view, 0, width, x.log),
  };
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(box.height * ratio);
  const context = canvas.getContext("2d");
  if (context) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paintLines(context, scene, layout);
  }
  return { scene, canvas, layout };
}

/** Where the ends of what LAYOUT has lie in SHOWN. */
function ends(layout: Layout, shown: Layout): [number, number] {
  return [shown.x.at(layout.x.lo), shown.x.at(layout.x.hi)];
}

function covers(layout: Layout, shown: Layout): boolean {
  const [from, to] = ends(layout, shown);
  const stretch = (to - from) / layout.right;
  const same = layout.box.height === shown.box.height && layout.y === shown.y;
  return (
    same && stretch < STRETCH && stretch > 1 / STRETCH && from <= shown.left + 1 && to >= shown.right - 1
  );
}
