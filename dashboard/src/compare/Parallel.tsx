/** Parallel coordinates: a line for each run over its config and what came of it. Drag on an axis to pick runs. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { faded, ramp } from "../charts/palette";
import type { Range } from "../charts/scale";
import { chartStyle } from "../charts/style";
import { json } from "../lib/format";
import { go } from "../state/address";
import { type RunRow, title } from "../state/run";
import { dark } from "../state/theme";
import { sized, useWidth } from "../ui/size";
import { axisFor, inside, type ParallelAxis } from "./axes";

interface Props {
  runs: readonly RunRow[];
  /** The keys of the axes, as the values of the runs stand; the last one gives the colour. */
  keys: readonly string[];
}

const HEIGHT = 414;
const TOP = 44;
const BOTTOM = HEIGHT - 14;
const SIDE = 80;
const REACH = 6;
/** Pixels between two axes, at least: on a phone the picture is wider than the screen. */
const APART = 96;
/** What an arrow key moves or widens what is picked on an axis by. */
const NUDGE = 12;

export function Parallel({ runs, keys }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const room = useWidth(root);
  const width = room && Math.max(room, 2 * SIDE + APART * (keys.length - 1));
  const brushes = useSignal<ReadonlyMap<number, Range>>(new Map());
  const pointed = useSignal<number>(-1);
  const axes = keys.map((key, place) =>
    axisFor(
      key,
      runs.map((run) => run.values[place]),
      TOP,
      BOTTOM,
    ),
  );
  const at = (axis: number) =>
    keys.length < 2 ? width / 2 : SIDE + (axis * (width - 2 * SIDE)) / (keys.length - 1);
  const places = runs.map((run) => axes.map((axis, place) => axis.place(run.values[place])));
  const kept = inside(places, brushes.value);

  useEffect(() => {
    const context = sized(canvas.current, width, HEIGHT);
    if (context) paint(context);
  });

  const paint = (context: CanvasRenderingContext2D) => {
    context.clearRect(0, 0, width, HEIGHT);
    const style = chartStyle();
    const order = runs.map((_, index) => index).sort((a, b) => Number(kept[a]) - Number(kept[b]));
    for (const index of order) {
      stroke(context, places[index] as (number | undefined)[], {
        color: kept[index]
          ? colorOf(places[index] as (number | undefined)[])
          : faded(style.dim.slice(0, 7), 0.13),
        width: 1.2,
      });
    }
    if (pointed.value >= 0)
      stroke(context, places[pointed.value] as (number | undefined)[], { color: style.text, width: 2.4 });
  };
  const stroke = (
    context: CanvasRenderingContext2D,
    row: readonly (number | undefined)[],
    look: { color: string; width: number },
  ) => {
    context.strokeStyle = look.color;
    context.lineWidth = look.width;
    context.beginPath();
    let down = false;
    row.forEach((y, axis) => {
      if (y === undefined) down = false;
      else if (down) context.lineTo(at(axis), y);
      else {
        context.moveTo(at(axis), y);
        down = true;
      }
    });
    context.stroke();
  };
  const colorOf = (row: readonly (number | undefined)[]) => {
    const last = row.at(-1);
    const share = last === undefined ? 0 : (BOTTOM - last) / (BOTTOM - TOP);
    // The dark end of the ramp is lost on a dark ground, the light end on a light one.
    return ramp(dark.value ? 0.25 + 0.75 * share : 0.88 * share);
  };
  const find = (x: number, y: number): number => {
    let [best, least] = [-1, REACH];
    for (let axis = 0; axis + 1 < axes.length; axis++) {
      if (x < at(axis) || x > at(axis + 1)) continue;
      const share = (x - at(axis)) / (at(axis + 1) - at(axis));
      places.forEach((row, index) => {
        const [a, b] = [row[axis], row[axis + 1]];
        if (a === undefined || b === undefined || !kept[index]) return;
        const distance = Math.abs(a + (b - a) * share - y);
        if (distance < least) [best, least] = [index, distance];
      });
    }
    return best;
  };
  const run = runs[pointed.value];
  return (
    <div class="parallel" ref={root}>
      <div
        class="parallel-space"
        style={{ width: `${width}px`, height: `${HEIGHT}px` }}
        onPointerMove={(event) => {
          const bounds = event.currentTarget.getBoundingClientRect();
          pointed.value = find(event.clientX - bounds.left, event.clientY - bounds.top);
        }}
        onPointerLeave={() => {
          pointed.value = -1;
        }}
        onDblClick={() => run && go(["r", run.id])}
      >
        <canvas ref={canvas} role="img" aria-label={`${runs.length} runs over ${keys.join(", ")}`} />
        {width > 0 &&
          axes.map((axis, place) => (
            <Axis
              key={axis.key}
              axis={axis}
              x={at(place)}
              brush={brushes.value.get(place)}
              onBrush={(range) => {
                const next = new Map(brushes.value);
                if (range) next.set(place, range);
                else next.delete(place);
                brushes.value = next;
              }}
            />
          ))}
      </div>
      <p class="parallel-note dim">
        {run ? (
          <>
            <bdi>{title(run)}</bdi>:{" "}
            {keys.map((key, place) => `${key} ${json(run.values[place])}`).join(", ")}
          </>
        ) : (
          `${kept.filter(Boolean).length} of ${runs.length} runs; drag along an axis to pick some, double click a line to open its run`
        )}
      </p>
    </div>
  );
}

