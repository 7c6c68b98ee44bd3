import { describe, expect, it } from "vitest";
import { layout } from "../src/charts/layout";
import type { Line } from "../src/charts/line";
import { ink } from "../src/charts/palette";
import { readings } from "../src/charts/pick";
import { rangeX, rangeY, type Scene } from "../src/charts/scene";
import { svg } from "../src/charts/svg";
import { table } from "../src/charts/table";
import { gaps, loners, traceLine } from "../src/charts/trace";
import { line } from "./lines";

const STYLE = { ground: "#fff", grid: "#eee", axis: "#ddd", text: "#000", dim: "#666", font: '"Inter"' };
const BOX = { width: 400, height: 200 };

function scene(lines: Line[], changes: Partial<Scene> = {}): Scene {
  return {
    drawn: lines.map((one, index) => ({ line: one, ink: ink(index, false), label: one.key })),
    axis: "step",
    axisLabel: "step",
    logX: false,
    logY: false,
    bands: true,
    view: undefined,
    clip: false,
    ...changes,
  };
}

/** What a pen writes down. */
class Notes {
  moves = 0;
  points: [number, number][] = [];

  moveTo(x: number, y: number): void {
    this.moves += 1;
    this.points.push([x, y]);
  }

  lineTo(x: number, y: number): void {
    this.points.push([x, y]);
  }
}

describe("ranges", () => {
  it("hold the bands, so that no spike is cut off", () => {
    const { lo, hi } = rangeY(scene([line([0, 10])]), { lo: 0, hi: 1 });
    expect(lo).toBeLessThan(-1);
    expect(hi).toBeGreaterThan(11);
  });

  it("follow what is seen of the x axis", () => {
    const one = scene([line([100, 1, 2, 3])], { bands: false });
    expect(rangeY(one, { lo: 1, hi: 3 }).hi).toBeLessThan(4);
  });

  it("are there for nothing at all, for one point, and for NaN", () => {
    for (const values of [[], [5], [Number.NaN, Number.NaN]]) {
      const one = scene([line(values)]);
      const x = rangeX(one);
      const y = rangeY(one, x);
      expect(x.lo).toBeLessThan(x.hi);
      expect(y.lo).toBeLessThan(y.hi);
    }
  });

  it("of a logarithm are positive", () => {
    expect(
      rangeY(scene([line([-5, 0, 10])], { logY: true, bands: false }), { lo: 0, hi: 2 }).lo,
    ).toBeGreaterThan(0);
  });
});

describe("a traced line", () => {
  it("breaks at NaN and marks the place", () => {
    const one = line([1, 2, Number.NaN, 4, 5]);
    const place = layout(scene([one]), BOX);
    const pen = new Notes();
    traceLine(pen, one, one.mean, place, "step");
    expect(pen.moves).toBe(2);
    expect(gaps(one, place, "step")).toHaveLength(1);
  });

  it.each([false, true])("goes through the pixels of its scales, logarithmic: %s", (log) => {
    const one = line([1, 20, 300, 4000]);
    const place = layout(scene([one], { logY: log, bands: false }), BOX);
    const pen = new Notes();
    traceLine(pen, one, one.mean, place, "step");
    expect(pen.points).toEqual([...one.mean].map((y, x) => [place.x.at(x), place.y.at(y)]));
  });

  it("shows what stands alone or is missing where it is looked at, and nowhere else", () => {
    const one = line([Number.NaN, 3, Number.NaN, 4, 5, 6, 7]);
    for (const [view, count] of [
      [{ lo: 0, hi: 2 }, 1],
      [{ lo: 4.5, hi: 6 }, 0],
    ] as const) {
      const place = layout(scene([one], { view }), BOX);
      expect(loners(one, one.mean, place, "step")).toHaveLength(count);
      expect(gaps(one, place, "step")).toHaveLength(2 * count);
    }
  });

  it("shows a point that stands alone", () => {
    const one = line([Number.NaN, 3, Number.NaN]);
    expect(loners(one, one.mean, layout(scene([one]), BOX), "step")).toHaveLength(1);
  });

  it("keeps every extreme when many points share a pixel", () => {
    const values = Array.from({ length: 20_000 }, (_, index) => (index === 12_345 ? 500 : Math.sin(index)));
    const one = line(values);
    const place = layout(scene([one]), BOX);
    const pen = new Notes();
    traceLine(pen, one, one.mean, place, "step");
    expect(pen.points.length).toBeLessThan(5000);
    expect(Math.min(...pen.points.map(([, y]) => y))).toBeCloseTo(place.y.at(500), 6);
  });
});

it("a tooltip lists lines by value and leaves out those that have ended", () => {
  const one = scene([
    line([1, 1, 1], { key: "low" }),
    line([9, 9, 9], { key: "high" }),
    line([5], { key: "short" }),
  ]);
  const place = layout(one, BOX);
  expect(readings(one, place, 2).map((reading) => reading.drawn.line.key)).toEqual(["high", "low"]);
});

describe("exports", () => {
  const evil = `<script>alert("1")</script>&\u0000`;

  it("as SVG is well-formed whatever the names", () => {
    const text = svg(scene([line([1, Number.NaN, 3], { key: evil })]), evil, STYLE, 400, 200);
    expect(text).not.toContain("<script>");
    expect(text).not.toContain("\u0000");
    expect(text).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;");
    expect(text.match(/<g[ >]/g)).toHaveLength(text.match(/<\/g>/g)?.length ?? -1);
  });

  it("as CSV has a row for each bucket, and no formula", () => {
    const rows = table([scene([line([1, 2], { run: "=cmd|' /C calc'!A0" })])])
      .trim()
      .split("\r\n");
    expect(rows).toHaveLength(3);
    expect(rows[1]).toMatch(/^'=cmd/);
  });
});
