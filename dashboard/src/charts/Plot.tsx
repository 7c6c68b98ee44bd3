/** A chart on the screen: paints its scene, and turns pointer and keys into cursors, zooms and pans. */
import { type Signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { dark } from "../state/theme";
import { useEffectAtOnce } from "../ui/effect";
import { paint } from "./canvas";
import { Gestures } from "./gestures";
import { type Layout, layout, moved } from "./layout";
import { nearestLine } from "./pick";
import { Picture } from "./picture";
import type { Range } from "./scale";
import type { Scene } from "./scene";
import { chartStyle } from "./style";
import { Tooltip } from "./Tooltip";

/** Where the pointer is on the x axis, for all charts of a page. */
export interface Cursor {
  x: number;
  /** The chart that the pointer is over. */
  owner: string;
}

interface Props {
  /** Its own name among the charts of the page. */
  id: string;
  /** What it shows, for those who do not see it. */
  label: string;
  scene: Scene;
  cursor: Signal<Cursor | undefined>;
  onZoom(range: Range | undefined): void;
  onOpen?: () => void;
}

export function Plot({ id, label, scene, cursor, onZoom, onOpen }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const line = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const size = useSignal({ width: 0, height: 0 });
  const current = useSignal(scene);
  current.value = scene;
  /** The view while the person moves it, before the address has it. */
  const preview = useSignal<Range | undefined>(undefined);
  const pointer = useSignal<{ x: number; y: number } | undefined>(undefined);
  const still = useComputed<Layout | undefined>(() =>
    size.value.width < 60 || size.value.height < 40 ? undefined : layout(current.value, size.value),
  );
  const place = useComputed<Layout | undefined>(() =>
    still.value && preview.value ? moved(still.value, current.value, preview.value) : still.value,
  );
  const picture = useRef(new Picture());
  const pointed = useComputed(() => {
    const at = pointer.value;
    if (!at || !place.value) return undefined;
    return nearestLine(current.value, place.value, at.x, at.y)?.line.key;
  });

  // Its size is known before the first frame that it is in, and it is painted in that.
  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = element;
      const before = size.peek();
      if (width !== before.width || height !== before.height) size.value = { width, height };
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const gestures = new Gestures(element, {
      layout: () => place.peek(),
      scene: () => current.peek(),
      hover: (at) => {
        pointer.value = at;
        if (!at && cursor.peek()?.owner === id) cursor.value = undefined;
      },
      select: (from, to) => select(box.current, place.peek(), from, to),
      preview: (range) => {
        preview.value = range;
      },
      zoom: (range) => zoomed.current(range),
      open: () => opened.current?.(),
    });
    return () => gestures.close();
  }, []);
  const zoomed = useRef(onZoom);
  zoomed.current = (range) => {
    onZoom(range);
    // The lines of the new view replace the preview when they come.
    preview.value = undefined;
  };
  const opened = useRef(onOpen);
  opened.current = onOpen;

  useEffectAtOnce(() => {
    const shown = place.value;
    const element = canvas.current;
    void dark.value;
    const key = pointed.value;
    const what = current.value;
    const moving = preview.value !== undefined;
    if (!shown || !element) return;
    const frame = requestAnimationFrame(() => {
      const context = sized(element, shown);
      if (!context) return;
      if (moving) return picture.current.paint(context, what, shown, chartStyle());
      picture.current.forget();
      paint(context, what, shown, chartStyle(), key);
    });
    return () => cancelAnimationFrame(frame);
  });

  // The pointer may rest while a zoom moves the axis under it.
  useSignalEffect(() => {
    const at = pointer.value;
    const shown = place.value;
    if (at && shown) cursor.value = { x: shown.x.invert(at.x), owner: id };
  });

  useSignalEffect(() => {
    const mark = line.current;
    const shown = place.value;
    const at = cursor.value;
    if (!mark) return;
    const px = shown && at ? shown.x.at(at.x) : Number.NaN;
    const inside = shown !== undefined && px >= shown.left && px <= shown.right;
    mark.hidden = !inside;
    if (inside) mark.style.transform = `translateX(${Math.round(px)}px)`;
  });

  return (
    <div class="plot" ref={root} tabIndex={0} role="img" aria-label={label}>
      <canvas ref={canvas} />
      <div class="plot-cursor" ref={line} hidden />
      <div class="plot-selection" ref={box} hidden />
      <Tooltip scene={current} layout={place} pointer={pointer} pointed={pointed} root={root} />
    </div>
  );
}

/** The context of a canvas with as many pixels as the screen has for it. */
function sized(element: HTMLCanvasElement, shown: Layout): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = shown.box;
  if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
  }
  const context = element.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function select(box: HTMLDivElement | null, shown: Layout | undefined, from: number, to: number): void {
  if (!box || !shown) return;
  box.hidden = from === to;
  box.style.transform = `translateX(${Math.min(from, to)}px)`;
  box.style.width = `${Math.abs(to - from)}px`;
  box.style.top = `${shown.top}px`;
  box.style.height = `${shown.bottom - shown.top}px`;
}
