/** Runs against each other: what they were given, what came of it, and how. */
import { useEffect } from "preact/hooks";
import { ChartsView } from "../charts/ChartsView";
import { CompareTable } from "../compare/CompareTable";
import { ParallelView } from "../compare/ParallelView";
import { change, param } from "../state/address";
import { Failure, Notice } from "../ui/Notice";
import { ProjectTabs } from "../ui/ProjectTabs";
import { useRunPages } from "./runs/useRunPages";
import { useShown } from "./shown";

const VIEWS = [
  ["", "Config"],
  ["summary", "Summary"],
  ["curves", "Curves"],
  ["parallel", "Parallel coordinates"],
] as const;

export function ComparePage({ project }: { project: string }) {
  const sort = param("sort").split(",").filter(Boolean);
  const pages = useRunPages({ project, filter: param("q"), sort, columns: [] });
  const shown = useShown(pages);
  const view = param("view");
  useEffect(() => {
    document.title = `Compare · ${project} · Stepline`;
  }, [project]);
  const problem = pages.problem.value;
  return (
    <div class="page full">
      <ProjectTabs project={project} />
      <div class="segments" role="tablist" onKeyDown={byTabs}>
        {VIEWS.map(([key, name]) => (
          <button
            type="button"
            role="tab"
            key={key}
            aria-selected={key === view}
            onClick={() => change({ view: key })}
          >
            {name}
          </button>
        ))}
      </div>
      <div class="scroll">
        {problem && <Failure problem={problem} again={() => pages.renew()} />}
        {view === "parallel" && <ParallelView project={project} />}
        {shown.runs.length > 0 && view === "curves" && (
          <ChartsView runs={shown.runs} onRuns={() => pages.renew()} />
        )}
        {shown.runs.length > 0 && view === "" && (
          <CompareTable key="config" project={project} runs={shown.runs} part="config" />
        )}
        {shown.runs.length > 0 && view === "summary" && (
          <CompareTable key="summary" project={project} runs={shown.runs} part="summary" />
        )}
        {shown.ready && !shown.runs.length && view !== "parallel" && (
          <Notice title="No runs to compare">Select some in the table of runs.</Notice>
        )}
      </div>
    </div>
  );
}

/** Arrow keys go from one tab to the next. */
function byTabs(event: KeyboardEvent): void {
  const aside = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" } as const;
  if (!(event.key in aside) || !(event.target instanceof HTMLElement)) return;
  const next = event.target[aside[event.key as keyof typeof aside]];
  if (next instanceof HTMLElement) next.focus();
}
