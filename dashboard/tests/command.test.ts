import { beforeAll, expect, it, vi } from "vitest";

/** The module reads the address of a window. */
let commands: typeof import("../src/state/command");
let options: typeof import("../src/state/options");

beforeAll(async () => {
  vi.stubGlobal("window", { addEventListener: () => {} });
  vi.stubGlobal("location", { pathname: "/", search: "" });
  options = await import("../src/state/options");
  commands = await import("../src/state/command");
});

it("a chart of one run is the command that draws it", () => {
  const shown = options.readOptions({ smooth: "0.9", ranks: "worst", log: "1", zoom: "10..20" });
  expect(commands.chartCommand("train/loss", ["r1"], "step", shown)).toBe(
    "stepline plot --rank stragglers --smooth 0.9 --log --start=10 --stop=21 r1 train/loss",
  );
});

it("names are words of a shell, whatever is in them", () => {
  const shown = options.readOptions({});
  expect(commands.chartCommand("it's $(rm)", ["r1"], "metric:epoch", shown)).toBe(
    "stepline plot --x epoch r1 'it'\\''s $(rm)'",
  );
  expect(commands.chartCommand("-x", ["r1"], "step", shown)).toBe("stepline plot -- r1 -x");
  expect(commands.chartCommand("-x", ["a", "b"], "step", shown)).toBe(
    "stepline compare --metric=-x --plot=-x a b",
  );
});

it("a list of runs is the command that prints it", () => {
  const query = { project: "p", filter: 'config.lr > 1 and name != "x"', sort: ["-created"], columns: [] };
  expect(commands.runsCommand(query, [])).toBe(
    "stepline runs --project=p '--filter=config.lr > 1 and name != \"x\"' --sort=-created",
  );
});
