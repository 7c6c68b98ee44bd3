/** The hardware under the runs of a project. */
import { useEffect } from "preact/hooks";
import { param } from "../state/address";
import { SystemView } from "../system/SystemView";
import { Failure } from "../ui/Notice";
import { ProjectTabs } from "../ui/ProjectTabs";
import { useRunPages } from "./runs/useRunPages";
import { useShown } from "./shown";

export function SystemPage({ project }: { project: string }) {
  const sort = param("sort").split(",").filter(Boolean);
  const pages = useRunPages({ project, filter: param("q"), sort, columns: [] });
  const shown = useShown(pages);
  useEffect(() => {
    document.title = `System · ${project} · Stepline`;
  }, [project]);
  const problem = pages.problem.value;
  return (
    <div class="page full">
      <ProjectTabs project={project} />
      <div class="scroll">
        {problem && <Failure problem={problem} again={() => pages.renew()} />}
        {shown.ready && <SystemView runs={shown.runs} />}
      </div>
    </div>
  );
}
