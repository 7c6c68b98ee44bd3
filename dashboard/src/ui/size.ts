/** The size of what is on the screen. */
import { useEffect, useState } from "preact/hooks";

/** The width of an element in CSS pixels, 0 before it is there. */
export function useWidth(root: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** The pen of a canvas that is WIDTH x HEIGHT CSS pixels large, as sharp as the screen is. */
export function sized(
  element: HTMLCanvasElement | null,
  width: number,
  height: number,
): CanvasRenderingContext2D | undefined {
  const context = element?.getContext("2d");
  if (!element || !context || !width) return undefined;
  const ratio = window.devicePixelRatio || 1;
  element.width = width * ratio;
  element.height = height * ratio;
  element.style.height = `${height}px`;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
