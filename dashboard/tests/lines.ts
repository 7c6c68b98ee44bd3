/** Lines for tests. */
import type { Line } from "../src/charts/line";

/** A line over the steps 0, WIDTH, ... with VALUES as its means, and a band of 1 around it. */
export function line(values: number[], options: Partial<Line> = {}): Line {
  const width = options.width ?? 1;
  const step = Float64Array.from(values, (_, index) => index * width);
  return {
    key: options.run ?? "a",
    run: "a",
    metric: "loss",
    rank: undefined,
    group: undefined,
    runs: ["a"],
    deviation: undefined,
    axis: "step",
    width,
    raw: width === 1,
    step,
    x: step,
    mean: Float64Array.from(values),
    min: Float64Array.from(values, (value) => value - 1),
    max: Float64Array.from(values, (value) => value + 1),
    smooth: undefined,
    quantiles: [],
    nonfinite: Float64Array.from(values, (value) => Number(Number.isNaN(value))),
    count: Float64Array.from(values, () => 1),
    ...options,
  };
}
