/** The heat map on the screen. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { heat } from "../charts/palette";
import { chartStyle } from "../charts/style";
import { instant, value } from "../lib/format";
import { dark } from "../state/theme";
import { sized, useWidth } from "../ui/size";
import { type HeatRow, heatAt, heatLayout, paintHeat } from "./heat";

interface Props {
  rows: readonly HeatRow[];
  percent: boolean;
  onPick(row: HeatRow): void;
}

const STOPS = 24;

export function HeatMap({ rows, percent, onPick }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(root);
  const pointer = useSignal<{ x: number; y: number } | undefined>(undefined);
  const place = heatLayout(rows, width, percent);
  useEffect(() => {
    const context = sized(canvas.current, width, place.height);
    if (context) paintHeat(context, rows, place, chartStyle(), dark.value);
  }, [rows, width, dark.value, percent]);
  const at = pointer.value;
  const found = at && heatAt(rows, place, at.x, at.y);
  return (
    <>
      <div class="heat" ref={root}>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`Heat map of ${rows.length} lines`}
          onPointerMove={(event) => {
            const bounds = event.currentTarget.getBoundingClientRect();
            pointer.value = { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
          }}
          onPointerLeave={() => {
            pointer.value = undefined;
          }}
          onClick={() => found && onPick(found.row)}
        />
        {at && found && (
          <div
            class="tooltip"
            style={{ transform: `translate(${Math.min(at.x + 14, width - 220)}px, ${at.y + 14}px)` }}
          >
            <div class="tooltip-head">{instant(found.row.line.step[found.bucket] as number)}</div>
            <div class="tooltip-row">
              <bdi class="tooltip-name">{found.row.label}</bdi>
              <b>{value(found.row.line.mean[found.bucket] as number, 4)}</b>
            </div>
          </div>
        )}
      </div>
      <div class="heat-scale">
        <span>{value(place.value.lo, 3)}</span>
        <svg width="160" height="8" aria-hidden="true">
          {Array.from({ length: STOPS }, (_, index) => (
            <rect
              key={index}
              x={(index * 160) / STOPS}
              width={160 / STOPS + 0.5}
              height="8"
              fill={heat(index / (STOPS - 1), dark.value)}
            />
          ))}
        </svg>
        <span>{value(place.value.hi, 3)}</span>
      </div>
    </>
  );
}
