import { create } from "@bufbuild/protobuf";
import { beforeAll, expect, it, vi } from "vitest";
import { LineUpdateSchema } from "../src/gen/stepline/v1/live_pb";
import { line } from "./lines";

/** The modules read the address of a window. */
let store: typeof import("../src/charts/store");
let request: typeof import("../src/charts/request");
let options: typeof import("../src/state/options");
let live: typeof import("../src/charts/live");

beforeAll(async () => {
  vi.stubGlobal("window", { addEventListener: () => {}, location: { origin: "http://x" } });
  vi.stubGlobal("location", { pathname: "/", search: "" });
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  vi.stubGlobal("localStorage", { getItem: () => null });
  vi.stubGlobal("document", { hidden: false, addEventListener: () => {} });
  vi.stubGlobal("requestAnimationFrame", () => 0);
  options = await import("../src/state/options");
  request = await import("../src/charts/request");
  store = await import("../src/charts/store");
  live = await import("../src/charts/live");
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

it("the axis of a metric that was not listed is left to the service, until it is known", () => {
  const charts = new store.ChartStore();
  const shape = { runs: ["a"], options: options.readOptions({}), points: 10 };
  charts.show("loss");
  expect(charts.axisOf(["loss"], shape)).toBe("");
  expect(charts.axisOf(["loss"], { ...shape, options: options.readOptions({ x: "time" }) })).toBe("time");
  charts.define([named("loss")]);
  expect([charts.axisOf(["loss"], shape), charts.axes.value]).toEqual(["step", 0]);
  charts.define([named("loss", "epoch")]);
  expect([charts.axisOf(["loss"], shape), charts.axes.value]).toEqual(["metric:epoch", 1]);
});

it("a panel is drawn over the axis of its lines, whoever brought them", () => {
  const charts = new store.ChartStore();
  charts.put("loss", () => [line([1, 2], { axis: "metric:epoch" })]);
  expect(charts.data("loss").value.axis).toBe("metric:epoch");
});

it("what a stream brings is over the axis that the service names, and never joins lines over another", () => {
  const news = (definedX: string, whole: boolean) =>
    create(LineUpdateSchema, {
      whole,
      line: {
        ...{ runId: "a", metric: "loss", definedX, rows: 1n, bucketWidth: 1n },
        ...{ x: bytes(9), at: bytes(0), mean: bytes(0), min: bytes(0), max: bytes(0) },
        ...{ nonfinite: bytes(0), count: bytes(0) },
      },
    });
  const old = line([1, 2], { axis: "metric:epoch" });
  const after = (definedX: string, whole: boolean, axes: string[]) =>
    live.changed([old], [news(definedX, whole)], axes, ["a"]).map((one) => [one.axis, one.step.length]);
  expect(after("metric:epoch", false, [""])).toEqual([["metric:epoch", 3]]);
  expect(after("", false, ["metric:epoch"])).toEqual([["metric:epoch", 3]]);
  expect(after("", false, [""])).toEqual([["metric:epoch", 2]]);
  expect(after("", true, [""])).toEqual([["step", 1]]);
});

/** A column of one whole number. */
function bytes(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
}
