/** The filter of runs: one text, as it stands in the address, on the command line and in the reader. */
import type { Problem } from "../../api/problem";
import { change, param } from "../../state/address";
import { Search } from "../../ui/Search";

export const FILTER = "run-filter";

export function FilterField({ problem }: { problem: Problem | undefined }) {
  const wrong = problem?.kind === "invalid" && param("q") !== "";
  return (
    <div class="filter">
      <Search
        id={FILTER}
        icon="filter"
        code
        value={param("q")}
        placeholder={'config.lr > 0.001 and state = "running"'}
        label="Filter runs"
        invalid={wrong}
        onChange={(q) => change({ q: q.trim() })}
      />
      {wrong && (
        <p class="filter-problem" role="alert">
          {problem.message}
        </p>
      )}
    </div>
  );
}