interface AxisProps {
  axis: ParallelAxis;
  x: number;
  brush: Range | undefined;
  onBrush(range: Range | undefined): void;
}

function Axis({ axis, x, brush, onBrush }: AxisProps) {
  const from = useRef<number | undefined>(undefined);
  const byKey = (event: KeyboardEvent) => {
    const down = { ArrowDown: NUDGE, ArrowUp: -NUDGE }[event.key];
    if (down === undefined && event.key !== "Escape") return;
    event.preventDefault();
    if (down === undefined) return onBrush(undefined);
    const { lo, hi } = brush ?? { lo: TOP, hi: BOTTOM };
    // Down takes from the top of what is picked, up from its end; with Shift it moves as a whole.
    const next = event.shiftKey
      ? { lo: lo + down, hi: hi + down }
      : down > 0
        ? { lo: lo + down, hi }
        : { lo, hi: hi + down };
    if (next.lo >= TOP && next.hi <= BOTTOM && next.lo < next.hi) onBrush(next);
  };
  const pixel = (event: PointerEvent) => {
    const bounds = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return Math.min(BOTTOM, Math.max(TOP, event.clientY - bounds.top + TOP - 6));
  };
  return (
    <>
      <div class="axis-name" style={{ left: `${x}px` }} title={axis.key}>
        <bdi>{axis.key.replace(/^(config|summary)\./, "")}</bdi>
      </div>
      <div class="axis-ticks" style={{ left: `${x}px` }}>
        {axis.ticks.map((tick) => (
          <span key={tick.at} style={{ top: `${axis.scale.at(tick.at)}px` }}>
            <bdi>{tick.label}</bdi>
          </span>
        ))}
      </div>
      <div
        class="axis-line"
        role="group"
        aria-label={`Pick runs by ${axis.key}: arrow keys, Escape for all`}
        tabIndex={0}
        onKeyDown={byKey}
        style={{ left: `${x}px`, top: `${TOP - 6}px`, height: `${BOTTOM - TOP + 12}px` }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          from.current = pixel(event);
          onBrush(undefined);
        }}
        onPointerMove={(event) => {
          if (from.current === undefined) return;
          const to = pixel(event);
          onBrush({ lo: Math.min(from.current, to), hi: Math.max(from.current, to) });
        }}
        onPointerUp={(event) => {
          if (from.current !== undefined && Math.abs(pixel(event) - from.current) < 3) onBrush(undefined);
          from.current = undefined;
        }}
      >
        {brush && <i style={{ top: `${brush.lo - TOP + 6}px`, height: `${brush.hi - brush.lo}px` }} />}
      </div>
    </>
  );
}
