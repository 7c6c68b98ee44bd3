/** A range on any axis as a range of steps, which is what the service cuts by. */
import type { AxisKind, Line } from "./line";
import type { Range } from "./scale";

/** The steps that LINES have within `zoom` on their axis; undefined when none of them has any. */
export function stepsWithin(lines: Iterable<Line>, zoom: Range, axis: AxisKind): Range | undefined {
  if (axis === "step") return zoom;
  let lo = Number.POSITIVE_INFINITY;
  let hi = Number.NEGATIVE_INFINITY;
  for (const line of lines) {
    for (let row = 0; row < line.x.length; row++) {
      const x = line.x[row] as number;
      if (x < zoom.lo || x > zoom.hi) continue;
      // One bucket more on each side: points between two buckets belong to the range, too.
      lo = Math.min(lo, line.step[Math.max(0, row - 1)] as number);
      const next = Math.min(line.step.length - 1, row + 1);
      hi = Math.max(hi, (line.step[next] as number) + line.width);
    }
  }
  return lo <= hi ? { lo, hi } : undefined;
}
