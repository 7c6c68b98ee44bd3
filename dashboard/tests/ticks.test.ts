import { describe, expect, it } from "vitest";
import { ticks } from "../src/charts/ticks";

describe("ticks", () => {
  it("of steps are whole numbers", () => {
    expect(ticks({ lo: 0, hi: 3 }, 10, false, "step").map((tick) => tick.at)).toEqual([0, 1, 2, 3]);
  });

  it("of values say what tells neighbours apart, and no more", () => {
    const labels = ticks({ lo: 0.9, hi: 1.1 }, 5, false, "value").map((tick) => tick.label);
    expect(labels).toEqual(["0.90", "0.95", "1.00", "1.05", "1.10"]);
  });

  it("of a logarithm are powers of ten, and more of them where there is room", () => {
    expect(ticks({ lo: 1e-4, hi: 1 }, 5, true, "value").map((tick) => tick.at)).toEqual([
      1e-4, 1e-3, 1e-2, 0.1, 1,
    ]);
    expect(ticks({ lo: 1, hi: 100 }, 10, true, "value").map((tick) => tick.at)).toEqual([
      1, 2, 5, 10, 20, 50, 100,
    ]);
  });

  it("of time are whole minutes", () => {
    const lo = Date.UTC(2026, 10, 21, 9, 58, 13);
    const found = ticks({ lo, hi: lo + 600_000 }, 6, false, "time");
    expect(found.every((tick) => tick.at % 60_000 === 0)).toBe(true);
  });

  it.each([
    { lo: 0, hi: Number.MIN_VALUE },
    { lo: -Number.MAX_VALUE / 4, hi: Number.MAX_VALUE / 4 },
    { lo: 1e15, hi: 1e15 + 0.5 },
  ])("are few, whatever the range: %o", (range) => {
    for (const kind of ["value", "step", "time", "relative"] as const) {
      expect(ticks(range, 6, false, kind).length).toBeLessThan(40);
    }
  });
});
