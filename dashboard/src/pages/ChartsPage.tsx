/** The charts of a project: its runs at the side, their metrics beside each other. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ChartsView } from "../charts/ChartsView";
import { param } from "../state/address";
import { useShortcuts } from "../state/keys";
import { Icon } from "../ui/icons";
import { Failure, Notice } from "../ui/Notice";
import { ProjectTabs } from "../ui/ProjectTabs";
import { FilterField } from "./runs/FilterField";
import { RunList } from "./runs/RunList";
import { useRunPages } from "./runs/useRunPages";
import { useShown } from "./shown";

export function ChartsPage({ project }: { project: string }) {
  const narrow = window.matchMedia("(max-width: 760px)").matches;
  const side = useSignal(!narrow);
  const sort = param("sort").split(",").filter(Boolean);
  const pages = useRunPages({ project, filter: param("q"), sort, columns: [] });
  const shown = useShown(pages);
  const problem = pages.problem.value;
  useEffect(() => {
    document.title = `Charts · ${project} · Stepline`;
  }, [project]);
  useShortcuts([{ keys: "s", what: "Show or hide the list of runs", run: () => (side.value = !side.value) }]);
  return (
    <div class="page full">
      <ProjectTabs project={project} />
      <div class={side.value ? "split" : "split closed"}>
        <aside class="side" aria-label="Runs">
          <button
            type="button"
            class="quiet side-toggle"
            title="Show or hide the list of runs (s)"
            aria-label="Show or hide the list of runs"
            aria-expanded={side.value}
            onClick={() => {
              side.value = !side.value;
            }}
          >
            <Icon name="side" />
          </button>
          {side.value && (
            <>
              <FilterField problem={problem} />
              <RunList pages={pages} shown={shown.runs} />
            </>
          )}
        </aside>
        <div class="scroll">
          {problem && problem.kind !== "invalid" && <Failure problem={problem} again={() => pages.renew()} />}
          {shown.runs.length > 0 && <ChartsView runs={shown.runs} onRuns={() => pages.renew()} />}
          {shown.ready && !shown.runs.length && !problem && <Nothing total={pages.total.value ?? 0} />}
        </div>
      </div>
    </div>
  );
}

function Nothing({ total }: { total: number }) {
  if (param("sel"))
    return (
      <Notice title="The chosen runs are not there">They were deleted, or the address is mistyped.</Notice>
    );
  if (param("q")) return <Notice title="No run meets the filter" />;
  return total === 0 ? (
    <Notice title="No runs here">The project is empty, or its runs were deleted.</Notice>
  ) : null;
}
