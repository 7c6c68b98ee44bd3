import { expect, it } from "vitest";
import { axisFor, inside } from "../src/compare/axes";
import { compareRows } from "../src/compare/table";
import { flatten } from "../src/lib/flatten";

it("rows say in what runs differ, and who has the extremes", () => {
  const rows = compareRows(
    ["lr", "model", "same"],
    [
      [0.1, "a", [1, 2]],
      [0.3, "a", [1, 2]],
      [undefined, "b", [1, 2]],
    ],
  );
  expect(rows.map((row) => row.differs)).toEqual([true, true, false]);
  expect(rows[0]).toMatchObject({ least: 0, greatest: 1 });
  expect(rows[1]).toMatchObject({ least: -1, greatest: -1 });
});

it("an axis of learning rates is logarithmic, one of texts has a place for each", () => {
  const rates = axisFor("lr", [1e-5, 1e-3, undefined], 0, 100);
  expect(rates.scale.log).toBe(true);
  expect(rates.place(undefined)).toBeUndefined();
  const names = axisFor("model", ["b", "a", "b"], 0, 100);
  expect(names.ticks.map((tick) => tick.label)).toEqual(["a", "b"]);
});

it("a run lies inside the brushes when it has a value in each", () => {
  const brushes = new Map([[1, { lo: 10, hi: 20 }]]);
  expect(
    inside(
      [
        [0, 15],
        [0, 25],
        [0, undefined],
      ],
      brushes,
    ),
  ).toEqual([true, false, false]);
});

it("configs are flat, without what belongs to Stepline", () => {
  const rows = flatten({ a: { b: 1, c: [1] }, d: {}, _stepline: { x: 1 } });
  expect([...rows]).toEqual([
    ["a.b", 1],
    ["a.c", [1]],
    ["d", {}],
  ]);
});
