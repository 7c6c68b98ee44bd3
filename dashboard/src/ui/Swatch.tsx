/** A stroke of a line's ink, with its dashes. */
import type { Ink } from "../charts/palette";

export function Swatch({ ink }: { ink: Ink }) {
  return (
    <svg class="swatch" width="16" height="8" viewBox="0 0 16 8" aria-hidden="true">
      <path
        d="M1 4h14"
        stroke={ink.color}
        stroke-dasharray={ink.dash.join(" ")}
        stroke-width="2.5"
        stroke-linecap="butt"
      />
    </svg>
  );
}
