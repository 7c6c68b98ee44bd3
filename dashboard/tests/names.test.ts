import { expect, it } from "vitest";
import { readSearch } from "../src/charts/search";
import { both, byIds } from "../src/state/filter";
import { device, kindLabel, kinds } from "../src/system/kinds";

it.each([
  ["", {}],
  ["train/*", { pattern: "train/*" }],
  ["/loss$/", { regex: "loss$" }],
  ["/loss", { regex: "loss" }],
  ["a.b (c)", { regex: "(?i)a\\.b \\(c\\)" }],
])("the search %j asks for %j", (text, search) => expect(readSearch(text)).toEqual(search));

it("filters are joined and quoted", () => {
  expect(both("a = 1 or b = 2", "c = 3")).toBe("(a = 1 or b = 2) and (c = 3)");
  expect(both("", "c = 3")).toBe("c = 3");
  expect(byIds(['a"b', "c"])).toBe('id = "a\\"b" or id = "c"');
});

it("hardware metrics that differ in a number are of one kind, in the order of the numbers", () => {
  const found = kinds(["system/gpu/10/utilization", "system/gpu/2/utilization", "system/cpu/percent"]);
  expect(found[0]).toEqual({
    pattern: "system/gpu/*/utilization",
    names: ["system/gpu/2/utilization", "system/gpu/10/utilization"],
  });
  expect(kindLabel("system/gpu/*/memory_percent")).toBe("gpu memory percent");
  expect([device("system/gpu/7/power"), device("system/cpu/percent")]).toEqual(["gpu 7", ""]);
});
