import { beforeAll, expect, it, vi } from "vitest";
import { columnsIn, heightOf, panelsIn } from "../src/charts/grid";

/** The module reads the address of a window. */
let names: typeof import("../src/charts/names");

beforeAll(async () => {
  vi.stubGlobal("window", { addEventListener: () => {}, location: { origin: "http://x" } });
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("localStorage", { getItem: () => null });
  names = await import("../src/charts/names");
});

const listed = () => ({
  sections: ["a/", "b/", "c/"].map((prefix) => ({ prefix, count: 2 })),
  loose: ["loss"],
  first: ["a/1", "a/2", "b/1", "b/2", "c/1", "loss"].map((name) => ({ name }) as never),
});

it("what a page shows first is pinned, without a prefix, and then section by section", () => {
  expect(names.foremost(listed(), ["c/1"], [], 5)).toEqual(["c/1", "loss", "a/1", "a/2", "b/1"]);
});

it("what stands in closed sections is not shown", () => {
  expect(names.foremost(listed(), ["c/1"], ["*", "/", "a/"], 9)).toEqual(["b/1", "b/2", "c/1"]);
});

it("panels are counted as they lie on the screen", () => {
  expect([columnsIn(300), columnsIn(689), columnsIn(690)]).toEqual([1, 1, 2]);
  expect(heightOf(5, 2)).toBe(3 * 252);
  expect(panelsIn(1400, 700)).toBe(4 * 3);
});
