import { beforeAll, expect, it, vi } from "vitest";

/** The modules read the address of a window. */
let store: typeof import("../src/charts/store");
let request: typeof import("../src/charts/request");
let options: typeof import("../src/state/options");

beforeAll(async () => {
  vi.stubGlobal("window", { addEventListener: () => {}, location: { origin: "http://x" } });
  vi.stubGlobal("location", { pathname: "/", search: "" });
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("localStorage", { getItem: () => null });
  options = await import("../src/state/options");
  request = await import("../src/charts/request");
  store = await import("../src/charts/store");
});

const named = (name: string, x?: string) => ({
  name,
  definition: x === undefined ? undefined : ({ x } as never),
});

it.each([
  ["", "step"],
  ["time", "time"],
  ["epoch", "metric:epoch"],
  ["metric:epoch", "metric:epoch"],
])("define_metric(x=%j) means the axis %j", (name, axis) => expect(store.axisNamed(name)).toBe(axis));

it("metrics with one axis go together, and one axis that is chosen is that of all", () => {
  const charts = new store.ChartStore();
  charts.define([named("a"), named("b", "epoch"), named("c"), named("d", "epoch")]);
  expect(charts.lots(["a", "b", "c", "d", "not listed"], "")).toEqual([
    ["a", "c"],
    ["b", "d"],
    ["not listed"],
  ]);
  expect(charts.lots(["a", "b"], "time")).toEqual([["a", "b"]]);
});

it("a zoom is a range of its own axis, and of no other", () => {
  const ask = (query: Record<string, string>, axis: string) =>
    request.chartRequest({ runs: ["r"], options: options.readOptions(query), points: 10 }, ["m"], axis, 10);
  const steps = ask({ zoom: "100..200" }, "step");
  expect([steps.start, steps.stop, steps.atStart]).toEqual([96n, 205n, undefined]);
  const timed = ask({ x: "time", zoom: "1000..2000" }, "time");
  expect([timed.start, timed.atStart, timed.atStop]).toEqual([undefined, 970, 2030]);
  const over = ask({ zoom: "2..4", over: "metric:epoch" }, "metric:epoch");
  expect([over.x, over.atStart]).toEqual(["", 1.94]);
  const other = ask({ zoom: "2..4", over: "metric:epoch" }, "step");
  expect([other.start, other.atStart]).toEqual([undefined, undefined]);
});
