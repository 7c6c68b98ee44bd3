/** A scene as rows of numbers. */
import { type Cell, csv } from "../lib/csv";
import type { Scene } from "./scene";

const HEADER = [
  "run",
  "metric",
  "group",
  "rank",
  "step",
  "x",
  "mean",
  "min",
  "max",
  "smooth",
  "count",
  "nonfinite",
];

/** One row for each bucket of each line. */
export function table(scenes: readonly Scene[]): string {
  return csv(HEADER, all(scenes));
}

function* all(scenes: readonly Scene[]): Iterable<Cell[]> {
  for (const scene of scenes) yield* rows(scene);
}

function* rows(scene: Scene): Iterable<Cell[]> {
  for (const { line } of scene.drawn) {
    for (let row = 0; row < line.step.length; row++) {
      yield [
        ...[line.run, line.metric, line.group, line.rank],
        ...[line.step[row], line.x[row], line.mean[row], line.min[row], line.max[row]],
        ...[line.smooth?.[row], line.count[row], line.nonfinite[row]],
      ];
    }
  }
}
