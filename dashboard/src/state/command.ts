/** The commands that show in a terminal what the page shows. */
import { command } from "../lib/shell";
import type { Options } from "./options";
import type { RunQuery } from "./run";

/** A metric of one run is drawn, of several it is compared. */
export function chartCommand(
  metric: string,
  runs: readonly string[],
  axis: string,
  options: Options,
): string {
  if (runs.length !== 1) {
    const log = options.logY ? ["--log"] : [];
    return command(["stepline", "compare", `--metric=${metric}`, `--plot=${metric}`, ...log, ...runs]);
  }
  const words = ["stepline", "plot"];
  if (axis !== "step") words.push("--x", axis.replace(/^metric:/, ""));
  if (options.ranks !== "band") {
    words.push("--rank", options.ranks === "worst" ? "stragglers" : String(options.ranks));
  }
  if (options.smooth) words.push("--smooth", String(options.smooth));
  if (options.bands === "quantiles" && options.ranks === "band") words.push("--quantiles", "0.05,0.95");
  if (options.logY) words.push("--log");
  if (options.logX && axis === "step") words.push("--log-x");
  const { zoom } = options;
  if (zoom && options.zoomX === "step" && axis === "step") {
    words.push(`--start=${Math.floor(zoom.lo)}`, `--stop=${Math.ceil(zoom.hi) + 1}`);
  }
  // A name may look like an option.
  return command([...words, ...(metric.startsWith("-") ? ["--"] : []), ...runs, metric]);
}

/** The table of runs. */
export function runsCommand(query: RunQuery, groupBy: readonly string[]): string {
  const words = ["stepline", "runs", `--project=${query.project}`];
  if (query.filter) words.push(`--filter=${query.filter}`);
  if (query.sort.length) words.push(`--sort=${query.sort.join(",")}`);
  if (groupBy.length) words.push(`--group-by=${groupBy.join(",")}`);
  else if (query.columns.length) words.push(`--columns=${query.columns.join(",")}`);
  return command(words);
}
