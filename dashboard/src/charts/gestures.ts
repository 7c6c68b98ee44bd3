/**
 * Pointer, wheel and keys over a chart. Drag selects a range to zoom into; drag with Shift, or sideways on a trackpad, pans; wheel
 * with Ctrl or pinch zooms around the pointer; double click shows all. On a touch screen a finger that moves sideways selects.
 */
import type { Layout } from "./layout";
import type { Range, Scale } from "./scale";
import type { Scene } from "./scene";

interface Target {
  layout(): Layout | undefined;
  scene(): Scene;
  hover(at: { x: number; y: number } | undefined): void;
  /** Pixels of the selection; equal ones for none. */
  select(from: number, to: number): void;
  /** What is shown while a pan or a zoom goes on. */
  preview(range: Range | undefined): void;
  /** The person settled on a range; undefined for all. */
  zoom(range: Range | undefined): void;
  open(): void;
}

const CLICK = 4;
const SETTLE_MS = 220;

export class Gestures {
  private readonly stop = new AbortController();
  private drag: { from: number; pan: Layout | undefined; moved: boolean } | undefined;
  private moving: Range | undefined;
  private settle = 0;

  constructor(
    private readonly element: HTMLElement,
    private readonly target: Target,
  ) {
    const { signal } = this.stop;
    element.addEventListener("pointerdown", (event) => this.down(event), { signal });
    element.addEventListener("pointermove", (event) => this.move(event), { signal });
    element.addEventListener("pointerup", (event) => this.up(event), { signal });
    element.addEventListener("pointercancel", () => this.cancel(), { signal });
    element.addEventListener("pointerleave", () => this.target.hover(undefined), { signal });
    element.addEventListener("dblclick", () => this.finish(undefined), { signal });
    element.addEventListener("wheel", (event) => this.wheel(event), { signal, passive: false });
    element.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  close(): void {
    this.stop.abort();
    clearTimeout(this.settle);
  }

  private down(event: PointerEvent): void {
    const layout = this.target.layout();
    if (event.button !== 0 || !layout) return;
    const { x } = this.place(event);
    if (x < layout.left || x > layout.right) return;
    this.drag = { from: x, pan: event.shiftKey ? layout : undefined, moved: false };
    if (event.pointerType === "mouse") this.element.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    const at = this.place(event);
    const layout = this.target.layout();
    const { drag } = this;
    if (!drag || !layout) {
      this.target.hover(at);
      return;
    }
    if (!drag.moved && Math.abs(at.x - drag.from) < CLICK) return;
    drag.moved = true;
    if (drag.pan) {
      this.show(shifted(drag.pan.x, drag.from - at.x));
      this.target.hover(undefined);
    } else {
      this.target.select(drag.from, Math.min(layout.right, Math.max(layout.left, at.x)));
      this.target.hover(at);
    }
  }

  private up(event: PointerEvent): void {
    const { drag } = this;
    const layout = this.target.layout();
    this.drag = undefined;
    this.target.select(0, 0);
    if (!drag?.moved || !layout) return;
    if (drag.pan) {
      if (this.moving) this.finish(this.moving);
      return;
    }
    const to = Math.min(layout.right, Math.max(layout.left, this.place(event).x));
    if (Math.abs(to - drag.from) < CLICK) return;
    const [a, b] = [layout.x.invert(drag.from), layout.x.invert(to)];
    this.finish({ lo: Math.min(a, b), hi: Math.max(a, b) });
  }

  private cancel(): void {
    this.drag = undefined;
    this.target.select(0, 0);
    this.target.hover(undefined);
  }

  private wheel(event: WheelEvent): void {
    const layout = this.target.layout();
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    // The wheel alone scrolls the page.
    if (!layout || !(event.ctrlKey || event.metaKey || sideways || event.shiftKey)) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      const factor = Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.006);
      this.show(scaled(layout.x, this.place(event).x, factor));
    } else this.show(shifted(layout.x, sideways ? event.deltaX : event.deltaY));
    this.settleSoon();
  }

  private key(event: KeyboardEvent): void {
    const layout = this.target.layout();
    if (!layout || event.ctrlKey || event.metaKey || event.altKey) return;
    const width = layout.right - layout.left;
    const middle = (layout.left + layout.right) / 2;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => this.show(shifted(layout.x, -width / 8)),
      ArrowRight: () => this.show(shifted(layout.x, width / 8)),
      "+": () => this.show(scaled(layout.x, middle, 0.6)),
      "=": () => this.show(scaled(layout.x, middle, 0.6)),
      "-": () => this.show(scaled(layout.x, middle, 1 / 0.6)),
      "0": () => this.finish(undefined),
      Enter: () => this.target.open(),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    move();
    if (this.moving) this.settleSoon();
  }

  private show(range: Range): void {
    if (!(range.lo < range.hi) || !Number.isFinite(range.hi - range.lo)) return;
    this.moving = range;
    this.target.preview(range);
  }

  private settleSoon(): void {
    clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      if (this.moving) this.finish(this.moving);
    }, SETTLE_MS);
  }

  private finish(range: Range | undefined): void {
    clearTimeout(this.settle);
    this.moving = undefined;
    this.target.zoom(range);
  }

  private place(event: MouseEvent): { x: number; y: number } {
    const bounds = this.element.getBoundingClientRect();
    return { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
  }
}

/** The range that lies PIXELS to the right. */
function shifted(x: Scale, pixels: number): Range {
  return { lo: x.invert(x.from + pixels), hi: x.invert(x.to + pixels) };
}

/** The range around what is at PIXEL, FACTOR times as wide. */
function scaled(x: Scale, pixel: number, factor: number): Range {
  return { lo: x.invert(pixel + (x.from - pixel) * factor), hi: x.invert(pixel + (x.to - pixel) * factor) };
}
