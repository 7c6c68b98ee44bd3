/** What the lines say at the pointer: few enough rows to be read, whatever the number of lines. */
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { RefObject } from "preact";
import { count, duration, instant, short, value } from "../lib/format";
import { Swatch } from "../ui/Swatch";
import type { Layout } from "./layout";
import type { AxisKind } from "./line";
import { type Reading, readings } from "./pick";
import type { Scene } from "./scene";

const MOST_ROWS = 10;
const WIDTH = 300;
const GAP = 16;

interface Props {
  scene: Signal<Scene>;
  layout: ReadonlySignal<Layout | undefined>;
  pointer: Signal<{ x: number; y: number } | undefined>;
  pointed: ReadonlySignal<string | undefined>;
  root: RefObject<HTMLDivElement | null>;
}

export function Tooltip({ scene, layout, pointer, pointed, root }: Props) {
  const at = pointer.value;
  const place = layout.value;
  const bounds = root.current?.getBoundingClientRect();
  if (!at || !place || !bounds || at.x < place.left || at.x > place.right) return null;
  const x = place.x.invert(at.x);
  const every = readings(scene.value, place, x);
  if (!every.length) return null;
  const shown = around(every, pointed.value);
  const left = bounds.left + at.x + GAP + WIDTH > window.innerWidth ? at.x - GAP - WIDTH : at.x + GAP;
  const height = 30 + shown.length * 19 + (shown.length < every.length ? 19 : 0);
  const top = Math.min(at.y + 8, window.innerHeight - bounds.top - height - 8);
  return (
    <div
      class="tooltip"
      style={{ transform: `translate(${Math.max(4 - bounds.left, left)}px, ${top}px)`, width: `${WIDTH}px` }}
    >
      <div class="tooltip-head">{axisValue(scene.value.axis, x, scene.value.axisLabel)}</div>
      {shown.map((reading) => (
        <Row
          key={reading.drawn.line.key}
          reading={reading}
          strong={reading.drawn.line.key === pointed.value}
        />
      ))}
      {shown.length < every.length && (
        <div class="tooltip-more">and {every.length - shown.length} more lines</div>
      )}
    </div>
  );
}

function Row({ reading, strong }: { reading: Reading; strong: boolean }) {
  const { drawn, row, value: shown } = reading;
  const { line } = drawn;
  const [low, high] = [line.min[row] as number, line.max[row] as number];
  const spread = high - low > Math.abs(shown) * 1e-9;
  const bad = line.nonfinite[row] as number;
  return (
    <div class={strong ? "tooltip-row strong" : "tooltip-row"}>
      <Swatch ink={drawn.ink} />
      <bdi class="tooltip-name">{drawn.label}</bdi>
      <b>{value(shown)}</b>
      {bad > 0 ? (
        <span class="bad">{bad} NaN</span>
      ) : (
        strong &&
        spread && (
          <span class="spread">
            {value(low, 3)} – {value(high, 3)}
          </span>
        )
      )}
    </div>
  );
}

/** The rows that are shown: all when they are few, else those around the line that is pointed at. */
function around(every: Reading[], key: string | undefined): Reading[] {
  if (every.length <= MOST_ROWS) return every;
  const at = every.findIndex((reading) => reading.drawn.line.key === key);
  const first = Math.max(0, Math.min(every.length - MOST_ROWS, at - Math.floor(MOST_ROWS / 2)));
  return every.slice(first, first + MOST_ROWS);
}

function axisValue(axis: AxisKind, x: number, label: string): string {
  if (axis === "time") return instant(x);
  if (axis === "relative") return `${duration(x)} after the start`;
  if (axis === "metric") return `${label} ${value(x)}`;
  return `step ${Math.abs(x) < 1e6 ? count(Math.round(x)) : short(x)}`;
}
