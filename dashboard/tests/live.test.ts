import { expect, it } from "vitest";
import { merged } from "../src/charts/line";
import { line } from "./lines";

it("new buckets replace those of the same steps and come after the others", () => {
  const old = line([1, 2, 3]);
  const news = { ...line([30, 4]), step: Float64Array.of(2, 3), x: Float64Array.of(2, 3) };
  const both = merged(old, news);
  expect([...both.step]).toEqual([0, 1, 2, 3]);
  expect([...both.mean]).toEqual([1, 2, 30, 4]);
});

it("a bucket between others finds its place", () => {
  const old = { ...line([1, 3]), step: Float64Array.of(0, 2), x: Float64Array.of(0, 2) };
  const news = { ...line([2]), step: Float64Array.of(1), x: Float64Array.of(1) };
  expect([...merged(old, news).mean]).toEqual([1, 2, 3]);
});
