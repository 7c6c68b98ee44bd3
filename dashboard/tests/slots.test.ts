import { expect, it } from "vitest";
import { HUES, ink } from "../src/charts/palette";
import { stepsWithin } from "../src/charts/zoom";
import { line } from "./lines";

it("thirty-two lines have different looks", () => {
  const looks = new Set(Array.from({ length: 4 * HUES }, (_, slot) => JSON.stringify(ink(slot, true))));
  expect(looks.size).toBe(4 * HUES);
});

it("a zoom over another axis finds its steps, and a bucket beyond each end", () => {
  const one = line([1, 2, 3, 4, 5], { width: 10 });
  const timed = { ...one, x: Float64Array.of(1000, 2000, 3000, 4000, 5000) };
  expect(stepsWithin([timed], { lo: 2500, hi: 3500 }, "time")).toEqual({ lo: 10, hi: 40 });
  expect(stepsWithin([timed], { lo: 9000, hi: 9500 }, "time")).toBeUndefined();
});
