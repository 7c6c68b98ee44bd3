/** Arrow keys in a long list, of which only the rows in sight are there: they move to the same control of another row. */
import type { RefObject } from "preact";

/** Frames until a row that was scrolled to has to be there. */
const PATIENCE = 60;
const CONTROLS = "input, button, a";

/** For onKeyDown of SCROLLER, whose TOTAL rows of HEIGHT pixels say their number in data-row. */
export function byRows(scroller: RefObject<HTMLElement | null>, total: number, height: number) {
  return (event: KeyboardEvent) => {
    const element = scroller.current;
    const from = event.target instanceof HTMLElement && event.target.closest<HTMLElement>("[data-row]");
    if (!element || !from || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(element.clientHeight / height) - 2);
    const now = Number(from.dataset.row);
    const places: Record<string, number> = {
      ArrowDown: now + 1,
      ArrowUp: now - 1,
      PageDown: now + page,
      PageUp: now - page,
      Home: 0,
      End: total - 1,
    };
    const wanted = places[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    const to = Math.min(total - 1, Math.max(0, wanted));
    const control = [...from.querySelectorAll(CONTROLS)].indexOf(event.target as Element);
    if (Math.abs(to - now) > 1) element.scrollTop = (to - page / 2) * height;
    focus(element, to, control, PATIENCE);
  };
}

function focus(scroller: HTMLElement, row: number, control: number, patience: number): void {
  const element = scroller.querySelector(`[data-row="${row}"]`);
  const found = element?.querySelectorAll<HTMLElement>(CONTROLS)[control];
  if (found) {
    found.focus({ preventScroll: true });
    element?.scrollIntoView({ block: "nearest" });
  } else if (patience > 0) requestAnimationFrame(() => focus(scroller, row, control, patience - 1));
}
